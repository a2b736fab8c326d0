// The messages, oldest first. At the end it follows; scrolled up nothing moves.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { timelineKey, timelineOf, typingIn } from '@dovetail/chat/state'
import { rowsOf, type BubbleRow, type Row } from '../rows.ts'
import type { Session } from '../tokens.ts'
import { Avatar } from './Avatar.tsx'
import { Bubble } from './Bubble.tsx'
import { useShared } from './context.ts'
import { Icon } from './icons.tsx'

const NEAR = 100

/** Keeps the place: at the end, or where the reader is while older messages come in above. */
function useScroll(rows: Row[], typing: boolean) {
  const { chat } = useShared()
  const log = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const was = useRef<{ height: number; first: string; last: string; atEnd: boolean }>({ height: 0, first: '', last: '', atEnd: true })
  const [missed, setMissed] = useState(0)
  const [away, setAway] = useState(false)
  const bubbles = rows.filter((row): row is BubbleRow => row.kind === 'bubble')
  const toEnd = () => { if (log.current) log.current.scrollTop = log.current.scrollHeight }

  useLayoutEffect(() => {
    const box = log.current
    if (!box) return
    const { height, first, last, atEnd } = was.current
    const newest = bubbles[bubbles.length - 1]
    const [nowFirst, nowLast] = [bubbles[0]?.key ?? '', newest?.key ?? '']
    if (first && nowFirst !== first && bubbles.some((b) => b.key === first)) box.scrollTop += box.scrollHeight - height
    else if (atEnd || (nowLast !== last && newest?.outgoing)) {
      toEnd()
      was.current.atEnd = true
    } else if (nowLast !== last) {
      const seen = bubbles.findIndex((b) => b.key === last)
      setMissed((count) => count + bubbles.slice(seen + 1).filter((b) => !b.own).length)
    }
    Object.assign(was.current, { height: box.scrollHeight, first: nowFirst, last: nowLast })
  }, [rows, typing])

  // Pictures that arrive, a keyboard that opens: the end stays the end.
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      if (was.current.atEnd) toEnd()
      if (log.current) was.current.height = log.current.scrollHeight
    })
    if (log.current) observer.observe(log.current)
    if (content.current) observer.observe(content.current)
    return () => observer.disconnect()
  }, [])

  const loading = useRef(false)
  const onScroll = () => {
    const box = log.current
    if (!box) return
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR
    was.current.atEnd = atEnd
    setAway(!atEnd)
    if (atEnd) setMissed(0)
    if (box.scrollTop < 80 && !loading.current) {
      loading.current = true
      void chat.history.older().finally(() => { loading.current = false })
    }
  }
  return { log, content, missed, away, onScroll, toEnd }
}

/** What is below the last own message, and below what is on its way. */
function useReceipts(rows: Row[]): (row: BubbleRow) => string | null {
  const { chat, language: { t, time } } = useShared()
  let lastOwn: BubbleRow | undefined
  for (const row of rows) if (row.kind === 'bubble' && row.own && row.message && !row.message.deleted_at) lastOwn = row
  const advisor = chat.advisor
  const { connection } = chat.store.view
  return (row) => {
    if (row.outgoing) return connection !== 'online' || row.outgoing.attempts > 1 ? t('waiting') : t('sending')
    if (row !== lastOwn || !row.message) return null
    const { is_read, read_at, created_at } = row.message
    if (is_read && read_at) return t('seenAt', { time: time(read_at) })
    return is_read || (advisor?.last_read_at && Date.parse(advisor.last_read_at) >= Date.parse(created_at)) ? t('seen') : t('sent')
  }
}

/** The first words of a conversation, which are no message. */
function Greeting({ session, children }: { session: Session; children: string }) {
  return (
    <div class="row other first last" data-testid="greeting">
      <Avatar id={session.advisorId} name={session.advisorName} url={session.advisorAvatar} size={28} />
      <div class="stack"><div class="bubble" dir="auto">{children}</div></div>
    </div>
  )
}

function Empty({ session }: { session: Session }) {
  const { t } = useShared().language
  return (
    <div class="empty">
      <Avatar id={session.advisorId} name={session.advisorName} url={session.advisorAvatar} size={64} />
      <p>{t('empty')}</p>
    </div>
  )
}

export function Log({ session }: { session: Session }) {
  const { chat, language, settings: { greeting } } = useShared()
  const { t } = language
  const { state, view } = { state: chat.store.state, view: chat.store.view }
  const { conversationId, clientId } = session
  const timeline = timelineOf(state, conversationId)
  const rows = useMemo(() => rowsOf(state, conversationId, clientId), [state.messages, state.timelines, state.outbox, conversationId, clientId])
  const typing = typingIn(state, conversationId).length > 0
  const { log, content, missed, away, onScroll, toEnd } = useScroll(rows, typing)
  const receiptOf = useReceipts(rows)
  const [picking, setPicking] = useState<string | null>(null)

  const onKeyDown = (event: KeyboardEvent) => {
    if (picking && event.key === 'Escape') {
      event.stopPropagation()
      setPicking(null)
      return
    }
    const all = [...(content.current?.querySelectorAll<HTMLElement>('[data-row]') ?? [])]
    const at = all.findIndex((row) => row.contains(event.target as Node))
    const next = { ArrowUp: at < 0 ? all.length - 1 : at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1 }[event.key]
    if (next === undefined || picking) return
    event.preventDefault()
    all[Math.min(Math.max(next, 0), all.length - 1)]?.focus()
  }
  const version = `${language.locale}|${Object.values(state.uploads).map((u) => u.state + u.sent).join()}`
  const loading = timeline.status === 'idle' || timeline.status === 'loading'
  return (
    <div class="log-place">
      {/* Read aloud by the region of the widget, so that older messages that are loaded are not. */}
      <div
        class="log" role="log" aria-live="off" aria-label={t('log')} aria-busy={loading} tabIndex={0} ref={log} data-testid="log" data-status={timeline.status}
        onScroll={onScroll} onKeyDown={onKeyDown}
        onPointerDown={(event) => { if (picking && !(event.target as Element).closest('.picker, .react')) setPicking(null) }}
        onContextMenu={(event) => { if (picking) event.preventDefault() }}
      >
        <div class="content-box" ref={content}>
          {loading && rows.length === 0 && <div class="loading" aria-label={t('loading')} role="status"><i /><i /><i /></div>}
          {timeline.status === 'error' && rows.length === 0 && (
            <div class="empty"><p>{t('loadFailed')}</p><button type="button" class="button" onClick={() => void chat.fill()}>{t('again')}</button></div>
          )}
          {timeline.status === 'ready' && rows.length === 0 && <Empty session={session} />}
          {greeting && timeline.status === 'ready' && !timeline.hasBefore && <Greeting session={session}>{greeting}</Greeting>}
          {timeline.hasBefore && <div class="older" aria-hidden="true"><i /></div>}
          {rows.map((row) => (row.kind === 'divider'
            ? <div class="divider" key={row.key}><time dateTime={row.at} title={language.exact(row.at)}>{language.divider(row.at)}</time></div>
            : <Bubble key={row.key} row={row} session={session} chosen={row.message ? state.reacting[row.message.id] : undefined} receipt={receiptOf(row)}
                thread={row.message ? state.timelines[timelineKey(conversationId, row.message.id)] : undefined}
                picking={picking === row.key} onPick={setPicking} version={row.outgoing ? version : language.locale} />))}
          {typing && (
            <div class="row other first last" data-testid="typing" role="status" aria-label={t('typing', { name: session.advisorName })}>
              <Avatar id={session.advisorId} name={session.advisorName} url={session.advisorAvatar} size={28} />
              <div class="stack"><div class="bubble dots"><i /><i /><i /></div></div>
            </div>
          )}
        </div>
      </div>
      {away && rows.length > 0 && (
        <button type="button" class={`pill ${missed > 0 ? 'pill-new' : ''}`} data-testid="pill" aria-label={missed > 0 ? undefined : t('toEnd')} onClick={toEnd}>
          {missed > 0 && t('newMessages', { count: missed })}<Icon name="down" size={18} />
        </button>
      )}
      {view.connection !== 'online' && view.phase === 'ready' && <div class="banner" role="status" data-testid="banner">{t(view.connection)}</div>}
    </div>
  )
}
