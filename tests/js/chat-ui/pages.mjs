// Serves the built pages as the server does: from its own address, under a strict policy, with the configuration beside them.
import fs from 'node:fs/promises'
import http from 'node:http'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const dist = fileURLToPath(new URL('../../../clients/dist/chat', import.meta.url))

const KINDS = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.png': 'image/png', '.webmanifest': 'application/manifest+json' }

/** Scripts and styles only from here; pictures and connections also from the server. */
const policy = (server) => {
  const socket = server.replace(/^http/, 'ws')
  return `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob: ${server}; media-src 'self' blob: ${server}; font-src 'self'; `
    + `connect-src 'self' ${server} ${socket}; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
}

async function answer(request, response, { server, anonKey, demo }) {
  const { pathname } = new URL(request.url, 'http://localhost')
  const json = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  if (pathname === '/chat') return response.writeHead(308, { location: '/chat/' }).end()
  if (pathname === '/chat/v1/app-config') return json(200, { url: server, anonKey, vapidPublicKey: null, bucket: 'chat-attachments' })
  if (pathname === '/chat/v1/demo') return demo ? json(200, { users: demo }) : json(404, { error: 'not found' })
  if (!pathname.startsWith('/chat/')) return response.writeHead(404).end()
  const file = path.join(dist, path.normalize(pathname.slice('/chat'.length)).replace(/\/$/, '/index.html'))
  const content = await fs.readFile(file).catch(() => null)
  if (!content || !file.startsWith(dist)) return response.writeHead(404).end()
  response.writeHead(200, {
    'content-type': KINDS[path.extname(file)] ?? 'application/octet-stream', 'content-security-policy': policy(server), 'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer', 'cache-control': pathname.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
  }).end(content)
}

/** Starts; gives the address of the pages and how to stop. `server` is where the API is. */
export async function servePages(where) {
  await fs.access(path.join(dist, 'index.html')).catch(() => { throw new Error('clients/dist is missing: `make clients` builds it') })
  const pages = http.createServer((request, response) => {
    answer(request, response, where).catch((error) => response.writeHead(500).end(String(error)))
  })
  await new Promise((done) => { pages.listen(where.port ?? 0, '127.0.0.1', done) })
  return { url: `http://127.0.0.1:${pages.address().port}/chat/`, stop: () => { pages.closeAllConnections(); pages.close() } }
}
