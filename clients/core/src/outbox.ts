// Messages on their way. Each is kept, so that nothing is lost by a reload, and sent at the same time; those of one conversation
// go one after the other; a client_id makes a second try harmless.
import { call, type Context } from './context.ts'
import { isTemporaryProblem, messageOf } from './problem.ts'
import type { Attachment, ContentType, Id, Message, Outgoing, Quote } from './state/index.ts'
import { serial } from './serial.ts'
import type { Uploads } from './uploads.ts'

const FIRST_DELAY_MS = 1000
const LONGEST_DELAY_MS = 30_000

export interface Draft {
  conversation_id: Id
  content: string
  thread_id?: Id | null
  quoted?: Quote | null
  /** Keys of uploads that were begun. */
  files?: string[]
  alsoInMain?: boolean
}

export class Outbox {
  /** For each conversation what sends its messages, one after the other. */
  private readonly senders = new Map<Id, () => void>()
  private readonly timers = new Map<Id, ReturnType<typeof setTimeout>>()
  /** Writes to IndexedDB that are under way. */
  private readonly keeping = new Map<string, Promise<void>>()
  /** Written here and not tried yet: no other tab can have sent them. */
  private readonly fresh = new Set<string>()
  private order = Date.now()
  private stopped = false

  constructor(private readonly context: Context, private readonly uploads: Uploads) {}

  /** What an earlier page left behind goes out now. */
  async restore(): Promise<void> {
    const items = (await this.context.kept.outbox()).map((item): Outgoing => (item.state === 'sending' ? { ...item, state: 'waiting' } : item))
    this.context.store.dispatch({ type: 'outbox', items })
    this.flushAll()
  }

  async send(draft: Draft): Promise<Outgoing> {
    const files = (draft.files ?? []).map((key) => this.uploads.describe(key)).filter((file) => file !== undefined)
    const item: Outgoing = {
      client_id: crypto.randomUUID(),
      conversation_id: draft.conversation_id,
      thread_id: draft.thread_id ?? null,
      reply_to: draft.quoted?.id ?? null,
      quoted: draft.quoted ?? null,
      content: draft.content,
      files,
      metadata: draft.alsoInMain ? { also_in_main: true } : {},
      created_at: new Date().toISOString(),
      order: ++this.order,
      attempts: 0,
      state: 'waiting',
      error: null,
    }
    this.fresh.add(item.client_id)
    await this.queue(item)
    return item
  }

  private async queue(item: Outgoing): Promise<void> {
    const { store, kept, report } = this.context
    store.dispatch({ type: 'queued', item })
    const done = kept.put(item)
    this.keeping.set(item.client_id, done)
    this.flush(item.conversation_id)
    try {
      await done
      this.keeping.delete(item.client_id)
    } catch (error) {
      // Storage is full: it goes out all the same, it would only not survive a reload.
      report(error)
    }
  }

  async retry(clientId: string): Promise<void> {
    const item = this.context.store.get().outbox[clientId]
    if (!item) return
    const again: Outgoing = { ...item, state: 'waiting', error: null, attempts: 0 }
    await this.queue(again)
  }

  async discard(clientId: string): Promise<void> {
    const item = this.context.store.get().outbox[clientId]
    if (!item) return
    for (const file of item.files) this.uploads.cancel(file.key)
    this.fresh.delete(clientId)
    this.context.store.dispatch({ type: 'discarded', client_id: clientId })
    await this.drop(item)
  }

  /** The connection is back: nobody waits for the end of a delay. */
  flushAll(): void {
    for (const conversation of new Set(Object.values(this.context.store.get().outbox).map((item) => item.conversation_id))) this.flush(conversation)
  }

  private flush(conversation: Id): void {
    clearTimeout(this.timers.get(conversation))
    this.timers.delete(conversation)
    if (this.stopped) return
    let send = this.senders.get(conversation)
    if (!send) this.senders.set(conversation, send = serial(() => this.run(conversation)))
    send()
  }

  private async run(conversation: Id): Promise<void> {
    try {
      // Whatever is queued while this runs is taken too.
      for (let item = this.next(conversation); item; item = this.next(conversation)) {
        const next = item
        const sent = this.fresh.delete(next.client_id) ? this.deliver(next) : this.alone(conversation, () => this.deliverKept(next))
        if (!(await sent)) return
      }
    } catch (error) {
      this.context.report(error)
    }
  }

  /** Tabs of one user share what is kept; one of them sends it. */
  private alone<T>(conversation: Id, what: () => Promise<T>): Promise<T> {
    return globalThis.navigator?.locks ? navigator.locks.request(`dovetail-outbox-${this.context.me}-${conversation}`, what) as Promise<T> : what()
  }

  private next(conversation: Id): Outgoing | undefined {
    if (this.stopped) return undefined
    return Object.values(this.context.store.get().outbox)
      .filter((item) => item.conversation_id === conversation && item.state !== 'failed')
      .sort((a, b) => a.order - b.order)[0]
  }

  private async deliverKept(item: Outgoing): Promise<boolean> {
    const unkept = await this.keeping.get(item.client_id)?.then(() => false, () => true)
    if (unkept || (await this.context.kept.has(item.client_id))) return this.deliver(item)
    // Another tab has sent it, or it was taken back.
    this.context.store.dispatch({ type: 'discarded', client_id: item.client_id })
    return true
  }

  /** Gives false where the conversation has to wait. */
  private async deliver(item: Outgoing): Promise<boolean> {
    const { store } = this.context
    store.dispatch({ type: 'sending', client_id: item.client_id })
    try {
      const attachments = await this.attach(item)
      const message = await call<Message>(this.context, 'send_message', {
        conversation_id: item.conversation_id, content: item.content, content_type: contentType(attachments), attachments,
        thread_id: item.thread_id, reply_to: item.reply_to, client_id: item.client_id, metadata: item.metadata,
      })
      await this.drop(item)
      store.dispatch({ type: 'sent', client_id: item.client_id, message })
      for (const file of item.files) this.uploads.forget(file.key)
      return true
    } catch (error) {
      const current = store.get().outbox[item.client_id]
      // Heard of by its row, or taken back, while the answer was on its way.
      if (!current) {
        await this.drop(item)
        return true
      }
      if (isTemporaryProblem(error)) {
        store.dispatch({ type: 'send-delayed', client_id: item.client_id, error: messageOf(error) })
        this.later(item.conversation_id, current.attempts)
        return false
      }
      store.dispatch({ type: 'send-failed', client_id: item.client_id, error: messageOf(error) })
      const failed = store.get().outbox[item.client_id]
      if (failed) await this.context.kept.put(failed)
      return true
    }
  }

  /** Not before it is kept, or it would come back. */
  private async drop(item: Outgoing): Promise<void> {
    await this.keeping.get(item.client_id)?.catch(() => {})
    await this.context.kept.drop(item)
  }

  private async attach(item: Outgoing): Promise<Attachment[]> {
    const attachments: Attachment[] = []
    for (const chosen of item.files) {
      const file = chosen.path ? { ...chosen, path: chosen.path } : await this.uploads.arrival(chosen, item.conversation_id)
      if (!chosen.path) {
        this.context.store.dispatch({ type: 'file-arrived', client_id: item.client_id, key: file.key, path: file.path, width: file.width, height: file.height })
        const current = this.context.store.get().outbox[item.client_id]
        if (current) await this.context.kept.put({ ...current, state: 'waiting' })
      }
      attachments.push({ name: file.name, path: file.path, size: file.size, mime_type: file.mime_type, width: file.width ?? null, height: file.height ?? null })
    }
    return attachments
  }

  private later(conversation: Id, attempts: number): void {
    const delay = Math.min(FIRST_DELAY_MS * 2 ** Math.max(0, attempts - 1), LONGEST_DELAY_MS)
    // Spread, so that everybody does not come back at the same moment.
    clearTimeout(this.timers.get(conversation))
    const timer = setTimeout(() => this.flush(conversation), delay * (0.75 + Math.random() / 2))
    this.timers.set(conversation, timer)
  }

  stop(): void {
    this.stopped = true
    for (const timer of this.timers.values()) clearTimeout(timer)
  }
}

export function contentType(attachments: Attachment[]): ContentType {
  const kind = attachments[0]?.mime_type
  if (attachments.length === 0) return 'text'
  return kind?.startsWith('image/') ? 'image' : kind?.startsWith('video/') ? 'video' : 'file'
}
