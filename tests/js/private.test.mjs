// Private channels, messages from the database and replay with unmodified supabase-js. (2.39 knows no private channels.)
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { client, database, fresh, libraries, Seen, subscribed, user } from './support.mjs'

const [library] = libraries
const ann = '00000000-0000-4000-8000-00000000000a'
const bob = '00000000-0000-4000-8000-00000000000b'
const eve = '00000000-0000-4000-8000-00000000000e'

/** A topic that these users may read, and write unless `writers` says otherwise. */
async function topicFor(t, sql, readers, { writers = readers } = {}) {
  const topic = fresh('private')
  const among = (subs) => `realtime.topic() = '${topic}' and (select auth.uid()) in (${subs.map((sub) => `'${sub}'`)})`
  await sql.query(`create policy ${topic}_r on realtime.messages for select to authenticated using (${among(readers)});
    create policy ${topic}_w on realtime.messages for insert to authenticated with check (${among(writers)})`)
  t.after(() => sql.query(`drop policy if exists ${topic}_r on realtime.messages; drop policy if exists ${topic}_w on realtime.messages`).catch(() => {}))
  return topic
}

/** A private channel of a user that keeps what it hears. */
async function room(t, sub, topic, broadcast = {}) {
  const made = await client(t, library, { token: user(sub) })
  const heard = new Seen()
  const statuses = new Seen()
  const channel = made.channel(topic, { config: { private: true, broadcast } })
  channel.on('broadcast', { event: '*' }, heard.add)
  channel.on('system', {}, statuses.add)
  return { made, channel, heard, statuses }
}

describe('private channels', () => {
  test('members talk, a stranger is refused and hears nothing', async (t) => {
    const sql = await database(t)
    const topic = await topicFor(t, sql, [ann, bob])
    const one = await room(t, ann, topic, { ack: true })
    const two = await room(t, bob, topic)
    const three = await room(t, eve, topic)
    await subscribed(one.channel)
    await subscribed(two.channel)
    await assert.rejects(subscribed(three.channel), new RegExp(`Unauthorized: You do not have permissions to read from this Channel topic: ${topic}`))
    assert.equal(await one.channel.send({ type: 'broadcast', event: 'hello', payload: { n: 1 } }), 'ok')
    assert.deepEqual((await two.heard.until((m) => m.event === 'hello')).payload, { n: 1 })
    assert.deepEqual(three.heard.items, [])
  })

  test('who may read and not write is not heard', async (t) => {
    const sql = await database(t)
    const topic = await topicFor(t, sql, [ann, bob], { writers: [bob] })
    const one = await room(t, ann, topic)
    const two = await room(t, bob, topic)
    await subscribed(one.channel)
    await subscribed(two.channel)
    await one.channel.send({ type: 'broadcast', event: 'denied', payload: {} })
    await two.channel.send({ type: 'broadcast', event: 'allowed', payload: {} })
    await one.heard.until((m) => m.event === 'allowed')
    // The marker goes the same way as the denied message would have gone.
    await sql.query('select realtime.send($1, $2, $3)', [{}, 'marker', topic])
    await two.heard.until((m) => m.event === 'marker')
    assert.deepEqual(two.heard.items.map((m) => m.event), ['marker'])
  })

  test('messages of the database come with their id, private ones to private channels only', async (t) => {
    const sql = await database(t)
    const topic = await topicFor(t, sql, [ann])
    const one = await room(t, ann, topic)
    await subscribed(one.channel)
    const open = await client(t, library)
    const heard = new Seen()
    await subscribed(open.channel(topic).on('broadcast', { event: '*' }, heard.add))
    await sql.query('select realtime.send($1, $2, $3, true), realtime.send($1, $4, $3, false)', [{ v: 1 }, 'secret', topic, 'open'])
    const secret = await one.heard.until((m) => m.event === 'secret')
    assert.equal(secret.payload.v, 1)
    assert.equal(secret.payload.id, secret.meta.id)
    await heard.until((m) => m.event === 'open')
    assert.deepEqual(one.heard.items.map((m) => m.event), ['secret'])
    assert.deepEqual(heard.items.map((m) => m.event), ['open'])
  })

  test('replay: what was missed, in order, then what comes', async (t) => {
    const sql = await database(t)
    const topic = await topicFor(t, sql, [ann])
    const since = Date.now() - 60_000
    for (const n of [1, 2, 3]) await sql.query('select realtime.send($1, $2, $3)', [{ n }, 'old', topic])
    const one = await room(t, ann, topic, { replay: { since, limit: 2 } })
    await subscribed(one.channel)
    await sql.query('select realtime.send($1, $2, $3)', [{ n: 4 }, 'new', topic])
    await one.heard.until((m) => m.event === 'new')
    assert.deepEqual(one.heard.items.map((m) => [m.payload.n, m.meta.replayed ?? false]), [[2, true], [3, true], [4, false]])
  })

  test('a policy that is dropped ends the channel without a new token', async (t) => {
    const sql = await database(t)
    const topic = await topicFor(t, sql, [ann])
    const one = await room(t, ann, topic)
    const closed = new Seen()
    await new Promise((done) => one.channel.subscribe((status) => { closed.add(status); if (status === 'SUBSCRIBED') done() }))
    await sql.query(`drop policy ${topic}_r on realtime.messages`)
    await closed.until((status) => status === 'CLOSED', 'the close')
    const last = one.statuses.items.at(-1)
    assert.equal(last.message, `You no longer have permission to read from this Channel topic: ${topic}`)
    await sql.query('select realtime.send($1, $2, $3)', [{}, 'late', topic])
    assert.deepEqual(one.heard.items, [])
  })

  test('presence among members; a stranger sees nobody', async (t) => {
    const sql = await database(t)
    const topic = await topicFor(t, sql, [ann, bob])
    const present = async (sub) => {
      const made = await client(t, library, { token: user(sub) })
      const events = new Seen()
      const channel = made.channel(topic, { config: { private: true, presence: { key: sub } } })
      channel.on('presence', { event: 'sync' }, () => events.add(structuredClone(channel.presenceState())))
      return { channel, events }
    }
    const [one, two, three] = [await present(ann), await present(bob), await present(eve)]
    await subscribed(one.channel)
    await subscribed(two.channel)
    await assert.rejects(subscribed(three.channel), /Unauthorized/)
    await one.channel.track({ name: 'Ann' })
    const state = await two.events.until((state) => state[ann])
    assert.equal(state[ann][0].name, 'Ann')
    assert.deepEqual(three.events.items, [])
  })
})
