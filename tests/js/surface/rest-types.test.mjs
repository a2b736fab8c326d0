// Values and names of every kind: in, out, and in filters.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anon, anonKey, data, ground, url } from './support.mjs'

const session = await ground('typ_', `
  create type public.typ_mood as enum ('sad', 'ok', 'happy');
  create type public.typ_point as (x int, y text);
  create domain public.typ_positive as int check (value > 0);
  create table public.typ_values (
    id int primary key, big int8, num numeric, double float8, small int2, yes bool, t text, c varchar(5), j json, b jsonb,
    u uuid, day date, clock time, stamp timestamp, moment timestamptz, gap interval, raw bytea, mood typ_mood,
    point typ_point, positive typ_positive, ints int[], texts text[], grid int[][], points typ_point[], moods typ_mood[],
    span int4range, spans int4multirange, days daterange, address inet, cash money, words tsvector, bits bit(3));
  create table public."typ_Weird Table" ("Full Name" text, "a.b" int, "имя" text, "quo""te" int, "select" int, "x,y" int, "(p)" int, id int primary key);
  insert into public."typ_Weird Table" values ('Ann Lee', 1, 'Аня', 2, 3, 4, 5, 1), ('Bob', 10, 'Боб', 20, 30, 40, 50, 2);
  create table public."typ_таблица" (id int primary key, "значение" text)`)

const supabase = anon()
const values = () => supabase.from('typ_values')
let id = 0
/** Writes a value into a column and reads it back. */
async function through(column, value) {
  const row = await data(values().insert({ id: ++id, [column]: value }).select(column).single())
  const again = await data(values().select(column).eq('id', id).single())
  assert.deepEqual(again, row)
  return row[column]
}

describe('values go in and come back', () => {
  for (const [column, value] of [
    ['small', -32768], ['num', 1.5], ['double', 0.1], ['yes', false], ['t', ''], ['t', ' spaces\n\ttabs "quotes" \\ \' 💚 é'],
    ['c', 'abcde'], ['j', { b: 1, a: [null] }], ['b', [{ deep: { er: true } }]], ['b', 'text'], ['b', 12.5],
    ['u', '00000000-0000-4000-8000-00000000000a'], ['day', '2024-02-29'], ['clock', '23:59:59.5'],
    ['stamp', '2024-02-29T12:00:00.123456'], ['gap', '1 day 02:00:00'], ['raw', '\\x68690a00ff'], ['mood', 'happy'],
    ['point', { x: 1, y: 'a, "b"' }], ['positive', 3], ['ints', [1, null, 3]], ['ints', []],
    ['texts', ['a,b', '{c}', '"d"', 'NULL', '', null]], ['grid', [[1, 2], [3, 4]]], ['points', [{ x: 1, y: null }]],
    ['moods', ['sad', 'ok']], ['span', '[1,5)'], ['span', 'empty'], ['spans', '{[1,3),[5,8)}'], ['days', '[2024-01-01,2024-02-01)'],
    ['address', '10.0.0.1'], ['words', "'cat':1 'fat':2"], ['bits', '101'], ['t', null],
  ]) {
    test(`${column}: ${JSON.stringify(value)}`, async () => assert.deepEqual(await through(column, value), value))
  }
  test('what Postgres writes in its own way', async () => {
    assert.equal(await through('moment', '2024-02-29T12:00:00+02:00'), '2024-02-29T10:00:00+00:00')
    assert.equal(await through('moment', '2024-02-29T12:00:00.5Z'), '2024-02-29T12:00:00.5+00:00')
    assert.equal(await through('span', '[1,5]'), '[1,6)')
    assert.equal(await through('cash', '1234.5'), '$1,234.50')
    assert.equal(await through('double', 'NaN'), 'NaN')
    assert.equal(await through('day', 'infinity'), 'infinity')
    assert.equal(await through('texts', '{x,y}').then((list) => list.length), 2)
    assert.equal(await through('num', '12.50'), 12.5)
  })
  test('numbers that JavaScript cannot hold: all digits are on the wire, and as text', async () => {
    const big = '9007199254740993'
    await data(values().insert({ id: ++id, big, num: '1234567890123456789.000000001' }))
    const answer = await fetch(`${url}/rest/v1/typ_values?select=big,num&id=eq.${id}`, { headers: { apikey: anonKey } })
    assert.equal(await answer.text(), `[{"big":${big},"num":1234567890123456789.000000001}]`)
    assert.deepEqual(await data(values().select('big::text').eq('big', big)), [{ big }])
    assert.deepEqual(await data(values().select('id').eq('big', 9007199254740993n)), [{ id }])
  })
  test('the order of keys: json keeps it, jsonb does not', async () => {
    await session.query(`insert into public.typ_values (id, j, b) values (${++id}, '{"b":1,"a":2}', '{"b":1,"a":2}')`)
    const answer = await fetch(`${url}/rest/v1/typ_values?select=j,b&id=eq.${id}`, { headers: { apikey: anonKey } })
    assert.equal(await answer.text(), '[{"j":{"b":1,"a":2},"b":{"a": 2, "b": 1}}]')
  })
})

describe('values that do not fit', () => {
  for (const [column, value, code] of [
    ['big', '9223372036854775808', '22003'], ['small', 70000, '22003'], ['u', 'nope', '22P02'], ['mood', 'angry', '22P02'],
    ['c', 'too long', '22001'], ['day', '2024-02-30', '22008'], ['positive', -1, '23514'], ['yes', 'perhaps', '22P02'],
    ['ints', 'nope', '22P02'], ['t', 'a\u0000b', '22P05'],
  ]) {
    test(`${column}: ${JSON.stringify(value)} is ${code}`, async () => {
      const { error, status } = await values().insert({ id: ++id, [column]: value })
      assert.equal(status, 400)
      assert.equal(error.code, code)
    })
  }
  test('in a filter', async () => {
    for (const [column, value, code] of [['u', 'nope', '22P02'], ['mood', 'angry', '22P02'], ['moment', 'someday', '22007'], ['big', '1e99', '22P02']]) {
      const { error, status } = await values().select().eq(column, value)
      assert.equal(status, 400)
      assert.equal(error.code, code, column)
    }
  })
})

describe('filters by value', () => {
  test('of each kind', async () => {
    const row = {
      id: 1000, big: '77', yes: true, u: '00000000-0000-4000-8000-0000000000ff', day: '1999-12-31', moment: '1999-12-31T23:59:59Z',
      mood: 'sad', gap: '3 hours', raw: '\\xbeef', address: '10.9.8.7', ints: [7, 8], span: '[70,80)', clock: '07:07:07',
    }
    await data(values().insert(row))
    const ids = async (asked) => (await data(asked)).map((found) => found.id)
    for (const column of ['big', 'u', 'day', 'moment', 'gap', 'raw', 'address', 'span', 'clock']) {
      assert.deepEqual(await ids(values().select('id').eq(column, row[column])), [1000], column)
    }
    assert.deepEqual(await ids(values().select('id').eq('ints', '{7,8}')), [1000])
    assert.deepEqual(await ids(values().select('id').eq('mood', 'sad')), [1000])
    assert.deepEqual(await ids(values().select('id').lt('mood', 'ok')), [1000])
    await data(values().insert({ id: 1001, point: { x: 5, y: 'a, "b"!' } }))
    assert.deepEqual(await ids(values().select('id').eq('point->>y', 'a, "b"!')), [1001])
    assert.deepEqual(await data(values().select('point->x').eq('point->>x', 5)), [{ x: 5 }])
  })
})

describe('names that have to be quoted', () => {
  const weird = () => supabase.from('typ_Weird Table')
  test('of tables and columns', async () => {
    assert.deepEqual(await data(weird().select('"Full Name", "a.b", имя, select, "x,y", "(p)", "quo\\"te"').eq('id', 1)), [
      { 'Full Name': 'Ann Lee', 'a.b': 1, имя: 'Аня', 'quo"te': 2, select: 3, 'x,y': 4, '(p)': 5 },
    ])
    assert.deepEqual(await data(weird().select('*').eq('id', 2)), [
      { 'Full Name': 'Bob', 'a.b': 10, имя: 'Боб', 'quo"te': 20, select: 30, 'x,y': 40, '(p)': 50, id: 2 },
    ])
  })
  test('in filters and order', async () => {
    const ids = async (filter) => (await data(filter(weird().select('id')))).map((row) => row.id)
    assert.deepEqual(await ids((q) => q.eq('Full Name', 'Ann Lee')), [1])
    assert.deepEqual(await ids((q) => q.eq('"a.b"', 10)), [2])
    assert.deepEqual(await ids((q) => q.eq('имя', 'Боб')), [2])
    assert.deepEqual(await ids((q) => q.eq('"x,y"', 4)), [1])
    assert.deepEqual(await ids((q) => q.or('"a.b".eq.1,"x,y".eq.40')), [1, 2])
    assert.deepEqual(await ids((q) => q.order('"a.b"', { ascending: false })), [2, 1])
    assert.deepEqual(await ids((q) => q.order('Full Name')), [1, 2])
  })
  test('in writes', async () => {
    const row = { id: 3, 'Full Name': 'Eve', 'a.b': 7, имя: 'Ева', 'x,y': 8, '(p)': 9 }
    assert.deepEqual(await data(weird().insert(row).select('id, "Full Name", "a.b", имя, "x,y", "(p)"').single()), row)
    assert.deepEqual(await data(weird().insert([{ id: 4, 'Full Name': 'x' }]).select('id')), [{ id: 4 }])
    assert.deepEqual(await data(weird().update({ 'a.b': 70 }).eq('Full Name', 'Eve').select('"a.b"')), [{ 'a.b': 70 }])
    await data(weird().delete().gt('id', 2))
  })
  test('under names of any script', async () => {
    assert.deepEqual(await data(weird().select('"Wie heißt du?":имя').eq('id', 1)), [{ 'Wie heißt du?': 'Аня' }])
    await data(supabase.from('typ_таблица').insert({ id: 1, значение: 'да' }))
    assert.deepEqual(await data(supabase.from('typ_таблица').select('значение').eq('значение', 'да')), [{ значение: 'да' }])
  })
})
