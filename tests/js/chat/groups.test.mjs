// Groups (C-206, C-207): making, joining, leaving, naming, and what is said of it.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { backend, changes, data, direct, fresh, group, joins, listed, people, refused, shown, uuid } from './support.mjs'

const { ana, ben, cat, dan, eve } = await people({ ana: 'trainer', ben: 'member', cat: 'client', dan: 'client', eve: 'member' })
const { far } = await people({ far: 'trainer' })

const last = async (who, id) => (await shown(who, id)).at(-1)
const roles = async (id) => Object.fromEntries((await data(backend.from('conversation_participants').select().eq('conversation_id', id)))
  .map((p) => [p.user_id, p.left_at ? 'left' : p.role]))
const add = (who, id, ...others) => who.ask('add_participants', { conversation_id: id, user_ids: others.map((o) => o.id) })
const remove = (who, id, other) => who.ask('remove_participant', { conversation_id: id, user_id: other.id })
const leave = (who, id) => who.call('leave_conversation', { conversation_id: id })

describe('C-206 create_group', () => {
  test('C-206 a group and a project, with an owner and a system message', async () => {
    const made = await ana.call('create_group', { name: '  Team  ', user_ids: [ben.id, cat.id, ben.id, ana.id] })
    assert.deepEqual([made.type, made.name, made.org_id, made.created_by, made.participant_1_id], ['group', 'Team', ana.org, ana.id, null])
    assert.deepEqual(await roles(made.id), { [ana.id]: 'owner', [ben.id]: 'member', [cat.id]: 'member' })
    const said = await last(cat, made.id)
    assert.deepEqual([said.content_type, said.sender_id, said.sender_type, said.metadata.event, said.metadata.actor_id], ['system', null, 'system', 'created', ana.id])
    assert.equal((await listed(cat, made.id)).unread_count, 0, 'what the server says is not unread')
    const project = await ana.call('create_group', { name: 'P', user_ids: [ben.id], type: 'project', project_id: 'p-1' })
    assert.deepEqual([project.type, project.project_id], ['project', 'p-1'])
    assert.ok((await ana.call('create_group', { name: 'alone', user_ids: [] })).id)
  })

  test('C-206 refused: no name, too long, unknown or foreign people, a type, too many; nothing is left behind', async () => {
    const mine = async () => (await data(backend.from('conversations').select('id').eq('created_by', eve.id))).length
    const before = await mine()
    const make = (args) => eve.ask('create_group', { name: fresh('g'), user_ids: [ben.id], ...args })
    await refused(make({ name: ' ' }), '22023')
    await refused(make({ name: null }), '22023')
    await refused(make({ name: 'x'.repeat(201) }), '22001')
    await refused(make({ type: 'direct' }), '22023')
    await refused(make({ type: null }), '22023')
    await refused(make({ user_ids: [ben.id, uuid()] }), 'PT404')
    await refused(make({ user_ids: [far.id] }), 'PT404')
    await refused(make({ user_ids: [null] }), 'PT404')
    await refused(make({ user_ids: Array.from({ length: 256 }, uuid) }), '23514')
    await refused(cat.ask('create_group', { name: 'x', user_ids: [dan.id] }), 'PT404', /user/)
    assert.equal(await mine(), before)
  })
})

describe('C-207 add_participants', () => {
  test('C-207 members add; who is in already is not added again; a system message says who', async () => {
    const id = await group(ana, [ben])
    assert.deepEqual((await add(ben, id, cat, ben)).data, [cat.id])
    const said = await last(cat, id)
    assert.deepEqual([said.content, said.metadata.event, said.metadata.user_ids, said.metadata.actor_id], ['ben added cat', 'added', [cat.id], ben.id])
    assert.equal((await listed(cat, id)).unread_count, 0, 'what was said before is not unread')
    const count = (await shown(ana, id)).length
    assert.deepEqual((await add(ben, id, cat)).data, [])
    assert.equal((await shown(ana, id)).length, count)
  })

  test('C-207 20 at the same time add somebody once', async () => {
    const id = await group(ana, [ben])
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => add(n % 2 ? ana : ben, id, cat)))
    assert.equal(answers.flatMap((a) => a.data).length, 1)
    assert.equal((await shown(ana, id)).filter((m) => m.metadata.event === 'added').length, 1)
  })

  test('C-207 refused: others, direct ones, unknown and foreign people', async () => {
    const [id, pair] = [await group(ana, [ben]), await direct(ana, ben)]
    await refused(add(eve, id, eve), 'PT404')
    await refused(add(ana, uuid(), eve), 'PT404')
    await refused(add(ana, pair, eve), '23514')
    await refused(add(ana, id, far), 'PT404')
    await refused(add(ana, id, { id: uuid() }), 'PT404')
    await refused(add(ana, id, eve, { id: null }), 'PT404')
    assert.deepEqual(await roles(id), { [ana.id]: 'owner', [ben.id]: 'member' })
  })
})

describe('C-207 leaving and removing', () => {
  /** Nothing of a conversation is left for somebody, whatever they try; their own row says that they are out. */
  async function sees_nothing(who, id, message) {
    assert.equal(await listed(who, id), undefined)
    assert.equal(await listed(who, id, { filter: 'archived' }), undefined)
    for (const table of ['messages', 'message_reactions']) assert.deepEqual(await data(who.from(table).select('id').eq('conversation_id', id)), [])
    assert.deepEqual(await data(who.from('conversations').select('id').eq('id', id)), [])
    assert.deepEqual((await data(who.from('conversation_participants').select('user_id').eq('conversation_id', id))).map((p) => p.user_id), [who.id])
    assert.equal((await who.call('get_unread_count')).conversations[id], undefined)
    await refused(who.ask('get_messages', { conversation_id: id }), 'PT404')
    await refused(who.ask('get_message', { message_id: message.id }), 'PT404')
    await refused(who.ask('get_participants', { conversation_id: id }), 'PT404')
    await refused(who.ask('search_messages', { query: 'secret', conversation_id: id }), 'PT404')
    assert.deepEqual((await who.call('search_messages', { query: 'secret' })).results, [])
    await refused(who.ask('send_message', { conversation_id: id, content: 'x' }), '42501')
    await refused(who.ask('mark_as_read', { conversation_id: id }), 'PT404')
    await refused(who.ask('toggle_reaction', { message_id: message.id, emoji: '👍' }), 'PT404')
    await refused(who.ask('edit_message', { message_id: message.id, content: 'x' }), 'PT404')
    await refused(who.ask('set_conversation_preferences', { conversation_id: id, pinned: true }), 'PT404')
    await refused(who.ask('rename_conversation', { conversation_id: id, name: 'x' }), 'PT404')
    await refused(who.ask('leave_conversation', { conversation_id: id }), 'PT404')
    await refused(add(who, id, who), 'PT404')
  }

  test('C-207 an owner removes; who was removed is told, and sees nothing any more', async (t) => {
    const { boss, one, two } = await people({ boss: 'trainer', one: 'member', two: 'client' }, { t })
    const id = await group(boss, [one, two])
    const secret = await one.say(id, 'secret of one')
    const list = await joins(one, `conversations:${one.id}`)
    const rows = await changes(one, 'conversation_participants', { filter: `conversation_id=eq.${id}` })
    await refused(remove(one, id, two), '42501')
    await refused(remove(two, id, boss), '42501')
    assert.equal((await remove(boss, id, one)).error, null)
    const told = await list.until((e) => e.event === 'UPDATE' && e.payload.table === 'conversation_participants')
    assert.ok(told.payload.record.left_at)
    assert.ok((await rows.until((e) => e.new.user_id === one.id)).new.left_at)
    const said = await last(two, id)
    assert.deepEqual([said.content, said.metadata.event, said.metadata.user_ids], ['boss removed one', 'removed', [one.id]])
    await sees_nothing(one, id, secret)
    assert.deepEqual((await listed(two, id)).participants.map((p) => p.user_id), [boss.id])
  })

  test('C-207 who leaves sees nothing any more; who comes back has not missed anything, and is no owner', async () => {
    const id = await group(eve, [ben, cat])
    const secret = await ben.say(id, 'secret of ben')
    await leave(ben, id)
    const said = await last(cat, id)
    assert.deepEqual([said.content, said.metadata.event, said.metadata.actor_id], ['ben left', 'left', ben.id])
    await sees_nothing(ben, id, secret)
    await eve.say(id, 'meanwhile')
    await add(eve, id, ben)
    assert.equal((await listed(ben, id)).unread_count, 0)
    assert.equal((await roles(id))[ben.id], 'member')
    await cat.say(id, 'welcome')
    assert.equal((await listed(ben, id)).unread_count, 1)
  })

  test('C-207 after the last owner the longest member owns it; the last one out leaves it empty', async () => {
    const id = await group(ana, [ben])
    await add(ana, id, cat)
    await leave(ana, id)
    assert.deepEqual(await roles(id), { [ana.id]: 'left', [ben.id]: 'owner', [cat.id]: 'member' })
    assert.equal((await remove(ben, id, cat)).error, null)
    await leave(ben, id)
    assert.deepEqual(Object.values(await roles(id)), ['left', 'left', 'left'])
    await refused(add(ben, id, ben), 'PT404')
  })

  test('C-207 two owners who leave at the same time leave an owner behind', async () => {
    const id = await group(ana, [ben, cat])
    await ana.call('set_participant_role', { conversation_id: id, user_id: ben.id, role: 'owner' })
    await Promise.all([leave(ana, id), leave(ben, id)])
    assert.deepEqual(await roles(id), { [ana.id]: 'left', [ben.id]: 'left', [cat.id]: 'owner' })
  })

  test('C-207 refused: oneself, who is not there, direct ones', async () => {
    const [id, pair] = [await group(ana, [ben]), await direct(ana, ben)]
    await refused(remove(ana, id, ana), '22023')
    await refused(remove(ana, id, eve), 'PT404')
    await refused(remove(ana, id, { id: null }), 'PT404')
    await refused(remove(eve, id, ben), 'PT404')
    await refused(remove(ana, pair, ben), '23514')
    await refused(ana.ask('leave_conversation', { conversation_id: pair }), '23514')
    await refused(ana.ask('leave_conversation', { conversation_id: null }), 'PT404')
    assert.deepEqual(await roles(id), { [ana.id]: 'owner', [ben.id]: 'member' })
  })
})

describe('C-207 names and roles', () => {
  test('C-207 rename_conversation, with a system message; others hear it', async () => {
    const id = await group(ana, [ben], 'Old')
    const list = await joins(ana, `conversations:${ana.id}`)
    assert.equal((await ben.call('rename_conversation', { conversation_id: id, name: ' New ' })).name, 'New')
    await list.until((e) => e.payload.table === 'conversations' && e.payload.record.name === 'New')
    const said = await last(ana, id)
    assert.deepEqual([said.content, said.metadata.event, said.metadata.name], ['ben named it "New"', 'renamed', 'New'])
    await refused(ben.ask('rename_conversation', { conversation_id: id, name: '' }), '22023')
    await refused(ben.ask('rename_conversation', { conversation_id: id, name: null }), '22023')
    await refused(ben.ask('rename_conversation', { conversation_id: id, name: 'x'.repeat(201) }), '22001')
    await refused(eve.ask('rename_conversation', { conversation_id: id, name: 'Eve' }), 'PT404')
    await refused(ana.ask('rename_conversation', { conversation_id: await direct(ana, ben), name: 'x' }), '23514')
    assert.equal((await listed(ana, id)).name, 'New')
  })

  test('C-207 set_participant_role: owners only, others only', async () => {
    const id = await group(ana, [ben, cat])
    const set = (who, other, role) => who.ask('set_participant_role', { conversation_id: id, user_id: other.id, role })
    await refused(set(ben, ben, 'owner'), '42501')
    await refused(set(ben, ana, 'member'), '42501')
    await refused(set(eve, eve, 'owner'), 'PT404')
    await refused(set(ana, ana, 'member'), '22023')
    await refused(set(ana, ben, 'king'), '22023')
    await refused(set(ana, ben, null), '22023')
    await refused(set(ana, eve, 'owner'), 'PT404')
    assert.equal((await set(ana, ben, 'owner')).error, null)
    assert.equal((await set(ben, ana, 'member')).error, null)
    assert.deepEqual(await roles(id), { [ana.id]: 'member', [ben.id]: 'owner', [cat.id]: 'member' })
  })
})
