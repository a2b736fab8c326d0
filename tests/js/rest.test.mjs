// Broadcast over HTTP with unmodified supabase-js: send() before the channel is joined, and httpSend().
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { client, database, fresh, libraries, mint, Seen, subscribed, url, user } from './support.mjs'

/** A joined channel and the broadcasts it gets. */
async function room(made, topic, config = {}) {
  const heard = new Seen()
  const channel = made.channel(topic, { config })
  channel.on('broadcast', { event: '*' }, heard.add)
  await subscribed(channel)
  return heard
}

/** Some events are sent to the joined channel to see that nothing came before them. */
async function nothingBut(heard, events) {
  await heard.until((m) => m.event === events.at(-1))
  assert.deepEqual(heard.items.map((m) => m.event), events)
}

const [latest] = libraries

for (const library of libraries) {
  describe(`${library.name}: REST`, () => {
    test('send before the channel is joined goes over HTTP', async (t) => {
      const topic = fresh('rest')
      const heard = await room(await client(t, library), topic)
      const sender = (await client(t, library)).channel(topic)
      const answer = await sender.send({ type: 'broadcast', event: 'early', payload: { n: 1, text: 'ü' } })
      assert.equal(answer, 'ok')
      const message = await heard.until((m) => m.event === 'early')
      assert.deepEqual(message.payload, { n: 1, text: 'ü' })
    })
  })
}

describe('supabase-js latest: httpSend', () => {
  test('JSON reaches both generations', async (t) => {
    const topic = fresh('rest')
    const rooms = await Promise.all(libraries.map(async (library) => room(await client(t, library), topic)))
    const sender = (await client(t, latest)).channel(topic)
    assert.deepEqual(await sender.httpSend('hello', { n: [1, { deep: null }] }), { success: true })
    for (const heard of rooms) {
      const message = await heard.until((m) => m.event === 'hello')
      assert.deepEqual(message.payload, { n: [1, { deep: null }] })
    }
  })

  test('bytes arrive as they are', async (t) => {
    const topic = fresh('rest')
    const heard = await room(await client(t, latest), topic)
    const sender = (await client(t, latest)).channel(topic)
    const bytes = new Uint8Array([0, 255, 123, 10])
    assert.deepEqual(await sender.httpSend('bytes', bytes.buffer), { success: true })
    const message = await heard.until((m) => m.event === 'bytes')
    assert.deepEqual([...new Uint8Array(message.payload)], [...bytes])
  })

  test('odd names survive the path', async (t) => {
    const topic = `${fresh('rest')}/a b?ü#%25`
    const heard = await room(await client(t, latest), topic)
    const sender = (await client(t, latest)).channel(topic)
    await sender.httpSend('e/v e?n#t%', { a: 1 })
    await nothingBut(heard, ['e/v e?n#t%'])
  })

  test('private: who may send is heard by members of the private channel, who may not is told', async (t) => {
    const session = await database(t)
    const topic = fresh('rest_private')
    await session.query(`
      create policy ${topic}_r on realtime.messages for select to authenticated using (realtime.topic() = '${topic}');
      create policy ${topic}_w on realtime.messages for insert to authenticated with check (
        realtime.topic() = '${topic}' and (select current_setting('request.jwt.claims', true)::jsonb ->> 'sub') = 'ann')`)
    const hidden = await room(await client(t, latest, { token: user('bob') }), topic, { private: true })
    const open = await room(await client(t, latest), topic)
    const from = async (token) => (await client(t, latest, { token })).channel(topic, { config: { private: true } })
    const bob = await from(user('bob'))
    await assert.rejects(bob.httpSend('no', {}), /Unauthorized/)
    assert.deepEqual(await (await from(user('ann'))).httpSend('yes', { n: 1 }), { success: true })
    await nothingBut(hidden, ['yes'])
    const anyone = (await client(t, latest)).channel(topic)
    await anyone.httpSend('public', {})
    await nothingBut(open, ['public'])
    assert.deepEqual(hidden.items.map((m) => m.event), ['yes'])
  })

  test('an expired token is refused', async () => {
    const token = mint({ role: 'authenticated', exp: 1 })
    const answer = await fetch(`${url}/realtime/v1/api/broadcast`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ messages: [{ topic: 't', event: 'e', payload: {} }] }),
    })
    assert.equal(answer.status, 401)
    assert.deepEqual(await answer.json(), { message: 'Unauthorized' })
  })
})
