// One message: its text, files, reactions, and what becomes of it.
import { Component } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { reactionGroups, type Message, type Outgoing, type Timeline } from '@dovetail/chat/state'
import type { BubbleRow } from '../rows.ts'
import type { Session } from '../tokens.ts'
import { Attachments, Uploading } from './Attachments.tsx'
import { Avatar } from './Avatar.tsx'
import { useShared } from './context.ts'
import { Icon } from './icons.tsx'
import { Deleted, isEmojiOnly, MessageText } from './MessageText.tsx'

export interface Props {
  row: BubbleRow
  session: Session
  /** One's own choice that the server may not know yet. */
  chosen: string | null | undefined
  receipt: string | null
  /** Its replies, where they have been asked for. */
  thread: Timeline | undefined
  picking: boolean
  onPick: (key: string | null) => void
  /** Changes when files move on or the language changes: then it is drawn anew. */
  version: unknown
}

const LONG_PRESS_MS = 450

/** The six emoji. By keyboard: arrows move, Enter chooses, Escape goes back to the message. */
function Picker({ message, mine, onDone }: { message: Message; mine: string | undefined; onDone: () => void }) {
  const { chat, language: { t } } = useShared()
  const box = useRef<HTMLDivElement>(null)
  const [below, setBelow] = useState(false)
  useLayoutEffect(() => {
    box.current?.querySelector('button')?.focus({ preventScroll: true })
    // No room above, where the messages begin: then below.
    const log = box.current?.closest('.log')
    if (box.current && log && box.current.getBoundingClientRect().top < log.getBoundingClientRect().top) setBelow(true)
  }, [])
  const move = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
    if (event.key === 'Escape') {
      event.stopPropagation()
      onDone()
    } else if (step !== 0) {
      const buttons = [...(box.current?.querySelectorAll('button') ?? [])]
      const at = buttons.indexOf(event.target as HTMLButtonElement)
      const direction = box.current && getComputedStyle(box.current).direction === 'rtl' ? -step : step
      buttons[(at + direction + buttons.length) % buttons.length]?.focus()
    } else {
      return
    }
    event.preventDefault()
    event.stopPropagation()
  }
  return (
    <div class={`picker ${below ? 'below' : ''}`} role="group" aria-label={t('react')} ref={box} onKeyDown={move} data-testid="picker">
      {chat.store.state.settings.allowed_emoji.slice(0, 6).map((emoji) => (
        <button
          key={emoji} type="button" aria-label={mine === emoji ? t('unreact', { emoji }) : t('reactWith', { emoji })} aria-pressed={mine === emoji}
          onClick={() => { void chat.react(message, emoji); onDone() }}
        >{emoji}</button>
      ))}
    </div>
  )
}

function Undelivered({ item }: { item: Outgoing }) {
  const { chat, language: { t } } = useShared()
  return (
    <div class="undelivered" role="alert">
      <span>{t(item.error === 'lost' ? 'lost' : 'failed')}</span>
      <button type="button" class="link" onClick={() => chat.outbox.retry(item.client_id)}>{t('retry')}</button>
      <button type="button" class="link" onClick={() => chat.outbox.discard(item.client_id)}>{t('discard')}</button>
    </div>
  )
}

/** Replies of a thread, below the message that they answer. */
function Replies({ root, thread }: { root: Message; thread: Timeline | undefined }) {
  const { chat, language: { t } } = useShared()
  useEffect(() => { void chat.history.thread(root.id) }, [root.id, root.reply_count])
  const { messages } = chat.store.state
  const replies = (thread?.ids ?? []).map((id) => messages[id]).filter((m) => m !== undefined && !m.in_main_line)
  return (
    <div class="replies" data-testid="replies">
      <span class="note">{t('replies', { count: root.reply_count })}</span>
      {replies.map((reply) => reply && (
        <div class="reply" key={reply.id}>
          <b dir="auto">{reply.sender_name}</b>
          {reply.deleted_at ? <i>{t('deleted')}</i> : <span dir="auto"><MessageText text={reply.content} /></span>}
          {reply.attachments.length > 0 && <Attachments items={reply.attachments} />}
        </div>
      ))}
    </div>
  )
}

function Content({ row, session, chosen, receipt, thread, picking, onPick }: Props) {
  const { chat, language } = useShared()
  const { t } = language
  const { message, outgoing, own, key } = row
  const element = useRef<HTMLDivElement>(null)
  const press = useRef<ReturnType<typeof setTimeout>>(undefined)
  const text = (message ?? outgoing)?.content ?? ''
  const reactable = message !== null && !message.deleted_at
  const groups = message ? reactionGroups(message, { id: session.clientId, display_name: session.clientName }, chosen) : []
  const mine = groups.find((g) => g.mine)?.emoji
  const name = own ? t('you') : (message?.sender_name ?? session.advisorName)
  const release = () => clearTimeout(press.current)
  return (
    <div
      class={`row ${own ? 'own' : 'other'} ${row.first ? 'first' : ''} ${row.last ? 'last' : ''}`} ref={element} data-row tabIndex={-1}
      data-state={outgoing?.state ?? (message?.deleted_at ? 'deleted' : 'sent')} role="article" aria-label={`${name}, ${language.exact((message ?? outgoing)?.created_at ?? '')}`}
      onKeyDown={(event) => {
        if (reactable && event.target === element.current && (event.key === 'Enter' || event.key === ' ')) {
          event.preventDefault()
          onPick(key)
        }
      }}
      onPointerDown={(event) => {
        if (event.pointerType !== 'mouse' && reactable) press.current = setTimeout(() => onPick(key), LONG_PRESS_MS)
      }}
      onPointerUp={release} onPointerCancel={release} onPointerMove={release}
    >
      {!own && (row.first ? <Avatar id={message?.sender_id ?? session.advisorId} name={name} url={session.advisorAvatar} size={28} /> : <span class="space" />)}
      <div class="stack">
        {message?.quoted && <div class="quote" dir="auto"><b>{message.quoted.sender_name}</b> {message.quoted.preview}</div>}
        <div class="line">
          {message?.deleted_at ? <Deleted /> : (
            <div class="content">
              {message && message.attachments.length > 0 && <Attachments items={message.attachments} />}
              {outgoing?.files.map((file) => <Uploading key={file.key} file={file} />)}
              {text && <div class={`bubble ${isEmojiOnly(text) ? 'emoji' : ''}`} dir="auto" data-testid="bubble"><MessageText text={text} /></div>}
            </div>
          )}
          {reactable && <button type="button" class="icon react" tabIndex={-1} aria-label={t('react')} onClick={() => onPick(picking ? null : key)}><Icon name="smile" size={18} /></button>}
          {picking && message && <Picker message={message} mine={mine} onDone={() => { onPick(null); element.current?.focus({ preventScroll: true }) }} />}
        </div>
        {groups.length > 0 && message && (
          <div class="reactions">
            {groups.map((group) => (
              <button
                key={group.emoji} type="button" class="reaction" data-testid="reaction" aria-pressed={group.mine} title={group.names.join(', ')}
                aria-label={`${group.mine ? t('unreact', { emoji: group.emoji }) : t('reactWith', { emoji: group.emoji })}, ${group.count}`}
                onClick={() => void chat.react(message, group.emoji)}
              >{group.emoji}{group.count > 1 && <span>{group.count}</span>}</button>
            ))}
          </div>
        )}
        {message && message.reply_count > 0 && <Replies root={message} thread={thread} />}
        {message?.edited_at && !message.deleted_at && <span class="note">{t('edited')}</span>}
        {outgoing?.state === 'failed' ? <Undelivered item={outgoing} /> : receipt && <span class="note" data-testid="receipt">{receipt}</span>}
      </div>
    </div>
  )
}

/** Drawn anew only when something of it has changed: a key in the composer does not draw a hundred bubbles. */
export class Bubble extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    const { row, ...rest } = this.props
    const { row: nextRow, ...nextRest } = next
    const differs = (a: object, b: object) => Object.entries(a).some(([key, value]) => value !== (b as Record<string, unknown>)[key])
    return differs(row, nextRow) || differs(rest, nextRest)
  }

  override render() {
    return <Content {...this.props} />
  }
}
