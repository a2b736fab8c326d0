// The window: who it is, the messages, where one writes.
import type { RefObject } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { timelineOf, typingIn } from '@dovetail/chat/state'
import type { Session } from '../tokens.ts'
import { Avatar } from './Avatar.tsx'
import { Away } from './Away.tsx'
import { Composer } from './Composer.tsx'
import { useShared } from './context.ts'
import { Ended, Ending } from './Ending.tsx'
import { Icon } from './icons.tsx'
import { Introduction } from './Introduction.tsx'
import { Log } from './Log.tsx'
import { useMinute } from './minute.ts'

const PHONE = '(max-width: 479.98px)'
const FOCUSABLE = 'button:not([disabled]):not([tabindex="-1"]), textarea, input:not([hidden]), a[href], [tabindex="0"]'

/** Whether the window takes the whole screen. */
function usePhone(): boolean {
  const [phone, setPhone] = useState(() => matchMedia(PHONE).matches)
  useEffect(() => {
    const query = matchMedia(PHONE)
    const changed = () => setPhone(query.matches)
    query.addEventListener('change', changed)
    return () => query.removeEventListener('change', changed)
  }, [])
  return phone
}

/** A keyboard on the screen makes the visible part smaller, not the page: the window follows what is visible. */
function useVisiblePart(element: RefObject<HTMLElement | null>, phone: boolean): void {
  useEffect(() => {
    const visible = globalThis.visualViewport
    if (!visible || !phone) return
    const fit = () => {
      element.current?.style.setProperty('height', `${visible.height}px`)
      element.current?.style.setProperty('top', `${visible.offsetTop}px`)
    }
    fit()
    visible.addEventListener('resize', fit)
    visible.addEventListener('scroll', fit)
    return () => {
      visible.removeEventListener('resize', fit)
      visible.removeEventListener('scroll', fit)
      element.current?.style.removeProperty('height')
      element.current?.style.removeProperty('top')
    }
  }, [phone])
}

function Header({ session, leave }: { session: Session; leave: RefObject<HTMLButtonElement | null> }) {
  const { chat, language: { t, ago } } = useShared()
  useMinute()
  const { advisor } = chat
  const online = advisor?.online === true
  const typing = typingIn(chat.store.state, session.conversationId).length > 0
  const status = typing ? t('typing', { name: session.advisorName })
    : online ? t('online')
      : advisor?.last_seen_at ? t('lastSeen', { time: ago(advisor.last_seen_at) }) : ''
  return (
    <header>
      <span class="who">
        <Avatar id={session.advisorId} name={session.advisorName} url={session.advisorAvatar} size={40} />
        {online && <span class="online" />}
      </span>
      <div class="titles">
        <h2 dir="auto">{session.advisorName}</h2>
        <p class="about" dir="auto" title={session.subjectTitle}>{t('about', { subject: session.subjectTitle })}</p>
        {status && <p class="status" data-testid="status">{status}</p>}
      </div>
      {chat.store.view.phase === 'ready' && chat.hasWritten && (
        <button type="button" class="icon leave" aria-label={t('end')} title={t('end')} data-testid="end" ref={leave} onClick={() => chat.store.set({ ending: true })}><Icon name="leave" size={20} /></button>
      )}
      <button type="button" class="icon" aria-label={t('close')} data-testid="close" onClick={() => chat.setOpen(false)}><Icon name="down" /></button>
    </header>
  )
}

function Closed() {
  const { chat, language: { t } } = useShared()
  const { draft, state } = chat.store.view
  const kept = draft !== '' || Object.keys(state.outbox).length > 0
  return (
    <div class="closed" role="alert" data-testid="closed">
      <p><strong>{t('closed')}</strong>{kept && <> {t('closedKept')}</>}</p>
      <button type="button" class="link" onClick={() => void chat.reopen()}>{t('again')}</button>
    </div>
  )
}

/** Where one writes, or what is asked before. Neither is shown before it is known which. */
function Foot({ session, focus }: { session: Session; focus: boolean }) {
  const { chat, settings } = useShared()
  const answered = useRef(false)
  const known = useRef(false)
  const { introduced, phase, state } = chat.store.view
  known.current ||= ['ready', 'error'].includes(timelineOf(state, session.conversationId).status)
  const asked = introduced || chat.hasWritten ? [] : settings.ask.filter(({ name }) => !chat.visitor.about[name])
  if (asked.length === 0) return <Composer focus={focus || answered.current} />
  if (phase !== 'ready' || !known.current) return null
  return <Introduction fields={asked} focus={focus} onDone={() => { answered.current = true }} />
}

export function Window({ session, focus }: { session: Session; focus: boolean }) {
  const { chat, language: { t } } = useShared()
  const { phase, ending } = chat.store.view
  const element = useRef<HTMLDivElement>(null)
  const leave = useRef<HTMLButtonElement>(null)
  // Where one writes may come later than the window.
  const wanted = useRef(focus)
  wanted.current ||= phase === 'ended'
  const phone = usePhone()
  useVisiblePart(element, phone)
  // On a phone the field would bring up the keyboard before anything was read.
  useEffect(() => { if (focus && phone) element.current?.focus({ preventScroll: true }) }, [])

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') {
      event.preventDefault()
      chat.setOpen(false)
    }
    // The page is covered: Tab stays here.
    if (event.key !== 'Tab' || !phone) return
    const all = [...(element.current?.querySelectorAll<HTMLElement>(FOCUSABLE) ?? [])]
    const [first, last] = [all[0], all[all.length - 1]]
    const at = (element.current?.getRootNode() as ShadowRoot).activeElement
    if (event.shiftKey ? at === first || at === element.current : at === last) {
      event.preventDefault()
      ;(event.shiftKey ? last : first)?.focus()
    }
  }
  return (
    <div
      class="window" role="dialog" aria-modal={phone} aria-label={t('dialog', { name: session.advisorName })} tabIndex={-1} ref={element} data-testid="window"
      onKeyDown={onKeyDown}
      onDragOver={(event) => { if (event.dataTransfer?.types.includes('Files')) event.preventDefault() }}
      onDrop={(event) => {
        if (!event.dataTransfer?.files.length) return
        event.preventDefault()
        void chat.addFiles([...event.dataTransfer.files])
      }}
    >
      <Header session={session} leave={leave} />
      {phase === 'ended' ? <Ended /> : (
        <>
          <Log session={session} />
          {phase === 'closed' && <Closed />}
          {ending && <Ending name={session.advisorName} onCancel={() => { chat.store.set({ ending: false }); leave.current?.focus() }} />}
          {!ending && <Away />}
          <Foot session={session} focus={wanted.current && !phone} />
        </>
      )}
    </div>
  )
}
