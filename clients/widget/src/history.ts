// Messages by pages, and what was missed while there was no connection.
import { timelineKey, timelineOf, type Message } from '@dovetail/chat/state'
import type { Api } from './api.ts'
import type { Store } from './store.ts'

const PAGE = 50

interface Page { messages: Message[]; has_more: boolean }

export class History {
  private filling: Promise<void> | null = null
  private again = false
  /** Looked at once: what is new from then on has come meanwhile. */
  private known = false
  private readonly key: string

  constructor(
    private readonly api: Api, private readonly store: Store, private readonly conversation: string,
    private readonly told: (message: Message) => void, private readonly filled: () => void, private readonly doubt: (error: unknown) => void,
  ) {
    this.key = timelineKey(conversation)
  }

  private ask(more: Record<string, unknown>): Promise<Page> {
    return this.api.rpc<Page>('get_messages', { conversation_id: this.conversation, ...more })
  }

  get last(): Message | undefined {
    const { ids } = timelineOf(this.store.state, this.conversation)
    return this.store.state.messages[ids[ids.length - 1] ?? '']
  }

  /** What came since the last message that is known, and then the last page: older ones may have changed meanwhile. */
  fill(): Promise<void> {
    // An answer that is on its way may be older than the question.
    if (this.filling) this.again = true
    this.filling ??= this.fillNow().catch((error: unknown) => {
      this.store.dispatch({ type: 'timeline-failed', key: this.key, error: String(error) })
      this.doubt(error)
    }).finally(() => {
      this.filling = null
      if (!this.again) return
      this.again = false
      void this.fill()
    })
    return this.filling
  }

  private async fillNow(): Promise<void> {
    const { dispatch } = this.store
    dispatch({ type: 'timeline-loading', key: this.key })
    for (let last = this.last; last; last = this.last) {
      const page = await this.ask({ after: last.created_at, after_id: last.id, page_size: 200 })
      const missed = page.messages.filter((m) => !this.store.state.messages[m.id])
      dispatch({ type: 'timeline-page', key: this.key, messages: page.messages, where: 'after', hasAfter: false })
      missed.forEach((message) => this.told(message))
      if (!page.has_more || page.messages.length === 0) break
    }
    const page = await this.ask({ page_size: PAGE })
    // The first message of all has none that it comes after.
    const missed = this.known ? page.messages.filter((m) => !this.store.state.messages[m.id]) : []
    dispatch({ type: 'timeline-page', key: this.key, messages: page.messages, where: 'latest', hasBefore: page.has_more })
    missed.forEach((message) => this.told(message))
    this.known = true
    this.filled()
  }

  /** Replies of a thread: the advisor may answer there, and the guest has no other place to see them. */
  async thread(root: string): Promise<void> {
    const page = await this.ask({ thread_id: root, page_size: 200 }).catch(() => null)
    if (page) this.store.dispatch({ type: 'timeline-page', key: timelineKey(this.conversation, root), messages: page.messages, where: 'latest', hasBefore: page.has_more })
  }

  async older(): Promise<void> {
    const { ids, hasBefore } = timelineOf(this.store.state, this.conversation)
    const first = this.store.state.messages[ids[0] ?? '']
    if (!hasBefore || !first) return
    try {
      const page = await this.ask({ before: first.created_at, before_id: first.id, page_size: PAGE })
      this.store.dispatch({ type: 'timeline-page', key: this.key, messages: page.messages, where: 'before', hasBefore: page.has_more })
    } catch (error) {
      this.doubt(error)
    }
  }
}
