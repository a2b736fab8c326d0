// What goes wrong: the status, the code, and the words that tell what to do.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anon, anonKey, asUser, ann, client, data, fresh, ground, mint, service, url } from './support.mjs'

const session = await ground('err_', `
  create table public.err_parents (id int primary key, name text not null unique, price int check (price > 0));
  create table public.err_children (id int primary key, parent_id int references err_parents);
  insert into public.err_parents values (1, 'one', 1);
  insert into public.err_children values (1, 1);
  create table public.err_secret (id int primary key);
  create function public.err_raise(code text) returns void language plpgsql as $$
    begin raise exception 'no luck' using errcode = code, detail = 'why', hint = 'what to do'; end $$;
  create function public.err_pay() returns void language plpgsql as $$
    begin raise sqlstate 'PT402' using message = 'Payment Required', detail = 'Quota exceeded', hint = 'Upgrade your plan'; end $$;
  create function public.err_own() returns void language plpgsql as $$
    begin raise sqlstate 'PGRST' using
      message = '{"code":"123","message":"Payment Required","details":"Quota exceeded","hint":"Upgrade your plan"}',
      detail = '{"status":402,"headers":{"X-Powered-By":"Nerd Rage"}}'; end $$;
  create function public.err_divide(a int, b int) returns int immutable language sql as $$ select a / b $$;
  create function public.err_hidden() returns int immutable language sql as $$ select 1 $$`)
await session.query(`revoke all on public.err_secret from anon, authenticated;
  revoke execute on function public.err_hidden from public, anon, authenticated`)

const supabase = anon()
const parents = () => supabase.from('err_parents')
/** The request fails exactly so. */
async function fails(asked, status, error) {
  const answer = await asked
  assert.equal(answer.data, null)
  assert.deepEqual(answer.error && { ...answer.error }, error)
  assert.equal(answer.status, status)
}

describe('constraints', () => {
  test('unique', () => fails(parents().insert({ id: 1, name: 'two' }), 409, {
    code: '23505', message: 'duplicate key value violates unique constraint "err_parents_pkey"', details: 'Key (id)=(1) already exists.', hint: null,
  }))
  test('foreign key, from both sides', async () => {
    await fails(supabase.from('err_children').insert({ id: 2, parent_id: 9 }), 409, {
      code: '23503',
      message: 'insert or update on table "err_children" violates foreign key constraint "err_children_parent_id_fkey"',
      details: 'Key (parent_id)=(9) is not present in table "err_parents".',
      hint: null,
    })
    await fails(parents().delete().eq('id', 1), 409, {
      code: '23503',
      message: 'update or delete on table "err_parents" violates foreign key constraint "err_children_parent_id_fkey" on table "err_children"',
      details: 'Key (id)=(1) is still referenced from table "err_children".',
      hint: null,
    })
  })
  test('not null', () => fails(parents().insert({ id: 3 }), 400, {
    code: '23502', message: 'null value in column "name" of relation "err_parents" violates not-null constraint', details: 'Failing row contains (3, null, null).', hint: null,
  }))
  test('check', () => fails(parents().update({ price: -1 }).eq('id', 1), 400, {
    code: '23514', message: 'new row for relation "err_parents" violates check constraint "err_parents_price_check"', details: 'Failing row contains (1, one, -1).', hint: null,
  }))
})

describe('names that are not there', () => {
  test('a table; the hint names one that sounds like it', () => fails(supabase.from('err_parent').select(), 404, {
    code: 'PGRST205', message: "Could not find the table 'public.err_parent' in the schema cache", details: null, hint: "Perhaps you meant the table 'public.err_parents'",
  }))
  for (const [what, ask] of [
    ['insert', (q) => q.insert({ id: 1 })], ['update', (q) => q.update({ id: 1 }).eq('id', 1)], ['delete', (q) => q.delete().eq('id', 1)],
  ]) {
    test(`a table to ${what}`, async () => {
      const { error, status } = await ask(supabase.from(fresh('err_nowhere')))
      assert.equal(status, 404)
      assert.equal(error.code, 'PGRST205')
    })
  }
  test('tables of Postgres are not reachable', async () => {
    for (const name of ['pg_class', 'pg_catalog.pg_class', 'information_schema.tables', 'pg_stat_activity']) {
      assert.equal((await supabase.from(name).select()).error.code, 'PGRST205', name)
    }
  })
  test('a column to select, and to filter by', async () => {
    const error = { code: '42703', message: 'column err_parents.nope does not exist', details: null, hint: null }
    await fails(parents().select('nope'), 400, error)
    await fails(parents().select('id').eq('nope', 1), 400, error)
  })
  test('a column to write', async () => {
    for (const asked of [parents().insert([{ id: 5, nope: 1 }]), parents().update({ nope: 1 }).eq('id', 1)]) {
      await fails(asked, 400, { code: 'PGRST204', message: "Could not find the 'nope' column of 'err_parents' in the schema cache", details: null, hint: null })
    }
  })
  test('a schema that is not exposed', async () => {
    for (const name of ['auth', 'pg_catalog', 'nowhere']) {
      const { error, status } = await supabase.schema(name).from('users').select()
      assert.equal(status, 406)
      assert.equal(error.code, 'PGRST106')
      assert.match(error.hint ?? error.message, /public/)
    }
    assert.equal((await supabase.schema('auth').from('users').insert({ id: 1 })).error.code, 'PGRST106')
    assert.equal((await supabase.schema('auth').rpc('uid')).error.code, 'PGRST106')
  })
  test('a schema that is exposed', async () => {
    assert.deepEqual(await data(supabase.schema('public').from('err_parents').select('id')), [{ id: 1 }])
    assert.equal(await data(supabase.schema('public').rpc('err_divide', { a: 4, b: 2 })), 2)
  })
})

describe('what a function raises', () => {
  test('an exception with detail and hint', () => fails(supabase.rpc('err_raise', { code: 'P0001' }), 400, { code: 'P0001', message: 'no luck', details: 'why', hint: 'what to do' }))
  for (const [code, status] of [['23505', 409], ['22012', 400], ['40001', 500], ['53100', 503], ['XX000', 500], ['P0002', 500], ['28000', 403], ['PT418', 418]]) {
    test(`${code} is ${status}`, async () => {
      const answer = await supabase.rpc('err_raise', { code })
      assert.equal(answer.status, status)
      assert.equal(answer.error.code, code)
      assert.equal(answer.error.hint, 'what to do')
    })
  }
  test('a status of its own', () => fails(supabase.rpc('err_pay'), 402, { code: 'PT402', message: 'Payment Required', details: 'Quota exceeded', hint: 'Upgrade your plan' }))
  test('a whole answer of its own', async () => {
    const answer = await fetch(`${url}/rest/v1/rpc/err_own`, { method: 'POST', headers: { apikey: anonKey } })
    assert.equal(answer.status, 402)
    assert.equal(answer.headers.get('x-powered-by'), 'Nerd Rage')
    assert.deepEqual(await answer.json(), { code: '123', message: 'Payment Required', details: 'Quota exceeded', hint: 'Upgrade your plan' })
  })
  test('an error of Postgres', () => fails(supabase.rpc('err_divide', { a: 1, b: 0 }), 400, { code: '22012', message: 'division by zero', details: null, hint: null }))
})

describe('requests that cannot be read', () => {
  test('filters', async () => {
    const { error, status } = await parents().select().filter('id', 'noop', 1)
    assert.equal(status, 400)
    assert.equal(error.code, 'PGRST100')
    assert.equal(error.message, '"failed to parse filter (noop.1)" (line 1, column 1)')
    // Which letter was unexpected is a matter of the parser.
    assert.match(error.details, /^unexpected "\w" expecting "not" or operator \(eq, gt, \.\.\.\)$/)
  })
  for (const [what, query] of [
    ['select', 'select=id,,name'], ['select', 'select=id('], ['order', 'order=id.sideways'], ['logic', 'or=(id.eq.1'], ['logic', 'or=()'], ['in', 'id=in.1,2'], ['is', 'id=is.nothing'],
  ]) {
    test(`${what}: ${query}`, async () => {
      const answer = await fetch(`${url}/rest/v1/err_parents?${query}`, { headers: { apikey: anonKey } })
      const error = await answer.json()
      assert.equal(answer.status, 400)
      assert.equal(error.code, 'PGRST100')
      assert.deepEqual(Object.keys(error).sort(), ['code', 'details', 'hint', 'message'])
    })
  }
  for (const body of ['{', '', '[{"id":1},2]', 'null', '"text"']) {
    test(`the body ${body || 'of nothing'}`, async () => {
      const answer = await fetch(`${url}/rest/v1/err_parents?columns=id`, { method: 'POST', headers: { apikey: anonKey, 'content-type': 'application/json' }, body })
      assert.equal(answer.status >= 400 && answer.status < 500, true, `${answer.status}`)
      assert.deepEqual(await data(parents().select('id')), [{ id: 1 }])
    })
  }
  test('rows with different keys, without a list of columns', async () => {
    const answer = await fetch(`${url}/rest/v1/err_parents`, {
      method: 'POST', headers: { apikey: anonKey, 'content-type': 'application/json' }, body: '[{"id":7,"name":"a"},{"id":8}]',
    })
    assert.equal(answer.status, 400)
    assert.deepEqual(await answer.json(), { code: 'PGRST102', message: 'All object keys must match', details: null, hint: null })
  })
  test('paths that are none', async () => {
    const deep = await fetch(`${url}/rest/v1/err_parents/1`, { headers: { apikey: anonKey } })
    assert.equal(deep.status, 404)
    assert.equal((await deep.json()).code, 'PGRST125')
    // Where PostgREST describes itself, if it is configured to.
    const root = await fetch(`${url}/rest/v1/`, { headers: { apikey: anonKey } })
    assert.equal(root.status, 404)
    assert.equal((await root.json()).code, 'PGRST126')
  })
  test('a request without any key', async () => {
    const answer = await fetch(`${url}/rest/v1/err_parents`)
    assert.equal(answer.status, 401)
    assert.equal((await answer.json()).message, 'No API key found in request')
  })
  test('a method that is none of these', async () => {
    const answer = await fetch(`${url}/rest/v1/err_parents`, { method: 'PROPFIND', headers: { apikey: anonKey } })
    assert.equal(answer.status, 405)
  })
})

describe('who may not', () => {
  test('a table without a grant: 401 for a visitor, 403 for a user, and the backend may', async (t) => {
    const error = { code: '42501', message: 'permission denied for table err_secret', details: null, hint: null }
    await fails(supabase.from('err_secret').select(), 401, error)
    await fails(asUser(t, ann).from('err_secret').select(), 403, error)
    assert.deepEqual(await data(service(t).from('err_secret').select()), [])
  })
  test('a function without a grant', async () => {
    const { error, status } = await supabase.rpc('err_hidden')
    assert.equal(status, 401)
    assert.equal(error.code, '42501')
  })
  test('tokens that are no good', async (t) => {
    const [head, body] = mint({ role: 'authenticated', sub: ann }).split('.')
    const unsigned = `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${body}.`
    for (const token of [mint({ role: 'authenticated', exp: 1 }), `${head}.${body}.AAAA`, unsigned, 'nonsense']) {
      const { error, status } = await client(t, anonKey, { accessToken: async () => token }).from('err_parents').select()
      assert.equal(status, 401, token)
      assert.match(error.code, /^PGRST30[13]$/)
    }
  })
  test('roles that nobody may take by a token', async (t) => {
    for (const role of ['postgres', 'supabase_admin', 'authenticator', 'supabase_auth_admin', 'pg_read_server_files', 'nobody', 'none']) {
      const { data: rows, status } = await client(t, anonKey, { accessToken: async () => mint({ role }) }).from('err_parents').select()
      assert.equal(rows, null, role)
      assert.equal([401, 403].includes(status), true, `${role}: ${status}`)
    }
  })
})
