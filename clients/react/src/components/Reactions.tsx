// Pills below a bubble: an emoji and how many, who by on hover; a click adds or takes back one's own.
import { reactionGroups, type Message } from '@dovetail/chat'
import { useCallback, useMemo } from 'react'
import { useAttempt, useChat, useChatState } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { Hint } from './controls.tsx'

export function Reactions({ message }: { message: Message }) {
  const chat = useChat()
  const attempt = useAttempt()
  const { t, list } = useLanguage()
  const me = useChatState((s) => s.me)
  const chosen = useChatState(useCallback((s) => s.reacting[message.id], [message.id]))
  const groups = useMemo(() => reactionGroups(message, me, chosen), [message, me, chosen])
  if (groups.length === 0) return null
  return (
    <div className="dt-reactions" role="group" aria-label={t('reactions')}>
      {groups.map(({ emoji, count, mine, names }) => {
        const who = t('reacted', { names: list(names.map((n, i) => (mine && n === me?.display_name ? t('you') : n) || `${t('somebody')} ${i + 1}`)), emoji })
        return (
          <Hint key={emoji} text={who}>
            <button type="button" className={`dt-reaction${mine ? ' dt-reaction-mine' : ''}`} aria-pressed={mine} aria-label={`${emoji} ${count}. ${who}`}
              onClick={() => void attempt(chat.actions.react(message, emoji))}>
              <span aria-hidden="true">{emoji}</span><span aria-hidden="true" className="dt-reaction-count">{count}</span>
            </button>
          </Hint>
        )
      })}
    </div>
  )
}
