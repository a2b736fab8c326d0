// Without a connection nothing is lost, and nothing comes twice.
import assert from 'node:assert/strict'
import net from 'node:net'
import { describe, test } from 'node:test'
import { browserOf, bubble, composer, ready, texts, until, write } from './browser.mjs'
import { direct, people, say } from './people.mjs'

/** Has the server under test stopped; the answer comes when it is gone. Then `start`. */
const order = (what) => new Promise((done, failed) => {
  const socket = net.connect(Number(process.env.CONTROL_PORT), '127.0.0.1', () => socket.write(`${what}\n`))
  socket.on('data', () => { socket.end(); done() })
  socket.on('error', failed)
})

async function pair(t, more) {
  const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
  const conversation = await direct(ana, ben)
  const [one, other] = await Promise.all([browserOf(t, ana, { conversation, ...more }), browserOf(t, ben, { conversation, ...more })])
  return { ana, ben, conversation, one, other }
}

/** The pages are kept by the service worker. */
const installed = (page) => page.evaluate(async () => {
  await navigator.serviceWorker.ready
  while (!(await caches.match('/chat/'))) await new Promise((done) => setTimeout(done, 50))
})

describe('offline', () => {
  test('C-609: three messages, a reload, and back: once each and in order', async (t) => {
    const { one, other, ben, conversation } = await pair(t)
    await write(one, 'Before')
    await bubble(other, 'Before').waitFor()
    await installed(one)
    await one.context().setOffline(true)
    for (const text of ['First', 'Second', 'Third']) await write(one, text)
    await one.getByTestId('banner').filter({ hasText: 'You are offline. 3 messages waiting.' }).waitFor()
    await one.reload()
    await bubble(one, 'Third').waitFor()
    assert.deepEqual(await texts(one), ['Before', 'First', 'Second', 'Third'])
    // Meanwhile the other goes on.
    await write(other, 'Are you there?')
    const said = async () => (await ben.rpc('get_messages', { conversation_id: conversation })).messages.map((m) => m.content)
    // Shown at once, which says nothing of what the server has.
    await until('it is sent', async () => (await said()).includes('Are you there?'))
    assert.deepEqual(await said(), ['Before', 'Are you there?'])
    assert.equal(await bubble(other, 'First').count(), 0)

    await one.context().setOffline(false)
    await bubble(other, 'Third').waitFor({ timeout: 20_000 })
    await bubble(one, 'Are you there?').waitFor()
    await one.getByTestId('banner').waitFor({ state: 'detached' })
    const all = ['Before', 'Are you there?', 'First', 'Second', 'Third']
    await until('both show the same', async () => {
      const shown = [await texts(one), await texts(other)]
      return JSON.stringify(shown) === JSON.stringify([all, all]) || shown
    })
    assert.deepEqual(await said(), all)
    await one.fine()
    await other.fine()
  })

  test('a draft survives a reload', async (t) => {
    const { one } = await pair(t)
    await composer(one).fill('Half a thou')
    await one.reload()
    await ready(one)
    await until('the draft is there', async () => (await composer(one).inputValue()) === 'Half a thou' || composer(one).inputValue())
    await one.fine()
  })

  test('what the server refuses says why, keeps its text, and can be tried again or deleted', async (t) => {
    const { ana, ben, conversation, one, other } = await pair(t)
    await ben.rpc('block_user', { user_id: ana.id })
    await write(one, 'You will not get this')
    const failed = one.locator('.dt-undelivered')
    await failed.filter({ hasText: 'Not delivered' }).waitFor()
    assert.deepEqual(await texts(one), ['You will not get this'])
    await one.reload()
    await failed.waitFor()
    await ben.rpc('unblock_user', { user_id: ana.id })
    await failed.getByRole('button', { name: 'Retry' }).click()
    await bubble(other, 'You will not get this').waitFor()
    await failed.waitFor({ state: 'detached' })

    await ben.rpc('block_user', { user_id: ana.id })
    await write(one, 'Never mind')
    await failed.getByRole('button', { name: 'Delete' }).click()
    await bubble(one, 'Never mind').waitFor({ state: 'detached' })
    const { messages } = await ben.rpc('get_messages', { conversation_id: conversation })
    assert.equal(messages.length, 1)
    await one.fine()
  })
})

describe('a restart of the server', () => {
  test('C-608: while both write: both come back, nothing is lost, nothing comes twice', { skip: process.env.CONTROL_PORT ? false : 'nobody restarts the server' }, async (t) => {
    const { ana, conversation, one, other } = await pair(t)
    await write(one, 'Before')
    await bubble(other, 'Before').waitFor()
    await order('stop')
    await write(one, 'One, while it is away')
    await write(other, 'Two, while it is away')
    await one.getByTestId('banner').filter({ hasText: 'Reconnecting… 1 message waiting.' }).waitFor()
    await order('start')
    for (const page of [one, other]) {
      await bubble(page, 'One, while it is away').waitFor({ timeout: 30_000 })
      await bubble(page, 'Two, while it is away').waitFor({ timeout: 30_000 })
      await page.getByTestId('banner').waitFor({ state: 'detached' })
      await ready(page)
    }
    await say(ana, conversation, 'After')
    for (const page of [one, other]) await bubble(page, 'After').waitFor()
    const { messages } = await ana.rpc('get_messages', { conversation_id: conversation })
    assert.equal(messages.length, 4)
    for (const page of [one, other]) assert.deepEqual(await texts(page), messages.map((m) => m.content))
    await one.fine()
    await other.fine()
  })
})
