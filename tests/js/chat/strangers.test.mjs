// Who does not take part sees nothing and changes nothing (C-610), and no argument is too odd for a proper answer.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { anon, backend, data, direct, fresh, group, people, refused, sql, uuid } from './support.mjs'

const org = uuid()
const { ana, ben, eve, gone, boss } = await people({ ana: 'trainer', ben: 'client', eve: 'client', gone: 'member', boss: 'member' }, { org })
const { far } = await people({ far: 'trainer' })
let pair, room, m, reply, inRoom

/** Everything that is stored of both conversations. */
async function stored() {
  const both = [pair, room]
  const rows = await Promise.all([
    backend.from('conversations').select().in('id', both).order('id'),
    ...['conversation_participants', 'messages', 'message_reactions'].map((table) =>
      backend.from(table).select().in('conversation_id', both).order('conversation_id').order(table === 'conversation_participants' ? 'user_id' : 'id')),
  ].map(data))
  return JSON.stringify(rows)
}

before(async () => {
  pair = await direct(ana, ben)
  room = await group(ana, [ben, gone], 'Secret room')
  m = await ana.say(pair, 'a secret of two')
  reply = await ben.say(pair, 'a secret reply', { thread_id: m.id })
  inRoom = await ana.say(room, 'a secret of the room')
  await ben.call('toggle_reaction', { message_id: m.id, emoji: '👍' })
  await ben.call('toggle_reaction', { message_id: inRoom.id, emoji: '👍' })
  await ana.call('remove_participant', { conversation_id: room, user_id: gone.id })
})

const others = [['a client of the organisation', eve, []], ['staff of the organisation', boss, []], ['staff of another', far, []], ['who was removed', gone, [gone.id]]]
for (const [what, who, own] of others) {
  describe(`C-610 ${what}`, () => {
    test('C-610 sees no row, whatever is asked', async () => {
      for (const table of ['messages', 'message_reactions']) {
        assert.deepEqual(await data(who.from(table).select('*')), [])
        assert.equal((await who.from(table).select('*', { count: 'exact', head: true })).count, 0)
        assert.deepEqual(await data(who.from(table).select('id').or(`id.eq.${m.id},conversation_id.eq.${pair},conversation_id.eq.${room}`)), [])
      }
      assert.deepEqual(await data(who.from('messages').select('id').textSearch('search', 'secret')), [])
      assert.deepEqual(await data(who.from('messages').select('id').ilike('content', '%secret%')), [])
      assert.deepEqual(await data(who.from('messages').select('id, message_reactions(*), conversations(*)').eq('id', m.id)), [])
      assert.deepEqual(await data(who.from('conversations').select('*, messages(*), conversation_participants(*)')), [])
      assert.equal((await who.from('conversations').select('*').eq('id', pair).single()).error.code, 'PGRST116')
      const parts = await data(who.from('conversation_participants').select('user_id, conversation_id, conversations(name), left_at'))
      assert.deepEqual(parts.map((p) => p.user_id), own)
      assert.ok(parts.every((p) => p.conversations === null && p.left_at))
      const message = await who.from('message_reactions').select('*, messages(content)').eq('message_id', m.id)
      assert.deepEqual(message.data, [])
    })

    test('C-610 gets nothing from a function', async () => {
      assert.deepEqual(await who.call('get_conversations'), [])
      assert.deepEqual(await who.call('get_conversations', { search: 'secret' }), [])
      assert.deepEqual(await who.call('get_conversations', { filter: 'archived' }), [])
      assert.deepEqual(await who.call('get_unread_count'), { total: 0, mentions: 0, conversations: {} })
      for (const query of ['secret', 'ecre', 'room']) assert.deepEqual(await who.call('search_messages', { query }), { results: [], has_more: false })
    })

    test('C-610 is refused by each function that names a conversation or a message, which says nothing of it', async () => {
      const before = await stored()
      for (const [conversation_id, message_id] of [[pair, m.id], [room, inRoom.id], [pair, reply.id]]) {
        const calls = {
          get_messages: { conversation_id }, get_participants: { conversation_id }, mark_as_read: { conversation_id, up_to_message_id: message_id },
          search_messages: { query: 'secret', conversation_id }, set_conversation_preferences: { conversation_id, pinned: true },
          add_participants: { conversation_id, user_ids: [who.id] }, remove_participant: { conversation_id, user_id: ben.id }, leave_conversation: { conversation_id },
          rename_conversation: { conversation_id, name: 'mine' }, set_participant_role: { conversation_id, user_id: who.id, role: 'owner' }, create_invite: { conversation_id },
          get_message: { message_id }, edit_message: { message_id, content: 'x' }, delete_message: { message_id }, toggle_reaction: { message_id, emoji: '👎' },
          mark_as_unread: { message_id }, report_message: { message_id, reason: 'x' },
        }
        for (const [name, args] of Object.entries(calls)) {
          const error = await refused(who.ask(name, args), 'PT404')
          // The same words as for what is not there at all.
          const nowhere = await who.ask(name, { ...args, ...('message_id' in args ? { message_id: uuid() } : { conversation_id: uuid() }) })
          assert.deepEqual(error, nowhere.error, name)
        }
        await refused(who.ask('send_message', { conversation_id, content: 'let me in' }), '42501')
        await refused(who.ask('send_message', { conversation_id, content: 'x', thread_id: message_id }), '42501')
        await refused(who.from('messages').insert({ conversation_id, sender_id: who.id, content: 'x' }), '42501')
        const reaction = { message_id, conversation_id, reactor_type: 'x', reactor_id: who.id, emoji: '👍' }
        await refused(who.from('message_reactions').insert(reaction), 'PT404')
        assert.deepEqual(await data(who.from('message_reactions').delete().eq('message_id', message_id).select()), [])
        assert.deepEqual(await data(who.from('message_reactions').update({ emoji: '👎' }).eq('message_id', message_id).select()), [])
      }
      assert.equal(await stored(), before)
    })

    test('C-610 quotes and answers nothing from elsewhere', async () => {
      const mine = await group(who, [])
      for (const [name, code] of [['reply_to', 'PT404'], ['thread_id', 'PT404']]) {
        const error = await refused(who.ask('send_message', { conversation_id: mine, content: 'x', [name]: m.id }), code)
        const nowhere = await who.ask('send_message', { conversation_id: mine, content: 'x', [name]: uuid() })
        assert.deepEqual(error, nowhere.error)
      }
      await refused(who.ask('mark_as_read', { conversation_id: mine, up_to_message_id: m.id }), 'PT404')
      assert.deepEqual((await who.call('get_messages', { conversation_id: mine, thread_id: m.id })).messages, [])
      await who.call('leave_conversation', { conversation_id: mine })
      own.push(who.id)
    })
  })
}

describe('odd arguments', () => {
  const texts = [null, '', ' ', 'nonsense', '\u202e\u0007', "'; select pg_sleep(9) --", '{}', 'x'.repeat(100_000)]
  const times = [null, 'infinity', '-infinity', '0044-03-15 BC', '294276-12-31']
  /** By type: what a client can send that is of the type and not what anybody means. */
  const odd = {
    uuid: [null, uuid(), '00000000-0000-0000-0000-000000000000'],
    'uuid[]': [null, [], [null], [[uuid()]], Array.from({ length: 300 }, uuid)],
    text: texts, jsonb: [null, [], {}, 7, 'text', true, [[[]]], [null], { a: { b: [] } }, [{ name: 1, url: 2 }]],
    integer: [null, 0, -1, 2_147_483_647, -2_147_483_648], boolean: [null, true, false],
    'timestamp with time zone': times, interval: [null, '0', '-1 year', '178000000 years'], 'time without time zone': [null, '00:00', '24:00'],
  }
  const functions = async (t) => (await (await sql(t)).query(
    `select p.proname as name, array(select unnest(p.proargnames) limit p.pronargs) as names, array(select format_type(unnest(p.proargtypes), null)) as types,
       p.pronargs - p.pronargdefaults as required
     from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
       and has_function_privilege('authenticated', p.oid, 'execute') order by 1`)).rows

  test('C-610 every function answers all of them, alone and together, with no fault of the server', async (t) => {
    const { one, two } = await people({ one: 'trainer', two: 'client' }, { t })
    const conversation = await group(one, [two], fresh('odd'))
    const message = await one.say(conversation, 'x')
    const good = { conversation_id: conversation, message_id: message.id, user_id: two.id, user_ids: [two.id], content: 'x', name: 'x', query: 'x', emoji: '👍', reason: 'x', role: 'member' }
    const calls = []
    for (const { name, names, types, required } of await functions(t)) {
      for (const type of types) assert.ok(odd[type], `nothing odd is known of type ${type} of ${name}`)
      const known = Object.fromEntries(names.filter((argument, n) => argument in good || n < required).map((argument) => [argument, good[argument] ?? null]))
      names.forEach((argument, n) => odd[types[n]].forEach((value) => calls.push([name, { ...known, [argument]: value }])))
      for (let turn = 0; turn < 8; turn++) calls.push([name, Object.fromEntries(names.map((argument, n) => [argument, odd[types[n]][turn % odd[types[n]].length]]))])
    }
    // Last of all what ends the part of who asks.
    calls.sort(([a], [b]) => (b === 'leave_conversation') - (a === 'leave_conversation'))
    const faults = []
    await Promise.all(Array.from({ length: 6 }, async () => {
      for (let call; (call = calls.pop());) {
        const { status, error } = await one.ask(...call)
        const own = !error || /^(42501|PT404|22023|22001|23514|PT429)$/.test(error.code) && error.hint
        if (status >= 500 || status === 0 || !own) faults.push(`${call[0]} ${JSON.stringify(call[1]).slice(0, 200)}: ${status} ${JSON.stringify(error)}`)
      }
    }))
    assert.deepEqual(faults, [])
  })

  test('C-610 what is of another type, missing or unknown is the caller\'s fault', async () => {
    const calls = [['get_messages', { conversation_id: 'nonsense' }], ['get_messages', {}], ['get_messages', { conversation_id: pair, nothing: 1 }], ['nothing', {}],
      ['send_message', { conversation_id: pair, content: { a: 1 }, attachments: 'x', thread_id: 7 }], ['create_group', { name: 'x', user_ids: 'x' }]]
    for (const [name, args] of calls) {
      const { status, error } = await ana.ask(name, args)
      assert.ok(error.code && status >= 400 && status < 500, `${name}: ${status} ${JSON.stringify(error)}`)
    }
  })

  test('filters of tables likewise', async (t) => {
    for (const table of ['messages', 'conversations', 'conversation_participants', 'message_reactions', 'profiles']) {
      for (const who of [ana.supabase, anon(t)]) {
        for (const asked of [who.from(table).select('*').eq('id', 'nonsense'), who.from(table).select('nothing'), who.from(table).select('*, auth.users(*)'), who.from(table).insert({}),
          who.from(table).insert([{ a: 1 }]), who.from(table).update({ id: null }).eq('id', uuid())]) {
          const { status, error } = await asked
          assert.ok(error && status >= 400 && status < 500, `${table}: ${status} ${JSON.stringify(error)}`)
        }
      }
    }
  })
})
