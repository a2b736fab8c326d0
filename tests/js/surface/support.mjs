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
    // A client that never had a channel has nothing to close, and would wait for ten seconds to be sure of it.
    if (made.getChannels().length === 0) return
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

/** Quotes, for names that come from the tests themselves. */
const quoted = (name) => `"${name.replaceAll('"', '""')}"`

/**
 * The ground a file stands on: runs its DDL in schema public and lets the client roles use what it made. All names begin
 * with the file's own prefix, so files can run at the same time, and again in the same database.
 */
export async function ground(prefix, ddl) {
  const session = await sql()
  const { rows } = await session.query(
    `select case c.relkind when 'v' then 'view' else 'table' end as kind, c.oid::regclass::text as name
       from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v') and starts_with(c.relname, $1)
     union all
     select 'function', p.oid::regprocedure::text
       from pg_proc p where p.pronamespace = 'public'::regnamespace and starts_with(p.proname, $1)
     union all
     select 'type', t.oid::regtype::text
       from pg_type t left join pg_class c on c.oid = t.typrelid
       where t.typnamespace = 'public'::regnamespace and starts_with(t.typname, $1) and (t.typtype in ('e', 'd') or c.relkind = 'c')`,
    [prefix],
  )
  for (const { kind, name } of rows) await session.query(`drop ${kind} if exists ${name} cascade`)
  await session.query(ddl)
  const made = await session.query(
    `select relkind, relname from pg_class
     where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'S') and starts_with(relname, $1)`,
    [prefix],
  )
  for (const { relkind, relname } of made.rows) {
    const kind = relkind === 'S' ? 'sequence' : 'table'
    await session.query(`grant all on ${kind} public.${quoted(relname)} to anon, authenticated, service_role`)
  }
  return session
}
