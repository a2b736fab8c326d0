// What the server says: from its metadata in the reader's language; in its own words where the event is not known.
import type { Message } from '@dovetail/chat'
import { useCallback } from 'react'
import { useChatState } from '../context.tsx'
import { useLanguage, type Key } from '../i18n/index.tsx'

const EVENTS: Record<string, Key> = { created: 'sysCreated', added: 'sysAdded', removed: 'sysRemoved', left: 'sysLeft', joined: 'sysJoined', renamed: 'sysRenamed' }

/** Names that the server's own text begins with, for people who are no longer there. */
function actorFrom(content: string, event: string): string {
  const verbs: Record<string, string> = { created: ' created ', added: ' added ', removed: ' removed ', left: ' left', joined: ' joined', renamed: ' named ' }
  const at = content.lastIndexOf(verbs[event] ?? '\n')
  return at > 0 ? content.slice(0, at) : ''
}

export function useSystemText(message: Message): string {
  const { t, list } = useLanguage()
  const { event, actor_id, user_ids, name } = message.metadata as { event?: string; actor_id?: string; user_ids?: string[]; name?: string }
  const people = useChatState(useCallback((s) => s.people[message.conversation_id] ?? s.conversations[message.conversation_id]?.participants, [message.conversation_id]))
  const me = useChatState((s) => s.me)
  const key = event ? EVENTS[event] : undefined
  if (!key || !event) return message.content
  const called = (id: string | undefined) => (id && id === me?.id ? me.display_name || t('you') : people?.find((p) => p.user_id === id)?.display_name)
  const actor = called(actor_id) ?? actorFrom(message.content, event)
  const others = (user_ids ?? []).map((id) => called(id))
  const said = message.content.split(event === 'added' ? ' added ' : ' removed ').pop() ?? ''
  return t(key, { actor: actor || t('somebody'), name: name ?? '', people: others.every(Boolean) ? list(others as string[]) : said })
}

export function SystemMessage({ message }: { message: Message }) {
  const { dates } = useLanguage()
  return <p className="dt-system" title={dates.exact(message.created_at)}>{useSystemText(message)}</p>
}
