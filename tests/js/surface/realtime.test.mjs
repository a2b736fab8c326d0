// realtime beside from() in one client and at one address: what is written is heard.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ann, anon, asUser, bob, data, eve, fresh, ground, Seen, service, subscribed } from './support.mjs'

const session = await ground('rt_', `
  create table public.rt_open (id int primary key, text text);
  create table public.rt_owned (id int primary key, owner uuid default auth.uid(), text text);
  alter table public.rt_owned enable row level security;
  create policy rt_own on public.rt_owned to authenticated using (owner = (select auth.uid())) with check (owner = (select auth.uid()));
  alter table public.rt_owned replica identity full;
  alter publication supabase_realtime add table public.rt_open, public.rt_owned`)

/** A user's client whose socket knows her token: a channel that is joined before would be joined as a visitor. */
async function signedIn(t, sub) {
  const supabase = asUser(t, sub)
  await supabase.realtime.setAuth()
  return supabase
}

/** Hears the changes of a table; resolves when they are live. */
async function hears(client, table, more = {}) {
  const [seen, system] = [new Seen(), new Seen()]
  const channel = client.channel(fresh('changes'))
  channel.on('system', {}, system.add).on('postgres_changes', { event: '*', schema: 'public', table, ...more }, seen.add)
  await subscribed(channel)
  await system.until((m) => m.extension === 'postgres_changes' && m.status === 'ok', 'the word that changes are live')
  return seen
}

describe('changes of tables', () => {
  test('insert, update and delete through from() are heard by the same client', async (t) => {
    const supabase = anon(t)
    const seen = await hears(supabase, 'rt_open')
    await data(supabase.from('rt_open').insert({ id: 1, text: 'first' }))
    await data(supabase.from('rt_open').update({ text: 'second' }).eq('id', 1))
    await data(supabase.from('rt_open').delete().eq('id', 1))
    await seen.until((e) => e.eventType === 'DELETE')
    assert.deepEqual(seen.items.map((e) => [e.eventType, e.new, e.old]), [
      ['INSERT', { id: 1, text: 'first' }, {}],
      ['UPDATE', { id: 1, text: 'second' }, { id: 1 }],
      ['DELETE', {}, { id: 1 }],
    ])
    assert.deepEqual([seen.items[0].schema, seen.items[0].table], ['public', 'rt_open'])
  })
  test('with a filter only what fits', async (t) => {
    const supabase = anon(t)
    const seen = await hears(supabase, 'rt_open', { event: 'INSERT', filter: 'text=eq.wanted' })
    await data(supabase.from('rt_open').insert([{ id: 11, text: 'other' }, { id: 12, text: 'wanted' }]))
    await seen.until((e) => e.new.id === 12)
    assert.deepEqual(seen.items.map((e) => e.new.id), [12])
  })
  test('rows go to whom the policies show them', async (t) => {
    const [her, his, backend] = [await signedIn(t, ann), await signedIn(t, bob), service(t)]
    const [hers, others, all] = [await hears(her, 'rt_owned'), await hears(his, 'rt_owned'), await hears(backend, 'rt_owned')]
    await data(her.from('rt_owned').insert({ id: 1, text: 'hers' }))
    await data(his.from('rt_owned').insert({ id: 2, text: 'his' }))
    await hers.until((e) => e.new.id === 1)
    await others.until((e) => e.new.id === 2)
    await all.until((e) => e.new.id === 2)
    assert.deepEqual(hers.items.map((e) => e.new.id), [1])
    assert.deepEqual(others.items.map((e) => e.new.id), [2])
    assert.deepEqual(all.items.map((e) => e.new.id), [1, 2])
  })
  test('what was refused or undone is not heard', async (t) => {
    const her = asUser(t, ann)
    const seen = await hears(service(t), 'rt_owned')
    assert.equal((await her.from('rt_owned').insert({ id: 20, owner: bob })).error.code, '42501')
    assert.equal((await her.from('rt_owned').insert([{ id: 21 }, { id: 21 }])).error.code, '23505')
    await data(her.from('rt_owned').insert({ id: 22 }))
    await seen.until((e) => e.new.id === 22)
    assert.deepEqual(seen.items.map((e) => e.new.id), [22])
  })
})

describe('between clients', () => {
  test('broadcast', async (t) => {
    const topic = fresh('room')
    const heard = new Seen()
    await subscribed(anon(t).channel(topic).on('broadcast', { event: 'hello' }, heard.add))
    const speaker = anon(t).channel(topic, { config: { broadcast: { ack: true } } })
    await subscribed(speaker)
    assert.equal(await speaker.send({ type: 'broadcast', event: 'hello', payload: { from: 'me' } }), 'ok')
    assert.deepEqual((await heard.until(() => true)).payload, { from: 'me' })
  })
  test('broadcast over HTTP, before the channel is joined', async (t) => {
    const topic = fresh('room')
    const heard = new Seen()
    await subscribed(anon(t).channel(topic).on('broadcast', { event: 'posted' }, heard.add))
    const { success } = await anon(t).channel(topic).httpSend('posted', { by: 'http' })
    assert.equal(success, true)
    assert.deepEqual((await heard.until(() => true)).payload, { by: 'http' })
  })
  test('presence: who comes and who goes', async (t) => {
    const topic = fresh('room')
    const [joins, leaves] = [new Seen(), new Seen()]
    const watcher = anon(t).channel(topic, { config: { presence: { key: 'watcher' } } })
    watcher.on('presence', { event: 'join' }, joins.add).on('presence', { event: 'leave' }, leaves.add)
    await subscribed(watcher)
    const guest = anon(t).channel(topic, { config: { presence: { key: 'ann' } } })
    await subscribed(guest)
    assert.equal(await guest.track({ mood: 'fine' }), 'ok')
    await joins.until((e) => e.key === 'ann')
    assert.equal(watcher.presenceState().ann[0].mood, 'fine')
    await guest.untrack()
    await leaves.until((e) => e.key === 'ann')
    assert.equal(watcher.presenceState().ann, undefined)
  })
})

describe('private channels', () => {
  test('members are let in, a stranger and a visitor are not; the database speaks to members', async (t) => {
    const topic = fresh('private')
    await session.query(`create policy ${topic}_r on realtime.messages for select to authenticated
        using (realtime.topic() = '${topic}' and (select auth.uid()) in ('${ann}', '${bob}'));
      create policy ${topic}_w on realtime.messages for insert to authenticated
        with check (realtime.topic() = '${topic}' and (select auth.uid()) = '${ann}')`)
    t.after(() => session.query(`drop policy ${topic}_r on realtime.messages; drop policy ${topic}_w on realtime.messages`))
    const config = { config: { private: true, broadcast: { ack: true } } }
    const heard = new Seen()
    await subscribed((await signedIn(t, bob)).channel(topic, config).on('broadcast', { event: '*' }, heard.add))
    const speaker = (await signedIn(t, ann)).channel(topic, config)
    await subscribed(speaker)
    // A refusal is slow on purpose, so both are awaited together.
    await Promise.all([await signedIn(t, eve), anon(t)].map((outside) => assert.rejects(subscribed(outside.channel(topic, config)), /Unauthorized/)))
    assert.equal(await speaker.send({ type: 'broadcast', event: 'hello', payload: { n: 1 } }), 'ok')
    await heard.until((m) => m.event === 'hello')
    await session.query('select realtime.send($1, $2, $3, true)', [{ v: 2 }, 'spoken', topic])
    assert.equal((await heard.until((m) => m.event === 'spoken')).payload.v, 2)
  })
})
