// What the tests of the embedded surface share: where it is, its keys, clients, a database session.
//
// The environment says where: SURFACE_URL (the origin, as given to createClient), ANON_KEY, SERVICE_KEY, JWT_SECRET
// and DATABASE_URL (a superuser's). Everything that a test asks for belongs to it and goes when it ends; what is made
// at the top of a file belongs to the file.
import crypto from 'node:crypto'
import { after } from 'node:test'
import pg from 'pg'
import WebSocket from 'ws'
import { createClient } from '@supabase/supabase-js'

export { Seen, subscribed } from '../waiting.mjs'

const need = (name) => {
  if (!process.env[name]) throw new Error(`${name} is not set; \`cargo test --test it surface\` sets it`)
  return process.env[name]
}

export const url = need('SURFACE_URL')
export const anonKey = need('ANON_KEY')
export const serviceKey = need('SERVICE_KEY')
export const databaseUrl = need('DATABASE_URL')
const secret = need('JWT_SECRET')

/** Three persons whom policies can tell apart. */
export const ann = '00000000-0000-4000-8000-00000000000a'
export const bob = '00000000-0000-4000-8000-00000000000b'
export const eve = '00000000-0000-4000-8000-00000000000e'

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token signed with the server's secret; it expires in an hour unless the claims say otherwise. */
export function mint(claims) {
  const exp = Math.floor(Date.now() / 1000) + 3600
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ exp, ...claims })}`
  return `${signed}.${crypto.createHmac('sha256', secret).update(signed).digest('base64url')}`
}

/** The token of a user who is signed in. */
export const userToken = (sub, more = {}) => mint({ role: 'authenticated', aud: 'authenticated', sub, ...more })

/** Owner of what is made outside a test: the file. */
const file = { after }

/** A superuser session, closed when the test ends. */
export async function sql(t = file) {
  const session = new pg.Client(databaseUrl)
  await session.connect()
  t.after(() => session.end())
  return session
}

/** An unmodified client that keeps nothing on disk, closed when the test ends. Before Node 22 it needs a WebSocket. */
export function client(t = file, key = anonKey, { auth, realtime, ...more } = {}) {
  const made = createClient(url, key, {
    ...more,
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false, ...auth },
    realtime: { transport: WebSocket, ...realtime },
  })
  t.after(() => {
    // Not awaited: a channel of a socket that never opened has nobody to say goodbye to.
    made.removeAllChannels().catch(() => {})
    made.realtime.disconnect()
  })
  return made
}

/** The client of a visitor. */
export const anon = (t, more) => client(t, anonKey, more)

/** The client of a backend. */
export const service = (t, more) => client(t, serviceKey, more)

/** The client of a user whose token came from elsewhere (such a client has no `auth`). */
export const asUser = (t, sub, { claims, ...more } = {}) =>
  client(t, anonKey, { ...more, accessToken: async () => userToken(sub, claims) })

let number = 0
/** A name that no other test uses. */
export const fresh = (what) => `${what}_${process.pid}_${++number}`

/** The data of an answer that has to be a success. */
export async function data(request) {
  const answer = await request
  if (answer.error) throw new Error(`${answer.status} ${JSON.stringify(answer.error)}`)
  return answer.data
}
