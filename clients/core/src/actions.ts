// What somebody does to messages and conversations, besides sending.
import { call, type Context } from './context.ts'
import { problemOf, take } from './problem.ts'
import type { Conversation, Id, Message, ParticipationRow, Profile, Reaction, Time } from './state/index.ts'

export interface Hit extends Message {
  conversation_name: string | null
  conversation_type: Conversation['type']
  /** The text in pieces; those that match are marked. Never markup. */
  snippet: { text: string; hit: boolean }[]
}

export interface SearchQuestion {
  query: string
  conversation_id?: Id | null
  sender_id?: Id | null
  has?: 'attachment' | 'image' | 'video' | 'file' | null
  before?: Time | null
  after?: Time | null
}

export interface NotificationPreferences {
  push: boolean
  email_digest: 'none' | 'daily' | 'weekly'
  sound: boolean
  preview: boolean
  quiet_start: string | null
  quiet_end: string | null
  time_zone: string
}

export const DEFAULT_PREFERENCES: NotificationPreferences = {
  push: true, email_digest: 'none', sound: true, preview: true, quiet_start: null, quiet_end: null, time_zone: 'UTC',
}

export class Actions {
  constructor(private readonly context: Context) {}

  async edit(id: Id, content: string): Promise<void> {
    const message = await call<Message>(this.context, 'edit_message', { message_id: id, content })
    this.context.store.dispatch({ type: 'message', message })
  }

  async remove(id: Id): Promise<void> {
    const message = await call<Message>(this.context, 'delete_message', { message_id: id })
    this.context.store.dispatch({ type: 'message', message })
  }

  /** Shown at once; what the server says counts in the end. */
  async react(message: Message, emoji: string): Promise<void> {
    const { store, me } = this.context
    const chosen = store.get().reacting[message.id]
    const current = chosen !== undefined ? chosen : (message.reactions.find((r) => r.reactor_id === me)?.emoji ?? null)
    store.dispatch({ type: 'reacting', message_id: message.id, emoji: current === emoji ? null : emoji })
    try {
      const reactions = await call<Reaction[]>(this.context, 'toggle_reaction', { message_id: message.id, emoji })
      store.dispatch({ type: 'reacted', message_id: message.id, reactions })
    } catch (error) {
      store.dispatch({ type: 'reacted', message_id: message.id, reactions: null })
      this.context.report(error)
    }
  }

  search(question: SearchQuestion): Promise<{ results: Hit[]; has_more: boolean }> {
    return call(this.context, 'search_messages', { ...question, page_size: 30 })
  }

  startConversation(user: Id, project: string | null = null): Promise<Conversation> {
    return call(this.context, 'start_conversation', { user_id: user, project_id: project })
  }

  createGroup(name: string, users: Id[]): Promise<Conversation> {
    return call(this.context, 'create_group', { name, user_ids: users })
  }

  async rename(conversation: Id, name: string): Promise<void> {
    await call(this.context, 'rename_conversation', { conversation_id: conversation, name })
    this.context.store.dispatch({ type: 'conversation-row', row: { id: conversation, name } })
  }

  addPeople(conversation: Id, users: Id[]): Promise<void> {
    return call(this.context, 'add_participants', { conversation_id: conversation, user_ids: users })
  }

  removePerson(conversation: Id, user: Id): Promise<void> {
    return call(this.context, 'remove_participant', { conversation_id: conversation, user_id: user })
  }

  setRole(conversation: Id, user: Id, role: 'owner' | 'member'): Promise<void> {
    return call(this.context, 'set_participant_role', { conversation_id: conversation, user_id: user, role })
  }

  leave(conversation: Id): Promise<void> {
    return call(this.context, 'leave_conversation', { conversation_id: conversation })
  }

  /** Pin, archive, mute (until a time, 'infinity', or null for no more), and what of it is pushed. */
  async prefer(conversation: Id, wish: { pinned?: boolean; archived?: boolean; muted_until?: Time | null; notify?: Conversation['notify'] }): Promise<void> {
    const { muted_until, ...rest } = wish
    const row = await call<ParticipationRow>(
      this.context, 'set_conversation_preferences', {
        conversation_id: conversation, ...rest, ...(muted_until === null ? { unmute: true } : muted_until ? { muted_until } : {}),
      })
    this.context.store.dispatch({ type: 'participation-row', row })
  }

  createInvite(conversation: Id): Promise<{ id: Id; token: string; expires_at: Time }> {
    return call(this.context, 'create_invite', { conversation_id: conversation })
  }

  acceptInvite(token: string): Promise<Conversation> {
    return call(this.context, 'accept_invite', { token })
  }

  block(user: Id): Promise<void> {
    return call(this.context, 'block_user', { user_id: user })
  }

  unblock(user: Id): Promise<void> {
    return call(this.context, 'unblock_user', { user_id: user })
  }

  async blocked(): Promise<Id[]> {
    const rows = take<{ blocked_id: Id }[]>(await this.context.supabase.from('user_blocks').select('blocked_id'))
    return rows.map((row) => row.blocked_id)
  }

  report(message: Id, reason: string): Promise<void> {
    return call(this.context, 'report_message', { message_id: message, reason })
  }

  async profile(id: Id): Promise<Profile | null> {
    return take<Profile | null>(await this.context.supabase.from('profiles').select('id, display_name, avatar_url, kind, org_id').eq('id', id).maybeSingle())
  }

  async preferences(): Promise<NotificationPreferences> {
    const found = await this.context.supabase.from('notification_preferences').select('*').maybeSingle()
    if (found.error) throw problemOf(found)
    return { ...DEFAULT_PREFERENCES, ...(found.data as Partial<NotificationPreferences> | null) }
  }

  savePreferences(wish: Partial<NotificationPreferences> & { no_quiet_hours?: boolean }): Promise<NotificationPreferences> {
    return call(this.context, 'set_notification_preferences', wish)
  }
}
