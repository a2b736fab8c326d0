// One message: bubble, quote, pictures, reactions, the state of its thread, and what became of it.
import type { Message, Outgoing } from '@dovetail/chat'
import { memo, useState } from 'react'
import { useAttempt, useChat, useChatState } from '../context.tsx'
import type { BubbleRow } from '../hooks/rows.ts'
import { useLanguage } from '../i18n/index.tsx'
import { Attachments } from './Attachments.tsx'
import { Avatar } from './Avatar.tsx'
import { Hint } from './controls.tsx'
import { Icon } from './Icon.tsx'
import { Introduction } from './Introduction.tsx'
import { Lightbox } from './Lightbox.tsx'
import { MessageBar, type MessageHandlers } from './MessageMenu.tsx'
import { isOnlyEmoji, MessageText } from './MessageText.tsx'
import { OutgoingFiles } from './OutgoingFiles.tsx'
import { Quote } from './Quote.tsx'
import { Reactions } from './Reactions.tsx'
import { MessageTick, Receipt, Tick } from './Receipt.tsx'
import { ThreadSummary } from './ThreadSummary.tsx'

export interface BubbleProps extends MessageHandlers {
  row: BubbleRow
  me: string
  isGroup: boolean
  isLastOwn: boolean
  active: boolean
  highlighted: boolean
  onMenu: (open: boolean) => void
}

export const Bubble = memo(function Bubble(props: BubbleProps) {
  const { row, isGroup, highlighted } = props
  const { item, own, first, last } = row
  const classes = ['dt-row', own ? 'dt-own' : 'dt-other', first ? 'dt-first' : '', last ? 'dt-last' : '', highlighted ? 'dt-highlight' : '']
  if (item.kind === 'outgoing') return <div className={classes.join(' ')}><OutgoingBubble item={item.item} me={props.me} last={last} /></div>
  const { message } = item
  return (
    <div className={classes.join(' ')}>
      {!own && (first
        ? <Avatar id={message.sender_id ?? message.id} name={message.sender_name ?? ''} size={28} />
        : <span className="dt-avatar-space" />)}
      <div className="dt-stack">
        {!own && first && isGroup && <span className="dt-sender">{message.sender_name}</span>}
        <Sent {...props} message={message} />
      </div>
    </div>
  )
})

function Sent({ message, row, me, active, isLastOwn, onMenu, ...handlers }: BubbleProps & { message: Message }) {
  const { t, dates } = useLanguage()
  const { own } = row
  const [large, setLarge] = useState<number | null>(null)
  const [menu, setMenu] = useState(false)
  if (message.deleted_at) {
    return (
      <>
        <div className="dt-bubble dt-bubble-deleted"><Icon name="trash" size={14} /> {t('deleted')}</div>
        {message.reply_count > 0 && <ThreadSummary message={message} onOpen={handlers.onThread} />}
      </>
    )
  }
  const text = message.content
  const bare = isOnlyEmoji(text) && message.attachments.length === 0 && !message.quoted
  return (
    <>
      {message.thread_id && message.in_main_line && handlers.onThread && (
        <button type="button" className="dt-in-thread dt-link" onClick={() => handlers.onThread?.(message)}>{t('inThread')}</button>
      )}
      {message.quoted && <Quote quoted={message.quoted} onJump={handlers.onJump} />}
      {message.attachments.length > 0 && <Attachments attachments={message.attachments} onOpen={setLarge} />}
      <div className="dt-bubble-line">
        {text && <div className={`dt-bubble${bare ? ' dt-bubble-emoji' : ''}`} dir="auto" data-testid="bubble"><MessageText text={text} me={me} /></div>}
        <Hint text={dates.exact(message.created_at)}>
          <span className="dt-meta">
            <time dateTime={message.created_at}>{dates.time(message.created_at)}</time>
            {own && !isLastOwn && <MessageTick message={message} />}
          </span>
        </Hint>
      </div>
      {message.edited_at && <span className="dt-edited" title={dates.exact(message.edited_at)}>{t('edited')}</span>}
      <Introduction message={message} />
      <Reactions message={message} />
      {message.reply_count > 0 && <ThreadSummary message={message} onOpen={handlers.onThread} />}
      {isLastOwn && <Receipt message={message} />}
      {(active || menu) && (
        <div className="dt-bar-place">
          <MessageBar message={message} own={own} open={menu} onOpenChange={(open) => { setMenu(open); onMenu(open) }} {...handlers} />
        </div>
      )}
      {large !== null && <Lightbox attachments={message.attachments} start={large} onClose={() => setLarge(null)} />}
    </>
  )
}

function OutgoingBubble({ item, me, last }: { item: Outgoing; me: string; last: boolean }) {
  const { t } = useLanguage()
  const chat = useChat()
  const attempt = useAttempt()
  const away = useChatState((s) => s.connection !== 'online')
  return (
    <div className="dt-stack" data-state={item.state}>
      {item.quoted && <Quote quoted={item.quoted} />}
      {item.files.length > 0 && <OutgoingFiles files={item.files} />}
      {item.content && (
        <div className="dt-bubble-line">
          <div className="dt-bubble" dir="auto" data-testid="bubble"><MessageText text={item.content} me={me} /></div>
        </div>
      )}
      {item.state === 'failed' ? (
        <div className="dt-undelivered" role="alert">
          <Icon name="warn" size={16} />
          <span><strong>{t('notDelivered')}</strong>{item.error && <> · {item.error}</>}</span>
          <button type="button" className="dt-link" onClick={() => void attempt(chat.outbox.retry(item.client_id))}>{t('retry')}</button>
          <button type="button" className="dt-link dt-danger" onClick={() => void attempt(chat.outbox.discard(item.client_id))}>{t('deleteMessage')}</button>
        </div>
      ) : last && (
        <div className="dt-receipt"><Tick state="sending" /><span>{away || item.error ? t('waitingToSend') : t('sending')}</span></div>
      )}
    </div>
  )
}
