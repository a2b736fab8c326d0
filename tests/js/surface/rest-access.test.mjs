// Who sees and changes what: row level security, grants, and what policies can know of the request.
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { ann, anon, asUser, bob, data, eve, ground, service } from './support.mjs'

const session = await ground('acc_', `
  create table public.acc_people (id uuid primary key, name text);
  create table public.acc_posts (id int primary key, owner uuid default auth.uid() references acc_people, open bool default false, text text);
  create table public.acc_notes (id int primary key, post_id int references acc_posts, text text);
  create table public.acc_drops (id int primary key, text text);
  create table public.acc_columns (id int primary key, shown text, hidden text);
  create table public.acc_teams (id int primary key, name text);
  create table public.acc_silent (id int primary key);

  alter table public.acc_posts enable row level security;
  create policy acc_read on public.acc_posts for select using (open or owner = (select auth.uid()));
  create policy acc_make on public.acc_posts for insert to authenticated with check (owner = (select auth.uid()));
  create policy acc_change on public.acc_posts for update to authenticated using (owner = (select auth.uid())) with check (owner = (select auth.uid()));
  create policy acc_remove on public.acc_posts for delete to authenticated using (owner = (select auth.uid()));
  alter table public.acc_notes enable row level security;
  create policy acc_read on public.acc_notes for select using (exists (select from public.acc_posts p where p.id = post_id));
  alter table public.acc_drops enable row level security;
  create policy acc_make on public.acc_drops for insert with check (true);
  alter table public.acc_teams enable row level security;
  create policy acc_lead on public.acc_teams for select to authenticated using (
    (auth.jwt() -> 'app_metadata' ->> 'lead')::int = id or auth.email() = name || '@example.com');
  alter table public.acc_silent enable row level security;

  create view public.acc_loose as select * from public.acc_posts;
  create view public.acc_tight with (security_invoker) as select * from public.acc_posts;
  create function public.acc_mine() returns setof acc_posts stable language sql security invoker as $$ select * from acc_posts $$;
  create function public.acc_count() returns bigint stable language sql security definer set search_path = '' as $$ select count(*) from public.acc_posts $$;
  create function public.acc_give(post int, to_whom uuid) returns void language sql security invoker as $$ update acc_posts set owner = to_whom where id = post $$;
  create function public.acc_facts() returns json stable language sql as $$ select json_build_object(
    'role', current_user, 'uid', auth.uid(), 'auth_role', auth.role(),
    'claims', current_setting('request.jwt.claims', true)::json,
    'headers', current_setting('request.headers', true)::json,
    'cookies', current_setting('request.cookies', true)::json,
    'method', current_setting('request.method', true), 'path', current_setting('request.path', true)) $$`)
await session.query(`revoke all on public.acc_columns from anon, authenticated;
  grant select (id, shown), insert (id, shown), update (shown) on public.acc_columns to anon, authenticated;
  insert into public.acc_people values ('${ann}', 'ann'), ('${bob}', 'bob'), ('${eve}', 'eve');
  insert into public.acc_teams values (1, 'red'), (2, 'blue');
  insert into public.acc_columns values (1, 'yes', 'no')`)

beforeEach(() => session.query(`truncate public.acc_posts, public.acc_notes, public.acc_drops;
  insert into public.acc_posts values (1, '${ann}', false, 'hers'), (2, '${ann}', true, 'for all'), (3, '${bob}', false, 'his');
  insert into public.acc_notes values (1, 1, 'on hers'), (2, 2, 'on the open one'), (3, 3, 'on his')`))

const supabase = anon()
const her = asUser(undefined, ann)
const his = asUser(undefined, bob)
const stranger = asUser(undefined, eve)
const backend = service()
const ids = async (asked) => (await data(asked)).map((row) => row.id)
const stored = async () => (await session.query('select id, owner, text from public.acc_posts order by id')).rows
/** Refused by a policy: 403 for a user, 401 for a visitor. */
async function refused(asked, status = 403) {
  const answer = await asked
  assert.equal(answer.data, null)
  assert.equal(answer.error?.code, '42501')
  assert.equal(answer.status, status)
  return answer.error
}

describe('reading', () => {
  for (const [who, client, expected] of [['a visitor', supabase, [2]], ['the owner', her, [1, 2]], ['another', his, [2, 3]], ['a stranger', stranger, [2]], ['the backend', backend, [1, 2, 3]]]) {
    test(`${who} sees ${expected}`, async () => {
      assert.deepEqual(await ids(client.from('acc_posts').select('id').order('id')), expected)
      assert.equal((await client.from('acc_posts').select('*', { count: 'exact', head: true })).count, expected.length)
      assert.deepEqual(await ids(client.from('acc_tight').select('id').order('id')), expected)
      assert.deepEqual(await ids(client.rpc('acc_mine').select('id').order('id')), expected)
      assert.deepEqual(await ids(client.from('acc_notes').select('id').order('id')), expected)
    })
  }
  test('no filter, order or page reaches what is hidden', async () => {
    assert.deepEqual(await ids(stranger.from('acc_posts').select('id').or('id.eq.1,text.like.*his*,owner.not.is.null')), [2])
    assert.deepEqual(await ids(stranger.from('acc_posts').select('id').eq('id', 1)), [])
    assert.equal((await stranger.from('acc_posts').select('id').eq('id', 1).single()).error.code, 'PGRST116')
    assert.deepEqual(await ids(stranger.from('acc_posts').select('id').order('text').range(1, 5)), [])
  })
  test('embedding shows nothing that is hidden, in either direction, and counts none of it', async () => {
    assert.deepEqual(await data(stranger.from('acc_people').select('name, acc_posts(id)').order('name')), [
      { name: 'ann', acc_posts: [{ id: 2 }] }, { name: 'bob', acc_posts: [] }, { name: 'eve', acc_posts: [] },
    ])
    assert.deepEqual(await data(stranger.from('acc_people').select('name, acc_posts!inner(id)')), [{ name: 'ann', acc_posts: [{ id: 2 }] }])
    assert.deepEqual(await data(stranger.from('acc_people').select('name, acc_posts(count)').eq('name', 'bob')), [{ name: 'bob', acc_posts: [{ count: 0 }] }])
    assert.deepEqual(await data(his.from('acc_notes').select('id, acc_posts(text)').order('id')), [{ id: 2, acc_posts: { text: 'for all' } }, { id: 3, acc_posts: { text: 'his' } }])
    assert.equal((await stranger.from('acc_people').select('name, acc_posts!inner(id)', { count: 'exact', head: true }).eq('acc_posts.id', 1)).count, 0)
  })
  test('a view without security_invoker has the eyes of its owner, as in Postgres', async () => {
    assert.deepEqual(await ids(supabase.from('acc_loose').select('id').order('id')), [1, 2, 3])
  })
  test('a function that is security definer sees all, one that is not does not', async () => {
    assert.equal(await data(supabase.rpc('acc_count')), 3)
  })
  test('a table without policies shows nothing', async () => {
    await session.query('insert into public.acc_silent values (1) on conflict do nothing')
    assert.deepEqual(await data(her.from('acc_silent').select()), [])
  })
})

describe('writing', () => {
  test('in her own name, by default and by hand', async () => {
    assert.deepEqual(await data(her.from('acc_posts').insert({ id: 10, text: 'new' }).select('owner').single()), { owner: ann })
    assert.deepEqual(await data(her.from('acc_posts').insert({ id: 11, owner: ann }).select('id')), [{ id: 11 }])
  })
  test('not in the name of others, not as a visitor', async () => {
    const error = await refused(his.from('acc_posts').insert({ id: 20, owner: ann }))
    assert.equal(error.message, 'new row violates row-level security policy for table "acc_posts"')
    await refused(his.from('acc_posts').insert([{ id: 20 }, { id: 21, owner: ann }]))
    await refused(supabase.from('acc_posts').insert({ id: 20 }), 401)
    assert.equal((await stored()).length, 3)
  })
  test('rows of others are not there to be changed', async () => {
    for (const client of [his, stranger, supabase]) {
      const answer = await client.from('acc_posts').update({ text: 'mine now' }, { count: 'exact' }).lte('id', 2).select()
      assert.deepEqual([answer.error, answer.data, answer.count], [null, [], 0])
      assert.deepEqual(await data(client.from('acc_posts').delete().lte('id', 2).select()), [])
    }
    assert.deepEqual(await stored(), [{ id: 1, owner: ann, text: 'hers' }, { id: 2, owner: ann, text: 'for all' }, { id: 3, owner: bob, text: 'his' }])
  })
  test('what is hers cannot be given away, by update or by function', async () => {
    await refused(her.from('acc_posts').update({ owner: bob }).eq('id', 1))
    await refused(her.rpc('acc_give', { post: 1, to_whom: bob }))
    await data(his.rpc('acc_give', { post: 1, to_whom: bob }))
    assert.equal((await stored())[0].owner, ann)
  })
  test('upsert does not reach rows of others', async () => {
    await refused(his.from('acc_posts').upsert({ id: 1, owner: bob, text: 'taken' }))
    const answer = await his.from('acc_posts').upsert({ id: 1, owner: bob, text: 'taken' }, { ignoreDuplicates: true }).select()
    assert.deepEqual([answer.error, answer.data], [null, []])
    assert.equal((await stored())[0].text, 'hers')
    assert.deepEqual(await data(her.from('acc_posts').upsert({ id: 1, owner: ann, text: 'changed' }).select('text')), [{ text: 'changed' }])
  })
  test('who may write but not read gets no row back, and asking for it undoes the write', async () => {
    const quiet = await supabase.from('acc_drops').insert({ id: 1, text: 'in' })
    assert.deepEqual([quiet.error, quiet.status], [null, 201])
    await refused(supabase.from('acc_drops').insert({ id: 2, text: 'out' }).select(), 401)
    assert.deepEqual((await session.query('select id from public.acc_drops')).rows, [{ id: 1 }])
  })
  test('the backend may do all of it', async () => {
    assert.deepEqual(await ids(backend.from('acc_posts').update({ text: 'x' }).gt('id', 0).select('id').order('id')), [1, 2, 3])
    assert.deepEqual(await data(backend.from('acc_posts').insert({ id: 30, owner: eve }).select('id')), [{ id: 30 }])
  })
})

describe('grants on columns', () => {
  test('what is granted, and nothing else', async () => {
    assert.deepEqual(await data(her.from('acc_columns').select('id, shown')), [{ id: 1, shown: 'yes' }])
    for (const list of ['hidden', '*', 'x:hidden', 'hidden::text']) await refused(her.from('acc_columns').select(list))
    await refused(her.from('acc_columns').select('id').eq('hidden', 'no'))
    await refused(her.from('acc_columns').select('id').order('hidden'))
    await refused(her.from('acc_columns').insert({ id: 2, hidden: 'x' }))
    await refused(her.from('acc_columns').update({ hidden: 'x' }).eq('id', 1))
    await data(her.from('acc_columns').update({ shown: 'still' }).eq('id', 1))
    assert.deepEqual(await data(her.from('acc_columns').update({ shown: 'yes' }).eq('id', 1).select('id, shown')), [{ id: 1, shown: 'yes' }])
  })
})

describe('what policies can know', () => {
  test('claims of the token, in depth', async (t) => {
    const lead = asUser(t, ann, { claims: { app_metadata: { lead: 2 } } })
    assert.deepEqual(await ids(lead.from('acc_teams').select('id')), [2])
    const member = asUser(t, bob, { claims: { email: 'red@example.com' } })
    assert.deepEqual(await ids(member.from('acc_teams').select('id')), [1])
    assert.deepEqual(await ids(her.from('acc_teams').select('id')), [])
    assert.deepEqual(await ids(supabase.from('acc_teams').select('id')), [])
  })
  test('role, user, claims, method, path', async (t) => {
    const facts = await data(asUser(t, ann, { claims: { aal: 'aal1', app_metadata: { a: [1] } } }).rpc('acc_facts'))
    assert.deepEqual([facts.role, facts.uid, facts.auth_role, facts.method, facts.path], ['authenticated', ann, 'authenticated', 'POST', '/rpc/acc_facts'])
    const { exp, ...claims } = facts.claims
    assert.equal(typeof exp, 'number')
    assert.deepEqual(claims, { role: 'authenticated', aud: 'authenticated', sub: ann, aal: 'aal1', app_metadata: { a: [1] } })
    const visitor = await data(supabase.rpc('acc_facts', {}, { get: true }))
    assert.deepEqual([visitor.role, visitor.uid, visitor.auth_role, visitor.method], ['anon', null, 'anon', 'GET'])
    assert.equal((await data(backend.rpc('acc_facts'))).role, 'service_role')
  })
  test('headers and cookies', async (t) => {
    const client = anon(t, { global: { headers: { 'X-My-Header': 'for policies', cookie: 'a=1; b=two' } } })
    const facts = await data(client.rpc('acc_facts'))
    assert.equal(facts.headers['x-my-header'], 'for policies')
    assert.match(facts.headers['x-client-info'], /supabase-js/)
    assert.deepEqual(facts.cookies, { a: '1', b: 'two' })
    const once = await data(supabase.rpc('acc_facts').setHeader('x-once', 'yes'))
    assert.equal(once.headers['x-once'], 'yes')
    assert.equal((await data(supabase.rpc('acc_facts'))).headers['x-once'], undefined)
  })
  test('nothing of one request is left for another', async () => {
    const clients = [supabase, her, his, stranger, backend]
    const expected = [null, ann, bob, eve, null]
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => data(clients[n % 5].rpc('acc_facts'))))
    for (const [n, facts] of answers.entries()) {
      assert.equal(facts.uid, expected[n % 5])
      assert.equal(facts.claims.sub ?? null, expected[n % 5])
    }
  })
})

test('a policy that changes counts at once', async (t) => {
  t.after(() => session.query('alter policy acc_read on public.acc_posts using (open or owner = (select auth.uid()))'))
  await session.query('alter policy acc_read on public.acc_posts using (false)')
  assert.deepEqual(await data(her.from('acc_posts').select()), [])
})

test('a table that is new can be used at once, and one that is gone is gone', async (t) => {
  await session.query('create table public.acc_new (id int primary key); grant all on public.acc_new to anon')
  t.after(() => session.query('drop table if exists public.acc_new'))
  assert.deepEqual(await data(supabase.from('acc_new').insert({ id: 1 }).select()), [{ id: 1 }])
  await session.query('alter table public.acc_new add column more text default $$new$$')
  assert.deepEqual(await data(supabase.from('acc_new').insert({ id: 2 }).select('id, more')), [{ id: 2, more: 'new' }])
  await session.query('drop table public.acc_new')
  assert.equal((await supabase.from('acc_new').select()).status, 404)
})

test('a column whose type changes, and a type that is made anew', async (t) => {
  t.after(() => session.query('drop table if exists public.acc_kinds; drop type if exists public.acc_kind'))
  const kinds = () => supabase.from('acc_kinds')
  await session.query('create table public.acc_kinds (id int primary key, v int); grant all on public.acc_kinds to anon; insert into public.acc_kinds values (1, 7)')
  // Often enough for each connection of the server to have kept the statement.
  const ask = async (value) => {
    const answers = await Promise.all(Array.from({ length: 30 }, () => data(kinds().select('id, v').eq('v', value).in('v', [value]))))
    for (const rows of answers) assert.deepEqual(rows, [{ id: 1, v: value }])
    await data(kinds().update({ v: value }).eq('v', value))
  }
  await ask(7)
  await session.query(`alter table public.acc_kinds alter v type text using 'seven'`)
  await ask('seven')
  for (const word of ['old', 'new']) {
    await session.query(`alter table public.acc_kinds drop v; drop type if exists public.acc_kind;
      create type public.acc_kind as enum ('${word}'); alter table public.acc_kinds add v public.acc_kind default '${word}'`)
    await ask(word)
  }
})
