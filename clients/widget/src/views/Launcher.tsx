// The button in the corner, with what was missed.
import type { RefObject } from 'preact'
import { Icon } from './icons.tsx'
import { useShared } from './context.ts'

export function Launcher({ button }: { button: RefObject<HTMLButtonElement | null> }) {
  const { chat, language: { t } } = useShared()
  const { open, unread, peek, session } = chat.store.view
  const name = session?.advisorName ?? ''
  const label = open ? t('close') : unread > 0 ? t('openUnread', { name, count: unread }) : t('open', { name })
  return (
    <div class="corner">
      {peek && !open && (
        <div class="peek" data-testid="peek">
          <button type="button" class="peek-text" onClick={() => chat.setOpen(true)}>
            <strong dir="auto">{peek.name}</strong>
            <span dir="auto">{peek.text}</span>
          </button>
          <button type="button" class="icon" aria-label={t('dismiss')} onClick={() => chat.store.set({ peek: null })}><Icon name="close" size={16} /></button>
        </div>
      )}
      <button ref={button} type="button" class="launcher" data-testid="launcher" aria-label={label} aria-haspopup="dialog" aria-expanded={open} onClick={() => chat.setOpen(!open)}>
        {open ? <Icon name="down" size={28} /> : <Icon name="chat" filled size={28} />}
        {!open && unread > 0 && <span class="badge" data-testid="badge" aria-hidden="true">{unread > 99 ? '99+' : unread}</span>}
      </button>
    </div>
  )
}
