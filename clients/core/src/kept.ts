// What survives a reload, in IndexedDB: messages on their way with their files, drafts, and the last that was shown.
// One database for each user, so that who signs in next sees nothing of it.
import type { Conversation, Message, Outgoing, SeenThreads } from './state/index.ts'

export interface Kept {
  outbox: () => Promise<Outgoing[]>
  put: (item: Outgoing) => Promise<void>
  has: (clientId: string) => Promise<boolean>
  drop: (item: Outgoing) => Promise<void>
  file: (key: string) => Promise<Blob | undefined>
  putFile: (key: string, file: Blob) => Promise<void>
  dropFile: (key: string) => Promise<void>
  drafts: () => Promise<Record<string, string>>
  putDraft: (key: string, text: string) => Promise<void>
  threads: () => Promise<SeenThreads | undefined>
  putThreads: (threads: SeenThreads) => Promise<void>
  snapshot: () => Promise<Snapshot | undefined>
  putSnapshot: (snapshot: Snapshot) => Promise<void>
  /** Who signs out leaves nothing behind, except messages that are still on their way. */
  clear: () => Promise<void>
  close: () => void
}

/** The list and the last messages of what was open, shown at once after a reload, also without a network. */
export interface Snapshot { conversations: Conversation[]; timelines: Record<string, Message[]> }

const STORES = ['outbox', 'files', 'drafts', 'snapshots'] as const
type StoreName = (typeof STORES)[number]

function open(name: string): Promise<IDBDatabase> {
  return new Promise((done, failed) => {
    const request = indexedDB.open(name, 1)
    request.onupgradeneeded = () => STORES.forEach((store) => request.result.createObjectStore(store))
    request.onsuccess = () => done(request.result)
    request.onerror = () => failed(request.error)
  })
}

export async function openKept(user: string): Promise<Kept> {
  if (typeof indexedDB === 'undefined') return inMemory()
  let database: IDBDatabase
  try {
    database = await open(`dovetail-chat-${user}`)
  } catch {
    // Some private windows have none: everything works until the tab is closed.
    return inMemory()
  }
  const ask = <T>(store: StoreName, mode: IDBTransactionMode, question: (s: IDBObjectStore) => IDBRequest<T>): Promise<T> =>
    new Promise((done, failed) => {
      const transaction = database.transaction(store, mode)
      const request = question(transaction.objectStore(store))
      transaction.oncomplete = () => done(request.result)
      transaction.onerror = () => failed(transaction.error)
      transaction.onabort = () => failed(transaction.error)
    })
  const write = (store: StoreName, key: string, value: unknown) => ask(store, 'readwrite', (s) => s.put(value, key)).then(() => undefined)
  const drop = (store: StoreName, key: string) => ask(store, 'readwrite', (s) => s.delete(key)).then(() => undefined)
  return {
    outbox: () => ask('outbox', 'readonly', (s) => s.getAll()) as Promise<Outgoing[]>,
    put: (item) => write('outbox', item.client_id, item),
    has: async (id) => (await ask('outbox', 'readonly', (s) => s.count(id))) > 0,
    async drop(item) {
      await drop('outbox', item.client_id)
      for (const file of item.files) await drop('files', file.key)
    },
    file: (key) => ask('files', 'readonly', (s) => s.get(key)) as Promise<Blob | undefined>,
    putFile: (key, file) => write('files', key, file),
    dropFile: (key) => drop('files', key),
    async drafts() {
      const keys = (await ask('drafts', 'readonly', (s) => s.getAllKeys())) as string[]
      const texts = (await ask('drafts', 'readonly', (s) => s.getAll())) as string[]
      return Object.fromEntries(keys.map((key, i) => [key, texts[i] ?? '']))
    },
    putDraft: (key, text) => (text ? write('drafts', key, text) : drop('drafts', key)),
    threads: () => ask('snapshots', 'readonly', (s) => s.get('threads')) as Promise<SeenThreads | undefined>,
    putThreads: (threads) => write('snapshots', 'threads', threads),
    snapshot: () => ask('snapshots', 'readonly', (s) => s.get('last')) as Promise<Snapshot | undefined>,
    putSnapshot: (snapshot) => write('snapshots', 'last', snapshot),
    async clear() {
      const waiting = await ask('outbox', 'readonly', (s) => s.count())
      const stores: StoreName[] = waiting > 0 ? ['drafts', 'snapshots'] : ['drafts', 'snapshots', 'files']
      for (const store of stores) await ask(store, 'readwrite', (s) => s.clear())
    },
    close: () => database.close(),
  }
}

export function inMemory(): Kept {
  const items = new Map<string, Outgoing>()
  const files = new Map<string, Blob>()
  return {
    outbox: async () => [...items.values()],
    put: async (item) => void items.set(item.client_id, item),
    has: async (id) => items.has(id),
    async drop(item) {
      items.delete(item.client_id)
      for (const file of item.files) files.delete(file.key)
    },
    file: async (key) => files.get(key),
    putFile: async (key, file) => void files.set(key, file),
    dropFile: async (key) => void files.delete(key),
    drafts: async () => ({}),
    putDraft: async () => {},
    threads: async () => undefined,
    putThreads: async () => {},
    snapshot: async () => undefined,
    putSnapshot: async () => {},
    clear: async () => {},
    close: () => {},
  }
}
