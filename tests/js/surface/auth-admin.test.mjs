// Users as a server with the service_role key manages them, and what this service has not.
import assert from 'node:assert/strict'
import test from 'node:test'
import { PASSWORD, good, refused } from './auth-answers.mjs'
import { anon, anonKey, fresh, service, sql } from './support.mjs'

const address = () => `${fresh('cem')}@example.com`

test('admin.createUser, getUserById, updateUserById and deleteUser', async (t) => {
  const { admin } = service(t).auth
  const email = address()
  const id = crypto.randomUUID()
  const { user } = good(await admin.createUser({
    id, email, password: PASSWORD, email_confirm: true,
    user_metadata: { name: 'Cem' }, app_metadata: { plan: 'gold' },
  }))
  assert.equal(user.id, id)
  assert.deepEqual(user.app_metadata, { provider: 'email', providers: ['email'], plan: 'gold' })
  assert.deepEqual(user.user_metadata, { name: 'Cem', email_verified: true })
  assert.equal(user.identities[0].identity_data.email, email)
  assert.equal(user.last_sign_in_at, undefined)
  refused(await admin.createUser({ email }), 422, 'email_exists')
  refused(await admin.createUser({}), 400, 'validation_failed')
  refused(await admin.createUser({ email: address(), id: 'x' }), 400, 'validation_failed')
  assert.deepEqual(good(await admin.getUserById(id)).user, user)

  const { session } = good(await anon(t).auth.signInWithPassword({ email, password: PASSWORD }))
  const next = address()
  const changed = good(await admin.updateUserById(id, {
    email: next, email_confirm: true, password: 'another password', role: 'authenticated',
    user_metadata: { name: null, city: 'İzmir' }, app_metadata: { plan: 'none', providers: ['email'] },
  })).user
  assert.equal(changed.email, next)
  assert.equal(changed.app_metadata.plan, 'none')
  assert.equal(changed.user_metadata.city, 'İzmir')
  assert.ok(!('name' in changed.user_metadata))
  // A new password ends every session.
  assert.equal((await anon(t).auth.getUser(session.access_token)).error.name, 'AuthSessionMissingError')
  good(await anon(t).auth.signInWithPassword({ email: next, password: 'another password' }))

  good(await admin.deleteUser(id))
  refused(await admin.getUserById(id), 404, 'user_not_found')
  refused(await anon(t).auth.signInWithPassword({ email: next, password: 'another password' }), 400, 'invalid_credentials')
  refused(await anon(t).auth.getUser(session.access_token), 403, 'user_not_found')
})

test('a user without confirmation cannot sign in until an administrator confirms', async (t) => {
  const { admin } = service(t).auth
  const email = address()
  const { user } = good(await admin.createUser({ email, password: PASSWORD }))
  assert.equal(user.email_confirmed_at, undefined)
  refused(await anon(t).auth.signInWithPassword({ email, password: PASSWORD }), 400, 'email_not_confirmed')
  // Who only knows the address learns nothing, and cannot take the account by signing up again.
  refused(await anon(t).auth.signInWithPassword({ email, password: 'a guess' }), 400, 'invalid_credentials')
  refused(await anon(t).auth.signUp({ email, password: 'a password of my own' }), 422, 'user_already_exists')
  good(await admin.updateUserById(user.id, { email_confirm: true }))
  good(await anon(t).auth.signInWithPassword({ email, password: PASSWORD }))
})

test('a user who is banned is out, and in again after it', async (t) => {
  const { admin } = service(t).auth
  const email = address()
  const { user, session } = good(await anon(t).auth.signUp({ email, password: PASSWORD }))
  const banned = good(await admin.updateUserById(user.id, { ban_duration: '24h' })).user
  assert.ok(new Date(banned.banned_until) - Date.now() > 86_000_000)
  refused(await anon(t).auth.getUser(session.access_token), 403, 'user_banned')
  refused(await anon(t).auth.refreshSession(session), 400, 'user_banned')
  refused(await anon(t).auth.signInWithPassword({ email, password: PASSWORD }), 400, 'user_banned')
  refused(await anon(t).auth.signInWithPassword({ email, password: 'a guess' }), 400, 'invalid_credentials')
  refused(await admin.updateUserById(user.id, { ban_duration: 'a while' }), 400, 'validation_failed')
  const free = good(await admin.updateUserById(user.id, { ban_duration: 'none' })).user
  assert.equal(free.banned_until, undefined)
  good(await anon(t).auth.getUser(session.access_token))
  good(await anon(t).auth.refreshSession(session))
})

test('hashes of the real service are taken over', async (t) => {
  const { admin } = service(t).auth
  const email = address()
  // "correct horse battery", by pgcrypt's crypt(), as the real service makes them.
  const admin_ = await sql(t)
  await admin_.query('create schema if not exists extensions; create extension if not exists pgcrypto with schema extensions')
  const { rows } = await admin_.query(`select extensions.crypt($1, extensions.gen_salt('bf', 10)) as hash`, [PASSWORD])
  good(await admin.createUser({ email, password_hash: rows[0].hash, email_confirm: true }))
  refused(await anon(t).auth.signInWithPassword({ email, password: 'another' }), 400, 'invalid_credentials')
  // Several at once, as the first of them replaces the hash by one of this server.
  const all = await Promise.all([1, 2, 3].map(() => anon(t).auth.signInWithPassword({ email, password: PASSWORD })))
  for (const answer of all) good(answer)
  const kept = await admin_.query('select encrypted_password from auth.users where email = $1', [email])
  assert.match(kept.rows[0].encrypted_password, /^\$argon2id\$/)
  good(await anon(t).auth.signInWithPassword({ email, password: PASSWORD }))
  for (const bad of ['x', '$2b$20$abcdefghijklmnopqrstuuN7uqkqAJBqyDqxIbXEDqwMGsAxs5Xm6',
    '$argon2id$v=19$m=4194304,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA']) {
    refused(await admin.createUser({ email: address(), password_hash: bad }), 400, 'validation_failed')
  }
})

test('admin.listUsers gives pages', async (t) => {
  const { admin } = service(t).auth
  const made = []
  for (let n = 0; n < 3; n++) made.push(good(await admin.createUser({ email: address() })).user)
  const first = good(await admin.listUsers({ page: 1, perPage: 2 }))
  assert.equal(first.users.length, 2)
  assert.equal(first.aud, 'authenticated')
  assert.ok(first.total >= 3)
  assert.equal(first.nextPage, 2)
  assert.ok(first.users[0].created_at >= first.users[1].created_at)
  const all = good(await admin.listUsers({ page: 1, perPage: 1000 })).users.map(({ id }) => id)
  for (const { id } of made) assert.ok(all.includes(id))
  const beyond = good(await admin.listUsers({ page: 1000, perPage: 2 }))
  assert.deepEqual(beyond.users, [])
  assert.ok(beyond.total >= 3)
})

test('deleteUser can leave a row that says nothing', async (t) => {
  const { admin } = service(t).auth
  const email = address()
  const { user, session } = good(await anon(t).auth.signUp({ email, password: PASSWORD, options: { data: { a: 1 } } }))
  good(await admin.deleteUser(user.id, true))
  good(await admin.deleteUser(user.id, true))
  const left = good(await admin.getUserById(user.id)).user
  assert.ok(left.deleted_at)
  assert.ok(!left.email.includes('@'))
  assert.deepEqual([left.user_metadata, left.app_metadata], [{}, {}])
  assert.ok(!JSON.stringify(left).includes(email))
  refused(await anon(t).auth.signInWithPassword({ email, password: PASSWORD }), 400, 'invalid_credentials')
  refused(await anon(t).auth.getUser(session.access_token), 403, 'user_not_found')
  refused(await anon(t).auth.refreshSession(session), 400, 'refresh_token_not_found')
  // The address is free again.
  assert.notEqual(good(await anon(t).auth.signUp({ email, password: PASSWORD })).user.id, user.id)
})

test('a user to whom rows refer stays, unless they say what becomes of them', async (t) => {
  const admin = await sql(t)
  const { auth } = service(t)
  const [cascade, restrict] = [fresh('goes'), fresh('stays')]
  await admin.query(`
    create table public.${cascade} (id int, owner uuid references auth.users on delete cascade);
    create table public.${restrict} (id int, owner uuid references auth.users);`)
  const { user } = good(await auth.admin.createUser({ email: address() }))
  await admin.query(`insert into public.${cascade} values (1, $1)`, [user.id])
  await admin.query(`insert into public.${restrict} values (1, $1)`, [user.id])
  const { error } = await auth.admin.deleteUser(user.id)
  assert.equal(error.status, 500)
  assert.equal((await admin.query(`select from public.${cascade}`)).rowCount, 1)
  await admin.query(`delete from public.${restrict}`)
  good(await auth.admin.deleteUser(user.id))
  assert.equal((await admin.query(`select from public.${cascade}`)).rowCount, 0)
  await assert.rejects(admin.query(`insert into public.${restrict} values (1, $1)`, [user.id]), /foreign key/)
})

test('admin.signOut ends sessions of a token', async (t) => {
  const { admin } = service(t).auth
  const email = address()
  const one = good(await anon(t).auth.signUp({ email, password: PASSWORD })).session
  const two = good(await anon(t).auth.signInWithPassword({ email, password: PASSWORD })).session
  assert.equal((await admin.signOut(one.access_token, 'others')).error, null)
  assert.ok((await anon(t).auth.getUser(two.access_token)).error)
  assert.equal((await admin.signOut(one.access_token)).error, null)
  assert.ok((await anon(t).auth.getUser(one.access_token)).error)
})

test('a user without factors has none', async (t) => {
  const { auth } = anon(t)
  const { user } = good(await auth.signUp({ email: address(), password: PASSWORD }))
  assert.deepEqual(good(await auth.mfa.listFactors()).all, [])
  assert.equal(good(await auth.mfa.getAuthenticatorAssuranceLevel()).currentLevel, 'aal1')
  assert.deepEqual(good(await service(t).auth.admin.mfa.listFactors({ userId: user.id })).factors, [])
  assert.equal(good(await auth.getUserIdentities()).identities.length, 1)
  refused(await auth.mfa.enroll({ factorType: 'totp' }), 422, 'mfa_totp_enroll_not_enabled')
  refused(await auth.mfa.challenge({ factorId: user.id }), 404, 'mfa_factor_not_found')
  refused(await auth.mfa.unenroll({ factorId: user.id }), 404, 'mfa_factor_not_found')
})

test('what is not here is refused with a code, as an error of the service', async (t) => {
  const email = address()
  const { auth } = anon(t)
  good(await auth.signUp({ email, password: PASSWORD }))
  const visitor = anon(t).auth
  const said = refused(await visitor.signInWithOtp({ email }), 422, 'feature_disabled')
  assert.match(said.message, /sends no mail/)
  refused(await visitor.resetPasswordForEmail(email), 422, 'feature_disabled')
  refused(await visitor.resend({ type: 'signup', email }), 422, 'feature_disabled')
  refused(await visitor.verifyOtp({ email, token: '123456', type: 'email' }), 403, 'otp_expired')
  refused(await visitor.signInWithIdToken({ provider: 'google', token: 'x' }), 400, 'provider_disabled')
  refused(await visitor.signInWithSSO({ domain: 'example.com' }), 404, 'saml_provider_disabled')
  refused(await auth.reauthenticate(), 422, 'feature_disabled')
  refused(await auth.linkIdentity({ provider: 'github', options: { skipBrowserRedirect: true } }),
    404, 'manual_linking_disabled')
  const identity = good(await auth.getUserIdentities()).identities[0]
  refused(await auth.unlinkIdentity(identity), 404, 'manual_linking_disabled')
  const { admin } = service(t).auth
  refused(await admin.inviteUserByEmail(email), 422, 'feature_disabled')
  refused(await admin.generateLink({ type: 'magiclink', email }), 422, 'feature_disabled')
  refused(await admin.oauth.listClients(), 404, 'feature_disabled')
  const { user } = good(await auth.getUser())
  const id = user.id
  const factor = { userId: id, id }
  refused(await admin.mfa.deleteFactor(factor), 404, 'mfa_factor_not_found')
  assert.deepEqual(good(await admin.passkey.listPasskeys({ userId: id })), [])
  refused(await admin.passkey.deletePasskey({ userId: id, passkeyId: id }), 404, 'passkey_disabled')
  refused(await admin.customProviders.listProviders(), 404, 'feature_disabled')
  refused(await admin.customProviders.getProvider('custom:x'), 404, 'feature_disabled')
  refused(await admin.oauth.createClient({ client_name: 'x', redirect_uris: ['https://example.com'] }), 404, 'feature_disabled')
  refused(await admin.oauth.getClient(id), 404, 'feature_disabled')
  refused(await admin.oauth.deleteClient(id), 404, 'feature_disabled')
  refused(await auth.oauth.listGrants(), 404, 'feature_disabled')
  refused(await auth.oauth.getAuthorizationDetails(id), 404, 'feature_disabled')
  refused(await auth.mfa.challengeAndVerify({ factorId: id, code: '123456' }), 404, 'mfa_factor_not_found')
  refused(await auth.mfa.verify({ factorId: id, challengeId: id, code: '123456' }), 404, 'mfa_factor_not_found')
  // Where a browser would be sent.
  const { data: { url: to } } = await visitor.signInWithOAuth({ provider: 'github', options: { skipBrowserRedirect: true } })
  const sent = await fetch(to, { headers: { apikey: anonKey } })
  assert.deepEqual([sent.status, (await sent.json()).error_code], [400, 'validation_failed'])
  // Only who may invite is told that nobody can.
  refused(await auth.admin.inviteUserByEmail(email), 403, 'not_admin')
})
