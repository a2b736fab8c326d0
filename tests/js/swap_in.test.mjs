// A stack whose realtime service was replaced: unmodified clients through its gateway, on the tables and policies that
// were there before (tests/it/fixtures/original_2_129.sql).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anon, client, database, fresh, libraries, Seen, subscribed, url, user } from './support.mjs'

const ann = '11111111-1111-1111-1111-111111111111'
const bob = '22222222-2222-2222-2222-222222222222'

/** Listens to one table; resolves when it is live. */
async function listen(made, table) {
  const [seen, system] = [new Seen(), new Seen()]
  const channel = made.channel(fresh('swapped'))
  channel.on('system', {}, system.add).on('postgres_changes', { event: '*', schema: 'public', table }, seen.add)
  await subscribed(channel)
  await system.until((m) => m.extension === 'postgres_changes' && m.status === 'ok')
  return seen
}

let id = Number(process.env.FIRST_ID)

for (const library of libraries) {
  describe(`${library.name} through the gateway`, () => {
    test('rows of the table the stack had published arrive', async (t) => {
      const sql = await database(t)
      const seen = await listen(await client(t, library), 'todos')
      const task = fresh('task')
      await sql.query('insert into public.todos (task) values ($1)', [task])
      const change = await seen.until((e) => e.new.task === task)
      assert.equal(change.eventType, 'INSERT')
    })

    test('the policies the stack had decide who sees a row', async (t) => {
      const sql = await database(t)
      const hers = await listen(await client(t, library, { token: user(ann) }), 'diary')
      const his = await listen(await client(t, library, { token: user(bob) }), 'diary')
      const [first, second] = [++id, ++id]
      await sql.query('insert into public.diary values ($1, $3, $5), ($2, $4, $5)', [first, second, ann, bob, 'page'])
      await hers.until((e) => e.new.id === first)
      await his.until((e) => e.new.id === second)
      assert.deepEqual(hers.items.map((e) => e.new.id), [first])
      assert.deepEqual(his.items.map((e) => e.new.id), [second])
    })

    test('REST without a word of authorization but the key reaches a channel', async (t) => {
      const topic = fresh('rest')
      const heard = new Seen()
      const listener = (await client(t, library)).channel(topic).on('broadcast', { event: 'posted' }, heard.add)
      await subscribed(listener)
      const answer = await fetch(`${url}/realtime/v1/api/broadcast`, {
        method: 'POST',
        headers: { apikey: anon, 'content-type': 'application/json' },
        body: JSON.stringify({ messages: [{ topic, event: 'posted', payload: { by: 'http' } }] }),
      })
      assert.equal(answer.status, 202, await answer.text())
      assert.deepEqual((await heard.until(() => true)).payload, { by: 'http' })
    })

    test('clients talk to each other', async (t) => {
      const topic = fresh('room')
      const heard = new Seen()
      const listener = (await client(t, library)).channel(topic).on('broadcast', { event: 'hello' }, heard.add)
      await subscribed(listener)
      const speaker = (await client(t, library)).channel(topic)
      await subscribed(speaker)
      await speaker.send({ type: 'broadcast', event: 'hello', payload: { from: 'me' } })
      assert.deepEqual((await heard.until(() => true)).payload, { from: 'me' })
    })
  })
}

// The old library knows no private channels.
test('the policies of private channels let members in and nobody else, and what the database sends arrives', async (t) => {
  const sql = await database(t)
  const heard = new Seen()
  const config = { config: { private: true } }
  const room = (await client(t, libraries[0], { token: user(ann) })).channel('room:1', config)
  for (const event of ['note', 'INSERT']) room.on('broadcast', { event }, heard.add)
  await subscribed(room)
  const text = fresh('text')
  await sql.query(`select realtime.send(jsonb_build_object('text', $1::text), 'note', 'room:1')`, [text])
  const note = await heard.until((m) => m.event === 'note' && m.payload.text === text, 'realtime.send')
  assert.ok(note.payload.id)
  await sql.query('insert into public.todos (task) values ($1)', [text])
  const change = await heard.until((m) => m.event === 'INSERT' && m.payload.record.task === text, 'broadcast_changes')
  assert.equal(change.payload.table, 'todos')

  const outside = (await client(t, libraries[0], { token: user(bob) })).channel('room:1', config)
  await assert.rejects(subscribed(outside), /CHANNEL_ERROR.*Unauthorized/)
})
