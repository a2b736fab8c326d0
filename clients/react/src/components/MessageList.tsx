// The messages of a conversation or of a thread.
import { outgoingOf, timelineKey, timelineOf, type Message } from '@dovetail/chat'
import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { Virtualizer } from 'virtua'
import { useChat, useChatState } from '../context.tsx'
import { useActive } from '../hooks/active.ts'
import { rowsOf, type Row } from '../hooks/rows.ts'
import { useScrolling } from '../hooks/scroll.ts'
import { useLanguage } from '../i18n/index.tsx'
import { Bubble } from './Bubble.tsx'
import { Failed, IconButton, Spinner } from './controls.tsx'
import { Icon } from './Icon.tsx'
import type { MessageHandlers } from './MessageMenu.tsx'
import { plainText } from './MessageText.tsx'
import { SystemMessage } from './SystemMessage.tsx'
import { Typing } from './Typing.tsx'

interface Props extends MessageHandlers {
  conversationId: string
  threadId?: string
  unread: { since: string | null; count: number } | null
  /** A message to show and mark; a new object each time it is asked for. */
  target: { id: string } | null
  /** It does not begin at its end, since a message was asked for. */
  elsewhere?: boolean
  onSeen: (atEnd: boolean) => void
  onUnreadDone?: () => void
  blank: ReactNode
  children?: ReactNode
}

/** Until rows are measured and the end is found. */
const SETTLE_MS = 300

const indexOf = (rows: Row[], id: string) => rows.findIndex((row) => row.kind === 'bubble' && row.item.kind === 'message' && row.item.message.id === id)

export function MessageList(props: Props) {
  const { conversationId, threadId, unread, target, elsewhere = false, onSeen, onUnreadDone, blank, children, ...handlers } = props
  const chat = useChat()
  const { t, dates } = useLanguage()
  const key = timelineKey(conversationId, threadId)
  const me = useChatState((s) => s.me?.id ?? '')
  const isGroup = useChatState(useCallback((s) => s.conversations[conversationId]?.type !== 'direct', [conversationId]))
  const timeline = useChatState(useCallback((s) => timelineOf(s, conversationId, threadId), [conversationId, threadId]))
  const messages = useChatState(useCallback((s) => timelineOf(s, conversationId, threadId).ids.map((id) => s.messages[id]).filter((m): m is Message => m !== undefined), [conversationId, threadId]))
  const outgoing = useChatState(useCallback((s) => outgoingOf(s, conversationId, threadId), [conversationId, threadId]))
  // Away from its end a stretch shows what waits only while the end cannot be loaded.
  const away = useChatState((s) => s.connection !== 'online')
  const rows = useMemo(() => rowsOf(messages, timeline.hasAfter && !away ? [] : outgoing, me, unread, timeline.hasBefore), [messages, outgoing, away, timeline.hasAfter, timeline.hasBefore, me, unread])
  const lastOwn = useMemo(() => rows.findLast((row) => row.kind === 'bubble' && row.own && row.item.kind === 'message' && !row.item.message.deleted_at)?.key, [rows])

  const opened = useRef<string | null>(null)
  const fresh = timeline.status === 'ready' && opened.current !== key
  const onEnds = useCallback((edge: 'start' | 'end') => {
    void (edge === 'start' ? chat.history.older(conversationId, threadId) : chat.history.newer(conversationId, threadId)).catch(() => {})
  }, [chat, conversationId, threadId])
  const { scroll, virtual, shift, atEnd, missed, toEnd, leaveEnd, onScroll } = useScrolling(rows, fresh, !elsewhere, timeline.hasAfter, onEnds)
  useEffect(() => {
    if (timeline.status === 'ready') opened.current = key
  }, [timeline.status, key])
  useEffect(() => onSeen(atEnd && !timeline.hasAfter), [atEnd, timeline.hasAfter, onSeen])

  const { active, focused, setFocused, menuOpen, setMenuOpen, handlers: activeHandlers, onPointerDown } = useActive(scroll)
  const [highlighted, setHighlighted] = useState<string | null>(null)

  // To a message that was asked for, as soon as it is there.
  const reached = useRef(new WeakSet<object>())
  const [firstUnread, setFirstUnread] = useState<{ id: string } | null>(null)
  useEffect(() => {
    for (const [goal, align] of [[target, 'center'], [firstUnread, 'start']] as const) {
      const index = goal && !reached.current.has(goal) ? indexOf(rows, goal.id) : -1
      const row = rows[index]
      if (!goal || !row) continue
      reached.current.add(goal)
      leaveEnd()
      virtual.current?.scrollToIndex(index, { align })
      if (align === 'center') setHighlighted(row.key)
    }
  }, [target, firstUnread, rows, leaveEnd, virtual])
  useEffect(() => {
    if (!highlighted) return
    const timer = setTimeout(() => setHighlighted(null), 2500)
    return () => clearTimeout(timer)
  }, [highlighted])

  const goToEnd = useCallback(() => {
    if (timeline.hasAfter) void chat.history.latest(conversationId, threadId).then(() => requestAnimationFrame(toEnd))
    else toEnd()
  }, [chat, conversationId, threadId, timeline.hasAfter, toEnd])

  // Whoever writes wants to see it, wherever they read before.
  const written = outgoing[outgoing.length - 1]?.client_id
  const known = useRef(written)
  useEffect(() => {
    if (written && written !== known.current && timeline.hasAfter && !away) goToEnd()
    known.current = written
  }, [written, timeline.hasAfter, away, goToEnd])

  // The first unread message, if it is above what is on the screen. Known only when the rows are measured and the end is found.
  const unreadIndex = rows.findIndex((row) => row.kind === 'unread')
  const [unreadAbove, setUnreadAbove] = useState(false)
  const settled = useRef<'no' | 'yes' | 'seen'>('no')
  const lookForUnread = () => {
    const handle = virtual.current
    if (!handle || settled.current !== 'yes' || !unread || unread.count === 0) return
    const above = unreadIndex < 0 || handle.findItemIndex(handle.scrollOffset) > unreadIndex
    if (!above) settled.current = 'seen'
    setUnreadAbove(above)
  }
  useEffect(() => {
    if (timeline.status !== 'ready' || settled.current !== 'no' || !unread) return
    const timer = setTimeout(() => {
      settled.current = 'yes'
      lookForUnread()
    }, SETTLE_MS)
    return () => clearTimeout(timer)
    // eslint-disable-next-line react-hooks/exhaustive-deps -- once for each conversation, and when the line appears
  }, [timeline.status, unread, unreadIndex >= 0])
  const unreadDone = () => {
    settled.current = 'seen'
    setUnreadAbove(false)
  }
  const toUnread = async () => {
    unreadDone()
    leaveEnd()
    if (unreadIndex >= 0 || !unread) virtual.current?.scrollToIndex(Math.max(0, unreadIndex), { align: 'start' })
    else {
      const first = await chat.history.since(conversationId, unread.since)
      if (first) setFirstUnread({ id: first.id })
    }
  }

  const focusRow = (index: number) => {
    const row = rows[index]
    if (!row) return
    setFocused(row.key)
    leaveEnd()
    virtual.current?.scrollToIndex(index, { align: 'nearest' })
    requestAnimationFrame(() => scroll.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(row.key)}"]`)?.focus({ preventScroll: true }))
  }
  const onKey = (event: KeyboardEvent<HTMLElement>) => {
    const own = (event.target as HTMLElement).closest<HTMLElement>('[data-key]')
    // Inside of a message its own buttons have the keys, except Escape, which goes back to the message.
    if (own && event.target !== own) {
      if (event.key === 'Escape' && !menuOpen) { own.focus(); event.stopPropagation() }
      return
    }
    const at = rows.findIndex((row) => row.key === own?.dataset.key)
    const step = (from: number, by: number) => {
      let index = from + by
      while (rows[index] && rows[index]?.kind !== 'bubble') index += by
      return index
    }
    const goal = { ArrowUp: step(at < 0 ? rows.length : at, -1), ArrowDown: step(at, 1), Home: step(-1, 1), End: step(rows.length, -1) }[event.key]
    if (goal !== undefined) {
      event.preventDefault()
      focusRow(goal)
    } else if (event.key === 'Enter' && own) {
      event.preventDefault()
      own.querySelector<HTMLElement>('.dt-bar button')?.focus()
    }
  }

  const draw = (row: Row): ReactNode => {
    if (row.kind === 'divider') return <p className="dt-divider"><time dateTime={row.at}>{dates.divider(row.at)}</time></p>
    if (row.kind === 'unread') {
      return (
        <p className="dt-unread-line" data-testid="unread-line">
          <span>{t('unreadSeparator', { count: row.count })}</span>
          {onUnreadDone && <IconButton icon="close" size={14} label={t('markRead')} onClick={onUnreadDone} />}
        </p>
      )
    }
    if (row.kind === 'system') return <SystemMessage message={row.message} />
    return (
      <Bubble row={row} me={me} isGroup={isGroup} isLastOwn={row.key === lastOwn && !threadId} active={active === row.key} highlighted={highlighted === row.key} onMenu={setMenuOpen} {...handlers} />
    )
  }
  const labelOf = (row: Row): string | undefined => {
    if (row.kind !== 'bubble' || row.item.kind !== 'message') return row.kind === 'bubble' ? t('you') : undefined
    const { message } = row.item
    const what = message.deleted_at ? t('deleted') : plainText(message.content) || message.attachments.map((a) => a.name).join(', ')
    return `${row.own ? t('you') : (message.sender_name ?? '')}, ${dates.divider(message.created_at)}: ${what}`
  }
  const focusable = focused && rows.some((row) => row.key === focused) ? focused : rows.findLast((row) => row.kind === 'bubble')?.key

  return (
    <div className="dt-messages-area">
      {timeline.status === 'error' && <Failed onRetry={() => void chat.history.latest(conversationId, threadId)} />}
      {(timeline.status === 'loading' || timeline.status === 'idle') && rows.length === 0 && <Skeleton />}
      {timeline.status === 'ready' && rows.length === 0 && blank}
      <div className="dt-scroll" ref={scroll} onScroll={() => { onScroll(); lookForUnread() }} role="log" aria-live="off" aria-label={t('messageList')} onKeyDown={onKey} data-status={timeline.status} onPointerDown={onPointerDown}>
        <div className="dt-filler">{children}</div>
        <Virtualizer key={key} ref={virtual} scrollRef={scroll} shift={shift} data={rows}
          keepMounted={focused ? [rows.findIndex((row) => row.key === focused)].filter((i) => i >= 0) : undefined}>
          {(row) => (
            <div key={row.key} className={`dt-item dt-item-${row.kind}`} {...(row.kind === 'bubble' ? {
              'data-key': row.key, role: 'article', 'aria-label': labelOf(row), tabIndex: row.key === focusable ? 0 : -1, ...activeHandlers(row.key),
            } : {})}>
              {draw(row)}
            </div>
          )}
        </Virtualizer>
        <div className="dt-after">{!threadId && <Typing conversationId={conversationId} />}</div>
      </div>
      {unreadAbove && unread && (
        <div className="dt-pill dt-pill-top">
          <button type="button" onClick={() => void toUnread()}><Icon name="up" size={16} />{t('toUnread', { count: unread.count })}</button>
          {onUnreadDone && <IconButton icon="close" size={14} label={t('markRead')} onClick={() => { unreadDone(); onUnreadDone() }} />}
        </div>
      )}
      {(!atEnd || timeline.hasAfter) && rows.length > 0 && (
        <div className="dt-pill dt-pill-bottom">
          <button type="button" onClick={goToEnd} aria-label={missed > 0 ? undefined : t('toEnd')} data-testid="to-end">
            <Icon name="down" size={16} />{missed > 0 && t('newMessages', { count: missed })}
          </button>
        </div>
      )}
    </div>
  )
}

function Skeleton() {
  return (
    <div className="dt-skeleton-messages">
      <Spinner />
      {[60, 40, 75, 35, 55].map((width, i) => <div key={i} className={`dt-row ${i % 2 ? 'dt-own' : 'dt-other'}`}><span className="dt-skeleton" style={{ width: `${width / 2}%` }} /></div>)}
    </div>
  )
}
