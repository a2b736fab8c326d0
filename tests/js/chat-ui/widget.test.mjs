// The guest's widget: it comes with a good link and not with another; what is written on one side shows on the other.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { browserOf } from './browser.mjs'
import { direct, fine, say, service } from './people.mjs'
import { bubble, built, conversationOf, field, launcher, link, listens, open, scripts, texts, turn, until, visit, write } from './widget-support.mjs'

describe('with a link', () => {
  test('C-604, C-515: the button is in its corner, and opens a window of 360 by 480', async (t) => {
    const guest = await link()
    fine(await service.from('profiles').update({ avatar_url: 'https://example.com/ada.png' }).eq('id', guest.ada.id))
    const dot = Buffer.from('R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=', 'base64')
    const page = await visit(t, guest, { before: (p) => p.route('https://example.com/ada.png', (route) => route.fulfill({ contentType: 'image/gif', body: dot })) })
    let box
    await until('its size', async () => { box = await launcher(page).boundingBox(); return (box.width === 56 && box.height === 56) || box })
    assert.deepEqual([1000 - box.x - box.width, 720 - box.y - box.height], [24, 24])
    assert.equal(await launcher(page).evaluate((e) => getComputedStyle(e).backgroundColor), 'rgb(0, 122, 255)')
    await open(page)
    const shown = page.getByTestId('window')
    assert.equal(await shown.evaluate((e) => { const s = getComputedStyle(e); return `${s.animationName} ${s.animationDuration} ${s.animationTimingFunction}` }), 'rise 0.2s ease-out')
    const moves = await shown.evaluate((e) => [...e.getRootNode().adoptedStyleSheets[0].cssRules].find((rule) => rule.name === 'rise').cssText.replace(/\s+/g, ' '))
    assert.match(moves, /(from|0%) \{ opacity: 0; transform: translateY\(12px\); \}/)
    await until('the avatar', () => shown.locator('header img').evaluate((e) => e.src === 'https://example.com/ada.png' && e.complete && e.naturalWidth === 1))
    await until('the size', () => shown.evaluate((e) => { const { width, height } = e.getBoundingClientRect(); return (width === 360 && height === 480) || [width, height] }))
    await page.getByText('Re: Lisbon in May').waitFor()
    await page.getByRole('heading', { name: 'Ada Vance' }).waitFor()
    await page.getByText('Send a message to your advisor').waitFor()
    await page.fine()
  })

  test('an element and a module do the same as the script tag', async (t) => {
    const guest = await link()
    const page = await visit(t, guest, { script: false })
    await page.evaluate(async ([from, url, given]) => {
      const { mount } = await import(`${from}/widget/widget.mjs`)
      const element = mount({ url, ...given, greeting: 'Good day!' })
      await new Promise((ready) => element.on('ready', ready))
      element.open()
    }, [scripts(), process.env.SURFACE_URL, { subjectId: guest.subjectId, shareToken: guest.shareToken }])
    await page.getByText('Good day!').waitFor()
    await page.fine()
  })

  test('it comes back after a reload, with the session that it had', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    await write(page, 'Still here?')
    await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
    const asked = []
    page.on('request', (request) => { if (request.url().includes('/guest-token')) asked.push(new URL(request.url()).pathname) })
    await page.reload()
    await bubble(page, 'Still here?').waitFor()
    assert.deepEqual(asked, ['/chat/v1/guest-token/refresh'])
    await page.fine()
  })
})

describe('without one', () => {
  for (const [what, change] of [
    ['a wrong token', (guest) => ({ ...guest, shareToken: 'x'.repeat(48) })],
    ['another subject', (guest) => ({ ...guest, subjectId: 'nowhere' })],
    ['a link that is off', async (guest) => { await turn(guest, false); return guest }],
  ]) {
    test(`C-604: ${what}: nothing is rendered and nothing is thrown`, async (t) => {
      let answered
      const page = await visit(t, await change(await link()), { before: (p) => {
        answered = p.waitForResponse('**/chat/v1/guest-token*').then((response) => response.finished())
        return p.addInitScript(() => { window.told = [] })
      } })
      await page.waitForFunction(() => window.DovetailChat)
      await page.evaluate(() => window.DovetailChat.on('error', (e) => window.told.push(e.status)))
      await answered
      // What the answer makes is made by the second frame.
      await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)) }))
      assert.equal(await launcher(page).count(), 0)
      assert.equal(await page.evaluate(() => document.querySelector('dovetail-chat').shadowRoot?.childElementCount ?? 0), 0)
      await page.evaluate(() => { window.DovetailChat.open(); window.DovetailChat.toggle(); window.DovetailChat.identify({ name: 'Nobody' }) })
      await page.fine()
    })
  }

  test('a server that is away is asked again, quietly', async (t) => {
    let [away, asked] = [true, () => {}]
    const asking = new Promise((done) => { asked = done })
    const page = await visit(t, await link(), { before: (p) => p.route('**/chat/v1/guest-token*', async (route) => {
      await (away ? route.abort() : route.continue())
      asked()
    }) })
    await asking
    assert.equal(await launcher(page).count(), 0)
    away = false
    await launcher(page).waitFor()
    await page.fine()
  })
})

describe('the two sides', () => {
  test('C-605: what the guest writes the advisor sees live, and the answer shows in the widget', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await launcher(page).waitFor()
    const conversation = await conversationOf(guest)
    const advisor = await listens(t, guest, conversation)
    await open(page)
    await write(page, 'Is the hotel booked?')
    assert.deepEqual(await texts(page), ['Is the hotel booked?'])
    await until('the advisor hears it', () => advisor.rows.some((row) => row.content === 'Is the hotel booked?'))
    await say(guest.ada, conversation, 'It is.')
    await bubble(page, 'It is.').waitFor({ timeout: 2000 })
    await page.getByTestId('aloud').filter({ hasText: 'Ada Vance: It is.' }).waitFor({ state: 'attached' })
    // Read on both sides.
    await until('the answer is read', async () => (await guest.ada.rpc('get_messages', { conversation_id: conversation })).messages.every((m) => m.content !== 'It is.' || m.is_read))
    await guest.ada.rpc('mark_as_read', { conversation_id: conversation })
    await page.getByTestId('receipt').filter({ hasText: /^Seen \d+:\d\d [AP]M$/ }).waitFor()
    await page.fine()
  })

  test('C-605: while it is closed a badge counts, and opening reads', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    await page.getByTestId('close').click()
    const conversation = await conversationOf(guest)
    await page.evaluate(() => {
      const all = []
      window.counts = new Promise((done) => { window.DovetailChat.on('unread', ({ count }) => { all.push(count); if (count === 0) done(all) }) })
    })
    await say(guest.ada, conversation, 'One')
    await page.getByTestId('badge').filter({ hasText: /^1$/ }).waitFor({ timeout: 2000 })
    assert.equal(await page.getByTestId('badge').evaluate((e) => getComputedStyle(e).backgroundColor), 'rgb(215, 0, 21)')
    await page.getByTestId('peek').filter({ hasText: 'One' }).waitFor()
    await say(guest.ada, conversation, 'Two')
    await page.getByTestId('badge').filter({ hasText: /^2$/ }).waitFor()
    assert.equal(await launcher(page).getAttribute('aria-label'), 'Open chat with Ada Vance, 2 unread messages')
    await open(page)
    await until('they are read', async () => (await guest.ada.rpc('get_messages', { conversation_id: conversation })).messages.every((m) => m.is_read))
    await page.getByTestId('close').click()
    assert.equal(await page.getByTestId('badge').count(), 0)
    assert.deepEqual(await page.evaluate(() => window.counts), [1, 2, 0])
    await page.fine()
  })

  test('who types is shown on the other side, and not for long', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    const advisor = await listens(t, guest, await conversationOf(guest))
    await advisor.say(true)
    await page.getByTestId('typing').waitFor({ timeout: 1000 })
    await page.getByTestId('status').filter({ hasText: 'Ada Vance is typing' }).waitFor()
    await advisor.say(false)
    await page.getByTestId('typing').waitFor({ state: 'detached', timeout: 1000 })
    await until('the channel is joined', async () => { await field(page).press('x'); return advisor.typing.some((p) => p.is_typing && p.user_id === guest.client) })
    await until('stopped', () => advisor.typing.at(-1).is_typing === false, 2500)
    await page.fine()
  })

  test('whether the advisor is online is shown, and when they were last', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    await guest.ada.client.realtime.setAuth()
    const here = guest.ada.client.channel(`presence:${guest.org}`, { config: { private: true, presence: { key: guest.ada.id } } })
    await new Promise((done) => here.subscribe((status) => { if (status === 'SUBSCRIBED') here.track({ here: true }).then(done) }))
    await page.getByTestId('status').filter({ hasText: /^Online$/ }).waitFor()
    await guest.ada.client.removeAllChannels()
    await page.getByTestId('status').filter({ hasText: /^Last seen / }).waitFor()
    await page.fine()
  })

  test('the advisor sees that a guest is there and what they write about, beside what the same person says elsewhere', async (t) => {
    const guest = await link()
    await direct(guest.ada, { id: guest.client })
    const advisor = await browserOf(t, guest.ada)
    const page = await visit(t, guest)
    await open(page)
    await write(page, 'Hello from outside')
    const rows = advisor.locator('.dt-conversation')
    const about = rows.filter({ hasText: 'Lisbon in May' })
    await about.filter({ hasText: 'Hello from outside' }).waitFor()
    assert.equal(await rows.count(), 2)
    await about.locator('.dt-dot-online').waitFor()
    // The same face on both sides.
    const colour = (locator) => locator.evaluate((e) => getComputedStyle(e).backgroundColor)
    const face = await colour(page.getByTestId('window').locator('header .avatar'))
    await about.click()
    await advisor.locator('.dt-header h2').filter({ hasText: 'Cleo Marsh' }).filter({ hasText: 'Lisbon in May' }).waitFor()
    const status = advisor.locator('.dt-header').getByTestId('status')
    await status.filter({ hasText: /^Online$/ }).waitFor()
    await say(guest.ada, await conversationOf(guest), 'Hello back')
    await bubble(page, 'Hello back').waitFor()
    assert.equal(await colour(page.locator('.row.other .avatar').last()), face)
    await page.goto('about:blank')
    await status.filter({ hasText: /^Last seen / }).waitFor()
    await about.locator('.dt-dot-online').waitFor({ state: 'detached' })
    await advisor.fine()
  })

  test('reactions are chosen by mouse, shown on both sides, and taken back', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await launcher(page).waitFor()
    const conversation = await conversationOf(guest)
    const { id } = await say(guest.ada, conversation, 'How was it?')
    await open(page)
    await bubble(page, 'How was it?').hover()
    await page.getByRole('button', { name: 'React', exact: true }).click()
    assert.equal(await page.getByTestId('picker').getByRole('button').count(), 6)
    await page.getByTestId('picker').getByRole('button', { name: 'React with ❤️' }).click()
    const pill = page.getByTestId('reaction')
    await pill.filter({ hasText: '❤️' }).waitFor()
    const reactions = async () => (await guest.ada.rpc('get_message', { message_id: id })).reactions.map((r) => r.emoji)
    await until('it is kept', async () => (await reactions()).join() === '❤️')
    await guest.ada.rpc('toggle_reaction', { message_id: id, emoji: '👍' })
    await pill.filter({ hasText: '👍' }).waitFor()
    await guest.ada.rpc('toggle_reaction', { message_id: id, emoji: '👍' })
    await pill.filter({ hasText: '👍' }).waitFor({ state: 'detached' })
    await pill.filter({ hasText: '❤️' }).click()
    await pill.waitFor({ state: 'detached' })
    await until('it is gone', async () => (await reactions()).length === 0)
    await page.fine()
  })

  test('what the advisor answers in a thread is shown below its message', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    await write(page, 'Which train?')
    await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
    const conversation = await conversationOf(guest)
    const { messages: [root] } = await guest.ada.rpc('get_messages', { conversation_id: conversation })
    await say(guest.ada, conversation, 'The early one', { thread_id: root.id })
    await page.getByTestId('replies').getByText('The early one').waitFor()
    await say(guest.ada, conversation, 'At eight', { thread_id: root.id })
    await page.getByTestId('replies').getByText('At eight').waitFor()
    await page.getByTestId('replies').getByText('2 replies').waitFor()
    await page.reload()
    await page.getByTestId('replies').getByText('At eight').waitFor()
    await page.fine()
  })

  test('older messages come when one scrolls up, and the place is kept; away from the end a pill counts', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await launcher(page).waitFor()
    const conversation = await conversationOf(guest)
    for (let n = 0; n < 90; n++) await say(guest.ada, conversation, `Number ${n}`)
    await page.reload()
    await open(page)
    await bubble(page, /^Number 89$/).waitFor()
    assert.equal(await bubble(page, /^Number 10$/).count(), 0)
    const log = page.getByTestId('log')
    await log.evaluate((e) => { e.scrollTop = 60 })
    const top = await bubble(page, /^Number 41$/).evaluate((e) => e.getBoundingClientRect().top)
    await bubble(page, /^Number 10$/).waitFor({ state: 'attached' })
    const moved = Math.abs(await bubble(page, /^Number 41$/).evaluate((e) => e.getBoundingClientRect().top) - top)
    assert.ok(moved < 30, `it moved by ${moved} px`)
    await say(guest.ada, conversation, 'A new one')
    await page.getByTestId('pill').filter({ hasText: '1 new message' }).click()
    await until('it is on the screen', () => bubble(page, 'A new one').evaluate((e) => e.getBoundingClientRect().bottom < e.getRootNode().querySelector('[data-testid=log]').getBoundingClientRect().bottom))
    await page.fine()
  })
})

test('the API: methods, events, and who the page says it is', async (t) => {
  const guest = await link()
  const page = await visit(t, guest)
  await launcher(page).waitFor()
  await page.evaluate(() => {
    window.heard = []
    const chat = window.DovetailChat
    for (const event of ['ready', 'open', 'close', 'message']) chat.on(event, (detail) => window.heard.push(detail?.text ? [event, detail.text] : [event]))
    const forget = chat.on('open', () => window.heard.push(['never']))
    forget()
    chat.identify({ name: 'Cleo M.', email: 'cleo@example.com', other: 'not kept' })
    chat.open()
    chat.setTheme('dark')
    chat.setLocale('de')
  })
  await page.getByText('Schreiben Sie eine Nachricht').waitFor()
  assert.equal(await page.getByTestId('window').evaluate((e) => getComputedStyle(e).backgroundColor), 'rgb(23, 23, 26)')
  await write(page, 'Guten Tag')
  await page.getByTestId('receipt').filter({ hasText: 'Gesendet' }).waitFor()
  await write(page, 'Noch etwas')
  await until('two messages', async () => (await page.getByTestId('receipt').count()) === 1)
  await page.evaluate(() => window.DovetailChat.toggle())
  const { messages } = await guest.ada.rpc('get_messages', { conversation_id: await conversationOf(guest) })
  assert.deepEqual(messages.map((m) => m.metadata), [{ visitor: { name: 'Cleo M.', email: 'cleo@example.com' } }, {}])
  assert.deepEqual(await page.evaluate(() => window.heard), [['ready'], ['open'], ['message', 'Guten Tag'], ['message', 'Noch etwas'], ['close']])
  await page.fine()
})

test('C-515: it is small, and on a slow computer the button is there soon', async (t) => {
  const size = (name) => gzipSync(fs.readFileSync(path.join(built, name)), { level: 9 }).length
  assert.ok(size('widget.js') <= 40_000, `${size('widget.js')} bytes at once`)
  assert.ok(size('widget.js') + size('realtime.mjs') <= 60_000, `${size('widget.js') + size('realtime.mjs')} bytes in all`)
  const page = await visit(t, await link(), { before: async (p) => {
    const session = await p.context().newCDPSession(p)
    await session.send('Emulation.setCPUThrottlingRate', { rate: 4 })
    await p.addInitScript(() => {
      const look = () => {
        if (document.querySelector('dovetail-chat')?.shadowRoot?.querySelector('.launcher')) requestAnimationFrame(() => { window.painted = performance.now() })
        else requestAnimationFrame(look)
      }
      look()
    })
  } })
  await page.waitForFunction(() => window.painted)
  const painted = await page.evaluate(() => window.painted)
  t.diagnostic(`painted after ${Math.round(painted)} ms, four times slower than this computer`)
  assert.ok(painted < 5000, `${painted} ms`)
})
