// One conversation in the list.
import { activity, isMuted, type Conversation } from '@dovetail/chat'
import { memo, useCallback } from 'react'
import { useChatState } from '../context.tsx'
import { decode } from '../hooks/mentions.ts'
import { nameOf, presenceOf, subjectOf, useTypingLine } from '../hooks/names.ts'
import { useLanguage } from '../i18n/index.tsx'
import { Avatar, GroupAvatar } from './Avatar.tsx'
import { Icon } from './Icon.tsx'

interface Props { conversation: Conversation; current: boolean; focusable: boolean; now: number; onOpen: (id: string) => void }

export const ConversationRow = memo(function ConversationRow({ conversation, current, focusable, now, onOpen }: Props) {
  const language = useLanguage()
  const { t, dates } = language
  const { id, mention_count: mentions } = conversation
  const name = nameOf(conversation, language)
  const subject = subjectOf(conversation)
  const other = conversation.type === 'direct' ? conversation.participants[0] : undefined
  const presence = useChatState(useCallback((s) => presenceOf(s, other), [other]))
  const draft = useChatState(useCallback((s) => s.drafts[id], [id]))
  const me = useChatState((s) => s.me?.id)
  const { line } = useTypingLine(id)
  const muted = isMuted(conversation, now)
  // What was muted asks for nothing, unless one is named.
  const unread = muted ? 0 : conversation.unread_count
  const said = conversation.last_message_preview ?? ''
  const sender = conversation.last_message_sender_name
  const preview = conversation.last_message_sender_id === me ? t('youPreview', { text: said }) : other || !sender ? said : `${sender}: ${said}`
  const words = { now: t('now'), minutes: (count: number) => t('minutes', { count }) }
  const label = [
    name, subject, presence && t(presence), muted && t('muted'), conversation.pinned_at && t('pinned'),
    unread > 0 && t('unreadCount', { count: unread }), mentions > 0 && t('mentionCount', { count: mentions }),
    said && t('lastMessageFrom', { name: conversation.last_message_sender_id === me ? t('you') : (sender ?? name), text: said }),
  ].filter(Boolean).join('. ')
  return (
    <button type="button" className={`dt-conversation${current ? ' dt-current' : ''}${unread > 0 ? ' dt-has-unread' : ''}`} data-id={id}
      aria-current={current ? 'page' : undefined} tabIndex={focusable ? 0 : -1} onClick={() => onOpen(id)}>
      <span className="dt-hidden">{label}</span>
      {other
        ? <Avatar id={other.user_id} name={name} url={other.avatar_url} size={48} presence={presence} />
        : <GroupAvatar id={id} name={name} size={48} people={conversation.participants.map((p) => ({ id: p.user_id, name: p.display_name ?? '', url: p.avatar_url }))} />}
      <span className="dt-conversation-text" aria-hidden="true">
        <span className="dt-conversation-line">
          <span className="dt-conversation-name" dir="auto">{name}{subject && <bdi className="dt-subject">{subject}</bdi>}</span>
          {muted && <Icon name="mute" size={14} />}
          {conversation.pinned_at && <Icon name="pin" size={14} />}
          <time dateTime={activity(conversation)}>{conversation.last_message_at && dates.short(conversation.last_message_at, words, now)}</time>
        </span>
        <span className="dt-conversation-line">
          <span className="dt-conversation-preview" dir="auto">
            {line ? <em className="dt-typing-text">{line}</em> : draft && !current ? <span className="dt-draft">{t('draft', { text: decode(draft).text })}</span> : preview}
          </span>
          {mentions > 0 && <span className="dt-badge dt-badge-mention" aria-hidden="true">@</span>}
          {unread > 0 && <span className="dt-badge" aria-hidden="true" data-testid="unread">{unread > 99 ? '99+' : unread}</span>}
        </span>
      </span>
    </button>
  )
})
