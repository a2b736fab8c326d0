// phoenix.js, the client of the protocol itself.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Presence, Socket } from 'phoenix'
import { anon, fresh, Seen, url, WebSocket } from './support.mjs'

function socket(t) {
  const made = new Socket(`${url.replace('http', 'ws')}/socket`, { params: { apikey: anon }, transport: WebSocket })
  t.after(() => made.disconnect())
  made.connect()
  return made
}

const outcome = (push) => new Promise((done, failed) => {
  push.receive('ok', done).receive('error', (why) => failed(new Error(JSON.stringify(why)))).receive('timeout', () => failed(new Error('timeout')))
})

test('join, broadcast, leave', async (t) => {
  const topic = `realtime:${fresh('phoenix')}`
  const channels = []
  for (let n = 0; n < 2; n++) {
    const channel = socket(t).channel(topic, { config: {} })
    assert.deepEqual(await outcome(channel.join()), { postgres_changes: [] })
    channels.push(channel)
  }
  const heard = new Seen()
  channels[1].on('broadcast', heard.add)
  channels[0].push('broadcast', { type: 'broadcast', event: 'hi', payload: { n: 1 } })
  assert.deepEqual(await heard.until(() => true), { type: 'broadcast', event: 'hi', payload: { n: 1 } })
  await outcome(channels[0].leave())
})

test('Presence of phoenix.js understands state and diffs', async (t) => {
  const topic = `realtime:${fresh('phoenix')}`
  const join = async (key) => {
    const channel = socket(t).channel(topic, { config: { presence: { key, enabled: true } } })
    const presence = new Presence(channel)
    const syncs = new Seen()
    presence.onSync(() => syncs.add(presence.list((name) => name).sort()))
    await outcome(channel.join())
    await outcome(channel.push('presence', { type: 'presence', event: 'track', payload: { n: 1 } }))
    return { channel, syncs }
  }
  const ann = await join('ann')
  await ann.syncs.until((keys) => keys.includes('ann'))
  const bob = await join('bob')
  await ann.syncs.until((keys) => keys.join() === 'ann,bob')
  await bob.syncs.until((keys) => keys.join() === 'ann,bob')
  await outcome(bob.channel.leave())
  await ann.syncs.until((keys) => keys.join() === 'ann' && ann.syncs.items.some((k) => k.join() === 'ann,bob'))
})

test('an unknown topic is refused with a reason', async (t) => {
  const channel = socket(t).channel(fresh('no_prefix'), {})
  await assert.rejects(outcome(channel.join()), /unmatched topic/)
})
