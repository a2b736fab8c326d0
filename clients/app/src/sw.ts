// The service worker: the pages without a network, and push messages.
export {}
declare const self: ServiceWorkerGlobalScope

const SHELL = 'dovetail-shell-1'
const ROOT = new URL('./', self.location.href).pathname

/** The page and what it names; parts that are loaded later are kept when they are. */
async function keepShell(): Promise<void> {
  const cache = await caches.open(SHELL)
  const page = await fetch(ROOT, { cache: 'no-cache' })
  if (!page.ok) return
  const html = await page.clone().text()
  await cache.put(ROOT, page)
  const named = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((match) => match[1] as string)
  await Promise.all(named.map(async (path) => {
    const known = path.includes('/assets/') ? await cache.match(path) : undefined
    if (!known) await cache.add(path).catch(() => {})
  }))
  // Of earlier versions nothing is needed any more.
  for (const request of await cache.keys()) {
    const { pathname } = new URL(request.url)
    if (pathname.includes('/assets/') && !named.includes(pathname) && !html.includes(pathname)) await cache.delete(request)
  }
}

self.addEventListener('install', (event) => {
  event.waitUntil(keepShell().then(() => self.skipWaiting()))
})
self.addEventListener('activate', (event) => {
  event.waitUntil(self.clients.claim())
})

self.addEventListener('fetch', (event) => {
  const { request } = event
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== self.location.origin || !url.pathname.startsWith(ROOT) || url.pathname.startsWith(`${ROOT}v1/`)) return
  if (request.mode === 'navigate') {
    // The network first, so that a new version is seen at once.
    event.respondWith(fetch(request).then((answer) => {
      if (answer.ok) event.waitUntil(keepShell().catch(() => {}))
      return answer
    }).catch(async () => (await caches.match(ROOT)) ?? Response.error()))
    return
  }
  // Names of assets change with their content.
  event.respondWith((async () => {
    const kept = await caches.match(request)
    if (kept) return kept
    const answer = await fetch(request)
    if (answer.ok && url.pathname.includes('/assets/')) {
      const copy = answer.clone()
      event.waitUntil(caches.open(SHELL).then((cache) => cache.put(request, copy)))
    }
    return answer
  })())
})

interface Told { title?: string; body?: string; url?: string; tag?: string; data?: { conversation_id?: string; message_id?: string }; badge?: number }

self.addEventListener('push', (event) => {
  let told: Told = {}
  try {
    told = (event.data?.json() ?? {}) as Told
  } catch {
    told = { body: event.data?.text() }
  }
  event.waitUntil((async () => {
    const conversation = told.data?.conversation_id
    const hash = conversation ? `#/c/${conversation}` : (told.url ?? '').replace(/^[^#]*/, '')
    const pages = await self.clients.matchAll({ type: 'window' })
    // Who looks at the conversation sees the message there.
    if (conversation && pages.some((page) => page.focused && page.url.includes(conversation))) return
    await self.registration.showNotification(told.title ?? 'Messages', {
      body: told.body ?? '', icon: `${ROOT}icon-192.png`, badge: `${ROOT}icon-192.png`,
      // One notice for a conversation, however many messages.
      tag: told.tag ?? conversation ?? 'messages', data: { hash },
    })
  })())
})

self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  const { hash } = event.notification.data as { hash?: string }
  event.waitUntil((async () => {
    const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
    const page = pages.find((one) => new URL(one.url).pathname.startsWith(ROOT.replace(/\/$/, '')))
    if (!page) return void (await self.clients.openWindow(`${ROOT}${hash ?? ''}`))
    // Whether it comes to the front is for the browser to say; the conversation opens all the same.
    await page.focus().catch(() => {})
    page.postMessage({ type: 'open', hash: hash || '#/' })
  })())
})
