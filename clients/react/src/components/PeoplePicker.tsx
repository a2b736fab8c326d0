// Chooses people of the organisation: one for a direct conversation, several with a name for a group.
import type { Profile } from '@dovetail/chat'
import { useEffect, useState } from 'react'
import { useChat } from '../context.tsx'
import { useLanguage, type Key } from '../i18n/index.tsx'
import { Avatar } from './Avatar.tsx'
import { Spinner } from './controls.tsx'
import { Modal } from './Dialogs.tsx'
import { Icon } from './Icon.tsx'

const KINDS: Record<string, Key> = { trainer: 'trainer', client: 'client', advisor: 'advisor', member: 'member' }

interface Props { title: string; action: string; without?: string[]; naming?: boolean; onClose: () => void; onDone: (chosen: Profile[], name: string) => void }

export function PeoplePicker({ title, action, without = [], naming, onClose, onDone }: Props) {
  const chat = useChat()
  const { t } = useLanguage()
  const [text, setText] = useState('')
  const [name, setName] = useState('')
  const [found, setFound] = useState<Profile[] | null>(null)
  const [chosen, setChosen] = useState<Profile[]>([])
  useEffect(() => {
    let gone = false
    const timer = setTimeout(() => {
      chat.list.findPeople(text.trim()).then((people) => { if (!gone) setFound(people) }, () => { if (!gone) setFound([]) })
    }, text ? 150 : 0)
    return () => { gone = true; clearTimeout(timer) }
  }, [chat, text])
  const toggle = (person: Profile) => setChosen((known) => (known.some((p) => p.id === person.id) ? known.filter((p) => p.id !== person.id) : [...known, person]))
  const group = naming && chosen.length > 1
  const done = () => { onDone(chosen, name.trim()); onClose() }
  return (
    <Modal title={title} onClose={onClose} wide>
      <form className="dt-picker" onSubmit={(event) => { event.preventDefault(); if (chosen.length > 0 && (!group || name.trim())) done() }}>
        <input className="dt-input" type="search" value={text} placeholder={t('startWith')} aria-label={t('startWith')} autoFocus onChange={(event) => setText(event.target.value)} />
        {chosen.length > 0 && (
          <ul className="dt-chips">
            {chosen.map((p) => <li key={p.id}><button type="button" onClick={() => toggle(p)} aria-label={t('removeFile', { name: p.display_name })}>{p.display_name}<Icon name="close" size={14} /></button></li>)}
          </ul>
        )}
        <ul className="dt-people dt-picker-list">
          {found === null && <li className="dt-blank"><Spinner /></li>}
          {found?.length === 0 && <li className="dt-system">{t('noPeople')}</li>}
          {found?.filter((p) => !without.includes(p.id)).map((p) => {
            const on = chosen.some((c) => c.id === p.id)
            return (
              <li key={p.id}>
                <label className="dt-person">
                  <input type="checkbox" checked={on} onChange={() => toggle(p)} />
                  <Avatar id={p.id} name={p.display_name} url={p.avatar_url} size={36} />
                  <span className="dt-grow">{p.display_name}{KINDS[p.kind] && <small> · {t(KINDS[p.kind] as Key)}</small>}</span>
                </label>
              </li>
            )
          })}
        </ul>
        {group && <label className="dt-field"><span>{t('groupName')}</span><input value={name} maxLength={200} onChange={(event) => setName(event.target.value)} /></label>}
        <footer>
          <span className="dt-grow">{chosen.length > 0 && t('selected', { count: chosen.length })}</span>
          <button type="submit" className="dt-button dt-button-main" disabled={chosen.length === 0 || (group && !name.trim())}>{group ? t('createGroup') : action}</button>
        </footer>
      </form>
    </Modal>
  )
}
