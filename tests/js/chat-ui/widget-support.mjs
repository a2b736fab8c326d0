// Pages of somebody else with the widget in them, in a real browser; an advisor with supabase-js on the other side.
import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import fsp from 'node:fs/promises'
import http from 'node:http'
import path from 'node:path'
import { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { launch } from '../chromium.mjs'
import { fine, people, server, service } from './people.mjs'

export const built = fileURLToPath(new URL('../../../clients/dist/widget', import.meta.url))
const KINDS = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.mjs': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8' }

let browser
let host
/** Pages that tests have written, by their path. */
const written = new Map()

async function answer(request, response) {
  const { pathname } = new URL(request.url, 'http://localhost')
  const page = written.get(pathname)
  if (page) return response.writeHead(200, { 'content-type': KINDS['.html'], ...(page.policy ? { 'content-security-policy': page.policy } : {}) }).end(page.html)
  const name = pathname === '/widget.js' ? 'widget.js' : pathname.replace(/^\/widget\//, '')
  const content = /^[\w.-]+$/.test(name) ? await fsp.readFile(path.join(built, name)).catch(() => null) : null
  if (!content) return response.writeHead(404).end()
  response.writeHead(200, { 'content-type': KINDS[path.extname(name)] ?? 'text/plain', 'access-control-allow-origin': '*' }).end(content)
}

before(async () => {
  await fsp.access(path.join(built, 'widget.js')).catch(() => { throw new Error('clients/dist/widget is missing: `make clients` builds it') })
  browser = await launch()
  host = http.createServer((request, response) => void answer(request, response))
  await new Promise((done) => { host.listen(0, done) })
})
after(async () => {
  await browser?.close()
  host?.closeAllConnections()
  host?.close()
})

/** Where the script is: at the server itself, as in production, or from the folder it was built into. */
export const scripts = () => (process.env.CHAT_PAGES === 'server' ? server : `http://127.0.0.1:${host.address().port}`)
const origin = () => `http://localhost:${host.address().port}`

/** A client without an account, their advisor, and a link between the two. */
export async function link({ advisor = 'Ada Vance', client = 'Cleo Marsh', subject = 'Lisbon in May' } = {}) {
  const org = crypto.randomUUID()
  const [ada] = await people({ [advisor]: 'advisor' }, org)
  const id = crypto.randomUUID()
  const made = { subjectId: `trip-${crypto.randomUUID().slice(0, 8)}`, shareToken: crypto.randomBytes(24).toString('hex') }
  fine(await service.from('profiles').insert({ id, display_name: client, kind: 'client', org_id: org }))
  fine(await service.from('share_links').insert({ org_id: org, client_id: id, subject_id: made.subjectId, subject_title: subject, advisor_id: ada.id, token: made.shareToken }))
  return { ...made, ada, client: id, org }
}

export const turn = async ({ shareToken }, enabled) => fine(await service.from('share_links').update({ enabled }).eq('token', shareToken))

const attributes = (all) => Object.entries(all).map(([name, value]) => ` ${name}="${String(value).replace(/"/g, '&quot;')}"`).join('')

/** A page with the script tag. `data` are more of its attributes, `body` and `head` what else is in the page. */
export async function visit(t, { subjectId, shareToken }, { data = {}, body = '<h1>A page</h1>', head = '', policy = '', lang = 'en', dir = '', script = true, hasTouch = false, before: prepare, ...context } = {}) {
  const at = `/page-${crypto.randomUUID()}`
  const tag = script ? `<script src="${scripts()}/widget.js"${attributes({ 'data-subject-id': subjectId, 'data-share-token': shareToken, 'data-url': server, ...data })} async></script>` : ''
  written.set(at, { policy, html: `<!doctype html><html lang="${lang}"${dir && ` dir="${dir}"`}><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Host</title>${head}</head><body>${body}${tag}</body></html>` })
  const opened = await browser.newContext({ viewport: { width: 1000, height: 720 }, locale: 'en-US', timezoneId: 'Europe/Berlin', hasTouch, ...context })
  t.after(() => opened.close())
  const page = await opened.newPage()
  page.setDefaultTimeout(15_000)
  const wrong = []
  page.on('pageerror', (error) => wrong.push(error.stack))
  await page.addInitScript(() => {
    window.violations = []
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) => window.violations.push(`${violatedDirective} ${blockedURI} ${sample}`))
  })
  page.fine = async () => {
    assert.deepEqual(wrong, [])
    assert.deepEqual(await page.evaluate(() => window.violations), [])
  }
  await prepare?.(page)
  await page.goto(origin() + at)
  return page
}

export const launcher = (page) => page.getByTestId('launcher')
export const field = (page) => page.getByTestId('window').locator('textarea')
export const bubble = (page, text) => page.getByTestId('bubble').filter({ hasText: text })
export const texts = (page) => page.locator('[data-row] [data-testid=bubble]').allTextContents()

/** Opens the window and waits until what happens is heard of. */
export async function open(page) {
  await launcher(page).click()
  await page.locator('[data-testid=log][data-status=ready]').waitFor()
}

export async function write(page, text) {
  await field(page).fill(text)
  await field(page).press('Enter')
}

/** The conversation of a link, as the advisor has it once the guest has come. */
export async function conversationOf({ ada, subjectId }) {
  const found = fine(await service.from('conversations').select('id').eq('project_id', subjectId))
  assert.equal(found.length, 1, `conversations about ${subjectId} of ${ada.name}`)
  return found[0].id
}

/** What the advisor hears while the conversation is open: rows and typing. */
export async function listens(t, { ada }, conversation) {
  const [rows, typing] = [[], []]
  await ada.client.realtime.setAuth()
  const joined = (channel) => new Promise((done, failed) => {
    let changes = false
    channel.on('system', {}, ({ status }) => { if (status === 'ok') { changes = true; done() } })
    channel.subscribe((status, error) => {
      if (status === 'SUBSCRIBED' && (changes || channel.topic.includes('typing'))) done()
      else if (status === 'CHANNEL_ERROR') failed(error ?? new Error('refused'))
    })
  })
  const messages = ada.client.channel(`messages:${conversation}`, { config: { private: true } })
    .on('postgres_changes', { event: 'INSERT', schema: 'public', table: 'messages', filter: `conversation_id=eq.${conversation}` }, ({ new: row }) => rows.push(row))
  const keys = ada.client.channel(`typing:${conversation}`, { config: { private: true } }).on('broadcast', { event: 'typing' }, ({ payload }) => typing.push(payload))
  await Promise.all([joined(messages), joined(keys)])
  t.after(() => ada.client.removeAllChannels())
  return { rows, typing, say: (is_typing) => keys.send({ type: 'broadcast', event: 'typing', payload: { type: 'typing', user_id: ada.id, is_typing } }) }
}

export { until } from './until.mjs'
