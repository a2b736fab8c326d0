// Messages on their way. Each is kept before it is sent, so that no text is lost by a reload; they go one after the other;
// a client_id makes a second try harmless, also from another tab.
import { serial } from '@dovetail/chat/serial'
import { outgoingOf, type Attachment, type ContentType, type Message, type Outgoing } from '@dovetail/chat/state'
import type { Api } from './api.ts'
import type { Files } from './files.ts'
import { Kept } from './kept.ts'
import { isTemporary, Problem } from './problem.ts'
import type { Store } from './store.ts'

const FIRST_DELAY_MS = 1000
const LONGEST_DELAY_MS = 30_000

export class Outbox {
  private readonly kept: Kept
  private order = Date.now()
  private readonly deliverAll = serial(() => this.run())
  private timer: ReturnType<typeof setTimeout> | undefined
  private stopped = false

  constructor(
    private readonly api: Api, private readonly store: Store, private readonly files: Files, private readonly conversation: string,
    private readonly onSent: (message: Message) => void, private readonly onFailed: (error: unknown) => void,
  ) {
    this.kept = new Kept(() => localStorage, `dovetail-chat-outbox:${conversation}:`)
  }

  /** What an earlier page left behind goes out now. */
  restore(): void {
    const items: Outgoing[] = []
    for (const key of this.kept.keys()) {
      const item = this.kept.get<Outgoing>(key)
      if (!item?.client_id || item.client_id !== key) continue
      // Files are not kept: one that had not arrived is not there any more, and the guest is asked.
      const lost = item.files.some((file) => !file.path)
      const files = item.files.filter((file) => file.path)
      if (lost && !item.content && files.length === 0) this.kept.drop(key)
      else items.push({ ...item, files, state: lost ? 'failed' : item.state === 'failed' ? 'failed' : 'waiting', error: lost ? 'lost' : item.error })
    }
    if (items.length > 0) this.store.dispatch({ type: 'outbox', items })
    this.flush()
  }

  send(content: string, keys: string[], metadata: Record<string, unknown>): void {
    const item: Outgoing = {
      client_id: crypto.randomUUID(), conversation_id: this.conversation, thread_id: null, reply_to: null, quoted: null, content,
      files: keys.map(this.files.describe).filter((file) => file !== undefined),
      metadata, created_at: new Date().toISOString(), order: ++this.order, attempts: 0, state: 'waiting', error: null,
    }
    this.queue(item)
  }

  private queue(item: Outgoing): void {
    this.kept.set(item.client_id, item)
    this.store.dispatch({ type: 'queued', item })
    this.flush()
  }

  retry(clientId: string): void {
    const item = this.store.state.outbox[clientId]
    if (item) this.queue({ ...item, state: 'waiting', error: null, attempts: 0 })
  }

  discard(clientId: string): void {
    for (const { key } of this.store.state.outbox[clientId]?.files ?? []) this.files.cancel(key)
    this.kept.drop(clientId)
    this.store.dispatch({ type: 'discarded', client_id: clientId })
  }

  /** Nothing of it is to stay on this device. */
  forget(): void {
    for (const key of this.kept.keys()) this.kept.drop(key)
  }

  /** Its row was heard of before its answer came. */
  arrived(clientId: string | null): void {
    if (clientId) this.kept.drop(clientId)
  }

  flush(): void {
    clearTimeout(this.timer)
    if (!this.stopped) this.deliverAll()
  }

  private async run(): Promise<void> {
    for (;;) {
      const item = outgoingOf(this.store.state, this.conversation).find((i) => i.state !== 'failed')
      if (!item || this.stopped || !(await this.deliver(item))) return
    }
  }

  /** Gives false where what follows has to wait. */
  private async deliver(item: Outgoing): Promise<boolean> {
    const { dispatch } = this.store
    dispatch({ type: 'sending', client_id: item.client_id })
    try {
      const attachments = await this.attach(item)
      const message = await this.api.rpc<Message>('send_message', {
        conversation_id: this.conversation, content: item.content, content_type: contentType(attachments), attachments,
        client_id: item.client_id, metadata: item.metadata,
      })
      this.kept.drop(item.client_id)
      // Its row may have been faster than the answer.
      const isNew = !this.store.state.messages[message.id]
      dispatch({ type: 'sent', client_id: item.client_id, message })
      if (isNew) this.onSent(message)
      for (const file of item.files) this.files.forget(file.key)
      return true
    } catch (error) {
      const current = this.store.state.outbox[item.client_id]
      // Heard of by its row, or taken back, while the answer was on its way.
      if (!current) {
        this.kept.drop(item.client_id)
        return true
      }
      const reason = error instanceof Problem ? error.code : String(error)
      if (isTemporary(error)) {
        dispatch({ type: 'send-delayed', client_id: item.client_id, error: reason })
        this.later(current.attempts)
        return false
      }
      dispatch({ type: 'send-failed', client_id: item.client_id, error: reason })
      this.keep(item.client_id)
      this.onFailed(error)
      return true
    }
  }

  private async attach(item: Outgoing): Promise<Attachment[]> {
    const attachments: Attachment[] = []
    for (const file of item.files) {
      const path = file.path ?? (await this.files.arrival(file))
      if (!file.path) {
        this.store.dispatch({ type: 'file-arrived', client_id: item.client_id, key: file.key, path })
        this.keep(item.client_id)
      }
      attachments.push({ name: file.name, path, size: file.size, mime_type: file.mime_type, width: file.width ?? null, height: file.height ?? null })
    }
    return attachments
  }

  private keep(clientId: string): void {
    const item = this.store.state.outbox[clientId]
    if (item) this.kept.set(clientId, item)
  }

  private later(attempts: number): void {
    const delay = Math.min(FIRST_DELAY_MS * 2 ** Math.max(0, attempts - 1), LONGEST_DELAY_MS)
    // Spread, so that everybody does not come back at the same moment.
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.flush(), delay * (0.75 + Math.random() / 2))
  }

  stop(): void {
    this.stopped = true
    clearTimeout(this.timer)
  }
}

function contentType(attachments: Attachment[]): ContentType {
  const kind = attachments[0]?.mime_type
  if (!kind) return attachments.length > 0 ? 'file' : 'text'
  return kind.startsWith('image/') ? 'image' : kind.startsWith('video/') ? 'video' : 'file'
}
