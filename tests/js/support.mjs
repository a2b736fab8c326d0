// What the client tests share: where the server is, tokens, a database session, waiting for events.
//
// The environment says where: DOVETAIL_URL, JWT_SECRET, DATABASE_URL, and CONTROL_PORT, a loopback port
// that takes the one-line order "restart" and answers "done" when the server is ready again.
import crypto from 'node:crypto'
import net from 'node:net'
import pg from 'pg'
import WebSocket from 'ws'
import * as latest from '@supabase/supabase-js'
import * as old from 'supabase-js-239'

export { Seen, subscribed } from './waiting.mjs'

const need = (name) => {
  if (!process.env[name]) throw new Error(`${name} is not set; \`cargo test --test it clients\` sets it`)
  return process.env[name]
}

export const url = need('DOVETAIL_URL')
const secret = need('JWT_SECRET')
const databaseUrl = need('DATABASE_URL')

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token signed with the server's secret; it expires in an hour unless the claims say otherwise. */
export function mint(claims) {
  const exp = Math.floor(Date.now() / 1000) + 3600
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ exp, ...claims })}`
  return `${signed}.${crypto.createHmac('sha256', secret).update(signed).digest('base64url')}`
}

/** The key a browser has: a token of role anon, or CLIENT_KEY, which only a gateway understands. */
export const anon = process.env.CLIENT_KEY ?? mint({ role: 'anon' })
export const user = (sub, more = {}) => mint({ role: 'authenticated', sub, ...more })

/**
 * The two ends of the range of client libraries that are promised to work. Before Node 22 the latest has to be given
 * a WebSocket; the old one finds `ws` by itself, and never opens a connection with one that it was given.
 */
export const libraries = [
  { name: 'supabase-js latest', createClient: latest.createClient, transport: WebSocket, asksForPresence: true },
  { name: 'supabase-js 2.39', createClient: old.createClient },
]

/** An unmodified client, with a user's token if one is given. */
export async function client(t, { createClient, transport }, { token, ...realtime } = {}) {
  const made = createClient(url, anon, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    realtime: { ...(transport && { transport }), ...realtime },
  })
  if (token) await made.realtime.setAuth(token)
  t.after(() => {
    // Not awaited: a channel of a socket that never opened has nobody to say goodbye to.
    made.removeAllChannels().catch(() => {})
    made.realtime.disconnect()
  })
  return made
}

/** A superuser session, closed when the test ends. */
export async function database(t) {
  const session = new pg.Client(databaseUrl)
  await session.connect()
  t.after(() => session.end())
  return session
}

let number = 0
/** A name that no other test uses. */
export const fresh = (what) => `${what}_${process.pid}_${++number}`

/** A table in the publication that both roles may read. With `owned`, only its owner sees a row. */
export async function table(session, { owned = false } = {}) {
  const name = fresh('js_notes')
  await session.query(`create table public.${name} (id int primary key, owner text, v text);
    grant select on public.${name} to anon, authenticated;
    alter publication supabase_realtime add table public.${name}`)
  if (owned) {
    await session.query(`alter table public.${name} enable row level security;
      create policy own on public.${name} for select to authenticated
        using (owner = (select current_setting('request.jwt.claims', true)::jsonb ->> 'sub'))`)
  }
  return name
}

/** Has the server under test stopped and started again. */
export function restartServer() {
  return new Promise((done, failed) => {
    const socket = net.connect(Number(need('CONTROL_PORT')), '127.0.0.1', () => socket.write('restart\n'))
    socket.on('data', () => { socket.end(); done() })
    socket.on('error', failed)
  })
}

export { WebSocket }
