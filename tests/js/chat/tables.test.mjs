// The tables (C-101 to C-111): columns that are promised, and what clients cannot do to them directly.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anon, backend, client, data, direct, fresh, forbidden, group, people, refused, sql, uuid } from './support.mjs'

const { ana, ben, cat, dan } = await people({ ana: 'trainer', ben: 'client', cat: 'client', dan: 'advisor' })
const { far } = await people({ far: 'trainer' })

const MESSAGE = 'id conversation_id sender_id content attachment_url attachment_type is_read read_at created_at sender_name sender_type content_type thread_id '
  + 'reply_to attachments attachment_name seen_at edited_at deleted_at mentions client_id metadata search'
/** What the specification promises; `users`: whether somebody who has signed in may select it. */
const TABLES = {
  'C-101': { conversations: 'id type name org_id project_id participant_1_id participant_2_id created_by last_message_at last_message_preview created_at', users: true },
  'C-102': { conversation_participants: 'conversation_id user_id role joined_at left_at last_read_at last_read_message_id muted_until notify pinned_at archived_at', users: true },
  'C-103': { messages: MESSAGE, users: true },
  'C-104': { message_reactions: 'id message_id conversation_id org_id reactor_type reactor_id reactor_name emoji created_at', users: true },
  'C-105': { user_presence: 'user_id is_online last_seen_at', users: true },
  'C-106': { profiles: 'id display_name avatar_url kind org_id', users: true },
  'C-107': { client_chat_tokens: 'id client_id org_id trip_id token expires_at created_at' },
  'C-108': { share_links: 'id org_id client_id subject_id subject_title advisor_id token enabled expires_at', users: true },
  'C-109': { push_subscriptions: 'user_id endpoint p256dh auth user_agent created_at last_error', users: true },
  'C-110': { notification_preferences: 'user_id push email_digest sound preview quiet_start quiet_end time_zone', users: true },
  'C-111': { notification_outbox: 'id user_id kind title body url data created_at delivered_at attempts last_error' },
}

describe('columns', () => {
  for (const [id, { users, ...table }] of Object.entries(TABLES)) {
    const [[name, columns]] = Object.entries(table)
    test(`${id} ${name}`, async (t) => {
      const wanted = columns.split(' ').join()
      await data(backend.from(name).select(wanted).limit(1))
      if (users) await data(ana.from(name).select(wanted).limit(1))
      else await forbidden(ana.from(name).select('*'))
      const { rows: [row] } = await (await sql(t)).query(
        `select c.relrowsecurity as guarded, exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) as keyed
         from pg_class c where c.oid = ('public.' || $1::text)::regclass`, [name])
      assert.deepEqual(row, { guarded: true, keyed: true })
    })
  }

  test('C-101 a direct pair is unique, the smaller id first', async () => {
    const id = await direct(ana, ben)
    const [row] = await data(backend.from('conversations').select('participant_1_id, participant_2_id, type').eq('id', id))
    const twice = await backend.from('conversations').insert(row)
    assert.equal(twice.error.code, '23505')
    const turned = await backend.from('conversations').insert({ type: 'direct', participant_1_id: row.participant_2_id, participant_2_id: row.participant_1_id })
    assert.equal(turned.error.code, '23514')
  })

  test('C-107 a session of a guest lasts 24 hours and has 64 hex characters', async () => {
    const link = await data(ana.from('share_links').insert({ org_id: ana.org, client_id: ben.id, subject_id: 'trip', advisor_id: ana.id }).select().single())
    const row = { client_id: ben.id, org_id: ana.org, trip_id: 'trip', share_link_id: link.id, conversation_id: await direct(ana, ben) }
    const made = await data(backend.from('client_chat_tokens').insert({ ...row, token: 'ab'.repeat(32) .replace(/^.{32}/, uuid().replaceAll('-', '')) }).select().single())
    assert.ok(Math.abs(Date.parse(made.expires_at) - Date.parse(made.created_at) - 86_400_000) < 1000)
    assert.equal((await backend.from('client_chat_tokens').insert({ ...row, token: 'short' })).error.code, '23514')
  })
})

describe('C-106 profiles', () => {
  test('C-106 who is who: only the service says, also later', async (t) => {
    const browser = client(t)
    const { user } = await data(browser.auth.signUp({
      email: `${uuid()}@example.com`, password: 'correct horse battery',
      options: { data: { display_name: 'Mallory', kind: 'trainer', org_id: ana.org, app_metadata: { org_id: ana.org } } },
    }))
    const own = () => data(browser.from('profiles').select('display_name, kind, org_id').eq('id', user.id).single())
    assert.deepEqual(await own(), { display_name: 'Mallory', kind: 'client', org_id: null })
    await data(browser.auth.updateUser({ data: { kind: 'trainer', org_id: ana.org } }))
    assert.deepEqual(await own(), { display_name: 'Mallory', kind: 'client', org_id: null })
    assert.deepEqual((await data(browser.from('profiles').select('id'))).map((p) => p.id), [user.id], 'nobody else')
    await data(backend.auth.admin.updateUserById(user.id, { app_metadata: { kind: 'member', org_id: ana.org } }))
    assert.deepEqual(await own(), { display_name: 'Mallory', kind: 'member', org_id: ana.org })
    await data(backend.auth.admin.updateUserById(user.id, { app_metadata: { kind: 'king', org_id: 'nowhere' } }))
    assert.deepEqual(await own(), { display_name: 'Mallory', kind: 'member', org_id: null })
  })

  test('C-106 staff see their organisation, clients the staff and whom they talk to', async (t) => {
    const { boss, mate, one, two } = await people({ boss: 'trainer', mate: 'advisor', one: 'client', two: 'client' }, { t })
    const seen = async (who) => new Set((await data(who.from('profiles').select('display_name'))).map((p) => p.display_name))
    assert.deepEqual(await seen(boss), new Set(['boss', 'mate', 'one', 'two']))
    assert.deepEqual(await seen(one), new Set(['boss', 'mate', 'one']))
    assert.ok(!(await seen(far)).has('boss'))
    await two.call('touch_presence', {})
    assert.deepEqual(await data(one.from('user_presence').select().eq('user_id', two.id)), [])
    assert.equal((await data(boss.from('user_presence').select().eq('user_id', two.id))).length, 1)
    await group(mate, [one, two])
    assert.deepEqual(await seen(one), new Set(['boss', 'mate', 'one', 'two']))
    assert.equal((await data(one.from('user_presence').select().eq('user_id', two.id))).length, 1)
  })

  test('C-106 one changes one\'s own name and picture, and no more', async () => {
    const change = (changes, who = cat) => cat.from('profiles').update(changes).eq('id', who.id).select('display_name, avatar_url')
    assert.deepEqual(await data(change({ display_name: 'Cat', avatar_url: 'https://example.com/cat.png' })), [{ display_name: 'Cat', avatar_url: 'https://example.com/cat.png' }])
    for (const more of [{ kind: 'trainer' }, { org_id: far.org }, { id: uuid() }, { created_at: '2001-01-01' }]) await forbidden(change({ display_name: 'X', ...more }))
    assert.deepEqual(await data(change({ display_name: 'X' }, ana)), [])
    for (const bad of [{ avatar_url: 'javascript:alert(1)' }, { avatar_url: 'data:text/html,x' }, { display_name: '' }, { display_name: 'x'.repeat(201) }]) {
      assert.equal((await change(bad)).error.code, '23514')
    }
    await forbidden(cat.from('profiles').insert({ id: uuid(), display_name: 'new' }))
    await forbidden(cat.from('profiles').delete().eq('id', cat.id))
  })
})

describe('C-108 share_links', () => {
  test('C-108 staff make links to clients of their organisation, in their own name', async () => {
    const make = (who, more = {}) => who.from('share_links').insert({ org_id: ana.org, client_id: ben.id, subject_id: fresh('trip'), advisor_id: who.id, ...more }).select()
    const [link] = await data(make(ana))
    assert.ok(link.token.length >= 32 && link.enabled)
    for (const bad of [{ advisor_id: dan.id }, { org_id: far.org }, { client_id: dan.id }, { client_id: far.id }, { client_id: uuid() }]) await forbidden(make(ana, bad))
    await forbidden(make(ben))
    await forbidden(make(far))
    // Not even colleagues: who has the token reads the conversation.
    for (const who of [dan, ben, far]) assert.deepEqual(await data(who.from('share_links').select('id').eq('id', link.id)), [])
    for (const who of [dan, ben, far]) {
      assert.deepEqual(await data(who.from('share_links').update({ enabled: false }).eq('id', link.id).select()), [])
      assert.deepEqual(await data(who.from('share_links').delete().eq('id', link.id).select()), [])
    }
    await forbidden(ana.from('share_links').update({ advisor_id: dan.id }).eq('id', link.id))
    assert.equal((await data(ana.from('share_links').update({ enabled: false }).eq('id', link.id).select()))[0].enabled, false)
  })
})

describe('what clients cannot write', () => {
  test('C-610 a participant changes nothing but through the functions', async () => {
    const id = await group(ana, [ben])
    const m = await ana.say(id, 'as it was')
    const [part, conversation] = [{ conversation_id: id, user_id: ana.id }, { type: 'group', name: 'x' }]
    const refusals = [
      ana.from('messages').update({ content: 'x' }).eq('id', m.id), ana.from('messages').update({ is_read: true }).eq('id', m.id), ana.from('messages').delete().eq('id', m.id),
      ana.from('conversations').insert(conversation), ana.from('conversations').update({ name: 'x' }).eq('id', id), ana.from('conversations').delete().eq('id', id),
      ana.from('conversation_participants').insert({ ...part, user_id: cat.id }), ana.from('conversation_participants').delete().match(part),
      ...[{ last_read_at: 'now' }, { role: 'owner' }, { left_at: null }, { pinned_at: 'now' }].map((changes) => ana.from('conversation_participants').update(changes).match(part)),
      ana.from('user_presence').insert({ user_id: ben.id }), ana.from('user_presence').upsert({ user_id: ana.id, is_online: true }),
      ana.from('user_presence').update({ is_online: false }).eq('user_id', ben.id), ana.from('user_presence').delete().eq('user_id', ben.id),
      ana.from('push_subscriptions').insert({ user_id: ana.id, endpoint: 'https://x.example/', p256dh: 'x', auth: 'x' }), ana.from('push_subscriptions').delete().eq('user_id', ana.id),
      ana.from('notification_preferences').insert({ user_id: ana.id }), ana.from('notification_preferences').update({ push: false }).eq('user_id', ana.id),
      ana.from('user_blocks').insert({ user_id: ana.id, blocked_id: ben.id }), ana.from('user_blocks').delete().eq('user_id', ana.id),
      ana.from('message_reports').insert({ message_id: m.id, conversation_id: id, reporter_id: ana.id, reason: 'x', content: 'x' }),
      ana.from('chat_settings').update({ max_message_length: 1 }).eq('id', true),
      ana.from('notification_outbox').insert({ user_id: ben.id, kind: 'x', title: 'x', body: 'x' }), ana.from('notification_outbox').delete().eq('user_id', ana.id),
      ana.from('client_chat_tokens').select('token'), ana.from('client_chat_tokens').delete().eq('client_id', ben.id), ana.from('notification_outbox').select('id'),
    ]
    for (const asked of refusals) await forbidden(asked)
    assert.equal((await data(backend.from('messages').select('content').eq('id', m.id).single())).content, 'as it was')
    for (const schema of ['chat', 'auth', 'realtime', 'dovetail', 'storage']) assert.ok((await ana.supabase.schema(schema).from('messages').select()).error, schema)
  })

  test('C-610 a visitor gets nothing, from no table and no function', async (t) => {
    const visitor = anon(t)
    const session = await sql(t)
    const { rows: tables } = await session.query("select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'm') and relname <> 'todos'")
    assert.ok(tables.length >= 15)
    for (const { name } of tables) {
      await forbidden(visitor.from(name).select('*'), 401)
      await forbidden(visitor.from(name).insert({}), 401)
    }
    const { rows: functions } = await session.query(
      `select p.proname as name, array(select unnest(p.proargnames) limit p.pronargs) as arguments from pg_proc p
       where p.pronamespace = 'public'::regnamespace and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype`)
    assert.ok(functions.length >= 25)
    for (const { name, arguments: names } of functions) {
      await forbidden(visitor.rpc(name, Object.fromEntries(names.map((argument) => [argument, null]))), 401)
    }
    assert.ok((await refused(ana.ask('get_message', { message_id: uuid() }), 'PT404')).message, 'where users are answered')
  })
})
