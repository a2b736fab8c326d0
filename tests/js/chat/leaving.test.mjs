// Who comes later, and whose user is deleted (C-102, C-106, C-202); pages of conversations of one time (C-201).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { backend, data, direct, group, people, person, refused, shown, uuid } from './support.mjs'

const { ana, ben, cat } = await people({ ana: 'trainer', ben: 'member', cat: 'client' })

describe('who comes later', () => {
  test('C-202 has not read what was said before, though none of it is new to them', async () => {
    const id = await group(ana, [ben])
    const before = await ana.say(id, 'before')
    await ana.call('add_participants', { conversation_id: id, user_ids: [cat.id] })
    const after = await ana.say(id, 'after')
    await cat.call('mark_as_read', { conversation_id: id })
    const readBy = Object.fromEntries((await shown(ben, id)).map((m) => [m.id, m.read_by]))
    assert.deepEqual(readBy[before.id], [])
    assert.deepEqual(readBy[after.id], [cat.id])
  })

  test('C-207 who comes back begins anew', async () => {
    const id = await group(ana, [ben])
    await ben.call('mark_as_read', { conversation_id: id })
    await ben.call('leave_conversation', { conversation_id: id })
    await ana.call('add_participants', { conversation_id: id, user_ids: [ben.id] })
    const [mine] = await data(ben.from('conversation_participants').select().eq('conversation_id', id).eq('user_id', ben.id))
    assert.equal(mine.last_read_message_id, null)
    assert.ok(mine.last_read_at)
  })
})

describe('whose user is deleted', () => {
  test('C-106 takes part in nothing any more, though the token still lives; what they wrote stays', async () => {
    const eve = await person('eve', { kind: 'member', org: ana.org })
    const id = await direct(eve, ana)
    const said = await eve.say(id, 'still here')
    await eve.call('touch_presence', { is_online: true })
    await data(backend.auth.admin.deleteUser(eve.id))
    await refused(eve.ask('get_messages', { conversation_id: id }), 'PT404')
    await refused(eve.ask('send_message', { conversation_id: id, content: 'and again' }), '42501')
    assert.deepEqual(await data(eve.from('messages').select('id')), [])
    await refused(ana.ask('start_conversation', { user_id: eve.id, project_id: 'other' }), 'PT404')
    assert.deepEqual((await shown(ana, id)).map((m) => [m.id, m.sender_name]), [[said.id, 'eve']])
    for (const table of ['profiles', 'user_presence']) {
      const column = table === 'profiles' ? 'id' : 'user_id'
      assert.deepEqual(await data(backend.from(table).select(column).eq(column, eve.id)), [], table)
    }
  })
})

describe('C-201 pages', () => {
  test('C-201 conversations of one time are each on one page', async () => {
    const dan = await person('dan', { kind: 'member', org: ana.org })
    const ids = await Promise.all(Array.from({ length: 7 }, () => dan.call('create_group', { name: uuid(), user_ids: [] }).then((c) => c.id)))
    await data(backend.from('conversations').update({ last_message_at: '2026-01-01T00:00:00Z' }).in('id', ids))
    const seen = []
    for (let page, last = {}; page?.length !== 0; last = { before: page.at(-1)?.last_message_at, before_id: page.at(-1)?.id }) {
      page = await dan.call('get_conversations', { page_size: 3, ...last })
      seen.push(...page.map((c) => c.id))
    }
    assert.deepEqual([...seen].sort(), [...ids].sort())
  })
})
