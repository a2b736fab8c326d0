// Whose chat it is: a guest ends it, a guest signs in, a guest comes back.
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { describe, test } from 'node:test'
import { fine, people, say, service } from './people.mjs'
import { bubble, conversationOf, field, launcher, link, listens, open, scripts, texts, turn, until, visit, write } from './widget-support.mjs'

const sessions = async (guest) => fine(await service.from('client_chat_tokens').select('id').eq('client_id', guest.client)).length
const focused = (page) => page.evaluate(() => document.activeElement?.shadowRoot?.activeElement?.textContent ?? '')
/** Whom the server was asked as, by the request of an RPC. */
const asked = (page, name) => page.waitForRequest((r) => r.url().endsWith(`/rest/v1/rpc/${name}`)).then((request) => {
  const [, claims] = request.headers().authorization.split('.')
  return JSON.parse(Buffer.from(claims, 'base64url').toString()).role
})
const sent = (page) => page.getByTestId('receipt').filter({ hasText: 'Sent' }).waitFor()

describe('the end of a chat', () => {
  test('by keyboard: it can be taken back; after it nothing is left on this device, and the session is over', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    assert.equal(await page.getByTestId('end').count(), 0, 'nothing to end yet')
    await write(page, 'Good bye')
    await sent(page)
    const ends = page.evaluate(() => new Promise((done) => { window.DovetailChat.on('end', () => done(true)) }))
    await field(page).fill('half a sent')
    await page.getByTestId('end').focus()
    await page.keyboard.press('Enter')
    await until('the question has the focus', async () => (await focused(page)) === 'End chat')
    await page.keyboard.press('Escape')
    await page.getByTestId('ending').waitFor({ state: 'detached' })
    await page.getByTestId('window').waitFor()
    assert.equal(await page.getByTestId('end').evaluate((e) => e.getRootNode().activeElement === e), true)
    assert.equal(await sessions(guest), 1)
    await page.keyboard.press('Enter')
    await until('the question has the focus', async () => (await focused(page)) === 'End chat')
    await page.keyboard.press('Enter')
    await page.getByTestId('ended').getByText('You have ended this chat.').waitFor()
    assert.equal(await ends, true)
    assert.equal(await sessions(guest), 0)
    assert.equal(await field(page).count(), 0)
    const kept = await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]))
    assert.doesNotMatch(kept, /Good bye|half a sent|chatToken/)
    // What the advisor has stays, and who holds the link may begin again.
    await until('the way back has the focus', async () => (await focused(page)) === 'Start again')
    await page.keyboard.press('Enter')
    await bubble(page, 'Good bye').waitFor()
    await until('the focus is where one writes', () => field(page).evaluate((e) => e.getRootNode().activeElement === e))
    assert.equal(await field(page).inputValue(), '')
    await say(guest.ada, await conversationOf(guest), 'Back so soon?')
    await bubble(page, 'Back so soon?').waitFor()
    assert.equal(await sessions(guest), 1)
    await page.fine()
  })

  test('without a network it ends on this device', async (t) => {
    const guest = await link()
    const page = await visit(t, guest)
    await open(page)
    await page.context().setOffline(true)
    await write(page, 'Never sent')
    await page.evaluate(() => window.DovetailChat.end())
    await page.getByTestId('ended').waitFor()
    await page.context().setOffline(false)
    await page.reload()
    await open(page)
    assert.deepEqual(await texts(page), [])
    await page.fine()
  })
})

describe('a guest signs in', () => {
  /** A link for somebody who has an account. */
  async function client(guest) {
    const [cleo] = await people({ 'Cleo Marsh': 'client' }, guest.org)
    fine(await service.from('share_links').update({ client_id: cleo.id }).eq('token', guest.shareToken))
    const { session } = fine(await cleo.client.auth.getSession())
    return { ...cleo, token: session.access_token }
  }

  test('the same conversation goes on as them, live, whatever becomes of the link; signed out it is the guest\'s again', async (t) => {
    const guest = await link()
    const cleo = await client(guest)
    const page = await visit(t, guest)
    await open(page)
    await write(page, 'As a guest')
    await sent(page)
    const conversation = await conversationOf(guest)
    const advisor = await listens(t, guest, conversation)
    assert.equal(await page.evaluate((token) => window.DovetailChat.setUser({ token: async () => token }), cleo.token), true)
    await turn(guest, false)
    const role = asked(page, 'send_message')
    await write(page, 'As myself')
    assert.equal(await role, 'authenticated')
    await until('the advisor hears it', () => advisor.rows.some((row) => row.content === 'As myself' && row.sender_id === cleo.id))
    await say(guest.ada, conversation, 'Welcome')
    await bubble(page, 'Welcome').waitFor()
    await until('typing is heard', async () => { await field(page).press('x'); return advisor.typing.some((p) => p.is_typing) })
    assert.deepEqual(await texts(page), ['As a guest', 'As myself', 'Welcome'])
    await turn(guest, true)
    assert.equal(await page.evaluate(() => window.DovetailChat.setUser(null)), true)
    const back = asked(page, 'send_message')
    await write(page, 'As a guest again')
    assert.equal(await back, 'chat_guest')
    await sent(page)
    await page.fine()
  })

  test('said before there is a chat, it counts from its beginning', async (t) => {
    const guest = await link()
    const cleo = await client(guest)
    const page = await visit(t, guest, { script: false })
    assert.equal(await page.evaluate(async ([from, url, subjectId, shareToken, token]) => {
      const { mount } = await import(`${from}/widget/widget.mjs`)
      return mount({ url, subjectId, shareToken }).setUser({ token })
    }, [scripts(), process.env.SURFACE_URL, guest.subjectId, guest.shareToken, cleo.token]), true)
    await open(page)
    const role = asked(page, 'send_message')
    await write(page, 'From the beginning')
    assert.equal(await role, 'authenticated')
    await page.fine()
  })

  test('somebody else gets nothing by it, and the guest goes on', async (t) => {
    const guest = await link()
    const [eve] = await people({ Eve: 'client' }, guest.org)
    const { session } = fine(await eve.client.auth.getSession())
    const page = await visit(t, guest)
    await open(page)
    const told = page.evaluate(() => new Promise((done) => { window.DovetailChat.on('error', ({ code }) => done(code)) }))
    assert.equal(await page.evaluate((token) => window.DovetailChat.setUser({ token }), session.access_token), false)
    assert.equal(await told, 'other_user')
    for (const token of ['nonsense', '']) assert.equal(await page.evaluate((t) => window.DovetailChat.setUser({ token: () => t }), token), false)
    // A forged token with the right name opens nothing either.
    const forged = [{ alg: 'HS256' }, { sub: guest.client, role: 'authenticated', exp: 4e9 }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    await page.evaluate((token) => window.DovetailChat.setUser({ token }), `${forged}.${crypto.randomBytes(32).toString('base64url')}`)
    await write(page, 'Forged')
    await page.getByTestId('receipt').filter({ hasText: 'Waiting for the connection' }).waitFor()
    assert.deepEqual((await guest.ada.rpc('get_messages', { conversation_id: await conversationOf(guest) })).messages, [])
    await page.evaluate(() => window.DovetailChat.setUser(null))
    await sent(page)
    assert.deepEqual((await guest.ada.rpc('get_messages', { conversation_id: await conversationOf(guest) })).messages.map((m) => m.content), ['Forged'])
    await page.fine()
  })
})

test('what was written while the guest was away is shown beside the button when they come back', async (t) => {
  const guest = await link()
  const page = await visit(t, guest)
  await launcher(page).waitFor()
  await say(guest.ada, await conversationOf(guest), 'Are you there?')
  await page.getByTestId('badge').filter({ hasText: /^1$/ }).waitFor()
  await page.reload()
  await page.getByTestId('badge').filter({ hasText: /^1$/ }).waitFor()
  const peek = page.getByTestId('peek')
  await peek.filter({ hasText: 'Are you there?' }).waitFor()
  await peek.getByRole('button', { name: 'Dismiss' }).click()
  await peek.waitFor({ state: 'detached' })
  await page.getByTestId('badge').waitFor()
  await page.fine()
})

test('the first message of all, written before anything is heard live, is told as any other', async (t) => {
  const guest = await link()
  let release
  const held = new Promise((done) => { release = done })
  let counted
  const page = await visit(t, guest, { before: (p) => {
    counted = p.waitForResponse((response) => response.url().endsWith('/get_unread_count') && response.ok())
    return p.route('**/realtime.mjs', async (route) => { await held; await route.continue() })
  } })
  await counted
  const told = page.evaluate(() => new Promise((done) => { window.DovetailChat.on('message', ({ text }) => done(text)) }))
  await say(guest.ada, await conversationOf(guest), 'Welcome to Lisbon')
  release()
  await page.getByTestId('peek').filter({ hasText: 'Welcome to Lisbon' }).waitFor()
  assert.equal(await told, 'Welcome to Lisbon')
  await page.getByTestId('badge').filter({ hasText: /^1$/ }).waitFor()
  await page.fine()
})
