// No text is lost: without a network, over a reload, over a restart of the server, over the end of a token.
import assert from 'node:assert/strict'
import net from 'node:net'
import { describe, test } from 'node:test'
import { say } from './people.mjs'
import { bubble, conversationOf, field, launcher, link, listens, open, texts, until, visit, write } from './widget-support.mjs'

/** Tells the runner to stop or start the server. */
const order = (what) => new Promise((done, failed) => {
  const socket = net.connect(Number(process.env.CONTROL_PORT), '127.0.0.1', () => socket.write(`${what}\n`))
  socket.on('data', () => { socket.end(); done() })
  socket.on('error', failed)
})

const inbox = async (guest, conversation) => (await guest.ada.rpc('get_messages', { conversation_id: conversation })).messages.map((m) => m.content)

describe('without a network', () => {
  test('messages wait, survive a reload, and go out once each, in order; what came meanwhile is there', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    await write(page, 'Zero')
    await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
    const conversation = await conversationOf(guest)
    let away = true
    await page.route(/\/rest\/v1\/rpc\/send_message/, (route) => (away ? route.abort() : route.continue()))
    await page.context().setOffline(true)
    for (const text of ['One', 'Two', 'Three']) await write(page, text)
    await page.getByTestId('banner').filter({ hasText: 'You are offline.' }).waitFor()
    await say(guest.ada, conversation, 'Meanwhile')
    assert.deepEqual(await texts(page), ['Zero', 'One', 'Two', 'Three'])
    // The page itself is there again after a reload; only the server is not.
    await page.context().setOffline(false)
    await page.reload()
    await bubble(page, 'Three').waitFor()
    await bubble(page, 'Meanwhile').waitFor()
    assert.deepEqual(await inbox(guest, conversation), ['Zero', 'Meanwhile'])
    away = false
    await page.evaluate(() => dispatchEvent(new Event('online')))
    await until('they are sent', async () => (await inbox(guest, conversation)).length === 5 || inbox(guest, conversation))
    assert.deepEqual(await inbox(guest, conversation), ['Zero', 'Meanwhile', 'One', 'Two', 'Three'])
    await until('and shown once', async () => (await texts(page)).join() === 'Zero,Meanwhile,One,Two,Three' || texts(page))
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('outbox'))), [])
    await page.fine()
  })

  test('a refusal is said, can be tried again, and taken back', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    let refuses = true
    await page.route(/\/rest\/v1\/rpc\/send_message/, (route) => (refuses ? route.fulfill({ status: 400, json: { code: '23514', message: 'no' } }) : route.continue()))
    await write(page, 'Try me')
    await page.getByText('Not delivered').waitFor()
    await write(page, 'Not me')
    await until('two are refused', async () => (await page.getByText('Not delivered').count()) === 2)
    await page.getByRole('button', { name: 'Delete' }).last().click()
    refuses = false
    await page.getByRole('button', { name: 'Retry' }).click()
    await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
    assert.deepEqual(await inbox(guest, await conversationOf(guest)), ['Try me'])
    await page.fine()
  })

  test('a text that is begun is there after a reload', async (t) => {
    const page = await visit(t, await link())
    await open(page)
    await field(page).fill('Half a sent')
    await page.reload()
    await until('the draft', async () => (await field(page).inputValue()) === 'Half a sent')
  })
})

test('C-402: the token is renewed before it ends, and messages go on coming', async (t) => {
  const guest = await link()
  const page = await visit(t, guest, { before: (p) => p.clock.install() })
  await open(page)
  await write(page, 'Before')
  await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
  const conversation = await conversationOf(guest)
  const renewed = page.waitForResponse((response) => response.url().endsWith('/guest-token/refresh') && response.status() === 200)
  await page.clock.fastForward('13:30')
  await renewed
  await say(guest.ada, conversation, 'After')
  await bubble(page, 'After').waitFor()
  await write(page, 'And on')
  await until('it is sent', async () => (await inbox(guest, conversation)).includes('And on'))
  await page.fine()
})

describe('a restart of the server', () => {
  test('C-608: while both write: the widget comes back, nothing is lost, nothing comes twice', { skip: process.env.CONTROL_PORT ? false : 'nobody restarts the server' }, async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    await write(page, 'Before')
    await page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()
    const conversation = await conversationOf(guest)
    await order('stop')
    await write(page, 'While it is away')
    await page.getByTestId('banner').filter({ hasText: 'Reconnecting…' }).waitFor()
    await order('start')
    await until('it is sent', async () => (await inbox(guest, conversation).catch(() => [])).includes('While it is away'), 30_000)
    await page.getByTestId('banner').waitFor({ state: 'detached', timeout: 30_000 })
    await say(guest.ada, conversation, 'After')
    await bubble(page, 'After').waitFor()
    assert.deepEqual(await texts(page), ['Before', 'While it is away', 'After'])
    assert.deepEqual(await inbox(guest, conversation), ['Before', 'While it is away', 'After'])
    // And typing goes through again.
    const advisor = await listens(t, guest, conversation)
    await until('typing is heard', async () => { await field(page).press('x'); return advisor.typing.some((p) => p.is_typing) })
    assert.equal(await launcher(page).count(), 1)
    await page.fine()
  })
})
