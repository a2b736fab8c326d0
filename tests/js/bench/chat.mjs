// How fast the chat is in a browser, in figures for docs/performance.md: `node tests/js/bench/chat.mjs [binary] [what ...]`, where
// what is any of paint, latency, scroll. Starts the server with its demo, in a folder of its own; nothing else should run meanwhile.
import assert from 'node:assert/strict'
import os from 'node:os'
import { createClient } from '@supabase/supabase-js'
import WebSocket from 'ws'
import { launch } from '../chromium.mjs'
import { until } from '../chat-ui/until.mjs'
import { startDemo } from './demo.mjs'

const [binary = 'target/release/dovetail', ...chosen] = process.argv.slice(2)
const wanted = (what) => chosen.length === 0 || chosen.includes(what)
const MESSAGES = 200
const LONG = 10_000

const { url, sign, stop } = await startDemo(binary)
const anonKey = sign({ role: 'anon' })
const options = { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: WebSocket } }
const service = createClient(url, sign({ role: 'service_role' }), options)
const fine = ({ data, error }) => { assert.equal(error, null); return data }

const browser = await launch()
const at = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))]
const rounded = (value) => Math.round(value * 10) / 10

/** Two of the demo who have a conversation, each signed in. */
async function pair() {
  const [demo] = fine(await service.from('conversations').select('id, participant_1_id, participant_2_id').eq('type', 'direct').not('participant_2_id', 'is', null).limit(1))
  const users = fine(await service.auth.admin.listUsers({ perPage: 100 })).users
  const people = []
  for (const id of [demo.participant_1_id, demo.participant_2_id]) {
    const { email } = users.find((user) => user.id === id)
    const { session } = fine(await createClient(url, anonKey, options).auth.signInWithPassword({ email, password: 'demo-password' }))
    people.push({ id, session })
  }
  return { conversation: demo.id, people }
}

async function open({ session }, conversation) {
  const localStorage = [{ name: 'dovetail-auth', value: JSON.stringify(session) }]
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-US', storageState: { cookies: [], origins: [{ origin: new URL(url).origin, localStorage }] } })
  const page = await context.newPage()
  await page.goto(`${url}/chat/#/c/${conversation}`)
  await page.locator('.dt-thread[data-live=true]').waitFor({ state: 'attached' })
  return page
}

/** From the start of the navigation to the first frame with something, with a processor four times slower. */
async function paint(address, selector) {
  const times = []
  for (let n = 0; n < 5; n++) {
    const context = await browser.newContext({ viewport: { width: 390, height: 844 }, locale: 'en-US' })
    const page = await context.newPage()
    const devtools = await context.newCDPSession(page)
    await devtools.send('Emulation.setCPUThrottlingRate', { rate: 4 })
    await page.addInitScript((selector) => {
      const found = () => {
        const [host, inner] = selector.split(' >> ')
        const element = document.querySelector(host)
        return inner ? element?.shadowRoot?.querySelector(inner) : element
      }
      const look = () => {
        if (!found()) return requestAnimationFrame(look)
        requestAnimationFrame(() => requestAnimationFrame(() => { window.paintedAt = performance.now() }))
      }
      requestAnimationFrame(look)
    }, selector)
    await page.goto(address)
    await page.waitForFunction(() => window.paintedAt)
    times.push(await page.evaluate(() => window.paintedAt))
    await context.close()
  }
  return times
}

/** From Enter in one browser to the frame in which the other shows the message. */
async function latency() {
  const { conversation, people } = await pair()
  const [one, other] = await Promise.all(people.map((person) => open(person, conversation)))
  await other.evaluate(() => {
    window.seen = {}
    new MutationObserver(() => requestAnimationFrame(() => {
      // After the frame: a message posted in it is handled when it has been drawn.
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = () => {
        for (const bubble of document.querySelectorAll('.dt-thread-main [data-testid=bubble]')) {
          const number = bubble.textContent.match(/Measured (\d+)\./)?.[1]
          if (number) window.seen[number] ??= performance.timeOrigin + performance.now()
        }
      }
      port2.postMessage(null)
    })).observe(document.body, { childList: true, subtree: true, characterData: true })
  })
  await one.evaluate(() => {
    window.sent = {}
    document.addEventListener('keydown', (event) => {
      const number = event.key === 'Enter' && event.target.value?.match(/Measured (\d+)\./)?.[1]
      if (number) window.sent[number] = performance.timeOrigin + performance.now()
    }, true)
  })
  const times = []
  const composer = one.locator('.dt-thread-main .dt-composer textarea')
  for (let n = 0; n < MESSAGES; n++) {
    await composer.fill(`Measured ${n}.`)
    await composer.press('Enter')
    await other.waitForFunction((n) => window.seen[n], n)
    times.push(await other.evaluate((n) => window.seen[n], n) - await one.evaluate((n) => window.sent[n], n))
  }
  await one.context().close()
  await other.context().close()
  return times
}

/** Share of frames that were dropped while 10,000 messages are scrolled through, as the browser's tracing tells. */
async function scroll() {
  const { conversation, people } = await pair()
  const words = 'a message is as long as people write it and some are longer'.split(' ')
  const rows = Array.from({ length: LONG }, (_, n) => ({
    conversation_id: conversation, sender_id: people[n % 3 ? 0 : 1].id, created_at: new Date(Date.now() - (LONG - n) * 60_000).toISOString(),
    content: `${n} ${words.slice(0, 2 + n % words.length).join(' ')} ${n % 11 ? '' : words.join(' ').repeat(3)}`,
  }))
  for (let n = 0; n < LONG; n += 1000) fine(await service.from('messages').insert(rows.slice(n, n + 1000)))
  const page = await open(people[0], conversation)
  const list = page.locator('.dt-thread-main .dt-scroll')
  await list.hover()
  // Everything is loaded first: what counts is scrolling, not the network. Where it begins nothing older comes any more. By the wheel:
  // a list that stands at its end takes only what a hand does for leaving it.
  let height = 0
  let same = 0
  await until('all messages are loaded', async () => {
    await page.mouse.wheel(0, -1_000_000)
    const now = await list.evaluate((e) => e.scrollHeight)
    same = now === height ? same + 1 : 0
    height = now
    return (same >= 40 && height > LONG * 20) || height
  }, 600_000)
  const box = await list.boundingBox()
  const devtools = await page.context().newCDPSession(page)
  const results = { height }
  // As a hand does it: reading along, and flinging through everything. Pixels a second.
  for (const [kind, speed, distance] of [['reading', 2_400, 24_000], ['flinging', 20_000, height]]) {
    await list.evaluate((e) => { e.scrollTop = 0 })
    const events = []
    const collect = ({ value }) => events.push(...value)
    devtools.on('Tracing.dataCollected', collect)
    await devtools.send('Tracing.start', { transferMode: 'ReportEvents', categories: 'cc,benchmark,disabled-by-default-devtools.timeline.frame,devtools.timeline.frame' })
    const from = await list.evaluate((e) => e.scrollTop)
    const began = performance.now()
    await devtools.send('Input.synthesizeScrollGesture', {
      x: box.x + box.width / 2, y: box.y + box.height / 2, yDistance: -distance, speed, gestureSourceType: 'mouse', preventFling: true,
    })
    const seconds = rounded((performance.now() - began) / 1000)
    const pixels = Math.round(await list.evaluate((e) => e.scrollTop) - from)
    const complete = new Promise((done) => { devtools.once('Tracing.tracingComplete', done) })
    await devtools.send('Tracing.end')
    await complete
    devtools.off('Tracing.dataCollected', collect)
    const states = {}
    for (const event of events) {
      const state = event.name === 'PipelineReporter' && (event.args?.chrome_frame_reporter?.state ?? event.args?.frame_reporter?.state)
      if (state) states[state] = (states[state] ?? 0) + 1
    }
    const count = (name) => events.filter((event) => event.name === name).length
    results[kind] = { pixels, seconds, drawn: count('DrawFrame'), dropped: count('DroppedFrame'), states }
  }
  await page.context().close()
  return results
}

try {
  console.log(`load ${os.loadavg().map(rounded).join(' ')}`)
  if (wanted('paint')) {
    console.log('sign-in page, 4x slower, ms:', (await paint(`${url}/chat/`, 'form, .app-page')).map(rounded).join(' '))
    console.log('button of the widget, 4x slower, ms:', (await paint(`${url}/widget/demo.html`, 'dovetail-chat >> button')).map(rounded).join(' '))
  }
  if (wanted('latency')) {
    const times = await latency()
    console.log(`sent to painted in the other browser, ${MESSAGES} messages: p50 ${rounded(at(times, 0.5))} ms, p95 ${rounded(at(times, 0.95))} ms, most ${rounded(at(times, 1))} ms`)
  }
  if (wanted('scroll')) console.log(`scrolling through ${LONG} messages:`, JSON.stringify(await scroll()))
} finally {
  await browser.close()
  await stop()
}
