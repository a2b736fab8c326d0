// The list of conversations (C-201) and direct ones (C-206).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anon, backend, data, direct, forbidden, group, listed, people, refused, uuid } from './support.mjs'

const org = uuid()
const { ana, ben, cleo, dan, eve } = await people({ ana: 'trainer', ben: 'client', cleo: 'client', dan: 'advisor', eve: 'member' }, { org })
const ids = (rows) => rows.map((row) => row.id)

describe('C-201 get_conversations', () => {
  test('C-201 most recent activity first, with preview, sender and both counts', async (t) => {
    const { fay, gus, hal } = await people({ fay: 'trainer', gus: 'client', hal: 'client' }, { t })
    const [one, two] = [await direct(fay, gus), await direct(fay, hal)]
    await fay.say(one, 'first')
    await fay.say(two, 'second')
    assert.deepEqual(ids(await fay.call('get_conversations')), [two, one])
    await gus.say(one, `hello @[fay](${fay.id})   and\nmore`)
    await gus.say(one, 'x'.repeat(150))
    const list = await fay.call('get_conversations')
    assert.deepEqual(ids(list), [one, two])
    const [row] = list
    assert.equal(row.type, 'direct')
    assert.equal(row.last_message_preview, 'x'.repeat(100))
    assert.deepEqual([row.last_message_sender_id, row.last_message_sender_name], [gus.id, 'gus'])
    assert.deepEqual([row.unread_count, row.mention_count, list[1].unread_count], [2, 1, 0])
    assert.equal((await listed(gus, one)).unread_count, 1, 'own messages do not count')
    assert.equal(row.participant_count, 2)
    assert.equal(await listed(hal, one), undefined)
  })

  test('C-201 participants with name, kind, online and last seen', async (t) => {
    const { fay, gus } = await people({ fay: 'trainer', gus: 'client' }, { t })
    const id = await direct(fay, gus)
    const other = async () => (await listed(fay, id)).participants
    assert.deepEqual((await other()).map((p) => [p.user_id, p.display_name, p.kind, p.online, p.last_seen_at]), [[gus.id, 'gus', 'client', false, null]])
    await gus.call('touch_presence', { is_online: true })
    assert.equal((await other())[0].online, true)
    await gus.call('touch_presence', { is_online: false })
    const [seen] = await other()
    assert.equal(seen.online, false)
    assert.ok(Math.abs(Date.now() - Date.parse(seen.last_seen_at)) < 60_000)
    // Whoever has not said so for long is not online, whatever the row says.
    await data(backend.from('user_presence').update({ is_online: true, last_seen_at: new Date(Date.now() - 3_600_000).toISOString() }).eq('user_id', gus.id))
    assert.equal((await other())[0].online, false)
  })

  test('C-201 filters: all, trainers, clients, other kinds, types, unread', async (t) => {
    const made = await people({ me: 'member', tom: 'trainer', cat: 'client', adi: 'advisor' }, { t })
    const { me, tom, cat, adi } = made
    const [withTom, withCat, withAdi] = [await direct(me, tom), await direct(me, cat), await direct(me, adi)]
    const all = await group(me, [tom, cat])
    const filtered = async (filter) => new Set(ids(await me.call('get_conversations', { filter })))
    assert.deepEqual(await filtered('all'), new Set([withTom, withCat, withAdi, all]))
    assert.deepEqual(await filtered('trainers'), new Set([withTom, all]))
    assert.deepEqual(await filtered('trainer'), new Set([withTom, all]))
    assert.deepEqual(await filtered('clients'), new Set([withCat, all]))
    assert.deepEqual(await filtered('advisors'), new Set([withAdi]))
    assert.deepEqual(await filtered('members'), new Set(), 'what I am does not count')
    assert.deepEqual(await filtered('guests'), new Set())
    assert.deepEqual(await filtered('group'), new Set([all]))
    assert.deepEqual(await filtered('direct'), new Set([withTom, withCat, withAdi]))
    assert.deepEqual(await filtered('unread'), new Set())
    await cat.say(withCat, 'unread')
    await me.say(withTom, 'my own')
    assert.deepEqual(await filtered('unread'), new Set([withCat]))
    await refused(me.ask('get_conversations', { filter: 'everything' }), '22023')
    await refused(me.ask('get_conversations', { filter: '' }), '22023')
    assert.equal((await me.call('get_conversations', { filter: null })).length, 4)
  })

  test('C-201 search by name of conversation and of participant', async (t) => {
    const { me, cat } = await people({ me: 'member', cat: 'client' }, { t })
    const odd = (await people({ 'Zo_e 100%': 'client' }, { org: me.org, t }))['Zo_e 100%']
    const [withCat, withOdd, trip] = [await direct(me, cat), await direct(me, odd), await group(me, [cat], 'Trip to Lisbon')]
    const found = async (search) => new Set(ids(await me.call('get_conversations', { search })))
    assert.deepEqual(await found('CAT'), new Set([withCat, trip]))
    assert.deepEqual(await found('lisb'), new Set([trip]))
    assert.deepEqual(await found('0%'), new Set([withOdd]))
    assert.deepEqual(await found('o_e'), new Set([withOdd]))
    assert.deepEqual(await found('%'), new Set([withOdd]), 'not a wildcard')
    assert.deepEqual(await found('me'), new Set(), 'my own name says nothing')
    assert.deepEqual(await found('  '), new Set([withCat, withOdd, trip]))
    assert.deepEqual(await found("'; drop table messages; --"), new Set())
    await refused(me.ask('get_conversations', { search: 'x'.repeat(201) }), '22001')
  })

  test('C-201 pages with before, without gap or duplicate', async (t) => {
    const { me, cat } = await people({ me: 'member', cat: 'client' }, { t })
    const made = []
    for (let n = 0; n < 7; n++) made.push(await group(me, [cat]))
    const pages = []
    for (let before; ;) {
      const page = await cat.call('get_conversations', { before, page_size: 3 })
      pages.push(ids(page))
      if (page.length < 3) break
      before = page.at(-1).last_message_at
    }
    assert.deepEqual(pages.map((page) => page.length), [3, 3, 1])
    assert.deepEqual(pages.flat(), made.reverse())
    assert.equal((await cat.call('get_conversations', { page_size: 0 })).length, 1)
    assert.equal((await cat.call('get_conversations', { page_size: null })).length, 7)
    assert.equal((await cat.call('get_conversations', { page_size: 1_000_000 })).length, 7)
  })

  test('C-201 pin, mute, notify; archived comes back with a new message', async (t) => {
    const { me, cat } = await people({ me: 'member', cat: 'client' }, { t })
    const id = await direct(me, cat)
    await cat.say(id, 'hello')
    const until = new Date(Date.now() + 3_600_000).toISOString()
    await me.call('set_conversation_preferences', { conversation_id: id, pinned: true, muted_until: until, notify: 'mentions' })
    const row = await listed(me, id)
    assert.ok(row.pinned_at)
    assert.equal(Date.parse(row.muted_until), Date.parse(until))
    assert.equal(row.notify, 'mentions')
    const hers = await listed(cat, id)
    assert.deepEqual([hers.pinned_at, hers.muted_until, hers.notify, hers.archived_at], [null, null, 'all', null], 'the others have their own')

    await me.call('set_conversation_preferences', { conversation_id: id, archived: true })
    assert.equal(await listed(me, id), undefined)
    assert.ok((await listed(me, id, { filter: 'archived' })).archived_at)
    assert.ok(await listed(cat, id))
    await cat.say(id, 'are you there')
    assert.equal((await listed(me, id)).unread_count, 2)
    assert.equal(await listed(me, id, { filter: 'archived' }), undefined)
    await me.call('set_conversation_preferences', { conversation_id: id, archived: true })
    await me.call('set_conversation_preferences', { conversation_id: id, archived: false, pinned: false, unmute: true })
    const back = await listed(me, id)
    assert.deepEqual([back.archived_at, back.pinned_at, back.muted_until, back.notify], [null, null, null, 'mentions'])
  })

  test('C-201 who is not signed in gets nothing; who takes part nowhere, an empty list', async (t) => {
    const { me } = await people({ me: 'member' }, { t })
    assert.deepEqual(await me.call('get_conversations'), [])
    await forbidden(anon(t).rpc('get_conversations'), 401)
  })
})

describe('C-206 start_conversation', () => {
  test('C-206 50 at the same time from both sides make one', async () => {
    const asked = Array.from({ length: 50 }, (_, n) => (n % 2 ? direct(ana, ben) : direct(ben, ana)))
    const made = new Set(await Promise.all(asked))
    assert.equal(made.size, 1)
    const [id] = made
    const [row] = await data(backend.from('conversations').select().eq('id', id))
    assert.deepEqual([row.participant_1_id, row.participant_2_id], [ana.id, ben.id].sort())
    assert.deepEqual([row.type, row.org_id], ['direct', org])
    assert.equal((await data(backend.from('conversations').select('id').eq('participant_1_id', row.participant_1_id).eq('participant_2_id', row.participant_2_id))).length, 1)
    assert.equal((await data(backend.from('conversation_participants').select('user_id').eq('conversation_id', id))).length, 2)
  })

  test('C-206 the same with a project has a conversation of its own, also once', async () => {
    const asked = Array.from({ length: 20 }, (_, n) => direct(...(n % 2 ? [ana, cleo] : [cleo, ana]), { project_id: 'lisbon' }))
    const made = new Set(await Promise.all(asked))
    assert.equal(made.size, 1)
    const plain = await direct(ana, cleo)
    assert.ok(!made.has(plain))
    assert.equal(await direct(cleo, ana, { project_id: '' }), plain)
    assert.equal((await listed(ana, [...made][0])).project_id, 'lisbon')
  })

  test('C-206 refused: oneself, nobody, unknown, another organisation, a client another client', async () => {
    const { far } = await people({ far: 'trainer' })
    const before = (await data(backend.from('conversations').select('id').or(`participant_1_id.eq.${far.id},participant_2_id.eq.${far.id}`))).length
    await refused(ana.ask('start_conversation', { user_id: ana.id }), '22023')
    await refused(ana.ask('start_conversation', { user_id: uuid() }), 'PT404')
    await refused(ana.ask('start_conversation', { user_id: null }), 'PT404')
    await refused(ana.ask('start_conversation', { user_id: far.id }), 'PT404')
    await refused(far.ask('start_conversation', { user_id: ana.id }), 'PT404')
    await refused(ben.ask('start_conversation', { user_id: cleo.id }), 'PT404')
    assert.equal(before, 0)
    assert.equal((await data(backend.from('conversations').select('id').or(`participant_1_id.eq.${far.id},participant_2_id.eq.${far.id}`))).length, 0)
  })

  test('C-206 a client starts with staff, staff with each other', async () => {
    assert.ok(await direct(ben, dan))
    assert.ok(await direct(eve, dan))
  })

  test('C-206 a project that is too long is refused', async () => {
    await refused(ana.ask('start_conversation', { user_id: ben.id, project_id: 'x'.repeat(201) }), '22001')
  })
})
