// Whom one may mention, while a name is being written after an @.
import { useCallback, useMemo } from 'react'
import { useChatState } from '../context.tsx'
import type { Named } from '../hooks/mentions.ts'
import { useLanguage } from '../i18n/index.tsx'
import { Avatar } from './Avatar.tsx'
import { Icon } from './Icon.tsx'

export function useMentionChoices(conversationId: string, part: string | null): Named[] {
  const people = useChatState(useCallback((s) => (s.people[conversationId] ?? s.conversations[conversationId]?.participants ?? []).filter((p) => p.user_id !== s.me?.id), [conversationId]))
  return useMemo(() => {
    if (part === null) return []
    const wanted = part.toLocaleLowerCase()
    // A word further on counts too: "@muster" finds Ana Muster.
    const fits = (name: string) => [name, ...name.split(/\s+/)].some((w) => w.toLocaleLowerCase().startsWith(wanted))
    const found = people.filter((p) => p.display_name && fits(p.display_name)).map((p) => ({ id: p.user_id, name: p.display_name as string })).slice(0, 8)
    return people.length > 1 && 'all'.startsWith(wanted) ? [...found, { id: 'all', name: 'all' }] : found
  }, [people, part])
}

export function MentionPicker({ choices, chosen, onChoose }: { choices: Named[]; chosen: number; onChoose: (one: Named) => void }) {
  const { t } = useLanguage()
  if (choices.length === 0) return null
  return (
    <ul className="dt-mentions" id="dt-mentions" role="listbox" aria-label={t('mentionHint')}>
      {choices.map((one, i) => (
        // The textarea keeps the focus, so the press is stopped before it would take it.
        <li key={one.id} id={`dt-mention-${i}`} role="option" aria-selected={i === chosen} onMouseDown={(event) => { event.preventDefault(); onChoose(one) }}>
          {one.id === 'all' ? <span className="dt-mention-icon"><Icon name="group" size={18} /></span> : <Avatar id={one.id} name={one.name} size={24} />}
          <span>{one.id === 'all' ? '@all' : one.name}</span>
          {one.id === 'all' && <small>{t('mentionAll')}</small>}
        </li>
      ))}
    </ul>
  )
}
