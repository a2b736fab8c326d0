// The library as one object. It owns one connection for as long as somebody is signed in.
import type { SupabaseClient } from '@supabase/supabase-js'
import { Actions } from './actions.ts'
import { Channels } from './channels.ts'
import { throttled, type Context } from './context.ts'
import { History } from './history.ts'
import { openKept, type Kept } from './kept.ts'
import { List } from './list.ts'
import { Live } from './live.ts'
import { Outbox } from './outbox.ts'
import { Presence } from './presence.ts'
import { take } from './problem.ts'
import { Push } from './push.ts'
import { Reading } from './reading.ts'
import { DEFAULT_SETTINGS, timelineKey, type Id, type Message, type Profile, type Settings, type Time } from './state/index.ts'
import { createStore, type Store } from './store.ts'
import { Threads } from './threads.ts'
import { Typing } from './typing.ts'
import { Uploads } from './uploads.ts'
import { Urls } from './urls.ts'

export interface ChatOptions {
  bucket?: string
  vapidPublicKey?: string | null
  /** Told of failures that have no place of their own on the screen. */
  onProblem?: (error: unknown) => void
}

export class Chat {
  readonly list: List
  readonly history: History
  readonly outbox: Outbox
  readonly uploads: Uploads
  readonly urls: Urls
  readonly typing: Typing
  readonly reading: Reading
  readonly threads: Threads
  readonly push: Push
  readonly actions: Actions
  private readonly live: Live
  private presence: Presence | undefined
  private readonly ends: (() => void)[] = []
  private readonly keep: ReturnType<typeof throttled>
  private readonly kept: Kept

  /** Use `Chat.start`. */
  private constructor(private readonly context: Context, readonly store: Store, options: ChatOptions) {
    this.kept = context.kept
    this.history = new History(context)
    this.list = new List(context)
    this.typing = new Typing(context)
    this.uploads = new Uploads(context)
    this.outbox = new Outbox(context, this.uploads)
    this.urls = new Urls(context.supabase, context.bucket)
    this.reading = new Reading(context)
    this.threads = new Threads(context)
    this.push = new Push(context, options.vapidPublicKey ?? null)
    this.actions = new Actions(context)
    this.live = new Live(context, this.history, this.list, this.typing)
    this.keep = throttled(1500, () => void this.keepSnapshot())
  }

  /** For the user whose session the client has. What was kept is shown before anything is loaded. */
  static async start(supabase: SupabaseClient, user: Id, options: ChatOptions = {}): Promise<Chat> {
    const store = createStore()
    const kept = await openKept(user)
    const context: Context = {
      supabase, store, kept, me: user, bucket: options.bucket ?? 'chat-attachments', channels: new Channels(supabase),
      report: options.onProblem ?? ((error) => console.warn('chat:', error)),
    }
    const chat = new Chat(context, store, options)
    await chat.restore()
    void chat.connect()
    return chat
  }

  private async restore(): Promise<void> {
    const { store } = this
    store.dispatch({ type: 'signed-in', me: { id: this.context.me, display_name: '', avatar_url: null, kind: 'member', org_id: null }, settings: DEFAULT_SETTINGS })
    const [snapshot, drafts] = await Promise.all([this.kept.snapshot().catch(() => undefined), this.kept.drafts().catch(() => ({}))])
    for (const [key, text] of Object.entries(drafts)) store.dispatch({ type: 'draft', key, text })
    if (snapshot) {
      const { filter, search } = store.get().list
      store.dispatch({ type: 'list-loaded', filter, search, conversations: snapshot.conversations, hasMore: false, append: false })
      for (const [key, messages] of Object.entries(snapshot.timelines)) {
        store.dispatch({ type: 'timeline-page', key, messages, where: 'latest', hasBefore: true })
      }
    }
    await this.threads.restore()
    await this.outbox.restore()
  }

  private async connect(): Promise<void> {
    const { channels, me, store, report } = this.context
    const { channel: own } = channels.hold(`conversations:${me}`, (channel) => {
      for (const event of ['INSERT', 'UPDATE', 'DELETE']) {
        channel.on('broadcast', { event }, ({ payload }) => this.list.onChange(payload as Parameters<List['onChange']>[0]))
      }
      channel.on('broadcast', { event: 'presence' }, ({ payload }) => {
        const { user_id, is_online, last_seen_at } = payload as { user_id: Id; is_online: boolean; last_seen_at: Time }
        store.dispatch({ type: 'last-seen', user_id, online: is_online, at: last_seen_at })
      })
    }, (status) => this.onStatus(status))
    const onOffline = () => store.dispatch({ type: 'connection', connection: 'offline' })
    const onOnline = () => {
      store.dispatch({ type: 'connection', connection: own.state === 'joined' ? 'online' : 'reconnecting' })
      this.outbox.flushAll()
      this.live.catchUpAll()
      void this.checkSocket()
    }
    globalThis.addEventListener?.('offline', onOffline)
    globalThis.addEventListener?.('online', onOnline)
    this.ends.push(store.subscribe(() => this.keep()), () => {
      globalThis.removeEventListener?.('offline', onOffline)
      globalThis.removeEventListener?.('online', onOnline)
    })
    if (globalThis.navigator?.onLine === false) onOffline()
    const { filter, search, status } = store.get().list
    // What was kept goes on being shown where nothing can be loaded.
    void (status === 'ready' ? this.list.reload() : this.list.load(filter, search).then(() => this.list.countUnread()))
    await this.introduce().catch(report)
  }

  /** Who I am, and the limits that hold. Tried again with the next connection. */
  private async introduce(): Promise<void> {
    const { supabase, me, store } = this.context
    const [profile, settings] = await Promise.all([
      supabase.from('profiles').select('id, display_name, avatar_url, kind, org_id').eq('id', me).maybeSingle(),
      supabase.from('chat_settings').select('max_message_length, max_attachments, max_attachment_bytes, allowed_emoji').maybeSingle(),
    ])
    const mine = take<Profile | null>(profile)
    if (!mine) return
    store.dispatch({ type: 'signed-in', me: mine, settings: { ...DEFAULT_SETTINGS, ...take<Partial<Settings> | null>(settings) } })
    if (mine.org_id && !this.presence) this.presence = new Presence(this.context, mine.org_id)
  }

  private onStatus(status: string): void {
    const { store } = this.context
    const offline = globalThis.navigator?.onLine === false
    if (status === 'SUBSCRIBED') {
      const again = store.get().connection !== 'connecting'
      store.dispatch({ type: 'connection', connection: 'online' })
      this.outbox.flushAll()
      if (again) void this.list.reload()
      if (!store.get().me?.display_name) void this.introduce().catch(this.context.report)
    } else if (status !== 'CLOSED') {
      store.dispatch({ type: 'connection', connection: offline ? 'offline' : 'reconnecting' })
    }
  }

  /** After the network was away the socket may look open and be dead: a heartbeat tells, and if not, it is opened anew. */
  private async checkSocket(): Promise<void> {
    const { realtime } = this.context.supabase
    if (!realtime.isConnected()) return
    let alive = false
    realtime.onHeartbeat((status) => {
      if (status === 'ok') alive = true
    })
    await realtime.sendHeartbeat()
    await new Promise((done) => setTimeout(done, 2500))
    if (alive || !realtime.isConnected()) return
    await realtime.disconnect()
    realtime.connect()
  }

  /** Opens a conversation for as long as it is shown; the returned function lets it go. With `elsewhere` its end is not loaded first. */
  watch(conversation: Id, elsewhere = false): () => void {
    void this.list.ensure(conversation).catch(this.context.report)
    const timeline = this.store.get().timelines[timelineKey(conversation)]
    if (!elsewhere && timeline?.status !== 'ready') void this.history.latest(conversation)
    if (!this.store.get().people[conversation]) void this.list.people(conversation).catch(() => {})
    return this.live.watch(conversation)
  }

  draft(key: string, text: string): void {
    this.store.dispatch({ type: 'draft', key, text })
    void this.kept.putDraft(key, text).catch(() => {})
  }

  private async keepSnapshot(): Promise<void> {
    const { list, conversations, timelines, messages } = this.store.get()
    if (list.status !== 'ready' || list.filter !== 'all' || list.search) return
    const kept = list.ids.slice(0, 50).map((id) => conversations[id]).filter((c) => c !== undefined)
    const lasts: Record<Id, Message[]> = {}
    for (const { id } of kept.slice(0, 20)) {
      const timeline = timelines[id]
      if (timeline?.status !== 'ready' || timeline.hasAfter) continue
      lasts[id] = timeline.ids.slice(-50).map((m) => messages[m]).filter((m) => m !== undefined)
    }
    await this.kept.putSnapshot({ conversations: kept, timelines: lasts }).catch(() => {})
  }

  /** Before signing out: this browser takes no more push messages, and keeps nothing of what was shown. */
  async leave(): Promise<void> {
    await this.push.disable().catch(() => {})
    for (const end of this.ends.splice(0)) end()
    this.keep.cancel()
    await this.kept.clear().catch(() => {})
  }

  stop(): void {
    for (const end of this.ends) end()
    for (const part of [this.list, this.live, this.typing, this.reading, this.threads, this.uploads, this.outbox]) part.stop()
    this.presence?.stop()
    this.keep.cancel()
    this.context.channels.closeAll()
    this.kept.close()
  }
}
