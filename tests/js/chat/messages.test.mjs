// Reading messages (C-202): pages, threads, what is attached to each.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { backend, data, direct, group, people, refused, shown, uuid } from './support.mjs'

const { ana, ben, cat, eve } = await people({ ana: 'trainer', ben: 'client', cat: 'client', eve: 'client' })

/** Many messages at once, by the service: three of them share each moment, so that pages have to tell them apart by id. */
async function history(conversation, sender, number) {
  const start = Date.now() - 86_400_000
  const rows = Array.from({ length: number }, (_, n) => ({
    conversation_id: conversation, sender_id: sender.id, content: `message ${n}`, created_at: new Date(start + Math.floor(n / 3) * 1000).toISOString(),
  }))
  await data(backend.from('messages').insert(rows))
  return (await data(backend.from('messages').select('id').eq('conversation_id', conversation).order('created_at').order('id'))).map((row) => row.id)
}

describe('C-202 pages', () => {
  let id, all
  before(async () => {
    id = await direct(ana, ben)
    all = await history(id, ana, 125)
    assert.equal(all.length, 125)
  })
  const page = (args) => ben.call('get_messages', { conversation_id: id, ...args })

  test('C-202 the last 50, oldest first, and that there are more', async () => {
    const { messages, has_more } = await page({})
    assert.deepEqual(messages.map((m) => m.id), all.slice(-50))
    assert.equal(has_more, true)
  })

  for (const size of [7, 50, 200]) {
    test(`C-202 backward and forward in pages of ${size} without gap or duplicate`, async () => {
      const backward = []
      let cursor = {}
      for (;;) {
        const { messages, has_more } = await page({ page_size: size, ...cursor })
        backward.unshift(...messages.map((m) => m.id))
        if (!has_more) break
        assert.equal(messages.length, size)
        cursor = { before: messages[0].created_at, before_id: messages[0].id }
      }
      assert.deepEqual(backward, all)
      const forward = []
      cursor = { after: '-infinity' }
      for (;;) {
        const { messages, has_more } = await page({ page_size: size, ...cursor })
        forward.push(...messages.map((m) => m.id))
        if (!has_more) break
        cursor = { after: messages.at(-1).created_at, after_id: messages.at(-1).id }
      }
      assert.deepEqual(forward, all)
    })
  }

  test('C-202 without an id, before and after leave out the whole moment', async () => {
    const { messages } = await page({ page_size: 200 })
    const middle = messages[61].created_at
    const same = messages.filter((m) => m.created_at === middle).length
    assert.equal(same, 3)
    const [older, newer] = [await page({ before: middle, page_size: 200 }), await page({ after: middle, page_size: 200 })]
    assert.equal(older.messages.length + newer.messages.length, 125 - same)
    assert.equal(older.has_more || newer.has_more, false)
  })

  test('C-202 sizes are bounded; an empty page has no more', async () => {
    assert.equal((await page({ page_size: 0 })).messages.length, 1)
    assert.equal((await page({ page_size: -5 })).messages.length, 1)
    assert.equal((await page({ page_size: null })).messages.length, 50)
    assert.equal((await page({ page_size: 1_000_000 })).messages.length, 125)
    assert.deepEqual(await page({ after: 'infinity' }), { messages: [], has_more: false })
    assert.deepEqual(await page({ before: '-infinity' }), { messages: [], has_more: false })
  })
})

describe('C-202 threads', () => {
  test('C-202 the main line leaves replies out, and tells how many and the last', async () => {
    const id = await group(ana, [ben, cat])
    const root = await ana.say(id, 'root')
    assert.deepEqual([root.reply_count, root.last_reply, root.reply_users], [0, null, []])
    const first = await ben.say(id, 'first reply', { thread_id: root.id })
    const last = await cat.say(id, 'last reply', { thread_id: root.id })
    const both = await ben.say(id, 'for all', { thread_id: root.id, metadata: { also_in_main: true } })
    const line = (await shown(ana, id)).filter((m) => m.content_type !== 'system')
    assert.deepEqual(line.map((m) => m.id), [root.id, both.id])
    assert.equal(line[0].reply_count, 3)
    assert.equal(line[0].last_reply.id, both.id)
    assert.deepEqual([line[0].last_reply.preview, line[0].last_reply.sender_name], ['for all', 'ben'])
    assert.deepEqual(new Set(line[0].reply_users), new Set([ben.id, cat.id]))
    const replies = await shown(ana, id, { thread_id: root.id })
    assert.deepEqual(replies.map((m) => m.id), [first.id, last.id, both.id])
    assert.ok(replies.every((m) => m.thread_id === root.id))

    const { messages, has_more } = await ana.call('get_messages', { conversation_id: id, thread_id: root.id, page_size: 2 })
    assert.deepEqual([messages.map((m) => m.id), has_more], [[last.id, both.id], true])
    const rest = await ana.call('get_messages', { conversation_id: id, thread_id: root.id, after: first.created_at, after_id: first.id })
    assert.deepEqual([rest.messages.map((m) => m.id), rest.has_more], [[last.id, both.id], false])

    await ben.call('delete_message', { message_id: both.id })
    const [again] = (await shown(ana, id)).filter((m) => m.id === root.id)
    assert.deepEqual([again.reply_count, again.last_reply.id], [2, last.id])
  })

  test('C-202 the thread of another conversation shows nothing', async () => {
    const [one, two] = [await group(ana, [ben]), await group(ana, [cat])]
    const root = await ana.say(one, 'root')
    await ana.say(one, 'reply', { thread_id: root.id })
    assert.deepEqual(await ana.call('get_messages', { conversation_id: two, thread_id: root.id }), { messages: [], has_more: false })
    assert.deepEqual(await ana.call('get_messages', { conversation_id: two, thread_id: uuid() }), { messages: [], has_more: false })
  })
})

describe('C-202 what is attached', () => {
  test('C-202 reactions, who has read, what is quoted', async () => {
    const id = await group(ana, [ben, cat])
    const message = await ana.say(id, 'the first line\nand a second')
    await ben.call('toggle_reaction', { message_id: message.id, emoji: '👍' })
    await cat.call('mark_as_read', { conversation_id: id })
    const answer = await ben.say(id, 'yes', { reply_to: message.id })
    assert.equal(answer.quoted.id, message.id)
    assert.deepEqual([answer.quoted.sender_name, answer.quoted.preview], ['ana', 'the first line and a second'])
    const of = async (wanted) => (await shown(ana, id)).find((m) => m.id === wanted)
    const seen = await of(message.id)
    assert.deepEqual(seen.reactions.map((r) => [r.emoji, r.reactor_id, r.reactor_name, r.reactor_type]), [['👍', ben.id, 'ben', 'client']])
    assert.deepEqual(seen.read_by, [cat.id])
    assert.deepEqual((await of(answer.id)).read_by, [], 'read before it was sent')
    await ben.call('mark_as_read', { conversation_id: id })
    await cat.call('mark_as_read', { conversation_id: id })
    assert.deepEqual(new Set((await of(message.id)).read_by), new Set([ben.id, cat.id]))
    assert.deepEqual((await of(answer.id)).read_by, [cat.id], 'the sender is not a reader')
    await ana.call('delete_message', { message_id: message.id })
    const quoting = await of(answer.id)
    assert.equal(quoting.quoted.preview, '')
    assert.ok(quoting.quoted.deleted_at)
  })

  test('C-202 get_message gives the same', async () => {
    const id = await direct(ana, cat)
    const sent = await ana.say(id, 'one')
    assert.deepEqual(await cat.call('get_message', { message_id: sent.id }), sent)
    assert.deepEqual((await shown(cat, id)).at(-1), sent)
    await refused(eve.ask('get_message', { message_id: sent.id }), 'PT404')
  })

  test('C-202 somebody else is told that there is nothing', async () => {
    const id = await direct(ana, ben)
    await refused(eve.ask('get_messages', { conversation_id: id }), 'PT404')
    await refused(ana.ask('get_messages', { conversation_id: uuid() }), 'PT404')
    await refused(ana.ask('get_messages', { conversation_id: null }), 'PT404')
    await refused(eve.ask('get_participants', { conversation_id: id }), 'PT404')
    const both = await ana.call('get_participants', { conversation_id: id })
    assert.deepEqual(new Set(both.map((p) => p.user_id)), new Set([ana.id, ben.id]))
  })
})
