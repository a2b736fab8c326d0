// Ctrl+K: to a conversation by a few letters of its name.
import { sortedList } from '@dovetail/chat'
import { useState } from 'react'
import { useChatState } from '../context.tsx'
import { nameOf, subjectOf } from '../hooks/names.ts'
import { useLanguage } from '../i18n/index.tsx'
import { Avatar } from './Avatar.tsx'
import { Modal } from './Dialogs.tsx'

export function Switcher({ onClose, onOpen }: { onClose: () => void; onOpen: (id: string) => void }) {
  const language = useLanguage()
  const { t } = language
  const all = useChatState(sortedList)
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const wanted = text.trim().toLocaleLowerCase()
  const found = all.filter((c) => `${nameOf(c, language)} ${subjectOf(c) ?? ''}`.toLocaleLowerCase().includes(wanted)).slice(0, 10)
  const go = (id: string | undefined) => {
    if (!id) return
    onOpen(id)
    onClose()
  }
  return (
    <Modal title={t('switcher')} onClose={onClose}>
      <input className="dt-input" autoFocus value={text} placeholder={t('searchPlaceholder')} aria-label={t('switcher')} role="combobox" aria-expanded aria-controls="dt-switcher" aria-activedescendant={found[at] ? `dt-switch-${at}` : undefined}
        onChange={(event) => { setText(event.target.value); setAt(0) }}
        onKeyDown={(event) => {
          if (event.key === 'ArrowDown') setAt((n) => Math.min(n + 1, found.length - 1))
          else if (event.key === 'ArrowUp') setAt((n) => Math.max(n - 1, 0))
          else if (event.key === 'Enter') go(found[at]?.id)
          else return
          event.preventDefault()
        }} />
      <ul id="dt-switcher" role="listbox" className="dt-switcher" aria-label={t('conversationList')}>
        {found.map((c, i) => (
          <li key={c.id} id={`dt-switch-${i}`} role="option" aria-selected={i === at} onClick={() => go(c.id)}>
            <Avatar id={c.participants[0]?.user_id ?? c.id} name={nameOf(c, language)} url={c.participants[0]?.avatar_url} size={28} />
            <span className="dt-grow">{nameOf(c, language)}{subjectOf(c) && <bdi className="dt-subject">{subjectOf(c)}</bdi>}</span>
            {c.unread_count > 0 && <span className="dt-badge">{c.unread_count}</span>}
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className="dt-system">{t('nothingFound')}</p>}
    </Modal>
  )
}
