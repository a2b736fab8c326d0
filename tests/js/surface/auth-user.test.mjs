// What a user changes of their own account, and what they cannot.
import assert from 'node:assert/strict'
import test from 'node:test'
import { PASSWORD, good, refused } from './auth-answers.mjs'
import { Seen, anon, client, fresh, mint, service, sql, subscribed, url, anonKey, userToken } from './support.mjs'

const address = () => `${fresh('bea')}@example.com`

async function signedUp(t, data = {}) {
  const made = anon(t)
  const email = address()
  const { user, session } = good(await made.auth.signUp({ email, password: PASSWORD, options: { data } }))
  return { made, auth: made.auth, email, user, session }
}

test('updateUser puts data over what is there, and null takes away', async (t) => {
  const { auth, user } = await signedUp(t, { a: 1, b: { c: 2 } })
  const changed = good(await auth.updateUser({ data: { a: null, b: { d: 3 }, e: [null, 'ä'] } })).user
  assert.equal(changed.user_metadata.a, undefined)
  assert.ok(!('a' in changed.user_metadata))
  assert.deepEqual(changed.user_metadata.b, { d: 3 })
  assert.deepEqual(changed.user_metadata.e, [null, 'ä'])
  assert.equal(changed.user_metadata.sub, user.id)
  assert.ok(changed.updated_at > user.updated_at)
  assert.deepEqual(good(await auth.getUser()).user.user_metadata, changed.user_metadata)
})

test('updateUser changes the password and ends all other sessions', async (t) => {
  const { auth, email } = await signedUp(t)
  const other = anon(t).auth
  const elsewhere = good(await other.signInWithPassword({ email, password: PASSWORD })).session
  refused(await auth.updateUser({ password: PASSWORD }), 422, 'same_password')
  refused(await auth.updateUser({ password: '123' }), 422, 'weak_password')
  refused(await auth.updateUser({ password: 'a new password', current_password: 'a guess' }), 400, 'current_password_invalid')
  good(await auth.updateUser({ password: 'a new password', current_password: PASSWORD }))
  good(await auth.getUser())
  assert.equal((await other.getUser()).error.name, 'AuthSessionMissingError')
  refused(await anon(t).auth.refreshSession({ refresh_token: elsewhere.refresh_token }), 400, 'refresh_token_not_found')
  refused(await anon(t).auth.signInWithPassword({ email, password: PASSWORD }), 400, 'invalid_credentials')
  good(await anon(t).auth.signInWithPassword({ email, password: 'a new password' }))
})

test('updateUser changes the address, unless it is taken', async (t) => {
  const { auth, email, user } = await signedUp(t)
  const { email: taken } = await signedUp(t)
  refused(await auth.updateUser({ email: taken }), 422, 'email_exists')
  refused(await auth.updateUser({ email: 'nothing like it' }), 400, 'validation_failed')
  refused(await auth.updateUser({ phone: '+4911111111' }), 422, 'phone_provider_disabled')
  const next = address()
  const changed = good(await auth.updateUser({ email: next })).user
  assert.equal(changed.email, next)
  assert.equal(changed.identities.length, 1)
  assert.equal(changed.identities[0].identity_data.email, next)
  refused(await anon(t).auth.signInWithPassword({ email, password: PASSWORD }), 400, 'invalid_credentials')
  assert.equal(good(await anon(t).auth.signInWithPassword({ email: next, password: PASSWORD })).user.id, user.id)
  // The old address is free again.
  good(await anon(t).auth.signUp({ email, password: PASSWORD }))
})

test('what only an administrator may change stays as it is', async (t) => {
  const { session, user } = await signedUp(t)
  const put = async (body) => {
    const answer = await fetch(`${url}/auth/v1/user`, {
      method: 'PUT',
      headers: { apikey: anonKey, authorization: `Bearer ${session.access_token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return [answer.status, await answer.json()]
  }
  const [status, body] = await put({ app_metadata: { role: 'admin' } })
  assert.deepEqual([status, body.error_code], [403, 'not_admin'])
  for (const more of [
    { role: 'service_role' }, { aud: 'x' }, { id: userToken('x') }, { is_super_admin: true }, { raw_app_meta_data: { a: 1 } },
    { email_confirmed_at: null }, { encrypted_password: 'x' }, { is_anonymous: true }, { banned_until: null },
    { user_metadata: { z: 1 } },
  ]) {
    const [ok] = await put(more)
    assert.equal(ok, 200, JSON.stringify(more))
  }
  const now = good(await service(t).auth.admin.getUserById(user.id)).user
  const { updated_at: before, ...was } = user
  const { updated_at: after, ...is } = now
  assert.ok(before <= after)
  assert.deepEqual(is, was)
})

test('tokens of nobody, of another project and of another session are refused', async (t) => {
  const { session, user } = await signedUp(t)
  const other = await signedUp(t)
  const ask = async (token) => {
    const { error } = await anon(t).auth.getUser(token)
    return error && [error.status, error.code ?? error.name]
  }
  const claims = JSON.parse(Buffer.from(session.access_token.split('.')[1], 'base64url'))
  const theirs = JSON.parse(Buffer.from(other.session.access_token.split('.')[1], 'base64url'))
  assert.equal(await ask(session.access_token), null)
  const [head, body] = session.access_token.split('.')
  assert.deepEqual(await ask(`${head}.${body}.${Buffer.alloc(32).toString('base64url')}`), [403, 'bad_jwt'])
  assert.deepEqual(await ask(mint({ ...claims, exp: 1 })), [403, 'bad_jwt'])
  assert.deepEqual(await ask(mint({ ...claims, sub: undefined })), [403, 'bad_jwt'])
  assert.deepEqual(await ask(mint({ ...claims, sub: 'x' })), [400, 'bad_jwt'])
  assert.deepEqual(await ask(mint({ ...claims, session_id: 7 })), [403, 'bad_jwt'])
  assert.deepEqual(await ask(mint({ ...claims, sub: '00000000-0000-4000-8000-000000000000' })), [403, 'user_not_found'])
  // One user with the session of another: it does not exist.
  assert.deepEqual(await ask(mint({ ...claims, session_id: theirs.session_id })), [400, 'AuthSessionMissingError'])
  assert.deepEqual(await ask(anonKey), [403, 'bad_jwt'])
  // A user is not an administrator, whatever role they have in mind.
  for (const role of ['authenticated', 'postgres', 'supabase_auth_admin', 'anon']) {
    const client_ = client(t, mint({ role, sub: user.id }))
    refused(await client_.auth.admin.listUsers(), 403, 'not_admin')
    refused(await client_.auth.admin.deleteUser(other.user.id), 403, 'not_admin')
    refused(await client_.auth.admin.createUser({ email: address() }), 403, 'not_admin')
  }
})

test('a client that is signed in is that user on a private channel, and nobody once signed out', async (t) => {
  const admin = await sql(t)
  const { made, user } = await signedUp(t)
  const topic = `room:${user.id}`
  const policy = fresh('own_room')
  await admin.query(`create policy ${policy} on realtime.messages for select to authenticated
    using (realtime.topic() = 'room:' || (select auth.uid())::text)`)
  await admin.query(`create policy ${policy}_send on realtime.messages for insert to authenticated
    with check (realtime.topic() = 'room:' || (select auth.uid())::text)`)
  await made.realtime.setAuth()
  const seen = new Seen()
  const channel = made.channel(topic, { config: { private: true, broadcast: { self: true } } })
  channel.on('broadcast', { event: 'hello' }, seen.add)
  await subscribed(channel)
  await channel.send({ type: 'broadcast', event: 'hello', payload: { from: user.id } })
  assert.equal((await seen.until(() => true)).payload.from, user.id)

  const stranger = await signedUp(t)
  await stranger.made.realtime.setAuth()
  await assert.rejects(subscribed(stranger.made.channel(topic, { config: { private: true } })))
})
