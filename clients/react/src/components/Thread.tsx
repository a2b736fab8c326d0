// A conversation that any page can embed: its head, its messages, and where to write. Everything else it opens itself.
import { quoteOf, type Message, type Quote } from '@dovetail/chat'
import { useCallback, useEffect, useMemo, useRef, useState, type DragEvent, type ReactNode } from 'react'
import { useAttempt, useChat, useChatState, useSurroundings } from '../context.tsx'
import { useStagedFiles } from '../hooks/files.ts'
import { nameOf, useConversation } from '../hooks/names.ts'
import { useLanguage } from '../i18n/index.tsx'
import { Announcer } from './Announcer.tsx'
import { Banner } from './Banner.tsx'
import { Composer } from './Composer.tsx'
import { Blank, HintProvider } from './controls.tsx'
import { Ask, Confirm, type Question } from './Dialogs.tsx'
import { InfoPanel } from './InfoPanel.tsx'
import { MessageList } from './MessageList.tsx'
import { SearchPanel } from './SearchPanel.tsx'
import { ThreadHeader } from './ThreadHeader.tsx'
import { ThreadPanel } from './ThreadPanel.tsx'

export interface ThreadProps {
  conversationId: string
  /** A message to show first: a link, a hit of a search. */
  messageId?: string
  onBack?: () => void
  onClose?: () => void
  /** Goes to a message of another conversation. */
  onOpen?: (conversation: string, message?: string) => void
}

type Panel = { kind: 'thread'; root: string; target: { id: string } | null } | { kind: 'info' } | { kind: 'search' } | null

export function Thread(props: ThreadProps) {
  // Everything that was begun in one conversation ends with it.
  return <HintProvider><OneThread key={props.conversationId} {...props} /></HintProvider>
}

function OneThread({ conversationId, messageId, onBack, onClose, onOpen }: ThreadProps) {
  const chat = useChat()
  const { notify } = useSurroundings()
  const attempt = useAttempt()
  const language = useLanguage()
  const { t } = language
  const conversation = useConversation(conversationId)
  const status = useChatState(useCallback((s) => s.timelines[conversationId]?.status, [conversationId]))
  const live = useChatState(useCallback((s) => s.live[conversationId] ?? false, [conversationId]))
  const [panel, setPanel] = useState<Panel>(null)
  const [quoted, setQuoted] = useState<Quote | null>(null)
  const [editing, setEditing] = useState<Message | null>(null)
  const [question, setQuestion] = useState<Question | null>(null)
  const [reporting, setReporting] = useState<Message | null>(null)
  const [target, setTarget] = useState<{ id: string } | null>(null)
  const staged = useStagedFiles(conversationId)
  const section = useRef<HTMLElement>(null)

  const linked = useRef(messageId)
  useEffect(() => chat.watch(conversationId, linked.current !== undefined), [chat, conversationId])

  const jump = useCallback(async (id: string) => {
    const message = await chat.history.around(conversationId, id).catch(() => null)
    if (!message) return void chat.history.catchUp(conversationId)
    if (message.in_main_line) setTarget({ id })
    else if (message.thread_id) setPanel({ kind: 'thread', root: message.thread_id, target: { id } })
  }, [chat, conversationId])
  useEffect(() => {
    if (messageId) void jump(messageId)
  }, [messageId, jump])

  // Where the reader had stopped, when this was opened.
  const [unread, setUnread] = useState<{ since: string | null; count: number } | null>(null)
  const looked = useRef(false)
  useEffect(() => {
    if (looked.current || !conversation || status !== 'ready') return
    looked.current = true
    setUnread({ since: conversation.last_read_at, count: conversation.unread_count })
  }, [conversation, status])

  const onSeen = useCallback((atEnd: boolean) => chat.reading.seeing(conversationId, atEnd), [chat, conversationId])
  useEffect(() => () => chat.reading.seeing(null, false), [chat])

  const handlers = useMemo(() => ({
    onReply: (m: Message) => {
      setEditing(null)
      setQuoted(quoteOf(m))
    },
    onThread: (m: Message) => setPanel({ kind: 'thread', root: m.thread_id ?? m.id, target: null }),
    onEdit: (m: Message) => { setQuoted(null); setEditing(m) },
    onDelete: (m: Message) => setQuestion({ title: t('confirmDelete'), hint: t('confirmDeleteHint'), action: t('deleteMessage'), run: () => void attempt(chat.actions.remove(m.id)) }),
    onReport: setReporting,
    onJump: (id: string) => void jump(id),
  }), [chat, t, attempt, jump])

  const [dragged, setDragged] = useState(false)
  const hasFiles = (event: DragEvent) => event.dataTransfer.types.includes('Files')
  const closePanel = () => setPanel(null)

  if (!conversation && status === 'error') {
    return <section className="dt-thread"><Blank icon="search" title={t('notThere')} hint={t('notThereHint')} action={onBack && <button type="button" className="dt-button" onClick={onBack}>{t('back')}</button>} /></section>
  }
  const name = conversation ? nameOf(conversation, language) : ''
  let side: ReactNode = null
  if (panel?.kind === 'thread') side = <ThreadPanel key={panel.root} conversationId={conversationId} rootId={panel.root} target={panel.target} handlers={handlers} onClose={closePanel} />
  else if (panel?.kind === 'info' && conversation) side = <InfoPanel conversation={conversation} onClose={closePanel} onLeft={() => (onBack ?? onClose)?.()} onAsk={setQuestion} />
  else if (panel?.kind === 'search') side = <SearchPanel conversationId={conversationId} onClose={closePanel} onOpen={(c, m) => {
    if (c !== conversationId) onOpen?.(c, m)
    else {
      if (m) void jump(m)
      // Where the panel covers the conversation, as styles/panels.css has it.
      if (!m || (section.current?.clientWidth ?? 0) <= 760) closePanel()
    }
  }} />

  return (
    <section ref={section} className={`dt-thread${side ? ' dt-thread-with-side' : ''}`} aria-label={t('conversation', { name })} data-live={live}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && panel) { setPanel(null); event.stopPropagation() }
        if ((event.ctrlKey || event.metaKey) && event.key === 'f' && !event.shiftKey) { event.preventDefault(); setPanel({ kind: 'search' }) }
      }}
      onDragEnter={(event) => { if (hasFiles(event)) setDragged(true) }}
      onDragOver={(event) => { if (hasFiles(event)) event.preventDefault() }}
      onDragLeave={(event) => { if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setDragged(false) }}
      onDrop={(event) => { setDragged(false); if (hasFiles(event)) { event.preventDefault(); staged.add([...event.dataTransfer.files]) } }}>
      <div className="dt-thread-main">
        <ThreadHeader conversationId={conversationId} onBack={onBack} onClose={onClose}
          onInfo={() => setPanel(panel?.kind === 'info' ? null : { kind: 'info' })} onSearch={() => setPanel(panel?.kind === 'search' ? null : { kind: 'search' })} />
        <Banner />
        <MessageList conversationId={conversationId} unread={unread} target={target} elsewhere={linked.current !== undefined} onSeen={onSeen} {...handlers}
          onUnreadDone={() => { setUnread(null); void attempt(chat.reading.markAll(conversationId)) }}
          blank={<Blank icon="thread" title={t('noMessages')} hint={t('noMessagesHint', { name })} />} />
        <Composer conversationId={conversationId} placeholder={t('write', { name })} staged={staged} quoted={quoted} onUnquote={() => setQuoted(null)}
          editing={editing} onEdit={setEditing} autoFocus={matchMedia('(pointer: fine)').matches} />
        {dragged && <div className="dt-drop" aria-hidden="true">{t('dropHere')}</div>}
      </div>
      {side}
      <Announcer conversationId={conversationId} />
      {question && <Confirm question={question} onClose={() => setQuestion(null)} />}
      {reporting && (
        <Ask title={t('reportTitle')} label={t('reportReason')} action={t('report')} onClose={() => setReporting(null)}
          onDone={(reason) => void attempt(chat.actions.report(reporting.id, reason).then(() => true)).then((done) => { if (done) notify(t('reported')) })} />
      )}
    </section>
  )
}
