// select(): which columns of which rows, under which names, and how many there are.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anon, anonKey, data, ground, url } from './support.mjs'

await ground('sel_', `
  create table public.sel_heroes (
    id int primary key, name text not null, age int, address jsonb, tags jsonb, born date);
  insert into public.sel_heroes values
    (1, 'Luke', 23, '{"city": "Mos Eisley", "geo": {"lat": 1.5}, "zip code": "T1"}', '["pilot", "jedi"]', '2001-02-03'),
    (2, 'Leia', 23, '{"city": "Aldera"}', '["general"]', '2001-02-03'),
    (3, 'Han', null, null, null, null);
  create function public.sel_title(sel_heroes) returns text stable language sql as $$ select 'Hero ' || $1.name $$;
  create table public.sel_empty (id int primary key, note text)`)

const supabase = anon()

describe('columns', () => {
  test('select() without a list brings all columns, and the whole answer is what the client promises', async () => {
    const answer = await supabase.from('sel_heroes').select().eq('id', 1)
    assert.deepEqual(answer.data, [{
      id: 1, name: 'Luke', age: 23, born: '2001-02-03', tags: ['pilot', 'jedi'],
      address: { city: 'Mos Eisley', geo: { lat: 1.5 }, 'zip code': 'T1' },
    }])
    assert.equal(answer.error, null)
    assert.equal(answer.count, null)
    assert.equal(answer.status, 200)
    assert.equal(answer.statusText, 'OK')
  })

  test('only the columns that were asked for, in the order of the list', async () => {
    const rows = await data(supabase.from('sel_heroes').select('name, id').order('id'))
    assert.deepEqual(rows, [{ name: 'Luke', id: 1 }, { name: 'Leia', id: 2 }, { name: 'Han', id: 3 }])
    assert.deepEqual(Object.keys(rows[0]), ['name', 'id'])
  })

  test('white space in the list, and a list over several lines', async () => {
    assert.deepEqual(await data(supabase.from('sel_heroes').select(`
      id,
      called: name
    `).eq('id', 3)), [{ id: 3, called: 'Han' }])
  })

  test('a column under another name, twice under two', async () => {
    assert.deepEqual(await data(supabase.from('sel_heroes').select('title:name, other:name').eq('id', 1)), [{ title: 'Luke', other: 'Luke' }])
  })

  test('a cast, with and without another name', async () => {
    assert.deepEqual(await data(supabase.from('sel_heroes').select('age::text, years:age::float8, born::text').eq('id', 1)), [{ age: '23', years: 23, born: '2001-02-03' }])
  })

  test('a star beside more columns', async () => {
    const [row] = await data(supabase.from('sel_heroes').select('*, title:name').eq('id', 3))
    assert.deepEqual(row, { id: 3, name: 'Han', age: null, address: null, tags: null, born: null, title: 'Han' })
  })

  test('a computed column: a function of the row', async () => {
    assert.deepEqual(await data(supabase.from('sel_heroes').select('id, sel_title').eq('id', 2)), [{ id: 2, sel_title: 'Hero Leia' }])
    assert.deepEqual(await data(supabase.from('sel_heroes').select('id').eq('sel_title', 'Hero Han')), [{ id: 3 }])
  })

  test('an empty list brings rows without columns', async () => {
    const answer = await fetch(`${url}/rest/v1/sel_heroes?select=&id=eq.1`, { headers: { apikey: anonKey } })
    assert.equal(answer.status, 200)
    assert.deepEqual(await answer.json(), [{}])
  })
})

describe('inside JSON', () => {
  test('-> brings JSON, ->> text, each named after its last key', async () => {
    assert.deepEqual(await data(supabase.from('sel_heroes').select('id, address->city, address->geo').eq('id', 1)), [{ id: 1, city: 'Mos Eisley', geo: { lat: 1.5 } }])
    assert.deepEqual(await data(supabase.from('sel_heroes').select('address->geo->>lat').eq('id', 1)), [{ lat: '1.5' }])
  })

  test('under another name and cast', async () => {
    assert.deepEqual(await data(supabase.from('sel_heroes').select('town:address->>city, lat:address->geo->>lat::float8').eq('id', 1)), [{ town: 'Mos Eisley', lat: 1.5 }])
  })

  test('an element of an array, from either end; it is named after the column', async () => {
    assert.deepEqual(await data(supabase.from('sel_heroes').select('tags->0').eq('id', 1)), [{ tags: 'pilot' }])
    assert.deepEqual(await data(supabase.from('sel_heroes').select('last:tags->>-1').eq('id', 1)), [{ last: 'jedi' }])
  })

  test('a key with a space', async () => {
    assert.deepEqual(await data(supabase.from('sel_heroes').select('zip:address->>"zip code"').eq('id', 1)), [{ zip: 'T1' }])
  })

  test('what is not there is null', async () => {
    assert.deepEqual(await data(supabase.from('sel_heroes').select('address->nowhere->deep').eq('id', 1)), [{ deep: null }])
  })
})

describe('how many', () => {
  test('count exact beside all rows', async () => {
    const answer = await supabase.from('sel_heroes').select('id', { count: 'exact' })
    assert.equal(answer.count, 3)
    assert.equal(answer.data.length, 3)
    assert.equal(answer.status, 200)
  })

  test('count exact counts what a limit leaves out, and the answer says that it is a part', async () => {
    const answer = await supabase.from('sel_heroes').select('id', { count: 'exact' }).order('id').limit(1)
    assert.deepEqual(answer.data, [{ id: 1 }])
    assert.equal(answer.count, 3)
    assert.equal(answer.status, 206)
  })

  test('count exact counts what filters leave', async () => {
    assert.equal((await supabase.from('sel_heroes').select('*', { count: 'exact' }).eq('age', 23)).count, 2)
  })

  test('head: the number without the rows', async () => {
    const answer = await supabase.from('sel_heroes').select('*', { count: 'exact', head: true })
    assert.equal(answer.error, null)
    assert.equal(answer.data, null)
    assert.equal(answer.count, 3)
    assert.equal(answer.status, 200)
  })

  test('the count of nothing is 0', async () => {
    const answer = await supabase.from('sel_empty').select('*', { count: 'exact' })
    assert.deepEqual(answer.data, [])
    assert.equal(answer.count, 0)
    assert.equal(answer.status, 200)
  })

  test('the header says which rows these are', async () => {
    const answer = await fetch(`${url}/rest/v1/sel_heroes?select=id&order=id&limit=2&offset=1`, { headers: { apikey: anonKey, prefer: 'count=exact' } })
    assert.equal(answer.headers.get('content-range'), '1-2/3')
    const uncounted = await fetch(`${url}/rest/v1/sel_heroes?select=id`, { headers: { apikey: anonKey } })
    assert.equal(uncounted.headers.get('content-range'), '0-2/*')
    const none = await fetch(`${url}/rest/v1/sel_empty`, { headers: { apikey: anonKey } })
    assert.equal(none.headers.get('content-range'), '*/*')
    for (const { headers } of [answer, uncounted, none]) assert.equal(headers.get('content-type'), 'application/json; charset=utf-8')
  })

  test('the number as a column, which is how it was asked for before there were aggregates', async () => {
    assert.deepEqual(await data(supabase.from('sel_heroes').select('count')), [{ count: 3 }])
    assert.deepEqual(await data(supabase.from('sel_heroes').select('count').eq('age', 23).single()), { count: 2 })
  })

  for (const count of ['planned', 'estimated']) {
    test(`count ${count} is a number`, async () => {
      const answer = await supabase.from('sel_heroes').select('id', { count })
      assert.equal(answer.error, null)
      assert.equal(typeof answer.count, 'number')
      assert.equal(answer.data.length, 3)
    })
  }
})

describe('aggregates, which are off as in the stack', () => {
  for (const list of ['age.sum()', 'count()', 'name, age.avg()', 'oldest:age.max()']) {
    test(`select('${list}') is refused`, async () => {
      const { error, status } = await supabase.from('sel_heroes').select(list)
      assert.equal(status, 400)
      assert.equal(error.code, 'PGRST123')
      assert.equal(error.message, 'Use of aggregate functions is not allowed')
    })
  }
})

describe('other forms', () => {
  test('csv: a line of names, then the rows; text with commas and quotes is quoted', async () => {
    const answer = await supabase.from('sel_heroes').select('id, name, tags').lte('id', 2).order('id').csv()
    assert.equal(answer.error, null)
    assert.equal(answer.data, 'id,name,tags\n1,Luke,"[""pilot"", ""jedi""]"\n2,Leia,"[""general""]"')
  })

  test('stripNulls leaves out what is null', async () => {
    assert.deepEqual(await data(supabase.from('sel_heroes').select().eq('id', 3).stripNulls()), [{ id: 3, name: 'Han' }])
    assert.deepEqual(await data(supabase.from('sel_heroes').select().eq('id', 3).single().stripNulls()), { id: 3, name: 'Han' })
  })

  test('a form that nobody makes here is refused, not guessed', async () => {
    const { error, status, data: nothing } = await supabase.from('sel_heroes').select().geojson()
    assert.equal(nothing, null)
    assert.equal(status, 406)
    assert.equal(error.code, 'PGRST107')
    const plan = await supabase.from('sel_heroes').select().explain()
    assert.equal(plan.data, null)
    assert.equal(plan.status, 406)
    assert.equal(plan.error.code, 'PGRST107')
  })
})
