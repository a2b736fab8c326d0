// What the tests of the messaging system share: people who have signed in, what they hear, how they are refused.
//
// The environment is that of ../surface/support.mjs; the database has the messaging system (`dovetail migrate --chat`).
// People and organisations belong to the file that makes them, so that files run at the same time, and again.
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { after } from 'node:test'
import WebSocket from 'ws'
import { createClient } from '@supabase/supabase-js'
import { anonKey, data, fresh, Seen, service, subscribed, url } from '../surface/support.mjs'

export { anon, anonKey, client, data, fresh, Seen, service, sql, subscribed, url } from '../surface/support.mjs'

export const uuid = () => crypto.randomUUID()
const password = 'correct horse battery'
const backend = service()

/** The client of the service, for what only it may do and see. */
export { backend }

/** Signs somebody up, as the service does, and in, as a browser does. `kind` and `org` are said by the service. */
export async function person(name, { kind = 'member', org, t } = {}) {
  const email = `${uuid()}@example.com`
  await data(backend.auth.admin.createUser({
    email, password, email_confirm: true, app_metadata: { kind, org_id: org }, user_metadata: { display_name: name },
  }))
  return signIn(email, name, org, t)
}

async function signIn(email, name, org, t) {
  const supabase = createClient(url, anonKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false }, realtime: { transport: WebSocket },
  })
  // Goodbyes are waited for: each that has no answer keeps the process for ten seconds.
  ;(t ?? { after }).after(async () => {
    if (!supabase.realtime.isConnected()) return
    await supabase.removeAllChannels()
    await supabase.realtime.disconnect()
  })
  const { user } = await data(supabase.auth.signInWithPassword({ email, password }))
  await supabase.realtime.setAuth()
  return {
    id: user.id, name, email, org, supabase,
    /** What a function gives; an error fails the test. */
    call: (fn, args) => data(supabase.rpc(fn, args)),
    /** The answer of a function, error or not. */
    ask: (fn, args) => supabase.rpc(fn, args),
    from: (table) => supabase.from(table),
    say: (conversation, content, more = {}) => data(supabase.rpc('send_message', { conversation_id: conversation, content, ...more })),
    /** The same person in another browser. */
    again: (owner = t) => signIn(email, name, org, owner),
  }
}

/** Several at once: `{ ana: 'trainer' }` gives `{ ana }`. */
export async function people(kinds, { org = uuid(), t } = {}) {
  const made = await Promise.all(Object.entries(kinds).map(([name, kind]) => person(name, { kind, org, t })))
  return Object.fromEntries(made.map((one) => [one.name, one]))
}

export const direct = async (one, other, more = {}) => (await one.call('start_conversation', { user_id: other.id, ...more })).id
export const group = async (owner, others, name = fresh('group'), more = {}) =>
  (await owner.call('create_group', { name, user_ids: others.map((other) => other.id), ...more })).id

const STATUS = { 42501: 403, PT404: 404, 22023: 400, 22001: 400, 23514: 400, PT429: 429 }

/** Refused with this code, the status that belongs to it, words, and a hint. */
export async function refused(asked, code, message) {
  const answer = await asked
  assert.ok(answer.error, `not refused: ${JSON.stringify(answer.data)?.slice(0, 500)}`)
  const told = JSON.stringify({ status: answer.status, ...answer.error })
  assert.equal(answer.error.code, code, told)
  assert.equal(answer.status, STATUS[code], told)
  assert.ok(answer.error.message, told)
  assert.ok(answer.error.hint, `no hint: ${told}`)
  if (message) assert.match(answer.error.message, message)
  return answer.error
}

/** Refused by grants or policies of a table; nothing is told but that. */
export async function forbidden(asked, status = 403) {
  const answer = await asked
  assert.equal(answer.error?.code, '42501', JSON.stringify(answer.error ?? answer.data))
  assert.equal(answer.status, status)
}

/** Refused by the arguments themselves: any error of the caller's, none of the server's. */
export async function rejected(asked) {
  const answer = await asked
  assert.ok(answer.error, `not refused: ${JSON.stringify(answer.data)?.slice(0, 500)}`)
  assert.ok(answer.status >= 400 && answer.status < 500, JSON.stringify({ status: answer.status, ...answer.error }))
  assert.ok(answer.error.code && answer.error.message, JSON.stringify(answer.error))
}

/** Hears changes of a table; resolves when they are live. */
export async function changes(who, table, more = {}) {
  const [seen, system] = [new Seen(), new Seen()]
  const channel = who.supabase.channel(fresh('changes'))
  channel.on('system', {}, system.add).on('postgres_changes', { event: '*', schema: 'public', table, ...more }, seen.add)
  await subscribed(channel)
  await system.until((m) => m.extension === 'postgres_changes' && m.status === 'ok', 'the word that changes are live')
  seen.channel = channel
  return seen
}

/** Joins a private topic and hears every broadcast of it; `statuses` is what becomes of the channel. */
export async function joins(who, topic, config = {}) {
  const [seen, statuses] = [new Seen(), new Seen()]
  const channel = who.supabase.channel(topic, { config: { private: true, ...config } })
  channel.on('broadcast', { event: '*' }, seen.add).on('system', {}, (m) => statuses.add(`${m.status} ${m.message}`))
  channel.subscribe((status, err) => statuses.add(err ? `${status} ${err.message}` : status))
  assert.equal(await statuses.until((s) => !s.startsWith('ok')), 'SUBSCRIBED', `${who.name} on ${topic}`)
  return Object.assign(seen, { channel, statuses })
}

/** Tries to join a private topic and is told no. Gives what was heard, which has to stay nothing. */
export async function cannotJoin(who, topic) {
  const seen = new Seen()
  const channel = who.supabase.channel(topic, { config: { private: true } })
  channel.on('broadcast', { event: '*' }, seen.add).on('presence', { event: 'sync' }, seen.add)
  const error = await new Promise((done, failed) => {
    channel.subscribe((status, err) => {
      if (status === 'CHANNEL_ERROR') done(err)
      else if (status === 'SUBSCRIBED') failed(new Error(`${topic} was joined`))
      else if (status === 'TIMED_OUT') failed(new Error(`${topic} timed out`))
    })
  })
  assert.match(String(error?.message), /Unauthorized/)
  // The client would ask again and again.
  await who.supabase.removeChannel(channel)
  return seen
}

/** The caller's row of get_conversations; undefined where it is not in the list. */
export const listed = async (who, conversation, args = {}) =>
  (await who.call('get_conversations', { page_size: 200, ...args })).find((row) => row.id === conversation)

/** What a reader sees of a conversation. */
export const shown = async (who, conversation, args = {}) => (await who.call('get_messages', { conversation_id: conversation, ...args })).messages
