// The conversation of a guest: from the share link to what is on the screen.
import { compareTimes, othersOf, type Message, type MessageRow, type Person } from '@dovetail/chat/state'
import { Api } from './api.ts'
import { Files } from './files.ts'
import { History } from './history.ts'
import { Kept } from './kept.ts'
import { Live } from './live.ts'
import { Outbox } from './outbox.ts'
import { isTemporary, Problem } from './problem.ts'
import { watchPage } from './watch.ts'
import { Store } from './store.ts'
import type { Options } from './told.ts'
import { Tokens, type Session } from './tokens.ts'
import { FORGET_MS, Typing } from './typing.ts'

/** So long without a connection before anything is said of it. */
const PATIENCE_MS = 2000
const PEEK_MS = 10_000

export class Chat {
  readonly store: Store
  readonly tokens: Tokens
  readonly api: Api
  files!: Files
  outbox!: Outbox
  history!: History
  readonly typing = new Typing((isTyping) => this.live?.sayTyping(this.me, isTyping))
  private live: Live | undefined
  private stopped = false
  private tries = 0
  private readonly timers = new Set<ReturnType<typeof setTimeout>>()
  private impatient: ReturnType<typeof setTimeout> | undefined
  private counting: ReturnType<typeof setTimeout> | undefined
  private peeking: ReturnType<typeof setTimeout> | undefined
  private forget: Array<() => void> = []
  private readAt: string | null = null
  private visitor: Record<string, unknown> | null = null
  private readonly tab: Kept

  constructor(private readonly options: Options) {
    this.store = new Store(options.changed)
    this.tokens = new Tokens(options.url, options.subject, options.shareToken)
    this.api = new Api(options.url, options.anonKey, this.tokens)
    this.tab = new Kept(() => sessionStorage, `dovetail-chat-tab:${options.url}:${options.subject}:`)
  }

  get me(): string {
    return this.tokens.session?.clientId ?? ''
  }

  get conversation(): string {
    return this.tokens.session?.conversationId ?? ''
  }

  get advisor(): Person | undefined {
    return othersOf(this.store.state, this.conversation)[0]
  }

  private later(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      if (!this.stopped) run()
    }, ms)
    this.timers.add(timer)
  }

  async start(): Promise<void> {
    try {
      const session = await this.tokens.begin()
      if (!this.stopped) this.begin(session)
    } catch (error) {
      if (this.stopped) return
      this.report(error)
      // Without a session nothing is shown. The network may come back; a wrong link stays wrong.
      if (isTemporary(error) && (error as Problem).status !== 401) this.later(Math.min(2000 * 2 ** this.tries++, 60_000), () => void this.start())
    }
  }

  private begin(session: Session): void {
    const { store } = this
    this.files = new Files(this.api, store, `${session.conversationId}/${session.clientId}`)
    this.outbox = new Outbox(this.api, store, this.files, session.conversationId, (message) => this.told(message), (error) => this.doubt(error))
    this.history = new History(this.api, store, session.conversationId, (message) => this.told(message), () => void this.read(), (error) => this.doubt(error))
    const { settings } = store.state
    store.dispatch({ type: 'signed-in', me: { id: session.clientId, display_name: session.clientName, avatar_url: null, kind: 'guest', org_id: session.orgId }, settings })
    store.set({ phase: 'ready', session, draft: this.tab.get<string>('draft') ?? '', open: this.tab.get<boolean>('open') === true && matchMedia('(min-width: 480px)').matches })
    this.tokens.onRenewed = () => this.live?.renewed()
    this.tokens.onRefused = () => this.close()
    this.options.tell('ready', { conversationId: session.conversationId })
    // The button is drawn first; what is behind it comes when the page has nothing better to do.
    const connect = () => { if (!this.stopped) this.connect() }
    if ('requestIdleCallback' in globalThis) requestIdleCallback(connect, { timeout: 1000 })
    else this.later(50, connect)
  }

  private connect(): void {
    const { store, conversation } = this
    this.outbox.restore()
    void this.fill()
    void this.people()
    void this.count()
    this.api.limits().then((limits) => {
      const { me } = store.state
      if (!me) return
      store.dispatch({ type: 'signed-in', me, settings: {
        max_message_length: limits.maxMessageLength, max_attachments: limits.maxAttachments, max_attachment_bytes: limits.maxAttachmentBytes, allowed_emoji: limits.allowedEmoji,
      } })
    }).catch(() => {})
    this.live = new Live(this.api, conversation, {
      message: (row) => this.onRow(row),
      reaction: (row) => store.dispatch({ type: 'reaction', message_id: row.message_id, reaction: row }),
      reactionGone: (id) => store.dispatch({ type: 'reaction-gone', id }),
      participation: (row) => {
        if (row.user_id !== this.me) store.dispatch({ type: 'read', conversation, user_id: row.user_id, last_read_at: row.last_read_at })
        // Read in another tab.
        else this.countSoon()
      },
      read: (user, at) => store.dispatch({ type: 'read', conversation, user_id: user, last_read_at: at }),
      presence: (row) => {
        const people = (store.state.people[conversation] ?? []).map((p) => (p.user_id === row.user_id ? { ...p, online: row.is_online, last_seen_at: row.last_seen_at } : p))
        if (people.length > 0) store.dispatch({ type: 'people', conversation, people })
      },
      typing: (user, isTyping) => {
        if (user === this.me) return
        store.dispatch(isTyping ? { type: 'typing', conversation, user_id: user, until: Date.now() + FORGET_MS } : { type: 'stopped-typing', conversation, user_id: user })
        this.later(FORGET_MS + 50, () => store.dispatch({ type: 'typing-tick', now: Date.now() }))
      },
      live: () => {
        clearTimeout(this.impatient)
        this.impatient = undefined
        store.set({ connection: 'online' })
        this.catchUp()
      },
      lost: () => this.lost(),
    })
    void this.live.start()
    this.watch()
  }

  /** The connection is gone: said only when it stays so for a while. */
  private lost(): void {
    if (navigator.onLine === false) this.store.set({ connection: 'offline' })
    this.impatient ??= setTimeout(() => {
      this.store.set({ connection: navigator.onLine === false ? 'offline' : 'reconnecting' })
      // The server may be away, or have closed the door.
      this.later(Math.random() * 2000, () => this.tokens.renew().catch(() => {}))
    }, PATIENCE_MS)
  }

  private watch(): void {
    this.forget.push(watchPage({
      online: () => {
        this.live?.hurry()
        this.catchUp()
      },
      offline: () => this.store.set({ connection: 'offline' }),
      focus: () => void this.read(),
      visible: () => {
        // Timers slept with the page: the token may have ended meanwhile.
        this.tokens.fresh().catch(() => {})
        this.live?.hurry()
        void this.read()
      },
    }))
  }

  /** The session was refused: what is written stays, so that it can be copied. */
  private close(): void {
    this.typing.stopped()
    this.live?.stop()
    this.live = undefined
    this.outbox.stop()
    for (const forget of this.forget.splice(0)) forget()
    this.store.set({ phase: 'closed', peek: null })
  }

  /** "Try again", where a link was switched off and perhaps on again. */
  async reopen(): Promise<void> {
    await this.tokens.begin().then((session) => this.begin(session), (error: unknown) => this.report(error))
  }

  /** A refusal may mean that the session is over: the server is asked. */
  private doubt(error: unknown): void {
    this.report(error)
    if (error instanceof Problem && (error.status === 403 || error.status === 404)) this.tokens.renew().catch(() => {})
  }

  report(error: unknown): void {
    const problem = error instanceof Problem ? error : new Problem(String(error), 0, 'error')
    this.options.tell('error', { status: problem.status, code: problem.code, message: problem.message })
  }

  // Reading

  fill = (): Promise<void> => this.history.fill()

  private catchUp(): void {
    void this.fill()
    void this.people()
    this.countSoon()
    this.outbox.flush()
  }

  private async people(): Promise<void> {
    try {
      const people = await this.api.rpc<Person[]>('get_participants', { conversation_id: this.conversation })
      this.readAt = people.find((p) => p.user_id === this.me)?.last_read_at ?? this.readAt
      this.store.dispatch({ type: 'people', conversation: this.conversation, people })
    } catch {
      // Their name is known from the session; the rest can wait.
    }
  }

  private onRow(row: MessageRow): void {
    const isNew = !this.store.state.messages[row.id]
    this.store.dispatch({ type: 'message-row', row })
    if (row.sender_id === this.me) this.outbox.arrived(row.client_id)
    if (!isNew) return
    this.told(row)
    // A row does not carry what it quotes.
    if (row.reply_to && !this.store.state.messages[row.reply_to]) {
      this.api.rpc<Message>('get_message', { message_id: row.id }).then((message) => this.store.dispatch({ type: 'message', message })).catch(() => {})
    }
  }

  /** A message that was not known before. */
  private told(message: MessageRow): void {
    if (message.content_type === 'system') return
    const own = message.sender_id === this.me
    this.options.tell('message', { id: message.id, text: message.content, own, at: message.created_at })
    if (own) return
    const text = message.content || (message.attachments?.[0]?.name ?? '')
    const name = message.sender_name ?? this.tokens.session?.advisorName ?? ''
    this.store.set({ said: `${name}: ${text}`, ...(this.store.view.open ? {} : { peek: { name, text } }) })
    clearTimeout(this.peeking)
    this.peeking = setTimeout(() => this.store.set({ peek: null }), PEEK_MS)
    if (this.reading) void this.read()
    else {
      this.setUnread(this.store.view.unread + 1)
      this.countSoon()
    }
  }

  private setUnread(count: number): void {
    if (count === this.store.view.unread) return
    this.store.set({ unread: count })
    this.options.tell('unread', { count })
  }

  private countSoon(): void {
    clearTimeout(this.counting)
    this.counting = setTimeout(() => void this.count(), 400)
  }

  private async count(): Promise<void> {
    try {
      const { conversations } = await this.api.rpc<{ conversations: Record<string, number> }>('get_unread_count')
      const count = conversations[this.conversation] ?? 0
      if (count > 0 && this.reading) void this.read()
      else this.setUnread(count)
    } catch {
      // Counted again with the next message.
    }
  }

  /** Somebody looks at it at this moment. */
  private get reading(): boolean {
    const { open, phase } = this.store.view
    return open && phase === 'ready' && document.visibilityState === 'visible' && document.hasFocus()
  }

  async read(): Promise<void> {
    const { last } = this.history
    if (!this.reading || !last) return
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

  // Writing

  setOpen(open: boolean): void {
    const { view } = this.store
    if (view.phase === 'absent' || view.open === open) return
    this.store.set({ open, peek: null, said: '', hadFocus: this.options.hasFocus() })
    this.tab.set('open', open)
    this.options.tell(open ? 'open' : 'close', undefined)
    if (open) void this.read()
    else this.typing.stopped()
  }

  setDraft(draft: string): void {
    this.store.set({ draft, complaint: null })
    this.tab.set('draft', draft)
    if (draft) this.typing.pressed()
    else this.typing.stopped()
  }

  async addFiles(list: File[]): Promise<void> {
    if (this.store.view.phase === 'ready') this.store.set({ complaint: await this.files.add(list) })
  }

  identify(visitor: Record<string, unknown>): void {
    this.visitor = visitor
  }

  send(): void {
    const { draft, files } = this.store.view
    const content = draft.trim()
    if (!content && files.length === 0) return
    this.store.set({ draft: '', files: [], complaint: null })
    this.tab.drop('draft')
    this.typing.stopped()
    // Said with one message; the advisor sees it there.
    this.outbox.send(content, files, this.visitor ? { visitor: this.visitor } : {})
    this.visitor = null
  }

  async react(message: Message, emoji: string): Promise<void> {
    const { dispatch, state } = this.store
    const mine = state.reacting[message.id] === undefined ? message.reactions.find((r) => r.reactor_id === this.me)?.emoji : state.reacting[message.id]
    dispatch({ type: 'reacting', message_id: message.id, emoji: mine === emoji ? null : emoji })
    try {
      dispatch({ type: 'reacted', message_id: message.id, reactions: await this.api.rpc<Message['reactions']>('toggle_reaction', { message_id: message.id, emoji }) })
    } catch (error) {
      dispatch({ type: 'reacted', message_id: message.id, reactions: null })
      this.doubt(error)
    }
  }

  stop(): void {
    this.stopped = true
    this.tokens.stop()
    this.live?.stop()
    this.outbox?.stop()
    this.files?.stop()
    this.typing.stopped()
    for (const timer of [...this.timers, this.impatient, this.counting, this.peeking]) clearTimeout(timer)
    for (const forget of this.forget.splice(0)) forget()
  }
}
