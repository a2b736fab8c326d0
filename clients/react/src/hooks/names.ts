// How conversations and people are called.
import { isOnline, type Conversation, type Person, type State } from '@dovetail/chat'
import { useCallback } from 'react'
import { useChatState } from '../context.tsx'
import { useLanguage, type Language } from '../i18n/index.tsx'

export function nameOf(conversation: Conversation, language: Language): string {
  if (conversation.name) return conversation.name
  const names = conversation.participants.map((p) => p.display_name ?? language.t('somebody'))
  if (names.length === 0) return language.t('somebody')
  return conversation.type === 'direct' ? (names[0] as string) : language.list(names.slice(0, 4))
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** What a conversation is about, in words; several with one person are told apart by it. */
export const subjectOf = ({ subject }: Conversation): string | null => (subject && !UUID.test(subject) ? subject : null)

export function presenceOf(state: State, person: Person | undefined): 'online' | 'away' | null {
  if (!person || !isOnline(state, person)) return null
  return state.presence[person.user_id]?.away ? 'away' : 'online'
}

export const useConversation = (id: string | null): Conversation | undefined => useChatState(useCallback((s: State) => (id ? s.conversations[id] : undefined), [id]))

/** "Ana is typing", "Ana and Ben are typing", "Several people are typing". */
export function useTypingLine(conversation: string): { ids: string[]; line: string } {
  const { t, list } = useLanguage()
  const ids = useChatState(useCallback((s: State) => Object.keys(s.typing[conversation] ?? {}).filter((id) => id !== s.me?.id), [conversation]))
  const names = useChatState(useCallback((s: State) => {
    const people = s.people[conversation] ?? s.conversations[conversation]?.participants ?? []
    return ids.map((id) => people.find((p) => p.user_id === id)?.display_name ?? '')
  }, [conversation, ids]))
  const known = names.map((n) => n || t('somebody'))
  const line = known.length === 0 ? '' : known.length > 2 ? t('typingMany') : t(known.length === 1 ? 'typing1' : 'typing2', { names: list(known) })
  return { ids, line }
}

/** The status line of a person. */
export function usePresenceLine(person: Person | undefined): string {
  const { t, dates } = useLanguage()
  return useChatState(useCallback((s: State) => {
    if (!person) return ''
    const presence = presenceOf(s, person)
    if (presence) return t(presence)
    const seen = s.presence[person.user_id]?.lastSeen ?? person.last_seen_at
    return seen ? t('lastSeen', { time: dates.ago(seen) }) : t('offline')
  }, [person, t, dates]))
}
