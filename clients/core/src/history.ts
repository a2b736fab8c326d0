// Messages by pages, and what was missed while there was no connection.
import { call, type Context } from './context.ts'
import { messageOf } from './problem.ts'
import { timelineKey, timelineOf, type Id, type Message } from './state/index.ts'

const PAGE = 50

interface Page { messages: Message[]; has_more: boolean }

export class History {
  private readonly running = new Map<string, Promise<unknown>>()

  constructor(private readonly context: Context) {}

  /** One request of a kind at a time. */
  private once<T>(key: string, run: () => Promise<T>): Promise<T> {
    const known = this.running.get(key)
    if (known) return known as Promise<T>
    const made = run().finally(() => this.running.delete(key))
    this.running.set(key, made)
    return made
  }

  private ask(conversation: Id, thread: Id | null, more: Record<string, unknown>): Promise<Page> {
    return call<Page>(this.context, 'get_messages', { conversation_id: conversation, thread_id: thread, ...more })
  }

  /** The end of a conversation: when it is opened, and again after a reconnect. */
  latest(conversation: Id, thread: Id | null = null): Promise<void> {
    const key = timelineKey(conversation, thread)
    return this.once(`latest ${key}`, async () => {
      const { store } = this.context
      const window = timelineOf(store.get(), conversation, thread).hasAfter
      store.dispatch({ type: 'timeline-loading', key })
      try {
        const page = await this.ask(conversation, thread, { page_size: PAGE })
        // Somebody went to an older message meanwhile.
        if (!window && timelineOf(store.get(), conversation, thread).hasAfter) return
        store.dispatch({ type: 'timeline-page', key, messages: page.messages, where: 'latest', hasBefore: page.has_more })
      } catch (error) {
        store.dispatch({ type: 'timeline-failed', key, error: messageOf(error) })
      }
    })
  }

  older(conversation: Id, thread: Id | null = null): Promise<void> {
    const key = timelineKey(conversation, thread)
    return this.once(`older ${key}`, async () => {
      const { store } = this.context
      const { ids, hasBefore } = timelineOf(store.get(), conversation, thread)
      const first = ids[0] ? store.get().messages[ids[0]] : undefined
      if (!hasBefore || !first) return
      const page = await this.ask(conversation, thread, { before: first.created_at, before_id: first.id, page_size: PAGE })
      store.dispatch({ type: 'timeline-page', key, messages: page.messages, where: 'before', hasBefore: page.has_more })
    })
  }

  newer(conversation: Id, thread: Id | null = null): Promise<void> {
    const key = timelineKey(conversation, thread)
    return this.once(`newer ${key}`, async () => {
      const { store } = this.context
      const { ids, hasAfter } = timelineOf(store.get(), conversation, thread)
      const last = store.get().messages[ids[ids.length - 1] ?? '']
      if (!hasAfter || !last) return
      const page = await this.ask(conversation, thread, { after: last.created_at, after_id: last.id, page_size: PAGE })
      store.dispatch({ type: 'timeline-page', key, messages: page.messages, where: 'after', hasAfter: page.has_more })
    })
  }

  /**
   * Everything since the newest that is known. First by get_messages(after), so that nothing between is left out however
   * much was missed; then the last page, since older messages may have been edited, deleted or reacted to meanwhile.
   */
  catchUp(conversation: Id, thread: Id | null = null): Promise<void> {
    const key = timelineKey(conversation, thread)
    return this.once(`gap ${key}`, async () => {
      const { store } = this.context
      const timeline = timelineOf(store.get(), conversation, thread)
      if (timeline.status !== 'ready' || timeline.ids.length === 0) return this.latest(conversation, thread)
      if (timeline.hasAfter) return
      for (;;) {
        const { ids } = timelineOf(store.get(), conversation, thread)
        const last = store.get().messages[ids[ids.length - 1] ?? '']
        if (!last) break
        const page = await this.ask(conversation, thread, { after: last.created_at, after_id: last.id, page_size: 200 })
        if (timelineOf(store.get(), conversation, thread).hasAfter) return
        store.dispatch({ type: 'timeline-page', key, messages: page.messages, where: 'after', hasAfter: false })
        if (!page.has_more || page.messages.length === 0) break
      }
      await this.latest(conversation, thread)
    }).catch(() => {})
  }

  /** Shows a message with what is around it; gives false where it is not to be seen. */
  async around(conversation: Id, messageId: Id): Promise<Message | null> {
    const { store } = this.context
    const message = await this.one(messageId)
    if (!message) return null
    const thread = message.in_main_line ? null : message.thread_id
    if (timelineOf(store.get(), conversation, thread).ids.includes(messageId)) return message
    const key = timelineKey(conversation, thread)
    const [before, after] = await Promise.all([
      this.ask(conversation, thread, { before: message.created_at, before_id: message.id, page_size: PAGE / 2 }),
      this.ask(conversation, thread, { after: message.created_at, after_id: message.id, page_size: PAGE / 2 }),
    ])
    store.dispatch({
      type: 'timeline-page', key, where: 'around', messages: [...before.messages, message, ...after.messages],
      hasBefore: before.has_more, hasAfter: after.has_more,
    })
    return message
  }

  /** Shows what came first after a time: where somebody stopped reading. */
  async since(conversation: Id, at: string | null): Promise<Message | undefined> {
    const start = at ?? '1970-01-01T00:00:00Z'
    const [before, after] = await Promise.all([
      at ? this.ask(conversation, null, { before: at, page_size: PAGE / 2 }) : { messages: [], has_more: false },
      this.ask(conversation, null, { after: start, page_size: PAGE }),
    ])
    this.context.store.dispatch({
      type: 'timeline-page', key: timelineKey(conversation), where: 'around', messages: [...before.messages, ...after.messages],
      hasBefore: before.has_more, hasAfter: after.has_more,
    })
    return after.messages[0]
  }

  async one(id: Id): Promise<Message | null> {
    try {
      const message = await this.once(`one ${id}`, () => call<Message>(this.context, 'get_message', { message_id: id }))
      this.context.store.dispatch({ type: 'message', message })
      return message
    } catch {
      return null
    }
  }
}
