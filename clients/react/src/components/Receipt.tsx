// Under the last own message: on its way, sent, delivered, seen; in groups how many have read it, and who and when.
import { othersOf, readersOf, receiptOf, type Message } from '@dovetail/chat'
import * as Popover from '@radix-ui/react-popover'
import { useCallback } from 'react'
import { useChatState, useSurroundings } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { Avatar } from './Avatar.tsx'
import { Icon } from './Icon.tsx'

export function Tick({ state }: { state: 'sending' | 'sent' | 'delivered' | 'read' }) {
  const { t } = useLanguage()
  const label = t(state === 'read' ? 'seen' : state)
  return <span className={`dt-tick dt-tick-${state}`} role="img" aria-label={label}><Icon name={state === 'sending' ? 'clock' : state === 'sent' ? 'tick' : 'ticks'} size={14} /></span>
}

export function MessageTick({ message }: { message: Message }) {
  return <Tick state={useChatState(useCallback((s) => receiptOf(s, message), [message]))} />
}

export function Receipt({ message }: { message: Message }) {
  const { t, dates } = useLanguage()
  const receipt = useChatState(useCallback((s) => receiptOf(s, message), [message]))
  const direct = useChatState(useCallback((s) => s.conversations[message.conversation_id]?.type === 'direct', [message.conversation_id]))
  const readers = useChatState(useCallback((s) => readersOf(s, message), [message]))
  if (!direct) return <GroupReceipt message={message} />
  const seenAt = message.read_at ?? readers[0]?.last_read_at
  const text = receipt === 'read' ? (seenAt ? t('seenAt', { time: dates.time(seenAt) }) : t('seen')) : t(receipt)
  return <div className="dt-receipt" data-testid="receipt"><Tick state={receipt} /><span>{text}</span></div>
}

function GroupReceipt({ message }: { message: Message }) {
  const { t, dates } = useLanguage()
  const { portal } = useSurroundings()
  const receipt = useChatState(useCallback((s) => receiptOf(s, message), [message]))
  const readers = useChatState(useCallback((s) => readersOf(s, message), [message]))
  const others = useChatState(useCallback((s) => othersOf(s, message.conversation_id), [message.conversation_id]))
  const missing = others.filter((p) => !readers.includes(p))
  if (others.length === 0) return null
  return (
    <div className="dt-receipt" data-testid="receipt">
      <Tick state={readers.length === others.length ? 'read' : readers.length > 0 ? 'delivered' : receipt} />
      <Popover.Root>
        <Popover.Trigger className="dt-link">{t('readBy', { count: readers.length, total: others.length })}</Popover.Trigger>
        <Popover.Portal container={portal}>
          <Popover.Content className="dt-popover dt-readers" side="top" align="end" sideOffset={6} collisionPadding={8} aria-label={t('readByWho')}>
            {readers.length > 0 && <h3>{t('readByWho')}</h3>}
            <ul>
              {readers.map((p) => (
                <li key={p.user_id}>
                  <Avatar id={p.user_id} name={p.display_name ?? ''} url={p.avatar_url} size={24} />
                  <span className="dt-grow">{p.display_name ?? t('somebody')}</span>
                  {p.last_read_at && <time dateTime={p.last_read_at}>{dates.divider(p.last_read_at)}</time>}
                </li>
              ))}
            </ul>
            {missing.length > 0 && <h3>{t('notReadBy')}</h3>}
            <ul>
              {missing.map((p) => (
                <li key={p.user_id}><Avatar id={p.user_id} name={p.display_name ?? ''} url={p.avatar_url} size={24} /><span>{p.display_name ?? t('somebody')}</span></li>
              ))}
            </ul>
          </Popover.Content>
        </Popover.Portal>
      </Popover.Root>
    </div>
  )
}
