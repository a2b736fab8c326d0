// The pages in a real browser, one context for each person.
import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { createClient } from '@supabase/supabase-js'
import pg from 'pg'
import { launch } from '../chromium.mjs'
import WebSocket from 'ws'
import { servePages } from './pages.mjs'
import { anonKey, bucket, fine, server } from './people.mjs'


let browser
let pages
export let database

before(async () => {
  database = new pg.Client(process.env.DATABASE_URL)
  // A test stops the server, and some servers have their own Postgres.
  database.on('error', () => {})
  await database.connect()
  await bucket(database)
  browser = await launch()
  // The server's own pages, or those of this folder over a server that has none.
  pages = process.env.CHAT_PAGES === 'server' ? { url: `${server}/chat/`, stop() {} } : await servePages({ server, anonKey })
})
after(async () => {
  await browser?.close()
  await pages?.stop()
  await database?.end()
})

export const address = () => pages.url

/** A browser of nobody; at the end of the test nothing may have gone wrong in it. */
export async function visit(t, { hash = '', origins = [], viewport = { width: 1280, height: 800 }, ...more } = {}) {
  const context = await browser.newContext({ viewport, locale: 'en-US', timezoneId: 'Europe/Berlin', storageState: { cookies: [], origins }, ...more })
  const page = await context.newPage()
  const wrong = []
  page.on('pageerror', (error) => wrong.push(`error: ${error.stack}`))
  await page.addInitScript(() => {
    window.violations = []
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) => window.violations.push(`${violatedDirective} ${blockedURI} ${sample}`))
  })
  page.fine = async () => {
    assert.deepEqual(wrong, [])
    assert.deepEqual(await page.evaluate(() => window.violations), [])
  }
  t.after(() => context.close())
  await page.goto(address() + hash)
  return page
}

/**
 * Somebody's browser, signed in with a session of its own. Where requests are stopped on their way (`page.route`) it needs `serviceWorkers: 'block'`:
 * what a service worker asks for goes past.
 */
export async function browserOf(t, person, { conversation, hash, ...more } = {}) {
  const signedIn = createClient(server, anonKey, { auth: { persistSession: false, autoRefreshToken: false }, realtime: { transport: WebSocket } })
  const { session } = fine(await signedIn.auth.signInWithPassword({ email: person.email, password: person.password }))
  const origins = [{ origin: new URL(address()).origin, localStorage: [{ name: 'dovetail-auth', value: JSON.stringify(session) }] }]
  const page = await visit(t, { origins, hash: hash ?? (conversation ? `#/c/${conversation}` : ''), ...more })
  await page.locator('.dt-list-scroll[data-status=ready], .app-page').first().waitFor({ state: 'attached' })
  if (conversation) await ready(page)
  return page
}

/** The conversation is shown, and what happens in it is heard of. */
export async function ready(page) {
  await page.locator('.dt-scroll[data-status=ready]').first().waitFor({ state: 'attached' })
  await page.locator('.dt-thread[data-live=true]').waitFor({ state: 'attached' })
}

export const composer = (page) => page.locator('.dt-thread-main .dt-composer textarea')
export const bubble = (page, text) => page.locator('[data-testid=bubble]').filter({ hasText: text })
export const texts = (page) => page.locator('.dt-thread-main [data-testid=bubble]').allTextContents()

export async function write(page, text) {
  await composer(page).fill(text)
  await composer(page).press('Enter')
}

export { until } from './until.mjs'
