// select() over foreign keys: which relationship is meant, and the form of what it brings.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anon, data, ground } from './support.mjs'

await ground('emb_', `
  create table public.emb_countries (id int primary key, name text);
  create table public.emb_cities (id int primary key, name text, country_id int references emb_countries, people int);
  create table public.emb_streets (id int primary key, name text, city_id int references emb_cities);
  insert into public.emb_countries values (1, 'Peru'), (2, 'Chad'), (3, 'Empty');
  insert into public.emb_cities values (1, 'Lima', 1, 10), (2, 'Cusco', 1, 4), (3, 'Abeche', 2, 1), (4, 'Atlantis', null, null);
  insert into public.emb_streets values (1, 'First', 1), (2, 'Second', 1), (3, 'Third', 2);

  create table public.emb_users (id int primary key, name text);
  create table public.emb_teams (id int primary key, name text);
  create table public.emb_members (user_id int references emb_users, team_id int references emb_teams, since int, primary key (user_id, team_id));
  create table public.emb_messages (
    id int primary key, body text,
    sender_id int constraint emb_messages_sender references emb_users,
    receiver_id int constraint emb_messages_receiver references emb_users);
  create table public.emb_profiles (user_id int primary key references emb_users, bio text);
  create table public.emb_nodes (id int primary key, name text, parent_id int references emb_nodes);
  insert into public.emb_users values (1, 'ann'), (2, 'bob'), (3, 'eve');
  insert into public.emb_teams values (1, 'red'), (2, 'blue');
  insert into public.emb_members values (1, 1, 2001), (2, 1, 2002), (2, 2, 2003);
  insert into public.emb_messages values (1, 'hi', 1, 2), (2, 'lo', 2, 1);
  insert into public.emb_profiles values (1, 'she');
  insert into public.emb_nodes values (1, 'root', null), (2, 'leaf', 1), (3, 'twig', 1);

  create table public.emb_seats (row int, number int, name text, primary key (row, number));
  create table public.emb_tickets (id int primary key, row int, number int, foreign key (row, number) references emb_seats);
  insert into public.emb_seats values (1, 2, 'window');
  insert into public.emb_tickets values (1, 1, 2);
  create view public.emb_city_names as select id, name, country_id from public.emb_cities;
  create function public.emb_biggest(emb_countries) returns setof emb_cities rows 1 stable language sql
    as $$ select * from emb_cities where country_id = $1.id order by people desc limit 1 $$`)

const supabase = anon()
const from = (table) => supabase.from(`emb_${table}`)

describe('the form of what is embedded', () => {
  test('a row that is referenced is an object, or null', async () => {
    assert.deepEqual(await data(from('cities').select('name, emb_countries(name)').in('id', [1, 4]).order('id')), [
      { name: 'Lima', emb_countries: { name: 'Peru' } },
      { name: 'Atlantis', emb_countries: null },
    ])
  })

  test('rows that refer are a list, empty where there are none', async () => {
    assert.deepEqual(await data(from('countries').select('name, emb_cities(name)').order('id').order('id', { referencedTable: 'emb_cities' })), [
      { name: 'Peru', emb_cities: [{ name: 'Lima' }, { name: 'Cusco' }] },
      { name: 'Chad', emb_cities: [{ name: 'Abeche' }] },
      { name: 'Empty', emb_cities: [] },
    ])
  })

  test('over a join table: many to many', async () => {
    assert.deepEqual(await data(from('teams').select('name, emb_users(name)').order('id').order('id', { referencedTable: 'emb_users' })), [
      { name: 'red', emb_users: [{ name: 'ann' }, { name: 'bob' }] },
      { name: 'blue', emb_users: [{ name: 'bob' }] },
    ])
  })

  test('a reference that is unique makes one to one: an object on both sides', async () => {
    assert.deepEqual(await data(from('users').select('name, emb_profiles(bio)').lte('id', 2).order('id')), [
      { name: 'ann', emb_profiles: { bio: 'she' } },
      { name: 'bob', emb_profiles: null },
    ])
    assert.deepEqual(await data(from('profiles').select('bio, emb_users(name)')), [{ bio: 'she', emb_users: { name: 'ann' } }])
  })

  test('a key of two columns', async () => {
    assert.deepEqual(await data(from('tickets').select('id, emb_seats(name)')), [{ id: 1, emb_seats: { name: 'window' } }])
  })

  test('under another name, with all columns, in several levels', async () => {
    assert.deepEqual(await data(from('countries').select('land:name, towns:emb_cities(*, roads:emb_streets(called:name))').eq('id', 2)), [
      { land: 'Chad', towns: [{ id: 3, name: 'Abeche', country_id: 2, people: 1, roads: [] }] },
    ])
    assert.deepEqual(await data(from('streets').select('name, emb_cities(emb_countries(name))').eq('id', 3)), [
      { name: 'Third', emb_cities: { emb_countries: { name: 'Peru' } } },
    ])
  })

  test('the number of rows that refer', async () => {
    assert.deepEqual(await data(from('countries').select('name, emb_cities(count)').order('id')), [
      { name: 'Peru', emb_cities: [{ count: 2 }] },
      { name: 'Chad', emb_cities: [{ count: 1 }] },
      { name: 'Empty', emb_cities: [{ count: 0 }] },
    ])
  })

  test('spread: columns of the referenced row beside its own', async () => {
    assert.deepEqual(await data(from('cities').select('name, ...emb_countries(country:name)').in('id', [1, 4]).order('id')), [
      { name: 'Lima', country: 'Peru' },
      { name: 'Atlantis', country: null },
    ])
  })

  test('spread of many rows: a list for each column', async () => {
    assert.deepEqual(await data(from('countries').select('name, ...emb_cities(towns:name)').order('id').order('id', { referencedTable: 'emb_cities' })), [
      { name: 'Peru', towns: ['Lima', 'Cusco'] },
      { name: 'Chad', towns: ['Abeche'] },
      { name: 'Empty', towns: [] },
    ])
  })

  test('embedding nothing only joins', async () => {
    assert.deepEqual(await data(from('cities').select('name, emb_countries!inner()').eq('emb_countries.name', 'Chad')), [{ name: 'Abeche' }])
  })

  test('a view has the foreign keys of its columns', async () => {
    assert.deepEqual(await data(from('city_names').select('name, emb_countries(name)').eq('id', 3)), [{ name: 'Abeche', emb_countries: { name: 'Chad' } }])
  })

  // PostgREST embeds what a function of the row returns; here foreign keys are the only way.
  test('a computed relationship is refused, not guessed', async () => {
    const { error, status } = await from('countries').select('name, emb_biggest(name)')
    assert.equal(status, 400)
    assert.equal(error.code, 'PGRST200')
  })
})

describe('which relationship is meant', () => {
  test('two references to one table, told apart by the name of the constraint', async () => {
    assert.deepEqual(await data(from('messages').select('body, from:emb_users!emb_messages_sender(name), to:emb_users!emb_messages_receiver(name)').eq('id', 1)), [
      { body: 'hi', from: { name: 'ann' }, to: { name: 'bob' } },
    ])
  })

  test('by the column, as a hint and as the target', async () => {
    assert.deepEqual(await data(from('messages').select('from:emb_users!sender_id(name), to:receiver_id(name)').eq('id', 1)), [{ from: { name: 'ann' }, to: { name: 'bob' } }])
    assert.deepEqual(await data(from('users').select('sent:emb_messages!sender_id(body)').eq('id', 2)), [{ sent: [{ body: 'lo' }] }])
  })

  test('by the join table; !left is what is meant without !inner', async () => {
    assert.deepEqual(await data(from('teams').select('name, emb_users!emb_members(name)').eq('id', 2)), [{ name: 'blue', emb_users: [{ name: 'bob' }] }])
    assert.deepEqual(await data(from('cities').select('name, emb_countries!left(name)').eq('id', 4)), [{ name: 'Atlantis', emb_countries: null }])
  })

  test('without a hint it is ambiguous, and the answer says how to choose', async () => {
    const { error, status } = await from('messages').select('body, emb_users(name)')
    assert.equal(status, 300)
    assert.equal(error.code, 'PGRST201')
    assert.equal(error.message, "Could not embed because more than one relationship was found for 'emb_messages' and 'emb_users'")
    const ways = [
      ['emb_messages_receiver', 'receiver_id'],
      ['emb_messages_sender', 'sender_id'],
    ].map(([constraint, column]) => ({
      cardinality: 'many-to-one',
      embedding: 'emb_messages with emb_users',
      relationship: `${constraint} using emb_messages(${column}) and emb_users(id)`,
    }))
    assert.deepEqual(error.details.toSorted((a, b) => (a.relationship < b.relationship ? -1 : 1)), ways)
    assert.match(error.hint, /^Try changing 'emb_users' to one of the following: 'emb_users!emb_messages_\w+', 'emb_users!emb_messages_\w+'\. Find the desired relationship in the 'details' key\.$/)
  })

  test('a table that refers to itself: the children by its name, the parent by the column', async () => {
    assert.deepEqual(await data(from('nodes').select('name, emb_nodes(name)').eq('id', 1).order('id', { referencedTable: 'emb_nodes' })), [
      { name: 'root', emb_nodes: [{ name: 'leaf' }, { name: 'twig' }] },
    ])
    assert.deepEqual(await data(from('nodes').select('name, parent:parent_id(name)').eq('id', 2)), [{ name: 'leaf', parent: { name: 'root' } }])
    assert.deepEqual(await data(from('nodes').select('children:emb_nodes!parent_id(name)').eq('id', 2)), [{ children: [] }])
  })

  test('no relationship at all', async () => {
    const { error, status } = await from('countries').select('name, emb_users(name)')
    assert.equal(status, 400)
    assert.equal(error.code, 'PGRST200')
    assert.equal(error.message, "Could not find a relationship between 'emb_countries' and 'emb_users' in the schema cache")
    assert.equal(error.details, "Searched for a foreign key relationship between 'emb_countries' and 'emb_users' in the schema 'public', but no matches were found.")
  })

  test('a hint that fits nothing', async () => {
    const { error } = await from('cities').select('emb_countries!nonsense(name)')
    assert.equal(error.code, 'PGRST200')
    assert.equal(error.details, "Searched for a foreign key relationship between 'emb_cities' and 'emb_countries' using the hint 'nonsense' in the schema 'public', but no matches were found.")
  })
})

describe('filters, order and limits of what is embedded', () => {
  test('a filter on the referenced table leaves its row out, not the row that refers', async () => {
    assert.deepEqual(await data(from('cities').select('name, emb_countries(name)').eq('emb_countries.name', 'Chad').in('id', [1, 3]).order('id')), [
      { name: 'Lima', emb_countries: null },
      { name: 'Abeche', emb_countries: { name: 'Chad' } },
    ])
  })

  test('!inner leaves out both', async () => {
    assert.deepEqual(await data(from('cities').select('name, emb_countries!inner(name)').eq('emb_countries.name', 'Chad')), [{ name: 'Abeche', emb_countries: { name: 'Chad' } }])
    assert.deepEqual(await data(from('countries').select('name, emb_cities!inner(name)').gt('emb_cities.people', 5)), [{ name: 'Peru', emb_cities: [{ name: 'Lima' }] }])
  })

  test('!inner over two levels, with another name, a hint, and a join table', async () => {
    assert.deepEqual(await data(from('countries').select('name, towns:emb_cities!inner(emb_streets!inner(name))').eq('towns.emb_streets.name', 'Third')), [
      { name: 'Peru', towns: [{ emb_streets: [{ name: 'Third' }] }] },
    ])
    assert.deepEqual(await data(from('messages').select('body, from:emb_users!emb_messages_sender!inner(name)').eq('from.name', 'bob')), [{ body: 'lo', from: { name: 'bob' } }])
    assert.deepEqual(await data(from('teams').select('name, emb_users!inner(name)').eq('emb_users.name', 'ann')), [{ name: 'red', emb_users: [{ name: 'ann' }] }])
  })

  test('count exact counts what !inner leaves', async () => {
    assert.equal((await from('cities').select('name, emb_countries!inner(name)', { count: 'exact' }).eq('emb_countries.name', 'Peru')).count, 2)
    assert.equal((await from('cities').select('name, emb_countries!inner(name)', { count: 'exact', head: true })).count, 3)
  })

  test('rows with and without a partner', async () => {
    assert.deepEqual(await data(from('countries').select('name, emb_cities()').is('emb_cities', null)), [{ name: 'Empty' }])
    assert.deepEqual(await data(from('cities').select('name, emb_countries()').not('emb_countries', 'is', null).eq('id', 4)), [])
  })

  test('order, limit and range of a list', async () => {
    const lists = (asked) => asked.select('name, emb_cities(name)').eq('id', 1)
    assert.deepEqual(await data(lists(from('countries')).order('name', { referencedTable: 'emb_cities' })), [{ name: 'Peru', emb_cities: [{ name: 'Cusco' }, { name: 'Lima' }] }])
    assert.deepEqual(await data(lists(from('countries')).order('people', { referencedTable: 'emb_cities', ascending: false }).limit(1, { referencedTable: 'emb_cities' })), [{ name: 'Peru', emb_cities: [{ name: 'Lima' }] }])
    assert.deepEqual(await data(lists(from('countries')).order('people', { referencedTable: 'emb_cities', ascending: false }).range(1, 1, { referencedTable: 'emb_cities' })), [{ name: 'Peru', emb_cities: [{ name: 'Cusco' }] }])
  })

  test('the outer order by a column of the referenced row', async () => {
    assert.deepEqual(await data(from('cities').select('name, emb_countries(name)').lte('id', 3).order('emb_countries(name)').order('name')), [
      { name: 'Abeche', emb_countries: { name: 'Chad' } },
      { name: 'Cusco', emb_countries: { name: 'Peru' } },
      { name: 'Lima', emb_countries: { name: 'Peru' } },
    ])
    const { error, status } = await from('countries').select('name, emb_cities(name)').order('emb_cities(name)')
    assert.equal(status, 400)
    assert.equal(error.code, 'PGRST118')
  })

  test('or() within the referenced table', async () => {
    assert.deepEqual(await data(from('countries').select('name, emb_cities(name)').eq('id', 1).or('people.gt.5,name.eq.Cusco', { referencedTable: 'emb_cities' }).order('id', { referencedTable: 'emb_cities' })), [
      { name: 'Peru', emb_cities: [{ name: 'Lima' }, { name: 'Cusco' }] },
    ])
    assert.deepEqual(await data(from('countries').select('name, emb_cities!inner(name)').or('people.gt.5,name.eq.Abeche', { referencedTable: 'emb_cities' }).order('id')), [
      { name: 'Peru', emb_cities: [{ name: 'Lima' }] },
      { name: 'Chad', emb_cities: [{ name: 'Abeche' }] },
    ])
  })

  test('a filter on a table that is not embedded is refused', async () => {
    const { error, status } = await from('cities').select('name').eq('emb_countries.name', 'Peru')
    assert.equal(status, 400)
    assert.equal(error.code, 'PGRST108')
    assert.equal(error.message, "'emb_countries' is not an embedded resource in this request")
    assert.equal(error.hint, "Verify that 'emb_countries' is included in the 'select' query parameter.")
  })
})

test('what a write returns can embed as well', async () => {
  const made = await data(from('streets').insert({ id: 90, name: 'Ninth', city_id: 3 }).select('name, emb_cities(name, emb_countries(name))').single())
  assert.deepEqual(made, { name: 'Ninth', emb_cities: { name: 'Abeche', emb_countries: { name: 'Chad' } } })
  assert.deepEqual(await data(from('streets').update({ city_id: 2 }).eq('id', 90).select('name, emb_cities(name)')), [{ name: 'Ninth', emb_cities: { name: 'Cusco' } }])
  assert.deepEqual(await data(from('streets').delete().eq('id', 90).select('emb_cities(name)')), [{ emb_cities: { name: 'Cusco' } }])
})
