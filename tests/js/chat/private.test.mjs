// Private topics: typing (C-303), who is online (C-304), who may join and send (C-307).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anon, anonKey, cannotJoin, direct, fresh, group, joins, people, Seen, subscribed, url, uuid } from './support.mjs'

const { ana, ben, eve } = await people({ ana: 'trainer', ben: 'client', eve: 'client' })
const { far } = await people({ far: 'trainer' })
/** A conversation of its own for each test: a client has one channel of a topic. */
const pair = () => direct(ana, ben, { project_id: fresh('project') })
const sends = (seen, event, payload = {}) => seen.channel.send({ type: 'broadcast', event, payload })

describe('C-303 typing', () => {
  test('C-303 goes from one participant to the others', async () => {
    const id = await pair()
    const [hers, his] = [await joins(ana, `typing:${id}`), await joins(ben, `typing:${id}`)]
    const said = { type: 'typing', user_id: ana.id, is_typing: true }
    await sends(hers, 'typing', said)
    assert.deepEqual((await his.until((e) => e.event === 'typing')).payload, said)
    await sends(hers, 'typing', { ...said, is_typing: false })
    await his.until((e) => e.payload.is_typing === false)
    assert.deepEqual(hers.items, [], 'not to who types')
  })

  test('C-303 C-307 nobody else joins, hears or sends', async () => {
    const id = await pair()
    const his = await joins(ben, `typing:${id}`)
    const heard = await Promise.all([eve, far].map((who) => cannotJoin(who, `typing:${id}`)))
    // Without joining, over HTTP; and in a public channel of the same name.
    await post(eve, `typing:${id}`, 'typing', { forged: true })
    const open = eve.supabase.channel(`typing:${id}`)
    const overheard = new Seen()
    await subscribed(open.on('broadcast', { event: '*' }, overheard.add))
    await open.send({ type: 'broadcast', event: 'typing', payload: { forged: true } })
    const hers = await joins(ana, `typing:${id}`)
    await sends(hers, 'typing', { marker: true })
    await his.until((e) => e.payload.marker)
    assert.deepEqual(his.items.map((e) => e.payload), [{ marker: true }])
    assert.deepEqual([...heard.flatMap((seen) => seen.items), ...overheard.items], [])
  })
})

/** Sends over HTTP, as a client that has joined nothing. */
const post = async (who, topic, event, payload) => {
  const { data: { session } } = await who.supabase.auth.getSession()
  return fetch(`${url}/realtime/v1/api/broadcast`, {
    method: 'POST',
    headers: { apikey: anonKey, authorization: `Bearer ${session.access_token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ messages: [{ topic, event, payload, private: true }] }),
  })
}

describe('C-307 messages:<conversation>', () => {
  test('C-307 a participant hears what the database says and cannot forge it', async () => {
    const id = await pair()
    const m = await ana.say(id, 'x')
    const [hers, his] = [await joins(ana, `messages:${id}`), await joins(ben, `messages:${id}`)]
    const forged = { type: 'read_receipt', conversation_id: id, user_id: ben.id, last_read_message_id: uuid() }
    await sends(his, 'read_receipt', forged)
    await sends(his, 'INSERT', { forged: true })
    await post(ben, `messages:${id}`, 'read_receipt', forged)
    await post(ben, `conversations:${ana.id}`, 'UPDATE', { forged: true })
    await ben.call('mark_as_read', { conversation_id: id })
    await hers.until((e) => e.payload.last_read_message_id === m.id)
    assert.deepEqual(hers.items.map((e) => [e.event, e.payload.last_read_message_id]), [['read_receipt', m.id]])
  })

  test('C-307 C-610 others, and names that are none, are refused', async (t) => {
    const id = await pair()
    const visitor = { supabase: anon(t) }
    const topics = [`messages:${id}`, `messages:${id}:x`, `messages:${id.toUpperCase()}`, 'messages:', 'messages:*', `messages:${uuid()}`, `other:${id}`, id]
    const refusals = [...topics.map((topic) => [eve, topic]), [far, `messages:${id}`], [visitor, `messages:${id}`], [visitor, `typing:${id}`], [ana, 'messages:*'], [ana, `x-messages:${id}`]]
    const heard = await Promise.all(refusals.map(([who, topic]) => cannotJoin(who, topic)))
    await ben.call('mark_as_read', { conversation_id: id })
    assert.ok(heard.every((seen) => seen.items.length === 0))
  })

  test('C-307 C-610 who was removed is no longer told, once rights are asked for anew', async (t) => {
    const { boss, one, two } = await people({ boss: 'trainer', one: 'member', two: 'member' }, { t })
    const id = await group(boss, [one, two])
    const [heard, typing, list] = [await joins(one, `messages:${id}`), await joins(one, `typing:${id}`), await joins(one, `conversations:${one.id}`)]
    await boss.call('remove_participant', { conversation_id: id, user_id: one.id })
    // A new token has the rights asked for; without one the server does it every RIGHTS_INTERVAL_MS.
    const { session } = (await one.supabase.auth.refreshSession()).data
    await one.supabase.realtime.setAuth(session.access_token)
    for (const seen of [heard, typing]) await seen.statuses.until((s) => /^(error|CHANNEL_ERROR|CLOSED)/.test(s), 'the end of the channel')
    heard.items.length = 0
    const m = await boss.say(id, 'secret')
    await two.call('mark_as_read', { conversation_id: id })
    await sends(await joins(two, `typing:${id}`), 'typing', { is_typing: true })
    await direct(boss, one)
    await list.until((e) => e.payload.record?.conversation_id !== id, 'a marker')
    assert.deepEqual([heard.items, typing.items], [[], []])
    assert.ok(m.id)
    await Promise.all(['messages', 'typing'].map((kind) => one.supabase.removeChannel(one.supabase.channel(`${kind}:${id}`)).then(() => cannotJoin(one, `${kind}:${id}`))))
  })
})

describe('C-307 conversations:<user>', () => {
  test('C-307 only the owner joins, and nobody sends', async () => {
    const heard = await Promise.all([eve, ana, far].map((who) => cannotJoin(who, `conversations:${ben.id}`)))
    const his = await joins(ben, `conversations:${ben.id}`, { broadcast: { self: true } })
    await sends(his, 'UPDATE', { forged: true })
    await post(ana, `conversations:${ben.id}`, 'UPDATE', { forged: true })
    const id = await pair()
    await his.until((e) => e.payload.record?.conversation_id === id)
    assert.ok(his.items.every((e) => !e.payload.forged))
    assert.deepEqual(heard.flatMap((seen) => seen.items), [])
  })
})

describe('C-304 who is online', () => {
  /** Says that somebody is here, and follows who else is. */
  async function appears(who, org = who.org) {
    const channel = who.supabase.channel(`presence:${org}`, { config: { private: true, presence: { key: who.id } } })
    const states = new Seen()
    channel.on('presence', { event: 'sync' }, () => states.add(Object.keys(channel.presenceState()).sort()))
    await subscribed(channel)
    assert.equal(await channel.track({ online_at: new Date().toISOString() }), 'ok')
    const last = (...whom) => states.until(() => {
      const now = states.items.at(-1)
      return now && String(now) === String(whom.map((w) => w.id).sort())
    }, `${whom.map((w) => w.name)} online`)
    return { channel, states, last }
  }

  test('C-304 a late joiner sees who is there; two tabs are one; a clean close is told at once', async (t) => {
    const { one, two, three } = await people({ one: 'trainer', two: 'client', three: 'client' }, { t })
    const first = await appears(one)
    await first.last(one)
    const second = await appears(two)
    await first.last(one, two)
    await second.last(one, two)
    const tab = await two.again(t)
    const other = await appears(tab)
    const late = await appears(three)
    await late.last(one, two, three)
    await first.last(one, two, three)
    assert.equal(late.channel.presenceState()[two.id].length, 2)
    await two.supabase.removeChannel(second.channel)
    await tab.call('touch_presence', {})
    await first.last(one, two, three)
    const begun = Date.now()
    await tab.supabase.removeChannel(other.channel)
    await first.last(one, three)
    await late.last(one, three)
    assert.ok(Date.now() - begun < 3000, 'without the grace of a broken connection')
  })

  test('C-304 C-307 other organisations, who has none, and visitors are refused; nobody sends broadcasts there', async (t) => {
    const { none } = await people({ none: 'trainer' }, { org: null, t })
    const topic = `presence:${ana.org}`
    const heard = await Promise.all([far, none, { supabase: anon(t) }].map((who) => cannotJoin(who, topic)))
    const [hers, his] = [await joins(ana, topic), await joins(ben, topic)]
    await sends(hers, 'hello')
    await post(ana, topic, 'hello', {})
    const typing = `typing:${await pair()}`
    const [speaks, marker] = [await joins(ana, typing), await joins(ben, typing)]
    await sends(speaks, 'typing')
    await marker.until((e) => e.event === 'typing')
    assert.deepEqual(his.items, [])
    assert.deepEqual(heard.flatMap((seen) => seen.items), [])
  })
})
