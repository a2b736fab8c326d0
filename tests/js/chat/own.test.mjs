// What one may do to messages that are there: edit and delete one's own (C-208), react (C-209).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { backend, data, direct, forbidden, group, listed, people, refused, shown, uuid } from './support.mjs'

const { ana, ben, cat, eve } = await people({ ana: 'trainer', ben: 'client', cat: 'client', eve: 'client' })
const stored = async (id) => data(backend.from('messages').select().eq('id', id).single())
const react = (who, message, emoji) => who.ask('toggle_reaction', { message_id: message.id, emoji })

describe('C-208 edit_message', () => {
  test('C-208 own text, with edited_at, mentions and preview anew', async () => {
    const id = await group(ana, [ben])
    const m = await ana.say(id, 'first')
    const edited = await ana.call('edit_message', { message_id: m.id, content: `second @[ben](${ben.id})` })
    assert.deepEqual([edited.id, edited.created_at, edited.mentions], [m.id, m.created_at, [ben.id]])
    assert.ok(Date.parse(edited.edited_at) >= Date.parse(m.created_at))
    assert.equal((await listed(ben, id)).last_message_preview, 'second @ben')
    const later = await ana.say(id, 'later')
    await ana.call('edit_message', { message_id: m.id, content: 'third' })
    const row = await listed(ben, id)
    assert.deepEqual([row.last_message_preview, row.last_message_at], ['later', later.created_at])
    assert.deepEqual((await ben.call('search_messages', { query: 'third', conversation_id: id })).results.map((r) => r.id), [m.id])
    assert.deepEqual((await ben.call('search_messages', { query: 'second', conversation_id: id })).results, [])
  })

  test('C-208 refused: others, emptiness, length, deleted, system messages; nothing changes', async () => {
    const id = await group(ana, [ben])
    const m = await ana.say(id, 'mine')
    const edit = (who, message_id, content) => who.ask('edit_message', { message_id, content })
    await refused(edit(ben, m.id, 'x'), '42501')
    await refused(edit(eve, m.id, 'x'), 'PT404')
    await refused(edit(ana, uuid(), 'x'), 'PT404')
    await refused(edit(ana, null, 'x'), 'PT404')
    for (const nothing of ['', ' \n', null]) await refused(edit(ana, m.id, nothing), '22023')
    await refused(edit(ana, m.id, 'x'.repeat(10_001)), '22001')
    const [system] = await shown(ana, id)
    assert.equal(system.content_type, 'system')
    await refused(edit(ana, system.id, 'x'), '42501')
    await refused(ana.ask('delete_message', { message_id: system.id }), '42501')
    const row = await stored(m.id)
    assert.deepEqual([row.content, row.edited_at], ['mine', null])
    await ana.call('delete_message', { message_id: m.id })
    await refused(edit(ana, m.id, 'back'), '23514')
  })
})

describe('C-208 delete_message', () => {
  test('C-208 leaves a row without content, attachments, reactions and mentions', async () => {
    const id = await group(ana, [ben])
    const attachments = [{ name: 'plan.pdf', path: `${id}/${ana.id}/plan.pdf`, mime_type: 'application/pdf' }]
    const m = await ana.say(id, `secret @[ben](${ben.id})`, { attachments })
    await react(ben, m, '👍')
    assert.equal((await listed(ben, id)).unread_count, 1)
    const gone = await ana.call('delete_message', { message_id: m.id })
    assert.ok(gone.deleted_at)
    const row = await stored(m.id)
    assert.deepEqual([row.content, row.attachments, row.attachment_url, row.attachment_name, row.attachment_type, row.mentions], ['', [], null, null, null, []])
    assert.doesNotMatch(JSON.stringify(row), /secret|plan/, 'nowhere, not in the search column either')
    const seen = (await shown(ben, id)).at(-1)
    assert.deepEqual([seen.id, seen.content, seen.deleted_at, seen.reactions], [m.id, '', gone.deleted_at, []])
    const { unread_count, last_message_preview } = await listed(ben, id)
    assert.equal(unread_count, 0)
    assert.doesNotMatch(last_message_preview ?? '', /secret/)
    assert.deepEqual((await ben.call('search_messages', { query: 'secret' })).results, [])
    assert.deepEqual((await ben.call('search_messages', { query: 'plan' })).results, [])
    assert.equal((await ana.call('delete_message', { message_id: m.id })).deleted_at, gone.deleted_at, 'again: the same')
  })

  test('C-208 own only', async () => {
    const id = await group(ana, [ben])
    const m = await ben.say(id, 'his')
    await refused(ana.ask('delete_message', { message_id: m.id }), '42501')
    await refused(eve.ask('delete_message', { message_id: m.id }), 'PT404')
    await refused(ana.ask('delete_message', { message_id: uuid() }), 'PT404')
    await refused(ana.ask('delete_message', { message_id: null }), 'PT404')
    assert.equal((await stored(m.id)).content, 'his')
  })

  test('C-208 edited, deleted, answered, quoted, reacted to and read at the same time: nobody gets a fault', async () => {
    const id = await direct(ana, ben, { project_id: uuid() })
    for (let round = 0; round < 12; round++) {
      const m = await ana.say(id, 'root')
      const answers = await Promise.all([
        ana.ask('edit_message', { message_id: m.id, content: 'edited' }), ben.ask('send_message', { conversation_id: id, content: 'reply', thread_id: m.id }),
        ben.ask('send_message', { conversation_id: id, content: 'quote', reply_to: m.id }), ana.ask('delete_message', { message_id: m.id }),
        ben.ask('mark_as_read', { conversation_id: id }), ben.ask('send_message', { conversation_id: id, content: 'reply', thread_id: m.id }),
        react(ben, m, '👍'), react(ana, m, '👍'), ana.ask('delete_message', { message_id: m.id }), ben.ask('mark_as_unread', { message_id: m.id }),
      ])
      for (const { error, status } of answers) assert.ok(!error || error.code === '23514', `${status} ${JSON.stringify(error)}`)
      assert.deepEqual(await data(backend.from('message_reactions').select('emoji').eq('message_id', m.id)), [], 'of a deleted message')
    }
  })

  test('C-208 the thread of a deleted message stays readable', async () => {
    const id = await group(ana, [ben])
    const root = await ana.say(id, 'root')
    const reply = await ben.say(id, 'reply', { thread_id: root.id })
    await ana.call('delete_message', { message_id: root.id })
    assert.deepEqual((await shown(ben, id, { thread_id: root.id })).map((m) => m.id), [reply.id])
  })
})

describe('C-209 toggle_reaction', () => {
  test('C-209 adds, replaces, removes; gives the reactions of the message', async () => {
    const id = await group(ana, [ben, cat])
    const m = await ana.say(id, 'hello')
    const emoji = (answer) => answer.data.map((r) => [r.reactor_name, r.emoji])
    assert.deepEqual(emoji(await react(ben, m, '👍')), [['ben', '👍']])
    assert.deepEqual(emoji(await react(cat, m, '❤️')), [['ben', '👍'], ['cat', '❤️']])
    assert.deepEqual(emoji(await react(ben, m, '😂')), [['ben', '😂'], ['cat', '❤️']])
    assert.deepEqual(emoji(await react(ben, m, '😂')), [['cat', '❤️']])
    const [row] = await data(ana.from('message_reactions').select().eq('message_id', m.id))
    assert.deepEqual([row.conversation_id, row.org_id, row.reactor_id, row.reactor_type, row.reactor_name], [id, cat.org, cat.id, 'client', 'cat'])
  })

  for (const allowed of ['❤️', '👍', '😂', '😮', '😢', '👎']) {
    test(`C-209 ${allowed} is allowed`, async () => {
      const m = await ana.say(await direct(ana, ben), 'x')
      assert.equal((await react(ben, m, allowed)).data.length, 1)
    })
  }

  test('C-209 refused: other emoji, other conversations, deleted and system messages', async () => {
    const id = await group(ana, [ben])
    const m = await ana.say(id, 'x')
    for (const emoji of ['🦄', 'x', '', '👍👍', '<b>', 'x'.repeat(10_000)]) await refused(react(ben, m, emoji), '22023', /emoji/)
    await refused(react(ben, m, null), '22023')
    await refused(react(eve, m, '👍'), 'PT404')
    await refused(react(ben, { id: uuid() }, '👍'), 'PT404')
    await refused(react(ben, { id: null }, '👍'), 'PT404')
    await refused(react(ben, (await shown(ben, id))[0], '👍'), '23514')
    await ana.call('delete_message', { message_id: m.id })
    await refused(react(ben, m, '👍'), '23514')
    assert.deepEqual(await data(backend.from('message_reactions').select().eq('conversation_id', id)), [])
  })

  test('C-209 one per person, also from 20 tries at the same time', async () => {
    const m = await ana.say(await direct(ana, ben), 'x')
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => react(ben, m, n % 2 ? '👍' : '😮')))
    for (const { error } of answers) assert.equal(error, null)
    assert.ok((await data(backend.from('message_reactions').select().eq('message_id', m.id))).length <= 1)
  })

  test('C-209 the table itself takes no more than the function', async () => {
    const [id, other] = [await direct(ana, ben), await direct(ana, cat)]
    const [m, foreign] = [await ana.say(id, 'x'), await ana.say(other, 'y')]
    const row = { message_id: m.id, conversation_id: id, reactor_type: 'client', reactor_id: ben.id, emoji: '👍' }
    const insert = (more) => ben.from('message_reactions').insert({ ...row, ...more })
    await forbidden(insert({ reactor_id: ana.id }))
    await refused(insert({ message_id: foreign.id }), 'PT404')
    await refused(insert({ message_id: foreign.id, conversation_id: other }), 'PT404')
    await refused(insert({ emoji: '🦄' }), '22023')
    const made = await data(insert({ conversation_id: other, reactor_type: 'king', reactor_name: 'The Boss', org_id: uuid() }).select().single())
    assert.deepEqual([made.conversation_id, made.reactor_type, made.reactor_name, made.org_id], [id, 'client', 'ben', ben.org])
    await refused(ben.from('message_reactions').update({ emoji: '🦄' }).eq('id', made.id), '22023')
    await forbidden(ben.from('message_reactions').update({ reactor_id: ana.id }).eq('id', made.id))
    assert.deepEqual(await data(ana.from('message_reactions').delete().eq('id', made.id).select()), [])
    assert.deepEqual(await data(ana.from('message_reactions').update({ emoji: '👎' }).eq('id', made.id).select()), [])
    assert.equal((await data(ben.from('message_reactions').delete().eq('id', made.id).select())).length, 1)
  })
})
