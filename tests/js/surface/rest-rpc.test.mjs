// rpc(): functions by name and arguments, and the form of what they return.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anon, anonKey, data, ground, url } from './support.mjs'

const session = await ground('rpc_', `
  create table public.rpc_planets (id int primary key, name text, moons int);
  create table public.rpc_ships (id int primary key, name text, planet_id int references rpc_planets);
  insert into public.rpc_planets values (1, 'Earth', 1), (2, 'Mars', 2), (3, 'Venus', 0);
  insert into public.rpc_ships values (1, 'Beagle', 2);
  create type public.rpc_point as (x int, y int);

  create function public.rpc_hello() returns text stable language sql as $$ select 'hello' $$;
  create function public.rpc_add(a int, b int default 10) returns int immutable language sql as $$ select a + b $$;
  create function public.rpc_nothing() returns void language sql as $$ select $$;
  create function public.rpc_null() returns int language sql as $$ select null::int $$;
  create function public.rpc_list() returns setof int stable language sql as $$ select generate_series(1, 4) $$;
  create function public.rpc_all() returns setof rpc_planets stable language sql as $$ select * from rpc_planets order by id $$;
  create function public.rpc_first() returns rpc_planets stable language sql as $$ select * from rpc_planets order by id limit 1 $$;
  create function public.rpc_rows(at_least int) returns table (title text, n bigint) stable language sql
    as $$ select name, moons::bigint from rpc_planets where moons >= at_least order by id $$;
  create function public.rpc_out(inout a int, out double int) stable language sql as $$ select a, a * 2 $$;
  create function public.rpc_make_point(x int, y int) returns rpc_point immutable language sql as $$ select row(x, y)::rpc_point $$;
  create function public.rpc_sum(numbers int[]) returns bigint immutable language sql as $$ select sum(n) from unnest(numbers) n $$;
  create function public.rpc_words(words text[]) returns text[] immutable language sql as $$ select words $$;
  create function public.rpc_total(variadic numbers int[]) returns bigint immutable language sql as $$ select sum(n) from unnest(numbers) n $$;
  create function public.rpc_key(about jsonb, key text) returns jsonb immutable language sql as $$ select about -> key $$;
  create function public.rpc_body(json) returns json immutable language sql as $$ select $1 $$;
  create function public.rpc_kinds(n numeric, t timestamptz, b boolean, u uuid, d date) returns json immutable language sql
    as $$ select json_build_object('n', n, 't', t at time zone 'utc', 'b', b, 'u', u, 'd', d) $$;
  create function public.rpc_big(n bigint) returns text immutable language sql as $$ select n::text $$;
  create function public."rpc_Mixed Case"("First Name" text) returns text immutable language sql as $$ select 'Dear ' || "First Name" $$;
  create function public.rpc_over(a int) returns text immutable language sql as $$ select 'one' $$;
  create function public.rpc_over(a int, b int) returns text immutable language sql as $$ select 'two' $$;
  create function public.rpc_vague(a int) returns text immutable language sql as $$ select 'int' $$;
  create function public.rpc_vague(a text) returns text immutable language sql as $$ select 'text' $$;
  create function public.rpc_write(p_id int) returns int volatile language sql as $$ insert into rpc_planets values (p_id, 'New', 9) returning id $$;
  create function public.rpc_wipe() returns setof rpc_planets volatile language sql as $$ delete from rpc_planets where id > 90 returning * $$;
  create function public.rpc_status() returns text volatile language plpgsql as $$
    begin
      perform set_config('response.status', '202', true);
      perform set_config('response.headers', '[{"X-Told": "yes"}]', true);
      return 'told';
    end $$`)

const supabase = anon()

describe('what a function returns', () => {
  test('one value', async () => {
    const answer = await supabase.rpc('rpc_hello')
    assert.deepEqual([answer.data, answer.error, answer.status, answer.count], ['hello', null, 200, null])
    assert.equal(await data(supabase.rpc('rpc_null')), null)
  })
  test('void', async () => {
    const answer = await supabase.rpc('rpc_nothing')
    assert.deepEqual([answer.data, answer.error, answer.status], [null, null, 204])
  })
  test('a set of values', async () => {
    assert.deepEqual(await data(supabase.rpc('rpc_list')), [1, 2, 3, 4])
  })
  test('rows of a table, one row of it, rows of its own', async () => {
    assert.deepEqual((await data(supabase.rpc('rpc_all'))).map((row) => row.name), ['Earth', 'Mars', 'Venus'])
    assert.deepEqual(await data(supabase.rpc('rpc_first')), { id: 1, name: 'Earth', moons: 1 })
    assert.deepEqual(await data(supabase.rpc('rpc_rows', { at_least: 1 })), [{ title: 'Earth', n: 1 }, { title: 'Mars', n: 2 }])
  })
  test('out parameters and a composite', async () => {
    assert.deepEqual(await data(supabase.rpc('rpc_out', { a: 4 })), { a: 4, double: 8 })
    assert.deepEqual(await data(supabase.rpc('rpc_make_point', { x: 1, y: 2 })), { x: 1, y: 2 })
  })
  test('a function may choose status and headers of the answer', async () => {
    const answer = await fetch(`${url}/rest/v1/rpc/rpc_status`, { method: 'POST', headers: { apikey: anonKey, 'content-type': 'application/json' }, body: '{}' })
    assert.equal(answer.status, 202)
    assert.equal(answer.headers.get('x-told'), 'yes')
    assert.equal(await answer.json(), 'told')
  })
})

describe('arguments', () => {
  test('by name in any order; defaults', async () => {
    assert.equal(await data(supabase.rpc('rpc_add', { b: 2, a: 1 })), 3)
    assert.equal(await data(supabase.rpc('rpc_add', { a: 1 })), 11)
  })
  test('of many types', async () => {
    const given = { n: 1.25, t: '2024-01-01T12:00:00+02:00', b: true, u: '00000000-0000-4000-8000-00000000000a', d: '2024-02-29' }
    assert.deepEqual(await data(supabase.rpc('rpc_kinds', given)), { ...given, t: '2024-01-01T10:00:00' })
    assert.deepEqual(await data(supabase.rpc('rpc_kinds', given, { get: true })), { ...given, t: '2024-01-01T10:00:00' })
    assert.equal(await data(supabase.rpc('rpc_big', { n: 9223372036854775807n })), '9223372036854775807')
  })
  test('arrays, by POST and by GET', async () => {
    assert.equal(await data(supabase.rpc('rpc_sum', { numbers: [1, 2, 3] })), 6)
    assert.equal(await data(supabase.rpc('rpc_sum', { numbers: [1, 2, 3] }, { get: true })), 6)
    assert.deepEqual(await data(supabase.rpc('rpc_words', { words: ['a,b', 'c "d"', 'NULL', ''] })), ['a,b', 'c "d"', 'NULL', ''])
    assert.equal(await data(supabase.rpc('rpc_total', { numbers: [4, 5] })), 9)
  })
  test('JSON', async () => {
    assert.deepEqual(await data(supabase.rpc('rpc_key', { about: { a: [1, { b: 2 }] }, key: 'a' })), [1, { b: 2 }])
    assert.equal(await data(supabase.rpc('rpc_key', { about: null, key: 'a' })), null)
  })
  test('one without a name takes the whole body', async () => {
    assert.deepEqual(await data(supabase.rpc('rpc_body', { any: ['thing', 1] })), { any: ['thing', 1] })
  })
  test('names with capitals and spaces', async () => {
    assert.equal(await data(supabase.rpc('rpc_Mixed Case', { 'First Name': 'Ann' })), 'Dear Ann')
    assert.equal(await data(supabase.rpc('rpc_Mixed Case', { 'First Name': 'Ann' }, { get: true })), 'Dear Ann')
  })
  test('values that look like something else', async () => {
    assert.equal(await data(supabase.rpc('rpc_Mixed Case', { 'First Name': 'eq.1' })), 'Dear eq.1')
    for (const value of ["'; drop table rpc_planets; --", '{1,2}', '$1', 'a=b&c=d', '%20+']) {
      assert.equal(await data(supabase.rpc('rpc_Mixed Case', { 'First Name': value })), `Dear ${value}`)
      assert.equal(await data(supabase.rpc('rpc_Mixed Case', { 'First Name': value }, { get: true })), `Dear ${value}`)
    }
  })
  test('a value that is not of the type', async () => {
    const { error, status } = await supabase.rpc('rpc_add', { a: 'x' })
    assert.equal(status, 400)
    assert.equal(error.code, '22P02')
  })
})

describe('which function is meant', () => {
  test('the one that has these arguments', async () => {
    assert.equal(await data(supabase.rpc('rpc_over', { a: 1 })), 'one')
    assert.equal(await data(supabase.rpc('rpc_over', { a: 1, b: 2 })), 'two')
  })
  test('two that differ only by type are ambiguous', async () => {
    const { error, status } = await supabase.rpc('rpc_vague', { a: 1 })
    assert.equal(status, 300)
    assert.equal(error.code, 'PGRST203')
    assert.match(error.message, /^Could not choose the best candidate function between: public\.rpc_vague\(a => (integer|text)\), public\.rpc_vague\(a => (integer|text)\)$/)
    assert.equal(error.hint, 'Try renaming the parameters or the function itself in the database so function overloading can be resolved')
  })
  test('an argument is missing: the hint says which there are', async () => {
    const { error, status } = await supabase.rpc('rpc_add', { b: 1 })
    assert.equal(status, 404)
    assert.deepEqual(error, {
      code: 'PGRST202',
      message: 'Could not find the function public.rpc_add(b) in the schema cache',
      details: 'Searched for the function public.rpc_add with parameter b or with a single unnamed json/jsonb parameter, but no matches were found in the schema cache.',
      hint: 'Perhaps you meant to call the function public.rpc_add(a, b)',
    })
  })
  test('an argument too many', async () => {
    const { error, status } = await supabase.rpc('rpc_add', { c: 3, a: 1, b: 2 }, { get: true })
    assert.equal(status, 404)
    assert.equal(error.code, 'PGRST202')
    assert.equal(error.message, 'Could not find the function public.rpc_add(a, b, c) in the schema cache')
    assert.equal(error.details, 'Searched for the function public.rpc_add with parameters a, b, c, but no matches were found in the schema cache.')
    assert.equal(error.hint, 'Perhaps you meant to call the function public.rpc_add(a, b)')
  })
  test('no such function: the hint names one that sounds like it', async () => {
    const { error, status } = await supabase.rpc('rpc_helo')
    assert.equal(status, 404)
    assert.equal(error.code, 'PGRST202')
    assert.equal(error.message, 'Could not find the function public.rpc_helo without parameters in the schema cache')
    assert.equal(error.hint, 'Perhaps you meant to call the function public.rpc_hello')
  })
  test('functions of Postgres are not reachable', async () => {
    for (const name of ['pg_sleep', 'version', 'pg_read_file', 'set_config', 'pg_catalog.version']) {
      assert.equal((await supabase.rpc(name)).status, 404, name)
    }
  })
})

describe('selecting from what a function returns', () => {
  test('columns, filters, order, limit', async () => {
    assert.deepEqual(await data(supabase.rpc('rpc_all').select('name')), [{ name: 'Earth' }, { name: 'Mars' }, { name: 'Venus' }])
    assert.deepEqual(await data(supabase.rpc('rpc_all').select('called:name, moons::text').gt('moons', 0).order('id', { ascending: false }).limit(1)), [{ called: 'Mars', moons: '2' }])
    assert.deepEqual(await data(supabase.rpc('rpc_rows', { at_least: 0 }).select('title').eq('n', 0)), [{ title: 'Venus' }])
    assert.deepEqual(await data(supabase.rpc('rpc_all').select('id').range(1, 1)), [{ id: 2 }])
    assert.deepEqual(await data(supabase.rpc('rpc_all', {}, { get: true }).select('name').or('id.eq.1,id.eq.3')), [{ name: 'Earth' }, { name: 'Venus' }])
  })
  test('one row of them', async () => {
    assert.deepEqual(await data(supabase.rpc('rpc_all').select('name').eq('id', 2).single()), { name: 'Mars' })
    const { error } = await supabase.rpc('rpc_all').single()
    assert.equal(error.code, 'PGRST116')
    assert.equal(error.details, 'The result contains 3 rows')
  })
  test('what the rows refer to', async () => {
    assert.deepEqual(await data(supabase.rpc('rpc_all').select('name, rpc_ships(name)').eq('id', 2)), [{ name: 'Mars', rpc_ships: [{ name: 'Beagle' }] }])
  })
  test('how many', async () => {
    const answer = await supabase.rpc('rpc_all', {}, { count: 'exact' }).limit(1)
    assert.equal(answer.count, 3)
    assert.equal(answer.data.length, 1)
    const head = await supabase.rpc('rpc_all', {}, { count: 'exact', head: true })
    assert.deepEqual([head.data, head.error, head.count], [null, null, 3])
  })
  test('csv', async () => {
    assert.equal(await data(supabase.rpc('rpc_all').select('id, name').lte('id', 2).csv()), 'id,name\n1,Earth\n2,Mars')
  })
})

describe('functions that write', () => {
  test('by POST they do, by GET they must not', async () => {
    assert.equal(await data(supabase.rpc('rpc_write', { p_id: 4 })), 4)
    const { error, status } = await supabase.rpc('rpc_write', { p_id: 5 }, { get: true })
    assert.equal(status, 405)
    assert.equal(error.code, '25006')
    assert.equal((await supabase.rpc('rpc_write', { p_id: 6 }, { head: true })).status, 405)
    assert.deepEqual((await session.query('delete from public.rpc_planets where id > 3 returning id')).rows, [{ id: 4 }])
  })
  test('maxAffected() undoes what was too much', async () => {
    await session.query(`insert into public.rpc_planets values (91, 'x', 0), (92, 'y', 0)`)
    const { error, status } = await supabase.rpc('rpc_wipe').maxAffected(1)
    assert.equal(status, 400)
    assert.equal(error.code, 'PGRST124')
    assert.equal((await session.query('select from public.rpc_planets where id > 90')).rowCount, 2)
    assert.equal((await data(supabase.rpc('rpc_wipe').maxAffected(2))).length, 2)
  })
  test('other methods than GET, HEAD and POST', async () => {
    const answer = await fetch(`${url}/rest/v1/rpc/rpc_hello`, { method: 'DELETE', headers: { apikey: anonKey } })
    assert.equal(answer.status, 405)
    assert.equal((await answer.json()).code, 'PGRST101')
  })
})
