// The list of conversations: search, tabs, rows.
import { sortedList } from '@dovetail/chat'
import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { Virtualizer, type VirtualizerHandle } from 'virtua'
import { useAttempt, useChat, useChatState } from '../context.tsx'
import { useMinute } from '../hooks/clock.ts'
import { useLanguage, type Key } from '../i18n/index.tsx'
import { Blank, Failed, IconButton, Spinner } from './controls.tsx'
import { ConversationRow } from './ConversationRow.tsx'
import { Icon } from './Icon.tsx'
import { PeoplePicker } from './PeoplePicker.tsx'

const LABELS: Record<string, Key> = { all: 'all', unread: 'unread', trainers: 'trainers', clients: 'clients', advisors: 'advisors', members: 'members', group: 'groups', archived: 'archived' }

export interface ConversationListProps {
  current: string | null
  onOpen: (id: string) => void
  /** Which tabs: 'all', 'unread', a kind of people ('trainers', 'clients', ...), 'group', 'archived'. Without: what fits the people. */
  tabs?: string[]
  /** Searches what was said rather than who with. */
  onSearch?: (text: string) => void
  /** Beside the title, for what belongs to the page. */
  menu?: ReactNode
}

const KINDS = ['trainer', 'advisor', 'client', 'member']

/** A tab for each kind of people one has conversations with, where there is more than one kind. */
function useTabs(): string[] {
  const kinds = useChatState((s) => {
    const found = new Set(Object.values(s.conversations).flatMap((c) => c.participants.map((p) => p.kind)))
    return KINDS.filter((kind) => found.has(kind))
  })
  return ['all', ...(kinds.length > 1 ? kinds.map((kind) => `${kind}s`) : []), 'unread', 'archived']
}

export function ConversationList({ current, onOpen, tabs: given, onSearch, menu }: ConversationListProps) {
  const usual = useTabs()
  const tabs = given ?? usual
  const chat = useChat()
  const attempt = useAttempt()
  const { t } = useLanguage()
  const now = useMinute()
  const list = useChatState((s) => s.list)
  const conversations = useChatState(sortedList)
  const [search, setSearch] = useState('')
  const [adding, setAdding] = useState(false)
  const [focused, setFocused] = useState<string | null>(null)
  const scroll = useRef<HTMLDivElement>(null)
  const virtual = useRef<VirtualizerHandle>(null)

  const first = useRef(true)
  useEffect(() => {
    if (first.current) {
      first.current = false
      return
    }
    const timer = setTimeout(() => void chat.list.load(chat.store.get().list.filter, search.trim()), 150)
    return () => clearTimeout(timer)
  }, [chat, search])

  const choose = (tab: string) => void chat.list.load(tab, search.trim())
  const onTabKey = (event: KeyboardEvent<HTMLButtonElement>) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!by) return
    event.preventDefault()
    const next = tabs[(tabs.indexOf(list.filter) + by + tabs.length) % tabs.length] as string
    choose(next)
    event.currentTarget.parentElement?.querySelector<HTMLElement>(`[data-tab="${next}"]`)?.focus()
  }
  const onKey = (event: KeyboardEvent) => {
    const row = (event.target as HTMLElement).closest<HTMLElement>('[data-id]')
    const at = conversations.findIndex((c) => c.id === row?.dataset.id)
    const goal = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: conversations.length - 1 }[event.key]
    if (goal === undefined || event.altKey) return
    event.preventDefault()
    const next = conversations[Math.max(0, Math.min(goal, conversations.length - 1))]
    if (!next) return
    setFocused(next.id)
    virtual.current?.scrollToIndex(conversations.indexOf(next), { align: 'nearest' })
    requestAnimationFrame(() => scroll.current?.querySelector<HTMLElement>(`[data-id="${next.id}"]`)?.focus())
  }
  const focusable = useMemo(() => [focused, current].find((id) => id && conversations.some((c) => c.id === id)) ?? conversations[0]?.id, [focused, current, conversations])
  const onScroll = useCallback(() => {
    const element = scroll.current
    if (element && element.scrollHeight - element.scrollTop - element.clientHeight < 400) void chat.list.loadMore().catch(() => {})
  }, [chat])

  const start = async (people: { id: string }[], name: string) => {
    const one = people[0]
    if (!one) return
    const made = await attempt(people.length === 1 ? chat.actions.startConversation(one.id) : chat.actions.createGroup(name, people.map((p) => p.id)))
    if (!made) return
    await chat.list.reload()
    onOpen(made.id)
  }

  return (
    <nav className="dt-list" aria-label={t('conversationList')}>
      <header className="dt-list-head">
        <h1>{t('messages')}</h1>
        {menu}
        <IconButton icon="compose" label={t('newConversation')} onClick={() => setAdding(true)} />
      </header>
      <div className="dt-search">
        <Icon name="search" size={18} />
        <input type="search" value={search} placeholder={t('searchPlaceholder')} aria-label={t('searchPlaceholder')} onChange={(event) => setSearch(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'ArrowDown') onKey(event)
            if (event.key === 'Escape' && search) { setSearch(''); event.stopPropagation() }
          }} data-testid="list-search" />
        {search && <IconButton icon="close" size={16} label={t('clearSearch')} onClick={() => setSearch('')} />}
      </div>
      {onSearch && search.trim() && (
        <button type="button" className="dt-search-messages" onClick={() => { onSearch(search.trim()); setSearch('') }}><Icon name="search" size={16} />{t('searchMessagesFor', { text: search.trim() })}</button>
      )}
      <div className="dt-tabs" role="group" aria-label={t('conversationList')}>
        {tabs.map((tab) => (
          <button type="button" key={tab} data-tab={tab} aria-pressed={list.filter === tab} tabIndex={list.filter === tab ? 0 : -1} onClick={() => choose(tab)} onKeyDown={onTabKey}>
            {LABELS[tab] ? t(LABELS[tab]) : tab}
          </button>
        ))}
      </div>
      <div className="dt-list-scroll" ref={scroll} onScroll={onScroll} onKeyDown={onKey} data-status={list.status}>
        {list.status === 'loading' || list.status === 'idle' ? <Skeleton /> : null}
        {list.status === 'error' && <Failed onRetry={() => void chat.list.load(list.filter, list.search)} />}
        {list.status === 'ready' && conversations.length === 0 && (search || list.filter !== 'all'
          ? <Blank icon="search" title={t('noConversationFound')} />
          : <Blank icon="thread" title={t('noConversations')} hint={t('noConversationsHint')} action={<button type="button" className="dt-button dt-button-main" onClick={() => setAdding(true)}>{t('newConversation')}</button>} />)}
        {list.status === 'ready' && (
          <Virtualizer ref={virtual} scrollRef={scroll} data={conversations} itemSize={72} as="ul" item="li">
            {(conversation) => <ConversationRow key={conversation.id} conversation={conversation} current={conversation.id === current} focusable={conversation.id === focusable} now={now} onOpen={onOpen} />}
          </Virtualizer>
        )}
      </div>
      {adding && <PeoplePicker title={t('newConversation')} action={t('messages')} naming onClose={() => setAdding(false)} onDone={(people, name) => void start(people, name)} />}
    </nav>
  )
}

function Skeleton() {
  return (
    <div aria-hidden="true" className="dt-list-skeleton">
      <div className="dt-hidden"><Spinner /></div>
      {[70, 50, 60, 45, 65, 55].map((width, i) => (
        <div key={i} className="dt-conversation">
          <span className="dt-skeleton dt-skeleton-round" />
          <span className="dt-conversation-text"><span className="dt-skeleton" style={{ width: `${width}%` }} /><span className="dt-skeleton" style={{ width: `${width + 20}%` }} /></span>
        </div>
      ))}
    </div>
  )
}
