// The parts of the inspector that need no browser: frames, tokens, presence, explanations.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { describe, test } from 'node:test'
import { addresses } from '../../clients/inspector/client.mjs'
import { Channel, joinPayload } from '../../clients/inspector/channel.mjs'
import { explain } from '../../clients/inspector/explain.mjs'
import { decodeBinary, decodeText, encodeText, encodeUserBroadcast, fromHex, hex } from '../../clients/inspector/frames.mjs'
import { Presence } from '../../clients/inspector/presence.mjs'
import { REASONS } from '../../clients/inspector/reasons.mjs'
import { doctor, publish, readPolicy, writePolicy } from '../../clients/inspector/snippets.mjs'
import { decode, duration, expiry, remarks } from '../../clients/inspector/token.mjs'

const bytes = (text) => fromHex(text)

describe('frames', () => {
  test('text frames are arrays of five', () => {
    const text = encodeText({ joinRef: '1', ref: '2', topic: 'realtime:r', event: 'phx_join', payload: { a: 1 } })
    assert.equal(text, '["1","2","realtime:r","phx_join",{"a":1}]')
    assert.deepEqual(decodeText(text), { joinRef: '1', ref: '2', topic: 'realtime:r', event: 'phx_join', payload: { a: 1 } })
    for (const wrong of ['', '{', '{}', '[1,2]', '[null,null,1,"e",{}]', 'null']) assert.ok(decodeText(wrong).malformed, wrong)
  })

  // The worked examples of the protocol.
  const kind3 = '03 01 01 0d 05 00 01 31 37 72 65 61 6c 74 69 6d 65 3a 72 6f 6f 6d 73 68 6f 75 74 7b 22 61 22 3a 31 7d'
  const kind3Binary = '03 01 01 0d 04 00 00 31 38 72 65 61 6c 74 69 6d 65 3a 72 6f 6f 6d 62 6c 6f 62 de ad be ef'
  const kind4 = '04 0d 05 00 01 72 65 61 6c 74 69 6d 65 3a 72 6f 6f 6d 73 68 6f 75 74 7b 22 61 22 3a 31 7d'
  const replayed = '04 0d 03 3d 00 72 65 61 6c 74 69 6d 65 3a 72 6f 6f 6d 62 69 6e 7b 22 69 64 22 3a 22 35 66 30 65 32 66 32 61 2d 39 66 36 65 2d 34 61 35 65 2d 38 63 36 33 2d 37 61 31 66 33 61 34 66 39 66 31 31 22 2c 22 72 65 70 6c 61 79 65 64 22 3a 74 72 75 65 7d 01 02 03'
  const kind2 = '02 0d 09 72 65 61 6c 74 69 6d 65 3a 72 6f 6f 6d 62 72 6f 61 64 63 61 73 74 01 02 03'

  test('broadcasts are written as in the examples', () => {
    const made = encodeUserBroadcast({ joinRef: '1', ref: '7', topic: 'realtime:room', event: 'shout', payload: { a: 1 } })
    assert.deepEqual(made, bytes(kind3))
    const binary = encodeUserBroadcast({ joinRef: '1', ref: '8', topic: 'realtime:room', event: 'blob', payload: bytes('deadbeef') })
    assert.deepEqual(binary, bytes(kind3Binary))
    const long = { joinRef: '1', ref: '8', topic: `realtime:${'ü'.repeat(130)}`, event: 'e', payload: {} }
    assert.throws(() => encodeUserBroadcast(long), /topic has 269 bytes/)
  })

  test('and read', () => {
    const sent = decodeBinary(bytes(kind3), 'out')
    assert.deepEqual([sent.joinRef, sent.ref, sent.topic, sent.userEvent, sent.payload], ['1', '7', 'realtime:room', 'shout', { a: 1 }])
    const heard = decodeBinary(bytes(kind4))
    assert.deepEqual([heard.event, heard.userEvent, heard.payload, heard.meta], ['broadcast', 'shout', { a: 1 }, undefined])
    const again = decodeBinary(bytes(replayed))
    assert.deepEqual([again.meta.replayed, again.json, again.bytes, again.payload], [true, false, bytes('010203'), undefined])
    const raw = decodeBinary(bytes(kind2))
    assert.deepEqual([raw.topic, raw.event, raw.bytes], ['realtime:room', 'broadcast', bytes('010203')])
    const reply = decodeBinary(bytes('01 01 01 01 02 31 32 74 6f 6b 7b 7d'))
    assert.deepEqual([reply.joinRef, reply.ref, reply.topic, reply.event, reply.status], ['1', '2', 't', 'phx_reply', 'ok'])
  })

  test('no cut of a frame throws, and what is not right says so', () => {
    const whole = bytes(replayed)
    for (let n = 0; n < 77; n++) assert.ok(decodeBinary(whole.subarray(0, n)).malformed, `${n} bytes`)
    assert.ok(decodeBinary(bytes('09 01')).malformed)
    assert.ok(decodeBinary(bytes('02 01 01 ff 61')).malformed, 'not UTF-8')
    assert.match(decodeBinary(bytes('04 01 01 00 01 74 65 7b')).problem, /payload/)
  })

  test('hexadecimal', () => {
    assert.equal(hex(bytes('41ff')), `0000  41 ff${' '.repeat(42)}  A.`)
    assert.match(hex(new Uint8Array(20), 16), /… 4 more bytes$/)
    assert.equal(fromHex('abc'), null)
    assert.equal(fromHex('zz'), null)
  })
})

describe('tokens', () => {
  const jwt = (claims) => `${btoa('{"alg":"HS256"}')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`

  test('are decoded, or it is said what is wrong', () => {
    assert.deepEqual(decode(` ${jwt({ role: 'anon', name: 'Zoë' }).replace('.', '.\n')}`).claims, { role: 'anon', name: 'Zoë' })
    for (const [text, what] of [['', /Paste/], ['sb_publishable_x', /not a JWT/], ['a.b', /three parts/], ['a.b.c', /base64url/], [jwt([]), /not a JSON object/]]) {
      assert.match(decode(text).problem, what)
    }
  })

  test('time to expiry', () => {
    assert.deepEqual(expiry({ exp: 1000 }, 900), { level: 'soon', text: 'expires in 1 min 40 s' })
    assert.equal(expiry({ exp: 1000 }, 1000).level, 'bad')
    assert.equal(expiry({ exp: 90_061 }, 0).text, 'expires in 1 day 1 h')
    assert.equal(expiry({}, 0).level, 'bad')
    assert.equal(expiry({ exp: 'x' }, 0).level, 'bad')
    assert.equal(duration(0), '0 s')
    assert.equal(duration(10 * 31_536_000 + 5), '10 years')
  })

  test('remarks', () => {
    assert.match(remarks({ role: 'service_role' })[0], /bypasses/)
    assert.match(remarks({})[0], /no role/)
    assert.deepEqual(remarks({ role: 'anon' }), [])
  })
})

describe('presence', () => {
  const meta = (ref, more) => ({ metas: [{ phx_ref: ref, ...more }] })

  test('state, join, update, leave', () => {
    const presence = new Presence()
    presence.diff({ joins: { bob: meta('2') }, leaves: {} }, true)
    assert.equal(presence.rows().length, 0, 'waits for the state')
    presence.state({ ann: meta('1', { n: 1 }) })
    assert.deepEqual(presence.rows().map(({ key }) => key), ['ann', 'bob'])
    presence.diff({ joins: { ann: meta('3', { n: 2, phx_ref_prev: '1' }) }, leaves: { ann: meta('1') } })
    assert.deepEqual(presence.rows()[0], { key: 'ann', meta: { n: 2 }, ref: '3', updated: true })
    presence.diff({ joins: { ann: meta('4') }, leaves: {} })
    assert.equal(presence.rows().length, 3, 'two of one key')
    presence.diff({ joins: {}, leaves: { ann: { metas: [{ phx_ref: '3' }, { phx_ref: '4' }] } } })
    assert.deepEqual(presence.rows().map(({ key }) => key), ['bob'])
  })

  test('odd frames do no harm', () => {
    const presence = new Presence()
    for (const odd of [null, 5, { a: null }, { __proto__: null, constructor: { metas: [null, 3] } }]) presence.state(odd)
    presence.diff(null)
    presence.diff(JSON.parse('{"joins":{"__proto__":{"metas":[{"phx_ref":"1"}]}},"leaves":{}}'))
    assert.deepEqual(presence.rows().filter(({ ref }) => ref).map(({ key }) => key), ['__proto__'])
  })
})

describe('explanations', () => {
  const known = (kind, what) => {
    const found = explain(kind, what, { topic: 'room', role: 'authenticated', claims: { role: 'authenticated' }, bindings: [{ schema: 'public', table: 'todos' }] })
    assert.ok(found.known, `${kind}: ${JSON.stringify(what)}`)
    return found
  }

  test('every refusal of a connect', () => {
    const bodies = [
      [400, ''], [403, ''], [404, 'Tenant not found'], [403, 'Realtime was disabled for this tenant'], [401, 'API key is missing'],
      [401, 'The token provided is not a valid JWT'], [401, 'Failed to generate JWT signer for key ID (kid) "k", check your JWT secret or JWKS configuration'],
      [401, 'Failed to generate JWT signer, check your JWT secret or JWKS configuration'], [401, 'Failed to validate JWT signature'], [401, 'Token has expired'],
      [500, 'Error connecting to Realtime'], [401, 'Fields `role` and `exp` are required in JWT'], [429, 'Too many connected users'],
      [429, 'Too many joins per second'], [400, "'connection' header must contain 'upgrade', got []"], [414, ''], [431, ''], [0, ''],
    ]
    const titles = bodies.map(([status, text]) => known('connect', { status, body: text && `{"error":${JSON.stringify(text)}}` }).title)
    assert.equal(new Set(titles).size, titles.length, `each its own: ${titles}`)
  })

  test('every close code', () => {
    for (const code of [1000, 1001, 1002, 1006, 1009, 1011, 1012, 1013]) known('close', code)
  })

  test('every refusal of a join', () => {
    const reasons = [
      'TopicNameRequired: You must provide a topic name', 'UnknownErrorOnChannel: x', 'RealtimeRestarting: Realtime is restarting, please standby',
      'TenantNotFound: Tenant with the given ID does not exist', 'PrivateOnly: This project only allows private channels',
      'ConnectionRateLimitReached: Too many connected users', 'ClientJoinRateLimitReached: Too many joins per second', 'ChannelRateLimitReached: Too many channels',
      'InvalidJWTToken: Token has expired 5 seconds ago', 'InvalidJWTToken: Fields `role` and `exp` are required in JWT', 'MalformedJWT: The token provided is not a valid JWT',
      'JwtSignatureError: Failed to validate JWT signature', 'JwtSignerError: Failed to generate JWT signer, check your JWT secret or JWKS configuration',
      'InvalidJWTToken: Token expiration time is invalid', 'Unknown Error on Channel', 'UnableToConnectToProject: Realtime was unable to connect to the project database',
      'InitializingProjectConnection: Connecting to the project database', "DatabaseLackOfConnections: Database can't accept more connections, Realtime won't connect",
      'DatabaseConnectionRateLimitReached: Too many database connections attempts per second', 'RealtimeDisabledForTenant: Realtime disabled for this tenant',
      'TimeoutOnRpcCall: Node request timeout', 'Unauthorized: You do not have permissions to read from this Channel topic: room',
      'IncreaseConnectionPool: Please increase your connection pool size', 'Realtime was unable to connect to the project database', 'QueryCanceled: x',
      'MissingPartition: Realtime was unable to find the expected messages partition', 'UnableToReplayMessages: Replay is not allowed for public channels',
      'UnableToReplayMessages: Replay params are not valid', 'UnableToReplayMessages: Realtime was unable to replay messages', 'MusterJoinError: x', 'unmatched topic',
      'no answer to the join',
    ]
    const titles = reasons.map((reason) => known('join', reason).title)
    const pairs = titles.filter((title, n) => titles.indexOf(title) !== n)
    assert.deepEqual(pairs, [], 'each its own')
  })

  test('every system message', () => {
    for (const message of [
      'Replication connection established', 'Replication connection was not established in time', 'Too many messages per second', 'Too many presence messages per second',
      'Client presence rate limit exceeded', 'Track message size exceeded', 'Server requested disconnect', 'Subscribed to PostgreSQL',
      'Token has expired 0 seconds ago', 'The token provided is not a valid JWT', 'Fields `role` and `exp` are required in JWT',
      'Failed to generate JWT signer for key ID (kid) "k", check your JWT secret or JWKS configuration', ':error_generating_signer', ':signature_error',
      'You do not have permissions to read from this Channel topic: room', 'You no longer have permission to read from this Channel topic: room',
      'Realtime was unable to connect to the project database', 'Query was cancelled, please try again', 'Node request timeout', 'RPC call error: x',
      ':initializing', ':increase_connection_pool', ':tenant_db_too_many_connections', ':connect_rate_limit_reached', ':tenant_suspended',
      'Error parsing `filter` params: ["wrong"]', 'Error parsing `select` params: expected a list', 'Column selection is not supported for wildcard subscriptions. Provide',
      'No subscription params provided. Please provide', 'Unable to subscribe to changes with given parameters. Please check Realtime is enabled for the given connect parameters: x',
      'Unable to subscribe to changes with given parameters. An exception happened so please check', '{:error, "Too many database timeouts"}',
      'No rows of public.todos can be delivered: role anon may not SELECT from it. Grant it with: grant select on public.todos to anon',
      'No rows of public.todos can be delivered: row level security is enabled and no policy for SELECT applies to role anon',
      'The connection to the database was lost; changes may be missed until it is back', 'Changes of the database cannot be received: the server is stopping',
      'Changes may have been missed: the replication slot was lost', 'A change was too large to be read and was left out', 'The database could not be asked: x',
    ]) known('system', message)
  })

  test('replies, and the ends of channels', () => {
    for (const text of ['broadcast: payload_size_exceeded', 'presence: Presence track payload must be a map', 'presence: ', 'broadcast: no answer', 'broadcast: unmatched topic']) known('reply', text)
    known('channel', 'phx_close')
    known('channel', 'phx_error')
  })

  test('what is not known is said to be so', () => {
    assert.equal(explain('join', 'Surprise: x').known, false)
    assert.equal(explain('close', 4242).known, false)
    for (const list of Object.values(REASONS)) for (const { title, means, todo } of list) assert.ok(title && means && Array.isArray(todo))
  })

  test('a refused private channel comes with a policy and a command', () => {
    const { snippets } = known('join', 'Unauthorized: You do not have permissions to read from this Channel topic: room')
    assert.match(snippets[0].text, /for select to authenticated/)
    assert.match(snippets[0].text, /realtime\.topic\(\) = 'room'/)
    assert.equal(snippets[1].text, `dovetail doctor --as '{"role":"authenticated"}' --topic 'room'`)
    const table = known('system', 'Unable to subscribe to changes with given parameters. Please check Realtime is enabled for x')
    assert.match(table.snippets[0].text, /alter publication supabase_realtime add table "public"\."todos";/)
  })

  test('hostile names stay inside their quotes', () => {
    const topic = `x'); drop table users; --" ‘`
    for (const policy of [readPolicy({ topic, role: 'a"b' }), writePolicy({ topic, role: 'a"b' })]) {
      assert.ok(policy.includes(`realtime.topic() = 'x''); drop table users; --" ‘'`), policy)
      assert.ok(policy.includes('to "a""b"'), policy)
      assert.ok(policy.includes('--"" ‘" on realtime.messages'), policy)
    }
    assert.equal(doctor({ topic: "a'b", claims: {} }), `dovetail doctor --as '{}' --topic 'a'\\''b'`)
    assert.equal(readPolicy({ topic: 'a\0b' }), null)
    assert.equal(publish({ bindings: [{ schema: 'public', table: '*' }] }), null)
    assert.ok(readPolicy({ topic: 'ü'.repeat(300) }).split('\n')[0].length < 80)
  })
})

describe('joining', () => {
  const options = { isPrivate: true, self: false, ack: true, presence: true, key: '', bindings: [] }

  test('the payload of a join', () => {
    assert.deepEqual(joinPayload({ ...options, since: 5, limit: 2 }, 't'), {
      config: { private: true, broadcast: { self: false, ack: true, replay: { since: 5, limit: 2 } }, presence: { enabled: true, key: '' }, postgres_changes: [] },
      access_token: 't',
    })
    assert.equal('replay' in joinPayload(options, 't').config.broadcast, false)
  })

  test('the close of a channel that was replaced does not end its successor', () => {
    const channel = new Channel('r', options, () => ({}))
    channel.joining('5')
    channel.answered('ok', {})
    channel.received({ event: 'phx_close', joinRef: '3', ref: '3' })
    assert.equal(channel.state, 'joined')
    channel.received({ event: 'system', payload: { status: 'error', message: 'Token has expired 0 seconds ago' } })
    channel.received({ event: 'phx_close', joinRef: '5', ref: '5' })
    assert.equal(channel.state, 'closed')
    assert.equal(channel.notices[0].explanation.title, 'Token expired', 'the reason stays on top')
  })

  test('addresses', () => {
    assert.deepEqual(addresses('https://x.example/base/', '/socket/websocket', 'a+b'), {
      ws: 'wss://x.example/base/socket/websocket?apikey=a%2Bb&vsn=2.0.0', http: 'https://x.example/base/socket/websocket?apikey=a%2Bb&vsn=2.0.0',
    })
    assert.throws(() => addresses('file:///x', '/', ''), /http/)
    assert.throws(() => addresses('x', '/', ''))
  })
})

test('no file of the page makes markup of data, or asks anybody else for anything', () => {
  const folder = new URL('../../clients/inspector/', import.meta.url)
  for (const name of fs.readdirSync(folder)) {
    const text = fs.readFileSync(new URL(name, folder), 'utf8')
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|localStorage/, name)
    if (!name.endsWith('.svg')) assert.doesNotMatch(text, /(src|href)="https?:|url\(https?:|from 'https?:/, name)
  }
})
