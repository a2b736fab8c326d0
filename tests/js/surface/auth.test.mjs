// Signing up, in and out with an unmodified supabase-js.
import assert from 'node:assert/strict'
import test from 'node:test'
import { PASSWORD, good, refused } from './auth-answers.mjs'
import { Seen, anon, client, fresh, mint, sql, url } from './support.mjs'

const address = () => `${fresh('ann')}@example.com`

const claimsOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))

test('signUp makes a user who is signed in, and signInWithPassword finds it again', async (t) => {
  const email = address()
  const { user, session } = good(
    await anon(t).auth.signUp({ email, password: PASSWORD, options: { data: { name: 'Ann', age: 7 } } }))
  assert.match(user.id, /^[0-9a-f-]{36}$/)
  assert.equal(user.email, email)
  assert.equal(user.aud, 'authenticated')
  assert.equal(user.role, 'authenticated')
  assert.equal(user.phone, '')
  assert.equal(user.is_anonymous, false)
  assert.deepEqual(user.app_metadata, { provider: 'email', providers: ['email'] })
  assert.deepEqual(user.user_metadata,
    { name: 'Ann', age: 7, sub: user.id, email, email_verified: true, phone_verified: false })
  assert.ok(user.email_confirmed_at && user.confirmed_at && user.last_sign_in_at)
  assert.equal(user.identities.length, 1)
  assert.equal(user.identities[0].provider, 'email')
  assert.equal(user.identities[0].user_id, user.id)
  assert.equal(session.token_type, 'bearer')
  assert.equal(session.expires_in, 3600)
  assert.match(session.refresh_token, /^[a-z0-9]{12}$/)

  const claims = claimsOf(session.access_token)
  assert.equal(claims.sub, user.id)
  assert.equal(claims.iss, `${url}/auth/v1`)
  assert.equal(claims.aud, 'authenticated')
  assert.equal(claims.role, 'authenticated')
  assert.equal(claims.email, email)
  assert.equal(claims.aal, 'aal1')
  assert.equal(claims.exp - claims.iat, 3600)
  assert.equal(claims.exp, session.expires_at)
  assert.deepEqual(claims.amr.map(({ method }) => method), ['password'])
  assert.equal(claims.is_anonymous, false)
  assert.deepEqual(claims.app_metadata, user.app_metadata)
  assert.deepEqual(claims.user_metadata, user.user_metadata)
  assert.match(claims.session_id, /^[0-9a-f-]{36}$/)

  const again = good(await anon(t).auth.signInWithPassword({ email: email.toUpperCase(), password: PASSWORD }))
  assert.equal(again.user.id, user.id)
  assert.notEqual(claimsOf(again.session.access_token).session_id, claims.session_id)
})

test('a client of flow type pkce is signed in just the same', async (t) => {
  const made = anon(t, { auth: { flowType: 'pkce' } })
  const email = address()
  assert.ok(good(await made.auth.signUp({ email, password: PASSWORD })).session)
  assert.ok(good(await made.auth.signInWithPassword({ email, password: PASSWORD })).session)
  refused(await made.auth.exchangeCodeForSession('a code'), 404, 'flow_state_not_found')
})

test('an address is taken once', async (t) => {
  const email = address()
  good(await anon(t).auth.signUp({ email, password: PASSWORD }))
  refused(await anon(t).auth.signUp({ email, password: 'another one' }), 422, 'user_already_exists')
  // At the same time, too.
  const other = address()
  const all = await Promise.all([1, 2, 3, 4].map(() => anon(t).auth.signUp({ email: other, password: PASSWORD })))
  assert.equal(all.filter(({ error }) => error === null).length, 1)
  for (const answer of all.filter(({ error }) => error)) refused(answer, 422, 'user_already_exists')
})

test('what cannot be an account says why', async (t) => {
  const { auth } = anon(t)
  const weak = await auth.signUp({ email: address(), password: '12345' })
  assert.equal(weak.error.name, 'AuthWeakPasswordError')
  assert.deepEqual([weak.error.status, weak.error.code, weak.error.reasons], [422, 'weak_password', ['length']])
  refused(await auth.signUp({ email: 'no address', password: PASSWORD }), 400, 'validation_failed')
  refused(await auth.signUp({ email: address(), password: 'x'.repeat(73) }), 400, 'validation_failed')
  refused(await auth.signUp({ email: address(), password: '' }), 400, 'validation_failed')
  refused(await auth.signUp({ phone: '+4911111111', password: PASSWORD }), 400, 'phone_provider_disabled')
})

test('a wrong password and an unknown address are the same answer', async (t) => {
  const email = address()
  good(await anon(t).auth.signUp({ email, password: PASSWORD }))
  const wrong = refused(
    await anon(t).auth.signInWithPassword({ email, password: 'wrong one' }), 400, 'invalid_credentials')
  const nobody = refused(
    await anon(t).auth.signInWithPassword({ email: address(), password: PASSWORD }), 400, 'invalid_credentials')
  assert.equal(wrong.message, 'Invalid login credentials')
  assert.equal(nobody.message, wrong.message)
})

test('signInAnonymously makes a user without anything, who can become a permanent one', async (t) => {
  const { auth } = anon(t)
  const { user, session } = good(await auth.signInAnonymously({ options: { data: { theme: 'dark' } } }))
  assert.equal(user.is_anonymous, true)
  assert.equal(user.email, '')
  assert.deepEqual(user.identities, [])
  assert.deepEqual(user.user_metadata, { theme: 'dark' })
  const claims = claimsOf(session.access_token)
  assert.equal(claims.is_anonymous, true)
  assert.equal(claims.role, 'authenticated')
  assert.deepEqual(claims.amr.map(({ method }) => method), ['anonymous'])

  refused(await auth.updateUser({ password: PASSWORD }), 422, 'validation_failed')
  const email = address()
  const updated = good(await auth.updateUser({ email, password: PASSWORD })).user
  assert.equal(updated.id, user.id)
  assert.equal(updated.email, email)
  assert.equal(updated.is_anonymous, false)
  assert.equal(updated.identities[0].provider, 'email')
  assert.equal(updated.identities[0].identity_data.email, email)
  assert.equal(updated.user_metadata.theme, 'dark')
  const back = good(await anon(t).auth.signInWithPassword({ email, password: PASSWORD }))
  assert.equal(back.user.id, user.id)
  assert.equal(claimsOf(back.session.access_token).is_anonymous, false)
})

test('getSession, getUser and getClaims say who is signed in', async (t) => {
  const email = address()
  const { auth } = anon(t)
  assert.equal(good(await auth.getSession()).session, null)
  assert.equal((await auth.getUser()).error.name, 'AuthSessionMissingError')
  const { session } = good(await auth.signUp({ email, password: PASSWORD }))
  assert.equal(good(await auth.getSession()).session.access_token, session.access_token)
  const { user } = good(await auth.getUser())
  assert.equal(user.email, email)
  assert.equal(user.identities.length, 1)
  const { claims } = good(await auth.getClaims())
  assert.equal(claims.sub, user.id)
  // Of a token that is handed in, as servers do.
  assert.equal(good(await anon(t).auth.getUser(session.access_token)).user.id, user.id)
  assert.equal(good(await anon(t).auth.getClaims(session.access_token)).claims.email, email)
})

test('refreshSession and setSession give new tokens of the same session', async (t) => {
  const { auth } = anon(t)
  const first = good(await auth.signUp({ email: address(), password: PASSWORD })).session
  const second = good(await auth.refreshSession()).session
  assert.notEqual(second.refresh_token, first.refresh_token)
  assert.equal(claimsOf(second.access_token).session_id, claimsOf(first.access_token).session_id)
  assert.equal(claimsOf(second.access_token).amr[0].method, 'password')
  const third = good(await auth.refreshSession({ refresh_token: second.refresh_token })).session
  const elsewhere = anon(t)
  const { user } = good(await elsewhere.auth.setSession(third))
  assert.equal(user.id, first.user.id)
  assert.equal(good(await elsewhere.auth.getUser()).user.id, first.user.id)

  // An access token that has expired: setSession refreshes by itself.
  const { exp, ...rest } = claimsOf(third.access_token)
  const expired = mint({ ...rest, exp: exp - 7200 })
  const late = anon(t)
  const renewed = good(await late.auth.setSession({ access_token: expired, refresh_token: third.refresh_token })).session
  assert.notEqual(renewed.refresh_token, third.refresh_token)
  refused(await anon(t).auth.refreshSession({ refresh_token: 'aaaaaaaaaaaa' }), 400, 'refresh_token_not_found')
  refused(await anon(t).auth.refreshSession({ refresh_token: 'not one' }), 400, 'validation_failed')
})

test('many refreshes at the same time end with one and the same token', async (t) => {
  const { session } = good(await anon(t).auth.signUp({ email: address(), password: PASSWORD }))
  const { refresh_token } = session
  const all = await Promise.all(Array.from({ length: 8 }, () => anon(t).auth.refreshSession({ refresh_token })))
  const tokens = new Set(all.map((answer) => good(answer).session.refresh_token))
  assert.equal(tokens.size, 1)
  assert.ok(!tokens.has(refresh_token))
})

test('signOut ends this session, the others, or all of them', async (t) => {
  const email = address()
  const signIn = async () => {
    const made = anon(t)
    good(await made.auth.signInWithPassword({ email, password: PASSWORD }))
    return made.auth
  }
  const isIn = async (auth) => {
    const { data: { session } } = await auth.getSession()
    const { error } = await anon(t).auth.getUser(session?.access_token ?? 'none')
    return error === null
  }
  good(await anon(t).auth.signUp({ email, password: PASSWORD }))

  const [a, b, c] = [await signIn(), await signIn(), await signIn()]
  const gone = good(await a.getSession()).session
  assert.equal((await a.signOut({ scope: 'local' })).error, null)
  assert.equal(good(await a.getSession()).session, null)
  assert.equal((await anon(t).auth.getUser(gone.access_token)).error.name, 'AuthSessionMissingError')
  refused(await anon(t).auth.refreshSession({ refresh_token: gone.refresh_token }), 400, 'refresh_token_not_found')
  assert.deepEqual([await isIn(b), await isIn(c)], [true, true])

  assert.equal((await b.signOut({ scope: 'others' })).error, null)
  assert.deepEqual([await isIn(b), await isIn(c)], [true, false])

  const d = await signIn()
  assert.equal((await b.signOut()).error, null)
  assert.equal(await isIn(d), false)
})

test('onAuthStateChange tells what happens', async (t) => {
  const made = anon(t)
  const seen = new Seen()
  const { data: { subscription } } = made.auth.onAuthStateChange((event, session) => {
    seen.add({ event, email: session?.user?.email ?? null })
  })
  t.after(() => subscription.unsubscribe())
  const email = address()
  await seen.until(({ event }) => event === 'INITIAL_SESSION')
  good(await made.auth.signUp({ email, password: PASSWORD }))
  await seen.until((it) => it.event === 'SIGNED_IN' && it.email === email)
  good(await made.auth.refreshSession())
  await seen.until(({ event }) => event === 'TOKEN_REFRESHED')
  good(await made.auth.updateUser({ data: { seen: true } }))
  await seen.until(({ event }) => event === 'USER_UPDATED')
  await made.auth.signOut()
  await seen.until(({ event, email: who }) => event === 'SIGNED_OUT' && who === null)
})

test('a session is refreshed by itself before it expires', async (t) => {
  const made = client(t, undefined, { auth: { autoRefreshToken: true } })
  const seen = new Seen()
  const { session } = good(await made.auth.signUp({ email: address(), password: PASSWORD }))
  made.auth.onAuthStateChange((event, now) => seen.add({ event, token: now?.refresh_token }))
  t.after(() => made.auth.stopAutoRefresh())
  // Half a minute before the end of its time.
  const { exp, ...rest } = claimsOf(session.access_token)
  const soon = mint({ ...rest, exp: exp - 3570 })
  good(await made.auth.setSession({ access_token: soon, refresh_token: session.refresh_token }))
  await made.auth.startAutoRefresh()
  const { token } = await seen.until(({ event }) => event === 'TOKEN_REFRESHED')
  assert.notEqual(token, session.refresh_token)
})

test('a trigger on auth.users makes a profile, and a table may refer to users', async (t) => {
  const admin = await sql(t)
  const table = fresh('profiles')
  await admin.query(`
    create table public.${table} (id uuid primary key references auth.users on delete cascade, email text, name text);
    alter table public.${table} enable row level security;
    create function public.new_${table}() returns trigger language plpgsql security definer set search_path = '' as $$
    begin
      insert into public.${table} (id, email, name) values (new.id, new.email, new.raw_user_meta_data ->> 'name');
      return new;
    end $$;
    create trigger on_${table} after insert on auth.users for each row execute function public.new_${table}();`)
  t.after(async () => {
    const session = await sql()
    await session.query(`drop function public.new_${table}() cascade`)
  })
  const email = address()
  const { user } = good(await anon(t).auth.signUp({ email, password: PASSWORD, options: { data: { name: 'Ann' } } }))
  const { rows } = await admin.query(`select * from public.${table} where id = $1`, [user.id])
  assert.deepEqual(rows, [{ id: user.id, email, name: 'Ann' }])
  await admin.query('delete from auth.users where id = $1', [user.id])
  assert.equal((await admin.query(`select from public.${table}`)).rowCount, 0)
})
