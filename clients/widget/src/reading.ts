// What was read and what was not: the badge, the preview beside the button, what is said aloud.
import { compareTimes, type Message, type MessageRow } from '@dovetail/chat/state'
import type { Api } from './api.ts'
import type { Store } from './store.ts'
import type { Options } from './told.ts'

const PEEK_MS = 10_000

export class Reading {
  private readAt: string | null = null
  private counting: ReturnType<typeof setTimeout> | undefined
  private peeking: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly api: Api, private readonly store: Store, private readonly tell: Options['tell'],
    private readonly conversation: string, private readonly newest: () => Message | undefined,
  ) {}

  /** The server has said so. */
  known(at: string | null): void {
    this.readAt = at ?? this.readAt
  }

  /** A message of the other that was not known before. */
  heard(message: MessageRow): void {
    const { name, text } = this.peek(message)
    this.store.set({ said: `${name}: ${text}` })
    if (this.looking) void this.read()
    else {
      // Not one more: a count that came meanwhile may have this message in it.
      this.setUnread(Math.max(this.store.view.unread, this.unreadHere(message)))
      this.countSoon()
    }
  }

  private peek(message: MessageRow): { name: string; text: string } {
    const text = message.content || (message.attachments?.[0]?.name ?? '')
    const name = message.sender_name ?? this.store.view.session?.advisorName ?? ''
    if (!this.store.view.open) this.store.set({ peek: { name, text } })
    clearTimeout(this.peeking)
    this.peeking = setTimeout(() => this.store.set({ peek: null }), PEEK_MS)
    return { name, text }
  }

  /** Unread messages among those that are here, with this one. */
  private unreadHere(message: MessageRow): number {
    const me = this.store.view.session?.clientId
    const isUnread = (m: MessageRow) => m.sender_id !== me && !m.deleted_at && m.content_type !== 'system' && (!this.readAt || compareTimes(m.created_at, this.readAt) > 0)
    const here = Object.values(this.store.state.messages).filter((m) => m.conversation_id === this.conversation && m.id !== message.id && isUnread(m))
    return here.length + 1
  }

  private setUnread(count: number): void {
    if (count === this.store.view.unread) return
    this.store.set({ unread: count })
    this.tell('unread', { count })
  }

  countSoon(): void {
    clearTimeout(this.counting)
    this.counting = setTimeout(() => void this.count(), 400)
  }

  async count(): Promise<void> {
    try {
      const { conversations } = await this.api.rpc<{ conversations: Record<string, number> }>('get_unread_count')
      const count = conversations[this.conversation] ?? 0
      if (count > 0 && this.looking) void this.read()
      else this.setUnread(count)
    } catch {
      // Counted again with the next message.
    }
  }

  /** What was written while nobody was here is shown as if it came now. */
  async begin(filled: Promise<void>): Promise<void> {
    // Counted after it was asked for, so that whatever is there counts.
    await filled
    await this.count()
    const newest = this.newest()
    if (this.store.view.unread > 0 && newest && newest.sender_id !== this.store.view.session?.clientId && !newest.deleted_at) this.peek(newest)
  }

  /** Somebody looks at it at this moment. */
  private get looking(): boolean {
    const { open, phase } = this.store.view
    return open && phase === 'ready' && document.visibilityState === 'visible' && document.hasFocus()
  }

  async read(): Promise<void> {
    const last = this.newest()
    if (!this.looking || !last) return
    this.setUnread(0)
    if (this.readAt && compareTimes(this.readAt, last.created_at) >= 0) return
    const before = this.readAt
    this.readAt = last.created_at
    try {
      await this.api.rpc('mark_as_read', { conversation_id: this.conversation, up_to_message_id: last.id })
    } catch {
      this.readAt = before
    }
  }

  stop(): void {
    clearTimeout(this.counting)
    clearTimeout(this.peeking)
  }
}
