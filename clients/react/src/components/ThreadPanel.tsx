// The replies to one message.
import { compareTimes, outgoingOf, quoteOf, repliesSeen, timelineOf, type Message, type Quote } from '@dovetail/chat'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { useChat, useChatState } from '../context.tsx'
import { useStagedFiles } from '../hooks/files.ts'
import type { BubbleRow } from '../hooks/rows.ts'
import { useLanguage } from '../i18n/index.tsx'
import { Bubble } from './Bubble.tsx'
import { Composer } from './Composer.tsx'
import { Blank } from './controls.tsx'
import { MessageList } from './MessageList.tsx'
import type { MessageHandlers } from './MessageMenu.tsx'
import { Side } from './Side.tsx'

interface Props { conversationId: string; rootId: string; target: { id: string } | null; handlers: MessageHandlers; onClose: () => void }

export function ThreadPanel({ conversationId, rootId, target, handlers, onClose }: Props) {
  const chat = useChat()
  const { t } = useLanguage()
  const root = useChatState(useCallback((s) => s.messages[rootId], [rootId]))
  const me = useChatState((s) => s.me?.id ?? '')
  const staged = useStagedFiles(conversationId)
  const [quoted, setQuoted] = useState<Quote | null>(null)
  const [editing, setEditing] = useState<Message | null>(null)
  const [active, setActive] = useState(false)

  useEffect(() => {
    if (!chat.store.get().messages[rootId]) void chat.history.one(rootId)
    if (!target) void chat.history.latest(conversationId, rootId)
  }, [chat, conversationId, rootId, target])

  const own = useMemo<MessageHandlers>(() => ({
    ...handlers,
    onThread: undefined,
    onReply: (m) => setQuoted(quoteOf(m)),
    onEdit: setEditing,
  }), [handlers])
  const seen = useCallback((atEnd: boolean) => chat.threads.seeing(conversationId, atEnd ? rootId : null), [chat, conversationId, rootId])
  useEffect(() => () => chat.threads.seeing(conversationId, null), [chat, conversationId])

  // Where the reader had stopped, when this was opened.
  const [since] = useState(() => repliesSeen(chat.store.get(), rootId))
  const status = useChatState(useCallback((s) => timelineOf(s, conversationId, rootId).status, [conversationId, rootId]))
  // The number that the root carries comes a little later than one's own reply.
  const isEmpty = useChatState(useCallback((s) => timelineOf(s, conversationId, rootId).ids.length + outgoingOf(s, conversationId, rootId).length === 0, [conversationId, rootId]))
  const [unread, setUnread] = useState<{ since: string; count: number } | null>(null)
  useEffect(() => {
    if (status !== 'ready' || since === null) return
    const state = chat.store.get()
    const { ids, hasBefore } = timelineOf(state, conversationId, rootId)
    const isNew = (m: Message | undefined) => m !== undefined && compareTimes(m.created_at, since) > 0
    const count = ids.filter((id) => isNew(state.messages[id]) && state.messages[id]?.sender_id !== me).length
    // More of them than are loaded: nobody is led to a line that is not the first.
    if (!hasBefore || !isNew(state.messages[ids[0] ?? ''])) setUnread({ since, count })
  }, [chat, conversationId, rootId, since, status, me])
  const row = useMemo<BubbleRow | null>(() => (root ? { kind: 'bubble', key: `root-${root.id}`, item: { kind: 'message', message: { ...root, reply_count: 0 } }, own: root.sender_id === me, first: true, last: true } : null), [root, me])

  return (
    <Side title={t('thread')} onClose={onClose}>
      <MessageList conversationId={conversationId} threadId={rootId} unread={unread} target={target} elsewhere={target !== null} onSeen={seen} {...own} blank={null}>
        {row && (
          <div className="dt-thread-root" onMouseEnter={() => setActive(true)} onMouseLeave={() => setActive(false)} onFocus={() => setActive(true)}>
            <Bubble row={row} me={me} isGroup isLastOwn={false} active={active} highlighted={false} onMenu={() => {}} {...own} />
            <hr />
          </div>
        )}
        {root && root.reply_count === 0 && isEmpty && <p className="dt-system">{t('noReplies')}</p>}
      </MessageList>
      {root?.deleted_at
        ? <Blank icon="trash" title={t('deleted')} />
        : <Composer conversationId={conversationId} threadId={rootId} placeholder={t('writeReply')} staged={staged} quoted={quoted} onUnquote={() => setQuoted(null)} editing={editing} onEdit={setEditing} autoFocus={matchMedia('(pointer: fine)').matches} />}
    </Side>
  )
}
