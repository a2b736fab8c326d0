// Below the first message of a thread: who answered, how often, when last, and whether that is news.
import { hasNewReplies, type Message } from '@dovetail/chat'
import { useCallback } from 'react'
import { useChatState } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { Avatar } from './Avatar.tsx'

export function ThreadSummary({ message, onOpen }: { message: Message; onOpen?: (message: Message) => void }) {
  const { t, dates } = useLanguage()
  const people = useChatState(useCallback((s) => s.people[message.conversation_id], [message.conversation_id]))
  const news = useChatState(useCallback((s) => hasNewReplies(s, message), [message]))
  if (!onOpen) return null
  return (
    <button type="button" className="dt-thread-summary" onClick={() => onOpen(message)}>
      <span className="dt-faces">
        {message.reply_users.slice(0, 3).map((id) => {
          const person = people?.find((p) => p.user_id === id)
          return <Avatar key={id} id={id} name={person?.display_name ?? ''} url={person?.avatar_url} size={20} />
        })}
      </span>
      <strong>{t('replies', { count: message.reply_count })}</strong>
      {message.last_reply && <span>{t('lastReply', { time: dates.ago(message.last_reply.created_at) })}</span>}
      {news && <span className="dt-badge">{t('newReplies')}</span>}
    </button>
  )
}
