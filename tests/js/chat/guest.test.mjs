// A guest by unmodified supabase-js: what the widget does, from the share link to the answer (C-401, C-402, C-605).
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { test } from 'node:test'
import { anonKey, asUser, client, data, fresh, Seen, sql, subscribed, url } from '../surface/support.mjs'

const session = await sql()

/** A client, their advisor, and a link; with what a page knows of them. */
async function world() {
  const [org, advisor, guest] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()]
  const [subject, token] = [fresh('trip'), crypto.randomBytes(24).toString('hex')]
  await session.query(
    `insert into public.profiles (id, display_name, kind, org_id) values ($1, 'Ada', 'advisor', $3), ($2, 'Cleo', 'client', $3)`,
    [advisor, guest, org])
  await session.query(
    `insert into public.share_links (org_id, client_id, subject_id, subject_title, advisor_id, token) values ($1, $2, $3, 'Lisbon', $4, $5)`,
    [org, guest, subject, advisor, token])
  return { org, advisor, guest, subject, token }
}

const enter = (subject, token) =>
  fetch(`${url}/chat/v1/guest-token?${new URLSearchParams({ subject_id: subject, share_token: token })}`)

/** The client of who holds a session. */
const guestClient = (t, jwt) => client(t, anonKey, { accessToken: async () => jwt })

/** Messages of a conversation that a client hears of. */
async function thread(supabase, conversation) {
  const [seen, system] = [new Seen(), new Seen()]
  // A channel that is joined before the client has asked for its token is joined as a visitor.
  await supabase.realtime.setAuth()
  const channel = supabase.channel(`messages-${conversation}`)
  channel
    .on('system', {}, system.add)
    .on('postgres_changes', { event: 'INSERT', schema: 'public', table: 'messages', filter: `conversation_id=eq.${conversation}` }, seen.add)
  await subscribed(channel)
  await system.until((m) => m.extension === 'postgres_changes' && m.status === 'ok', 'the word that changes are live')
  return seen
}

test('a guest writes, the advisor hears it live and answers', async (t) => {
  const { advisor, subject, token } = await world()
  const answer = await enter(subject, token)
  assert.equal(answer.status, 200)
  const { jwt, conversationId, subjectTitle, advisorName } = await answer.json()
  assert.deepEqual([subjectTitle, advisorName], ['Lisbon', 'Ada'])
  const [guest, ada] = [guestClient(t, jwt), asUser(t, advisor)]
  const [atGuest, atAda] = [await thread(guest, conversationId), await thread(ada, conversationId)]

  const typing = new Seen()
  const topic = `typing:${conversationId}`
  await subscribed(ada.channel(topic, { config: { private: true } }).on('broadcast', { event: 'typing' }, typing.add))
  const ofGuest = await subscribed(guest.channel(topic, { config: { private: true } }))
  await ofGuest.send({ type: 'broadcast', event: 'typing', payload: { type: 'typing', is_typing: true } })
  await typing.until((m) => m.payload.is_typing, 'typing')

  await data(guest.rpc('send_message', { conversation_id: conversationId, content: 'is the hotel booked?' }))
  await atAda.until((m) => m.new.content === 'is the hotel booked?', 'the question')
  await data(ada.rpc('send_message', { conversation_id: conversationId, content: 'it is' }))
  await atGuest.until((m) => m.new.content === 'it is', 'the answer')
  const unread = await data(guest.rpc('get_unread_count'))
  assert.match(JSON.stringify(unread), /1/)
})

test('a session gives new tokens, and none once the link is off', async (t) => {
  const { subject, token } = await world()
  const { chatToken, jwt } = await (await enter(subject, token)).json()
  const refresh = () => fetch(`${url}/chat/v1/guest-token/refresh`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ chatToken }),
  })
  const renewed = await refresh()
  assert.equal(renewed.status, 200)
  assert.equal(renewed.headers.get('cache-control'), 'no-store')
  const guest = guestClient(t, jwt)
  assert.equal((await data(guest.from('conversations').select('id'))).length, 1)
  await session.query('update public.share_links set enabled = false where token = $1', [token])
  assert.equal((await refresh()).status, 403)
  assert.deepEqual(await data(guest.from('conversations').select('id')), [])
  assert.deepEqual(await data(guest.from('profiles').select('id')), [])
})

test('a guest ends their own session, and nobody else\'s', async (t) => {
  const { advisor, subject, token } = await world()
  const [mine, other] = await Promise.all([1, 2].map(async () => (await enter(subject, token)).json()))
  const [guest, ada] = [guestClient(t, mine.jwt), asUser(t, advisor)]
  assert.equal((await ada.rpc('end_guest_session')).error.code, '42501')
  assert.equal((await client(t).rpc('end_guest_session')).error.code, '42501')
  assert.equal((await data(guest.from('conversations').select('id'))).length, 1)
  await data(guest.rpc('end_guest_session'))
  // The token is not over yet; it is good for nothing.
  assert.deepEqual(await data(guest.from('conversations').select('id')), [])
  assert.equal((await guest.rpc('send_message', { conversation_id: mine.conversationId, content: 'once more' })).status, 403)
  const refresh = ({ chatToken }) => fetch(`${url}/chat/v1/guest-token/refresh`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ chatToken }),
  })
  assert.equal((await refresh(mine)).status, 401)
  assert.equal((await refresh(other)).status, 200)
  assert.equal((await data(guestClient(t, other.jwt).from('conversations').select('id'))).length, 1)
  await data(guest.rpc('end_guest_session'))
})

test('who has no link gets an error that a page can pass over', async () => {
  const { subject } = await world()
  for (const [path, status] of [[subject, 401], ['nowhere', 404]]) {
    const answer = await enter(path, 'x'.repeat(32))
    assert.equal(answer.status, status)
    assert.deepEqual(Object.keys(await answer.json()).sort(), ['code', 'hint', 'message'])
  }
})
