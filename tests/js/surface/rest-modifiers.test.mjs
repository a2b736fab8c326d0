// What comes after the filters: order, pages, one row or none, and how a request is given up.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anon, anonKey, data, ground, url } from './support.mjs'

const session = await ground('mod_', `
  create table public.mod_items (id int primary key, name text, place int, about jsonb);
  insert into public.mod_items values
    (1, 'b', 2, '{"n": 3}'), (2, 'a', null, '{"n": 1}'), (3, 'b', 1, '{"n": 2}'), (4, 'c', 3, null);
  create table public.mod_many (id int primary key, v int);
  insert into public.mod_many (id) select generate_series(1, 25);
  create function public.mod_slow() returns int language sql as $$ select 1 from pg_sleep(20) $$`)

const supabase = anon()
const items = () => supabase.from('mod_items').select('id')
const ids = async (asked) => (await data(asked)).map((row) => row.id)

describe('order', () => {
  test('up and down, and nulls where Postgres has them', async () => {
    assert.deepEqual(await ids(items().order('id', { ascending: false })), [4, 3, 2, 1])
    assert.deepEqual(await ids(items().order('place')), [3, 1, 4, 2])
    assert.deepEqual(await ids(items().order('place', { ascending: false })), [2, 4, 1, 3])
  })
  test('nulls first and last', async () => {
    assert.deepEqual(await ids(items().order('place', { nullsFirst: true })), [2, 3, 1, 4])
    assert.deepEqual(await ids(items().order('place', { ascending: false, nullsFirst: false })), [4, 1, 3, 2])
  })
  test('by several columns', async () => {
    assert.deepEqual(await ids(items().order('name').order('place', { ascending: false })), [2, 1, 3, 4])
  })
  test('by a value inside JSON', async () => {
    assert.deepEqual(await ids(items().order('about->n').limit(3)), [2, 3, 1])
  })
  test('by a column that is not selected, or under another name', async () => {
    assert.deepEqual(await data(supabase.from('mod_items').select('called:name').order('id').limit(1)), [{ called: 'b' }])
  })
  test('an unknown column is the error of Postgres', async () => {
    const { error, status } = await items().order('nope')
    assert.equal(status, 400)
    assert.equal(error.code, '42703')
  })
})

describe('pages', () => {
  test('limit and range', async () => {
    assert.deepEqual(await ids(items().order('id').limit(2)), [1, 2])
    assert.deepEqual(await ids(items().order('id').range(1, 2)), [2, 3])
    assert.deepEqual(await ids(items().order('id').range(3, 10)), [4])
    assert.deepEqual(await ids(items().order('id').limit(0)), [])
  })
  test('page after page with the count', async () => {
    const seen = []
    for (let from = 0; ; from += 10) {
      const answer = await supabase.from('mod_many').select('id', { count: 'exact' }).order('id').range(from, from + 9)
      assert.equal(answer.count, 25)
      assert.equal(answer.status, 206)
      seen.push(...answer.data.map((row) => row.id))
      if (seen.length >= answer.count) break
    }
    assert.deepEqual(seen, Array.from({ length: 25 }, (_, n) => n + 1))
  })
  test('beyond the end: nothing, and an error for who counts', async () => {
    assert.deepEqual(await ids(items().range(10, 20)), [])
    const { error, status } = await supabase.from('mod_items').select('id', { count: 'exact' }).range(10, 20)
    assert.equal(status, 416)
    assert.equal(error.code, 'PGRST103')
    assert.equal(error.message, 'Requested range not satisfiable')
    assert.equal(error.details, 'An offset of 10 was requested, but there are only 4 rows.')
  })
  test('the header Range', async () => {
    const answer = await fetch(`${url}/rest/v1/mod_items?select=id&order=id`, { headers: { apikey: anonKey, range: '1-2', 'range-unit': 'items' } })
    assert.equal(answer.headers.get('content-range'), '1-2/*')
    assert.deepEqual(await answer.json(), [{ id: 2 }, { id: 3 }])
  })
  test('a limit below nothing', async () => {
    const { error, status } = await items().limit(-1)
    assert.equal(status, 416)
    assert.equal(error.code, 'PGRST103')
    assert.equal(error.details, 'Limit should be greater than or equal to zero.')
  })
})

describe('one row', () => {
  test('single() brings it as an object', async () => {
    const answer = await items().eq('id', 1).single()
    assert.deepEqual(answer.data, { id: 1 })
    assert.equal(answer.status, 200)
  })
  for (const [rows, id] of [[0, 99], [2, 3]]) {
    test(`single() refuses ${rows} rows`, async () => {
      const answer = await items().lt('id', id).gt('id', id === 99 ? 90 : 0).single()
      assert.equal(answer.status, 406)
      assert.equal(answer.data, null)
      assert.deepEqual(answer.error, {
        code: 'PGRST116', details: `The result contains ${rows} rows`, hint: null, message: 'Cannot coerce the result to a single JSON object',
      })
    })
  }
  test('maybeSingle(): the row, null, or an error', async () => {
    assert.deepEqual(await data(items().eq('id', 1).maybeSingle()), { id: 1 })
    const none = await items().eq('id', 99).maybeSingle()
    assert.equal(none.error, null)
    assert.equal(none.data, null)
    const many = await items().maybeSingle()
    assert.equal(many.status, 406)
    assert.equal(many.error.code, 'PGRST116')
  })
  test('single() of a write: what it refuses did not happen', async () => {
    const made = await supabase.from('mod_items').insert({ id: 50, name: 'new' }).select('id, name').single()
    assert.deepEqual(made.data, { id: 50, name: 'new' })
    assert.equal(made.status, 201)
    const refused = await supabase.from('mod_items').update({ name: 'all' }).gte('id', 1).select().single()
    assert.equal(refused.error.code, 'PGRST116')
    assert.deepEqual((await session.query(`select id from public.mod_items where name = 'all'`)).rows, [])
    const nobody = await supabase.from('mod_items').update({ name: 'all' }).eq('id', 99).select().single()
    assert.equal(nobody.error.details, 'The result contains 0 rows')
    const gone = await supabase.from('mod_items').delete().eq('id', 50).select('name').maybeSingle()
    assert.deepEqual(gone.data, { name: 'new' })
  })
})

describe('limits to what a write may do', () => {
  test('maxAffected(): more than that and nothing happens', async () => {
    for (const asked of [supabase.from('mod_many').update({ v: 9 }).gt('id', 5), supabase.from('mod_many').delete().gt('id', 5)]) {
      const { error, status } = await asked.maxAffected(3)
      assert.equal(status, 400)
      assert.equal(error.code, 'PGRST124')
      assert.equal(error.message, 'Query result exceeds max-affected preference constraint')
      assert.equal(error.details, 'The query affects 20 rows')
    }
    const { rows: [{ n }] } = await session.query('select count(*)::int as n from public.mod_many where v is null')
    assert.equal(n, 25)
  })
  test('maxAffected(): up to that it works', async () => {
    await session.query('insert into public.mod_many (id) values (101), (102)')
    const answer = await supabase.from('mod_many').delete().gt('id', 100).maxAffected(2).select('id').order('id')
    assert.deepEqual(answer.data, [{ id: 101 }, { id: 102 }])
  })
  test('an unknown preference with strict handling is refused', async () => {
    const answer = await fetch(`${url}/rest/v1/mod_items`, { headers: { apikey: anonKey, prefer: 'handling=strict, nonsense=1' } })
    assert.equal(answer.status, 400)
    const error = await answer.json()
    assert.equal(error.code, 'PGRST122')
    assert.equal(error.details, 'Invalid preferences: nonsense=1')
  })
  test('rollback(): the answer without the deed', async () => {
    const answer = await supabase.from('mod_items').insert({ id: 70, name: 'never' }).select('name').rollback()
    assert.deepEqual(answer.data, [{ name: 'never' }])
    assert.deepEqual((await session.query('select from public.mod_items where id = 70')).rows, [])
  })
})

describe('giving up', () => {
  test('abortSignal() before and during the request', async () => {
    const before = await items().abortSignal(AbortSignal.abort())
    assert.match(before.error.message, /AbortError/)
    const control = new AbortController()
    const asked = supabase.rpc('mod_slow').abortSignal(control.signal)
    setTimeout(() => control.abort(), 200)
    const during = await asked
    assert.match(during.error.message, /AbortError/)
    assert.equal(during.data, null)
    // Nobody waits for the answer, so the database need not work on it.
    const working = () => session.query(`select from pg_stat_activity where state = 'active' and query like '%mod_slow%' and pid <> pg_backend_pid()`)
    const patience = Date.now() + 10_000
    while ((await working()).rowCount > 0) assert.ok(Date.now() < patience, 'the statement was cancelled')
  })
  test('throwOnError() throws what would have been the error', async () => {
    await assert.rejects(async () => await items().eq('nope', 1).throwOnError(), (error) => {
      assert.equal(error.name, 'PostgrestError')
      assert.equal(error.code, '42703')
      return true
    })
    assert.deepEqual((await items().eq('id', 1).throwOnError()).data, [{ id: 1 }])
  })
  test('returns() and overrideTypes() change only types', async () => {
    assert.deepEqual(await data(items().eq('id', 1).returns()), [{ id: 1 }])
    assert.deepEqual(await data(items().eq('id', 1).overrideTypes()), [{ id: 1 }])
  })
  test('a client with another limit of time', async (t) => {
    const hasty = anon(t, { db: { timeout: 200 } })
    const { error } = await hasty.rpc('mod_slow')
    assert.match(error.message, /AbortError/)
  })
})
