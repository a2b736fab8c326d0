// What is heard of tables and of the list (C-301, C-302, C-305, C-306), and by whom not (C-610).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anon, backend, changes, data, direct, fresh, group, joins, people, Seen, subscribed } from './support.mjs'

const { ana, ben, cat, eve } = await people({ ana: 'trainer', ben: 'client', cat: 'client', eve: 'member' })
const of = (conversation, more = {}) => ({ filter: `conversation_id=eq.${conversation}`, ...more })

/** Without what the server said: that a group was made may still be heard by who subscribes right after. */
const written = (heard) => heard.items.filter((e) => e.new.content_type !== 'system')

describe('C-301 messages in the open thread', () => {
  test('C-301 insert, edit and delete, of this conversation only, in order', async () => {
    const [id, other] = [await direct(ana, ben), await direct(ana, cat)]
    const heard = await changes(ana, 'messages', of(id))
    await ana.say(other, 'elsewhere')
    const m = await ben.say(id, 'hello', { client_id: fresh('client') })
    await ben.call('edit_message', { message_id: m.id, content: 'hello!' })
    await ben.call('delete_message', { message_id: m.id })
    await heard.until((e) => e.new.deleted_at)
    assert.deepEqual(heard.items.map((e) => [e.eventType, e.new.id, e.new.content]), [['INSERT', m.id, 'hello'], ['UPDATE', m.id, 'hello!'], ['UPDATE', m.id, '']])
    const [insert] = heard.items
    assert.deepEqual([insert.new.client_id, insert.new.sender_name, insert.new.conversation_id], [m.client_id, 'ben', id])
    assert.equal(Date.parse(insert.new.created_at), Date.parse(m.created_at))
    assert.ok(heard.items[1].new.edited_at)
  })

  test('C-301 100 messages of several senders at the same time arrive once each, in the order of created_at', async () => {
    const id = await group(ana, [ben, cat])
    const heard = await changes(cat, 'messages', of(id, { event: 'INSERT' }))
    const sent = (await Promise.all(Array.from({ length: 100 }, (_, n) => [ana, ben, cat][n % 3].say(id, `${n}`))))
    const order = sent.sort((a, b) => (a.created_at < b.created_at ? -1 : 1)).map((m) => m.id)
    await heard.until((e) => e.new.id === order.at(-1))
    assert.deepEqual(written(heard).map((e) => e.new.id), order)
  })

  test('C-301 C-610 who does not take part hears nothing, with and without the filter; a visitor neither', async (t) => {
    const [id, own] = [await direct(ana, ben), await direct(eve, ana)]
    const [all, filtered] = [await changes(eve, 'messages'), new Seen()]
    const channel = eve.supabase.channel(fresh('filtered'))
    const live = new Seen()
    for (const conversation of [id, own]) channel.on('postgres_changes', { event: '*', schema: 'public', table: 'messages', ...of(conversation) }, filtered.add)
    channel.on('system', {}, live.add)
    await subscribed(channel)
    await live.until((m) => m.extension === 'postgres_changes' && m.status === 'ok')
    const visitor = await changes({ supabase: anon(t) }, 'messages').catch((error) => error)
    const m = await ana.say(id, 'secret')
    await ana.call('edit_message', { message_id: m.id, content: 'another secret' })
    await ben.call('mark_as_read', { conversation_id: id })
    await ana.call('delete_message', { message_id: m.id })
    const marker = await ana.say(own, 'marker')
    for (const seen of [all, filtered]) {
      await seen.until((e) => e.new.id === marker.id)
      assert.ok(seen.items.every((e) => e.new.conversation_id === own), JSON.stringify(seen.items))
      assert.doesNotMatch(JSON.stringify(seen.items), /secret/)
    }
    for (const event of visitor.items ?? []) assert.deepEqual([event.new, event.old], [{}, {}], 'that something happened, and nothing of what')
  })

  test('C-301 C-610 who was removed hears nothing from then on', async (t) => {
    const { boss, one } = await people({ boss: 'trainer', one: 'member' }, { t })
    const [id, own] = [await group(boss, [one]), await direct(boss, one)]
    const heard = await changes(one, 'messages')
    const before = await boss.say(id, 'before')
    await heard.until((e) => e.new.id === before.id)
    await boss.call('remove_participant', { conversation_id: id, user_id: one.id })
    await boss.say(id, 'secret')
    await boss.call('edit_message', { message_id: before.id, content: 'secret' })
    const marker = await boss.say(own, 'marker')
    await heard.until((e) => e.new.id === marker.id)
    assert.doesNotMatch(JSON.stringify(heard.items), /secret|removed/)
    assert.deepEqual(written(heard).map((e) => e.new.id), [before.id, marker.id])
  })
})

describe('C-302 the list', () => {
  test('C-302 conversations and participants by postgres_changes', async (t) => {
    const { me, other } = await people({ me: 'trainer', other: 'client' }, { t })
    const [lists, parts] = [await changes(other, 'conversations'), await changes(other, 'conversation_participants')]
    const id = await direct(me, other)
    await parts.until((e) => e.eventType === 'INSERT' && e.new.conversation_id === id && e.new.user_id === other.id)
    const m = await me.say(id, 'hello')
    const update = await lists.until((e) => e.eventType === 'UPDATE' && e.new.id === id && e.new.last_message_preview === 'hello')
    assert.equal(Date.parse(update.new.last_message_at), Date.parse(m.created_at))
    await other.call('set_conversation_preferences', { conversation_id: id, pinned: true })
    assert.ok((await parts.until((e) => e.eventType === 'UPDATE' && e.new.pinned_at)).new.user_id === other.id)
  })

  test('C-302 the private broadcast conversations:<user>: joined, a message, a name, read on another device', async (t) => {
    const { me, other } = await people({ me: 'trainer', other: 'member' }, { t })
    const list = await joins(other, `conversations:${other.id}`)
    const told = (table, fits) => list.until((e) => e.payload.table === table && fits(e.payload.record, e.payload), `${table} of the list`)
    const id = await group(me, [other])
    const joined = await told('conversation_participants', (r, p) => p.operation === 'INSERT' && r.conversation_id === id)
    assert.equal(joined.payload.record.user_id, other.id)
    await me.say(id, 'hello')
    const message = await told('conversations', (r) => r.id === id && r.last_message_preview === 'hello')
    assert.deepEqual([message.event, message.payload.operation, message.payload.schema], ['UPDATE', 'UPDATE', 'public'])
    const device = await other.again(t)
    await device.call('mark_as_read', { conversation_id: id })
    await told('conversation_participants', (r) => r.conversation_id === id && r.last_read_at !== joined.payload.record.last_read_at)
    await device.call('set_conversation_preferences', { conversation_id: id, muted_until: 'infinity' })
    await told('conversation_participants', (r) => r.muted_until === 'infinity')
    // What the other chooses for herself is told to nobody else.
    await me.call('set_conversation_preferences', { conversation_id: id, archived: true })
    await me.call('rename_conversation', { conversation_id: id, name: 'renamed' })
    await told('conversations', (r) => r.name === 'renamed')
    assert.ok(list.items.every((e) => e.payload.table !== 'conversation_participants' || e.payload.record.user_id === other.id))
  })

  test('C-302 C-610 the list of others is not told', async () => {
    const heard = await changes(eve, 'conversations')
    const parts = await changes(eve, 'conversation_participants')
    const id = await direct(ana, cat, { project_id: fresh('project') })
    await ana.say(id, 'secret')
    await cat.call('mark_as_read', { conversation_id: id })
    const own = await group(eve, [], 'marker')
    await eve.call('rename_conversation', { conversation_id: own, name: 'marker 2' })
    await heard.until((e) => e.new.name === 'marker 2')
    await parts.until((e) => e.new.conversation_id === own)
    assert.ok(heard.items.every((e) => e.new.id === own), JSON.stringify(heard.items))
    assert.ok(parts.items.every((e) => e.new.conversation_id === own), JSON.stringify(parts.items))
  })
})

describe('C-610 tables of the server', () => {
  test('C-610 nothing is heard of them', async (t) => {
    const { one, two } = await people({ one: 'trainer', two: 'member' }, { t })
    const heard = new Seen()
    await Promise.all(['notification_outbox', 'push_subscriptions', 'conversation_invites', 'user_blocks', 'client_chat_tokens'].map(async (table) => {
      const answered = new Seen()
      const channel = one.supabase.channel(fresh('closed')).on('system', {}, answered.add)
      await subscribed(channel.on('postgres_changes', { event: '*', schema: 'public', table }, heard.add))
      await answered.until((m) => m.extension === 'postgres_changes', `an answer about ${table}`)
    }))
    const messages = await changes(one, 'messages')
    const id = await group(one, [two])
    await one.call('create_invite', { conversation_id: id })
    await two.call('block_user', { user_id: one.id })
    await data(backend.from('notification_outbox').insert({ user_id: one.id, kind: 'test', title: 'secret', body: 'secret' }))
    const marker = await one.say(id, 'marker')
    await messages.until((e) => e.new.id === marker.id)
    assert.ok(heard.items.every((e) => Object.keys(e.new).length + Object.keys(e.old).length === 0), JSON.stringify(heard.items))
  })
})

describe('C-306 reactions', () => {
  test('C-306 added, replaced, removed; a delete carries the id', async () => {
    const id = await direct(ana, ben)
    const m = await ana.say(id, 'x')
    const heard = await changes(ana, 'message_reactions', of(id))
    const toggle = (emoji) => ben.call('toggle_reaction', { message_id: m.id, emoji })
    const [{ id: reaction }] = await toggle('👍')
    const added = await heard.until((e) => e.eventType === 'INSERT')
    assert.deepEqual([added.new.id, added.new.message_id, added.new.emoji, added.new.reactor_name], [reaction, m.id, '👍', 'ben'])
    await toggle('😂')
    assert.deepEqual((await heard.until((e) => e.eventType === 'UPDATE')).new.emoji, '😂')
    await toggle('😂')
    assert.equal((await heard.until((e) => e.eventType === 'DELETE')).old.id, reaction)
  })

  test('C-306 C-610 others hear nothing of added ones, and of deleted ones no more than an id', async () => {
    const [id, own] = [await direct(ana, ben), await direct(ana, eve)]
    const heard = await changes(eve, 'message_reactions')
    const [m, mine] = [await ana.say(id, 'x'), await ana.say(own, 'y')]
    for (const emoji of ['👍', '😂', '😂']) await ben.call('toggle_reaction', { message_id: m.id, emoji })
    const [{ id: marker }] = await eve.call('toggle_reaction', { message_id: mine.id, emoji: '😮' })
    await heard.until((e) => e.new.id === marker)
    const foreign = heard.items.filter((e) => e.new.id !== marker)
    assert.ok(foreign.every((e) => e.eventType === 'DELETE' && Object.keys(e.old).join() === 'id'), JSON.stringify(foreign))
  })
})
