// The conversation of a guest: from the share link to what is on the screen.
import { EMPTY, othersOf, outgoingOf, timelineOf, type Message, type MessageRow, type Person } from '@dovetail/chat/state'
import { Api } from './api.ts'
import { Files } from './files.ts'
import { History } from './history.ts'
import { afterPaint } from './idle.ts'
import { Kept } from './kept.ts'
import { Live } from './live.ts'
import { Outbox } from './outbox.ts'
import { isTemporary, Problem } from './problem.ts'
import { Reading } from './reading.ts'
import { watchPage } from './watch.ts'
import { Store } from './store.ts'
import type { Options } from './told.ts'
import { Tokens, type GiveToken, type Session } from './tokens.ts'
import { FORGET_MS, Typing } from './typing.ts'
import { Visitor, type About } from './visitor.ts'

/** So long without a connection before anything is said of it. */
const PATIENCE_MS = 2000

export class Chat {
  readonly store: Store
  readonly tokens: Tokens
  readonly api: Api
  files!: Files
  outbox!: Outbox
  history!: History
  private reading!: Reading
  readonly typing = new Typing((isTyping) => this.live?.sayTyping(this.me, isTyping))
  private live: Live | undefined
  private stopped = false
  private tries = 0
  private readonly timers = new Set<ReturnType<typeof setTimeout>>()
  private impatient: ReturnType<typeof setTimeout> | undefined
  private forget: Array<() => void> = []
  private readonly tab: Kept
  readonly visitor: Visitor
  private hasBegun = () => {}
  private readonly begun = new Promise<void>((done) => { this.hasBegun = done })

  constructor(private readonly options: Options) {
    this.store = new Store(options.changed)
    this.tokens = new Tokens(options.url, options.subject, options.shareToken)
    this.api = new Api(options.url, options.anonKey, this.tokens)
    this.tab = new Kept(() => sessionStorage, `dovetail-chat-tab:${options.url}:${options.subject}:`)
    this.visitor = new Visitor(this.tab)
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

  /** Whether there is a message of the guest. */
  get hasWritten(): boolean {
    const { state } = this.store
    return outgoingOf(state, this.conversation).length > 0 || timelineOf(state, this.conversation).ids.some((id) => state.messages[id]?.sender_id === this.me)
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
    this.history = new History(this.api, store, session.conversationId, (message) => this.told(message), () => void this.reading.read(), (error) => this.doubt(error))
    this.reading = new Reading(this.api, store, this.options.tell, session.conversationId, () => this.history.last)
    const { settings } = store.state
    store.dispatch({ type: 'signed-in', me: { id: session.clientId, display_name: session.clientName, avatar_url: null, kind: 'guest', org_id: session.orgId }, settings })
    store.set({
      phase: 'ready', session, draft: this.tab.get<string>('draft') ?? '', introduced: this.tab.get<boolean>('introduced') === true,
      open: store.view.open || (this.tab.get<boolean>('open') === true && matchMedia('(min-width: 480px)').matches),
    })
    this.tokens.onRenewed = () => this.live?.renewed()
    this.tokens.onRefused = () => this.close()
    this.options.tell('ready', { conversationId: session.conversationId })
    this.hasBegun()
    // The button is drawn first; what is behind it comes later.
    afterPaint(() => { if (!this.stopped) this.connect() })
  }

  private connect(): void {
    const { store, conversation } = this
    this.outbox.restore()
    void this.reading.begin(this.fill())
    void this.people()
    this.api.limits().then((limits) => {
      const { me } = store.state
      if (!me) return
      store.dispatch({ type: 'signed-in', me, settings: {
        max_message_length: limits.maxMessageLength, max_attachments: limits.maxAttachments, max_attachment_bytes: limits.maxAttachmentBytes, allowed_emoji: limits.allowedEmoji,
      } })
    }).catch(() => {})
    this.live = new Live(this.api, conversation, this.me, {
      message: (row) => this.onRow(row),
      reaction: (row) => store.dispatch({ type: 'reaction', message_id: row.message_id, reaction: row }),
      reactionGone: (id) => store.dispatch({ type: 'reaction-gone', id }),
      participation: (row) => {
        if (row.user_id !== this.me) store.dispatch({ type: 'read', conversation, user_id: row.user_id, last_read_at: row.last_read_at })
        // Read in another tab.
        else this.reading.countSoon()
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
      focus: () => void this.reading.read(),
      visible: () => {
        // Timers slept with the page: the token may have ended meanwhile.
        this.tokens.fresh().catch(() => {})
        this.live?.hurry()
        void this.reading.read()
      },
    }))
  }

  /** The session was refused: what is written stays, so that it can be copied. */
  private close(): void {
    this.disconnect()
    this.store.set({ phase: 'closed', peek: null, ending: false })
  }

  private disconnect(): void {
    this.typing.stopped()
    this.live?.stop()
    this.live = undefined
    this.outbox.stop()
    this.reading.stop()
    clearTimeout(this.impatient)
    this.impatient = undefined
    for (const forget of this.forget.splice(0)) forget()
  }

  /** The guest goes: the server forgets the session, this device what was written. */
  async end(): Promise<void> {
    if (this.store.view.phase !== 'ready') return
    // Without a network the session lasts until its time is over.
    this.tokens.signOut()
    await this.api.rpc('end_guest_session').catch(() => {})
    this.tokens.forget()
    this.disconnect()
    this.outbox.forget()
    this.files.stop()
    this.visitor.forget()
    for (const key of ['draft', 'introduced', 'open']) this.tab.drop(key)
    this.store.set({ phase: 'ended', state: EMPTY, draft: '', files: [], complaint: null, peek: null, said: '', introduced: false, ending: false, unread: 0 })
    this.options.tell('end', undefined)
  }

  /** "Try again", where a link was switched off and perhaps on again; or another session after the end of one. */
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
    this.reading.countSoon()
    this.outbox.flush()
  }

  private async people(): Promise<void> {
    try {
      const people = await this.api.rpc<Person[]>('get_participants', { conversation_id: this.conversation })
      this.reading.known(people.find((p) => p.user_id === this.me)?.last_read_at ?? null)
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
    if (!own) this.reading.heard(message)
  }

  // Writing

  setOpen(open: boolean): void {
    const { view } = this.store
    if (view.phase === 'absent' || view.open === open) return
    this.store.set({ open, peek: null, said: '', ending: false, hadFocus: this.options.hasFocus() })
    this.tab.set('open', open)
    this.options.tell(open ? 'open' : 'close', undefined)
    if (open) void this.reading.read()
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

  /** The form before the chat is done with. */
  introduce(about: About): void {
    this.visitor.say(about)
    this.tab.set('introduced', true)
    this.store.set({ introduced: true })
  }

  /** Somebody has signed in on the page, or out: from now on the server is asked as them. */
  async signIn(give: GiveToken | null): Promise<boolean> {
    await this.begun
    try {
      if (give) await this.tokens.signIn(give)
      else {
        this.tokens.signOut()
        await this.tokens.renew()
      }
    } catch (error) {
      this.report(error)
      return false
    }
    await this.live?.restart()
    return true
  }

  send(): void {
    const { draft, files } = this.store.view
    const content = draft.trim()
    if (!content && files.length === 0) return
    this.store.set({ draft: '', files: [], complaint: null })
    this.tab.drop('draft')
    this.typing.stopped()
    this.outbox.send(content, files, this.visitor.take())
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
    this.reading?.stop()
    for (const timer of [...this.timers, this.impatient]) clearTimeout(timer)
    for (const forget of this.forget.splice(0)) forget()
  }
}
