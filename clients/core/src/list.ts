// The list of conversations: loaded by pages, kept up to date by what the database tells on conversations:<me>.
import { call, throttled, type Context } from './context.ts'
import { messageOf, take } from './problem.ts'
import { activity, compareTimes, type Conversation, type Id, type ParticipationRow, type Person, type Profile } from './state/index.ts'

const PAGE = 30

interface Change { operation: 'INSERT' | 'UPDATE' | 'DELETE'; table: string; record: Record<string, unknown> | null; old_record: Record<string, unknown> | null }

export class List {
  /** Numbers are counted by the server; asked for once after a burst of changes. */
  private readonly recount = throttled(250, () => void this.countUnread())
  private readonly renew = throttled(150, () => void this.reload())

  constructor(private readonly context: Context) {}

  async load(filter: string, search: string): Promise<void> {
    const { store } = this.context
    store.dispatch({ type: 'list-loading', filter, search })
    try {
      const found = await call<Conversation[]>(this.context, 'get_conversations', { filter, search: search || null, page_size: PAGE })
      store.dispatch({ type: 'list-loaded', filter, search, conversations: found, hasMore: found.length === PAGE, append: false })
    } catch (error) {
      store.dispatch({ type: 'list-failed', error: messageOf(error) })
    }
  }

  async loadMore(): Promise<void> {
    const { store } = this.context
    const { filter, search, ids, hasMore } = store.get().list
    if (!hasMore) return
    const oldest = ids.map((id) => store.get().conversations[id]).filter((c): c is Conversation => Boolean(c)).map(activity).sort(compareTimes)[0]
    const found = await call<Conversation[]>(this.context, 'get_conversations', { filter, search: search || null, before: oldest, page_size: PAGE })
    store.dispatch({ type: 'list-loaded', filter, search, conversations: found, hasMore: found.length === PAGE, append: true })
  }

  /** The first page again; what was loaded beyond it stays. */
  async reload(): Promise<void> {
    const { filter, search } = this.context.store.get().list
    try {
      const found = await call<Conversation[]>(this.context, 'get_conversations', { filter, search: search || null, page_size: PAGE })
      const { ids } = this.context.store.get().list
      const fits = ids.length <= PAGE
      this.context.store.dispatch({ type: 'list-loaded', filter, search, conversations: found, hasMore: fits ? found.length === PAGE : this.context.store.get().list.hasMore, append: !fits })
    } catch (error) {
      if (this.context.store.get().list.status !== 'ready') this.context.store.dispatch({ type: 'list-failed', error: messageOf(error) })
    }
    await this.countUnread()
  }

  async countUnread(): Promise<void> {
    try {
      const counts = await call<{ total: number; mentions: number; conversations: Record<Id, number> }>(this.context, 'get_unread_count')
      const { conversations } = this.context.store.get()
      this.context.store.dispatch({ type: 'unread', total: Number(counts.total), conversations: counts.conversations })
      const mentions = Object.values(conversations).reduce((sum, c) => sum + c.mention_count, 0)
      // Somebody was named in a conversation whose number is not known yet.
      if (Number(counts.mentions) > mentions && this.context.store.get().list.ids.length <= PAGE) {
        const { filter, search } = this.context.store.get().list
        const found = await call<Conversation[]>(this.context, 'get_conversations', { filter, search: search || null, page_size: PAGE })
        this.context.store.dispatch({ type: 'conversations-known', conversations: found })
      }
    } catch {
      // The next change asks again.
    }
  }

  onChange(change: Change): void {
    const { store } = this.context
    if (change.table === 'conversations' && change.record) {
      const row = change.record as unknown as Partial<Conversation> & { id: Id }
      const { conversations, list } = store.get()
      store.dispatch({ type: 'conversation-row', row })
      if (!conversations[row.id] || !list.ids.includes(row.id)) this.renew()
      this.recount()
    } else if (change.table === 'conversation_participants') {
      const row = (change.record ?? change.old_record) as unknown as ParticipationRow | null
      if (!row) return
      const known = store.get().conversations[row.conversation_id]
      store.dispatch({ type: 'participation-row', row: change.operation === 'DELETE' ? { ...row, left_at: row.left_at ?? new Date().toISOString() } : row })
      if (!known || change.operation === 'INSERT') this.renew()
      this.recount()
    }
  }

  /** A conversation that is not in the part of the list that is loaded: a link, a search, a push message. */
  async ensure(id: Id): Promise<Conversation | null> {
    const { store, supabase, me } = this.context
    const known = store.get().conversations[id]
    if (known) return known
    const [conversation, mine, people] = await Promise.all([
      supabase.from('conversations').select('*').eq('id', id).maybeSingle(),
      supabase.from('conversation_participants').select('*').eq('conversation_id', id).eq('user_id', me).is('left_at', null).maybeSingle(),
      this.people(id).catch(() => [] as Person[]),
    ])
    const row = take<Conversation | null>(conversation)
    const part = take<ParticipationRow | null>(mine)
    if (!row || !part) return null
    const others = people.filter((p) => p.user_id !== me)
    // The title of its link is known where the list is made.
    const subject = row.type === 'direct' ? row.project_id : null
    const made: Conversation = { ...row, ...part, id, subject, unread_count: 0, mention_count: 0, participant_count: people.length, participants: others.slice(0, 5) }
    store.dispatch({ type: 'conversations-known', conversations: [made] })
    this.recount()
    return made
  }

  async people(conversation: Id): Promise<Person[]> {
    const people = await call<Person[]>(this.context, 'get_participants', { conversation_id: conversation })
    this.context.store.dispatch({ type: 'people', conversation, people })
    return people
  }

  /** People whom one may write to. */
  async findPeople(text: string, most = 50): Promise<Profile[]> {
    const { supabase, me } = this.context
    const pattern = `%${text.replace(/[\\%_]/g, (c) => `\\${c}`)}%`
    return take<Profile[]>(await supabase.from('profiles').select('id, display_name, avatar_url, kind, org_id').neq('id', me).ilike('display_name', pattern).order('display_name').limit(most))
  }

  stop(): void {
    this.recount.cancel()
    this.renew.cancel()
  }
}
