// Every filter of the client, over values that have something that could be misread.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anon, anonKey, ground, url } from './support.mjs'

await ground('fil_', `
  create table public.fil_items (
    id int primary key, name text, price numeric, good boolean, at timestamptz,
    tags text[], about jsonb, span int4range, during tstzrange, words tsvector);
  insert into public.fil_items values
    (1, 'Apple pie', 1.5, true, '2024-01-01 10:00+00', '{sweet,round}', '{"kind": "cake", "size": {"cm": 20}}', '[1,5)', '[2024-01-01 00:00+00,2024-01-02 00:00+00)', to_tsvector('english', 'The fat cat ate rats')),
    (2, 'apple, sour', 2.5, false, '2024-02-01 10:00+00', '{sour}', '{"kind": "fruit"}', '[5,9)', '[2024-01-02 00:00+00,2024-01-03 00:00+00)', to_tsvector('english', 'A cat sat on the mat')),
    (3, 'Pear (ripe)', 3.5, null, '2024-03-01 10:00+00', '{}', '{"kind": null}', 'empty', null, to_tsvector('english', 'Dogs bark')),
    (4, null, null, null, null, null, null, null, null, null),
    (5, '100%_"sure"', -1, true, '2024-05-01 10:00+00', '{"a,b","c\\"d"}', '[1, 2, 3]', '[20,30)', null, to_tsvector('english', 'fat rats'))`)

const supabase = anon()
/** The ids of what a filter leaves. */
async function ids(filter, table = 'fil_items') {
  const { data, error } = await filter(supabase.from(table).select('id')).order('id')
  assert.equal(error, null)
  return data.map((row) => row.id)
}
/** Says what each filter leaves. */
const leaves = (what, cases) => test(what, async () => {
  for (const [filter, expected] of cases) assert.deepEqual(await ids(filter), expected, `${filter}`)
})

describe('comparisons', () => {
  leaves('eq and neq; null is neither', [
    [(q) => q.eq('id', 2), [2]],
    [(q) => q.eq('name', 'Apple pie'), [1]],
    [(q) => q.eq('price', 2.5), [2]],
    [(q) => q.eq('good', true), [1, 5]],
    [(q) => q.neq('name', 'Apple pie'), [2, 3, 5]],
  ])
  leaves('gt, gte, lt, lte', [
    [(q) => q.gt('price', 2.5), [3]],
    [(q) => q.gte('price', 2.5), [2, 3]],
    [(q) => q.lt('price', 0), [5]],
    [(q) => q.lte('price', '1.5'), [1, 5]],
    [(q) => q.gte('at', '2024-02-01T10:00:00+00:00').lt('at', '2024-03-01T10:00:00Z'), [2]],
    [(q) => q.gt('at', '2024-03-01T12:00:00+02:00'), [5]],
  ])
  leaves('is: null, true, false', [
    [(q) => q.is('name', null), [4]],
    [(q) => q.is('good', true), [1, 5]],
    [(q) => q.is('good', false), [2]],
    [(q) => q.not('name', 'is', null), [1, 2, 3, 5]],
    [(q) => q.filter('good', 'is', 'unknown'), [3, 4]],
    [(q) => q.filter('good', 'is', 'not_null'), [1, 2, 5]],
  ])
  leaves('isDistinct: null is a value', [
    [(q) => q.isDistinct('name', 'Apple pie'), [2, 3, 4, 5]],
  ])
  leaves('in and notIn, with commas, parentheses and quotes in the values', [
    [(q) => q.in('id', [1, 3, 99]), [1, 3]],
    [(q) => q.in('name', ['apple, sour', 'Pear (ripe)']), [2, 3]],
    [(q) => q.in('name', ['100%_"sure"']), [5]],
    [(q) => q.filter('name', 'in', '("100%_\\"sure\\"","Apple pie")'), [1, 5]],
    [(q) => q.notIn('id', [1, 2]), [3, 4, 5]],
    [(q) => q.notIn('name', ['apple, sour']), [1, 3, 5]],
    [(q) => q.in('id', []), []],
  ])
})

describe('patterns', () => {
  leaves('like and ilike; * is % as well', [
    [(q) => q.like('name', 'Apple%'), [1]],
    [(q) => q.like('name', '*apple*'), [2]],
    [(q) => q.ilike('name', '%APPLE%'), [1, 2]],
    [(q) => q.like('name', '100\\%%'), [5]],
    [(q) => q.like('name', '____ (ripe)'), [3]],
    [(q) => q.not('name', 'like', '%p%'), [5]],
  ])
  leaves('all or any of several', [
    [(q) => q.likeAllOf('name', ['%pp%', '%pie%']), [1]],
    [(q) => q.likeAnyOf('name', ['Apple%', 'Pear%']), [1, 3]],
    [(q) => q.ilikeAllOf('name', ['%PP%', '%SOUR%']), [2]],
    [(q) => q.ilikeAnyOf('name', ['apple%', 'pear%']), [1, 2, 3]],
    [(q) => q.filter('id', 'eq(any)', '{1,2}'), [1, 2]],
    [(q) => q.filter('id', 'gt(all)', '{1,2}'), [3, 4, 5]],
  ])
  leaves('regular expressions', [
    [(q) => q.regexMatch('name', '^A'), [1]],
    [(q) => q.regexIMatch('name', '^a.*(pie|sour)$'), [1, 2]],
  ])
})

describe('arrays, JSON and ranges', () => {
  leaves('contains', [
    [(q) => q.contains('tags', ['sweet']), [1]],
    [(q) => q.contains('tags', ['"a,b"']), [5]],
    [(q) => q.contains('about', { kind: 'cake' }), [1]],
    [(q) => q.contains('about', { size: { cm: 20 } }), [1]],
    [(q) => q.contains('about', '[1,3]'), [5]],
    [(q) => q.contains('span', '[2,3)'), [1]],
    [(q) => q.contains('during', '[2024-01-01T05:00:00Z,2024-01-01T06:00:00Z]'), [1]],
  ])
  leaves('containedBy', [
    [(q) => q.containedBy('tags', ['sweet', 'round', 'big']), [1, 3]],
    [(q) => q.containedBy('about', { kind: 'fruit', more: 1 }), [2]],
    [(q) => q.containedBy('span', '[0,10)'), [1, 2, 3]],
  ])
  leaves('overlaps', [
    [(q) => q.overlaps('tags', ['sour', 'sweet']), [1, 2]],
    [(q) => q.overlaps('span', '[4,6)'), [1, 2]],
  ])
  leaves('ranges beside ranges', [
    [(q) => q.rangeGt('span', '[1,5)'), [2, 5]],
    [(q) => q.rangeGte('span', '[5,6)'), [2, 5]],
    [(q) => q.rangeLt('span', '[10,11)'), [1, 2]],
    [(q) => q.rangeLte('span', '[3,9)'), [1, 2]],
    [(q) => q.rangeAdjacent('span', '[9,10)'), [2]],
  ])
  leaves('inside JSON', [
    [(q) => q.eq('about->>kind', 'cake'), [1]],
    [(q) => q.eq('about->size->cm', 20), [1]],
    [(q) => q.gt('about->size->>cm', '1'), [1]],
    [(q) => q.is('about->>kind', null), [3, 4, 5]],
    [(q) => q.eq('about->0', 1), [5]],
    [(q) => q.in('about->>kind', ['cake', 'fruit']), [1, 2]],
  ])
})

describe('full text', () => {
  leaves('the four ways to ask, with and without a language', [
    [(q) => q.textSearch('words', "'fat' & 'cat'"), [1]],
    [(q) => q.textSearch('words', 'fat | mat', { config: 'english' }), [1, 2, 5]],
    [(q) => q.textSearch('words', 'fat rat', { type: 'plain', config: 'english' }), [1, 5]],
    [(q) => q.textSearch('words', 'fat rats', { type: 'phrase', config: 'english' }), [5]],
    [(q) => q.textSearch('words', 'cat -mat', { type: 'websearch', config: 'english' }), [1]],
    [(q) => q.textSearch('words', '"fat cat" or dogs', { type: 'websearch', config: 'english' }), [1, 3]],
    [(q) => q.not('words', 'fts(english)', 'cat'), [3, 5]],
  ])
  leaves('text and JSON columns are turned into words', [
    [(q) => q.textSearch('name', 'pies', { config: 'english' }), [1]],
    [(q) => q.textSearch('about', 'cakes', { config: 'english' }), [1]],
  ])
})

describe('together', () => {
  leaves('match, and one filter after another', [
    [(q) => q.match({ good: true, price: 1.5 }), [1]],
    [(q) => q.match({ id: 5, name: '100%_"sure"' }), [5]],
    [(q) => q.gt('id', 1).lt('id', 4).neq('id', 2), [3]],
  ])
  leaves('not', [
    [(q) => q.not('id', 'in', '(1,2,3)'), [4, 5]],
    [(q) => q.not('price', 'gt', 2), [1, 5]],
    [(q) => q.not('tags', 'cs', '{sweet}'), [2, 3, 5]],
  ])
  leaves('or, with and, not, nesting, lists and quotes', [
    [(q) => q.or('id.eq.1,id.eq.3'), [1, 3]],
    [(q) => q.or('id.eq.1,and(id.gt.3,price.is.null)'), [1, 4]],
    [(q) => q.or('id.in.(1,2),name.eq."Pear (ripe)"'), [1, 2, 3]],
    [(q) => q.or('name.eq."100%_\\"sure\\"",name.in.("apple, sour",x)'), [2, 5]],
    [(q) => q.or('not.and(id.gte.2,id.lte.4),id.not.neq.4'), [1, 4, 5]],
    [(q) => q.or('and(good.is.true,or(id.eq.1,price.lt.0)),tags.cs.{sour}'), [1, 2, 5]],
    [(q) => q.or('price.gt.3,about->>kind.eq.cake').eq('id', 1), [1]],
    [(q) => q.or('id.lt.3').or('id.gt.1'), [2]],
    [(q) => q.or('span.ov."[4,6)",id.eq.4'), [1, 2, 4]],
    [(q) => q.or('name.ilike.*APPLE*,words.wfts(english).dogs'), [1, 2, 3]],
  ])
  test('and at the top, and its negation', async () => {
    for (const [query, expected] of [['and=(id.gt.1,id.lt.4)', [2, 3]], ['not.and=(id.gt.1,id.lt.4)', [1, 4, 5]], ['not.or=(id.eq.1,id.eq.2)', [3, 4, 5]]]) {
      const answer = await fetch(`${url}/rest/v1/fil_items?select=id&order=id&${query}`, { headers: { apikey: anonKey } })
      assert.deepEqual((await answer.json()).map((row) => row.id), expected, query)
    }
  })
})

describe('values that look like something else', () => {
  leaves('are only values', [
    [(q) => q.eq('name', '100%_"sure"'), [5]],
    [(q) => q.eq('name', "'; drop table fil_items; --"), []],
    [(q) => q.eq('name', 'eq.Apple pie'), []],
    [(q) => q.eq('name', 'null'), []],
    [(q) => q.eq('name', '$1'), []],
    [(q) => q.eq('name', ''), []],
    [(q) => q.in('name', ["') or true --"]), []],
    [(q) => q.like('name', "%' or '1'='1"), []],
  ])
})
