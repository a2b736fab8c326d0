// How far somebody has read (C-204, C-305) and how much they have not (C-205).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { backend, changes, data, direct, group, joins, listed, people, refused, shown, uuid } from './support.mjs'

const { ana, ben, cat, eve } = await people({ ana: 'trainer', ben: 'client', cat: 'client', eve: 'client' })
const read = (who, conversation, up_to_message_id) => who.call('mark_as_read', { conversation_id: conversation, up_to_message_id })

describe('C-204 mark_as_read', () => {
  test('C-204 forward only, up to a message or to the end', async () => {
    const id = await group(ana, [ben])
    const [one, two, three] = [await ana.say(id, '1'), await ana.say(id, '2'), await ana.say(id, '3')]
    const at = (m) => ({ last_read_at: m.created_at, last_read_message_id: m.id })
    assert.deepEqual(await read(ben, id, two.id), at(two))
    assert.equal((await listed(ben, id)).unread_count, 1)
    assert.deepEqual(await read(ben, id, one.id), at(two))
    assert.equal((await listed(ben, id)).unread_count, 1)
    assert.deepEqual(await read(ben, id), at(three))
    assert.equal((await listed(ben, id)).unread_count, 0)
    assert.deepEqual(await read(ben, id), at(three))
    assert.deepEqual(await read(ben, id, null), at(three))
    // In a group nothing is said of it in the messages.
    assert.ok((await shown(ana, id)).every((m) => !m.is_read && m.read_at === null))
  })

  test('C-204 two devices at the same time end at the furthest', async () => {
    const other = await ben.again()
    const id = await group(ana, [ben])
    const sent = []
    for (let n = 0; n < 20; n++) sent.push(await ana.say(id, `${n}`))
    await Promise.all(sent.map((m, n) => read(n % 2 ? ben : other, id, sent.at(-1 - n).id)))
    assert.equal((await listed(other, id)).last_read_message_id, sent.at(-1).id)
    assert.equal((await listed(ben, id)).unread_count, 0)
  })

  test('C-204 direct ones say it in the messages of the other, once', async () => {
    const id = await direct(ana, ben)
    const [one, two, own] = [await ana.say(id, '1'), await ana.say(id, '2'), await ben.say(id, 'mine')]
    const state = async (m) => (await shown(ana, id)).find((row) => row.id === m.id)
    await read(ben, id, one.id)
    const first = await state(one)
    assert.equal(first.is_read, true)
    assert.ok(first.read_at && first.seen_at)
    assert.deepEqual([(await state(two)).is_read, (await state(two)).read_at, (await state(own)).is_read], [false, null, false])
    await read(ben, id)
    assert.equal((await state(two)).is_read, true)
    assert.equal((await state(own)).is_read, false, 'reading does not read what one wrote')
    assert.equal((await state(one)).read_at, first.read_at, 'the time of the first reading stays')
    await read(ana, id)
    assert.equal((await state(own)).is_read, true)
  })

  test('C-204 C-305 the other hears of it: postgres_changes, and read_receipt on messages:<id>', async (t) => {
    const { fay, gus } = await people({ fay: 'trainer', gus: 'client' }, { t })
    const id = await direct(fay, gus)
    const m = await fay.say(id, 'hello')
    const receipts = await changes(fay, 'conversation_participants', { event: 'UPDATE', filter: `conversation_id=eq.${id}` })
    const marks = await changes(fay, 'messages', { event: 'UPDATE', filter: `conversation_id=eq.${id}` })
    const topic = await joins(fay, `messages:${id}`)
    await read(gus, id)
    const change = await receipts.until((e) => e.new.user_id === gus.id)
    assert.equal(change.new.last_read_message_id, m.id)
    const marked = await marks.until((e) => e.new.id === m.id)
    assert.equal(marked.new.is_read, true)
    const { payload } = await topic.until((e) => e.event === 'read_receipt')
    assert.deepEqual([payload.conversation_id, payload.user_id, payload.last_read_message_id], [id, gus.id, m.id])
    assert.equal(Date.parse(payload.last_read_at), Date.parse(m.created_at))
  })

  test('C-204 refused: others, a message of another conversation', async () => {
    const [id, other] = [await direct(ana, ben), await direct(ana, cat)]
    const [m, foreign] = [await ana.say(id, 'x'), await ana.say(other, 'y')]
    await refused(eve.ask('mark_as_read', { conversation_id: id }), 'PT404')
    await refused(eve.ask('mark_as_read', { conversation_id: id, up_to_message_id: m.id }), 'PT404')
    await refused(ben.ask('mark_as_read', { conversation_id: id, up_to_message_id: foreign.id }), 'PT404')
    await refused(ben.ask('mark_as_read', { conversation_id: id, up_to_message_id: uuid() }), 'PT404')
    await refused(ben.ask('mark_as_read', { conversation_id: null }), 'PT404')
    await refused(eve.ask('mark_as_unread', { message_id: m.id }), 'PT404')
    await refused(ben.ask('mark_as_unread', { message_id: foreign.id }), 'PT404')
    assert.equal((await shown(ana, id)).find((row) => row.id === m.id).is_read, false)
  })

  test('C-204 mark_as_unread counts from a message again', async () => {
    const id = await group(ana, [ben])
    const [one, two] = [await ana.say(id, '1'), await ana.say(id, '2')]
    await read(ben, id)
    await ben.call('mark_as_unread', { message_id: two.id })
    assert.equal((await listed(ben, id)).unread_count, 1)
    await ben.call('mark_as_unread', { message_id: one.id })
    assert.equal((await listed(ben, id)).unread_count, 2)
    await read(ben, id)
    assert.equal((await listed(ben, id)).unread_count, 0)
  })

  test('C-204 C-305 the others hear of reading only: not of marking as unread, and not of who comes back', async (t) => {
    const { fay, gus } = await people({ fay: 'trainer', gus: 'member' }, { t })
    const id = await group(fay, [gus])
    const [one, two] = [await fay.say(id, '1'), await fay.say(id, '2')]
    const topic = await joins(fay, `messages:${id}`)
    await read(gus, id)
    await gus.call('mark_as_unread', { message_id: one.id })
    await gus.call('leave_conversation', { conversation_id: id })
    await fay.call('add_participants', { conversation_id: id, user_ids: [gus.id] })
    const last = await fay.say(id, '3')
    await read(gus, id)
    await topic.until((e) => e.payload.last_read_message_id === last.id)
    assert.deepEqual(topic.items.map((e) => e.payload.last_read_message_id), [two.id, last.id])
  })
})

describe('C-205 get_unread_count', () => {
  test('C-205 per conversation and in total; muted ones are not in the total', async (t) => {
    const { me, one, two } = await people({ me: 'trainer', one: 'client', two: 'client' }, { t })
    const [first, second] = [await direct(me, one), await direct(me, two)]
    assert.deepEqual(await me.call('get_unread_count'), { total: 0, mentions: 0, conversations: {} })
    await one.say(first, 'a')
    await two.say(second, 'b')
    await two.say(second, `@[me](${me.id})`)
    assert.deepEqual(await me.call('get_unread_count'), { total: 3, mentions: 1, conversations: { [first]: 1, [second]: 2 } })
    await me.call('set_conversation_preferences', { conversation_id: second, muted_until: 'infinity' })
    const { total, conversations } = await me.call('get_unread_count')
    assert.deepEqual([total, conversations], [1, { [first]: 1, [second]: 2 }])
    await read(me, first)
    assert.deepEqual((await me.call('get_unread_count')).conversations, { [second]: 2 })
  })

  test('C-205 equals a recount after 300 random operations at the same time', async (t) => {
    const made = await people({ u: 'trainer', v: 'member', w: 'client', x: 'client' }, { t })
    const users = Object.values(made)
    const rooms = [await direct(made.u, made.w), await group(made.u, [made.v, made.w, made.x]), await group(made.v, [made.u, made.x])]
    const members = [[made.u, made.w], users, [made.v, made.u, made.x]]
    const sent = rooms.map(() => [])
    const seed = Number(process.env.CHAT_SEED ?? 20_261_128)
    let state = seed
    const random = (below) => { state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0; return Math.floor(state / 2 ** 32 * below) }
    const one = (list) => list[random(list.length)]
    const deleted = []
    /** Everything is drawn before anything is awaited, so that a seed says what is done; the order of events is the server's. */
    const step = () => {
      const place = random(rooms.length)
      const [who, dice, message] = [one(members[place]), random(10), one(sent[place])]
      if (dice < 5 || !message) {
        return who.say(rooms[place], dice % 2 ? '@all hi' : 'hi').then((m) => sent[place].push(m))
      }
      if (dice < 7) return read(who, rooms[place], message.id)
      if (dice < 8) return read(who, rooms[place])
      if (dice < 9) return who.call('mark_as_unread', { message_id: message.id })
      const sender = users.find((user) => user.id === message.sender_id)
      deleted.push(message.id)
      return sender.call('delete_message', { message_id: message.id })
    }
    for (let round = 0; round < 25; round++) await Promise.all(Array.from({ length: 12 }, step))

    const rows = await data(backend.from('messages').select('conversation_id, sender_id, created_at, mentions, deleted_at').in('conversation_id', rooms).neq('content_type', 'system').limit(1000))
    const parts = await data(backend.from('conversation_participants').select().in('conversation_id', rooms))
    assert.ok(rows.length > 100 && deleted.length > 5, `seed ${seed}: ${rows.length} messages, ${deleted.length} deleted`)
    for (const user of users) {
      const conversations = {}
      let [total, mentions] = [0, 0]
      for (const part of parts.filter((p) => p.user_id === user.id)) {
        // As text: the service gives all times in one zone and with up to six digits, of which the last zeros are left out.
        const key = (time) => time.replace(/(?:\.(\d+))?\+00:00$/, (_, digits = '') => `.${digits.padEnd(6, '0')}`)
        const unread = rows.filter((m) => m.conversation_id === part.conversation_id && m.sender_id !== user.id && m.deleted_at === null
          && (part.last_read_at === null || key(m.created_at) > key(part.last_read_at)))
        if (unread.length) conversations[part.conversation_id] = unread.length
        total += unread.length
        mentions += unread.filter((m) => m.mentions.includes(user.id)).length
      }
      assert.deepEqual(await user.call('get_unread_count'), { total, mentions, conversations }, `seed ${seed}, ${user.name}`)
      for (const row of await user.call('get_conversations')) assert.equal(row.unread_count, conversations[row.id] ?? 0, `seed ${seed}, ${user.name}`)
    }
  })
})
