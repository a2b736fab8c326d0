// What can be done with a message: emoji at hand, the rest in a menu.
import type { Message } from '@dovetail/chat'
import * as Menu from '@radix-ui/react-dropdown-menu'
import { useCallback } from 'react'
import { useAttempt, useChat, useChatState, useSurroundings } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { IconButton } from './controls.tsx'
import { Icon, type IconName } from './Icon.tsx'
import { plainText } from './MessageText.tsx'

export interface MessageHandlers {
  onReply: (message: Message) => void
  onThread?: (message: Message) => void
  onEdit: (message: Message) => void
  onDelete: (message: Message) => void
  onReport: (message: Message) => void
  onJump: (id: string) => void
}

interface Props extends MessageHandlers { message: Message; own: boolean; open: boolean; onOpenChange: (open: boolean) => void }

export function MessageBar({ message, own, open, onOpenChange, ...handlers }: Props) {
  const { t } = useLanguage()
  const chat = useChat()
  const attempt = useAttempt()
  const emoji = useChatState((s) => s.settings.allowed_emoji)
  const me = useChatState((s) => s.me?.id)
  const chosen = useChatState(useCallback((s) => s.reacting[message.id], [message.id]))
  const mine = chosen !== undefined ? chosen : message.reactions.find((r) => r.reactor_id === me)?.emoji
  return (
    <div className="dt-bar" role="toolbar" aria-label={t('messageActions', { name: own ? t('you') : (message.sender_name ?? t('somebody')) })}>
      {emoji.slice(0, 8).map((one) => (
        <button type="button" key={one} className={`dt-bar-emoji${mine === one ? ' dt-bar-chosen' : ''}`} aria-pressed={mine === one}
          aria-label={mine === one ? t('removeReaction', { emoji: one }) : t('react', { emoji: one })} onClick={() => void attempt(chat.actions.react(message, one))}>
          {one}
        </button>
      ))}
      <IconButton icon="reply" size={18} label={t('reply')} onClick={() => handlers.onReply(message)} />
      {handlers.onThread && !message.thread_id && <IconButton icon="thread" size={18} label={t('replyInThread')} onClick={() => handlers.onThread?.(message)} />}
      <MessageMenu message={message} own={own} open={open} onOpenChange={onOpenChange} {...handlers} />
    </div>
  )
}

function MessageMenu({ message, own, open, onOpenChange, onReply, onThread, onEdit, onDelete, onReport }: Props) {
  const { t } = useLanguage()
  const { portal, routes, notify, chat } = useSurroundings()
  const attempt = useAttempt()
  const copy = async (text: string) => {
    if ((await attempt(navigator.clipboard.writeText(text).then(() => true))) === true) notify(t('copied'))
  }
  const entry = (icon: IconName, label: string, run: () => void, danger = false) => (
    <Menu.Item className={`dt-menu-item${danger ? ' dt-danger' : ''}`} onSelect={run}><Icon name={icon} size={18} />{label}</Menu.Item>
  )
  return (
    <Menu.Root open={open} onOpenChange={onOpenChange} modal={false}>
      <Menu.Trigger asChild><IconButton icon="more" size={18} label={t('more')} /></Menu.Trigger>
      <Menu.Portal container={portal}>
        <Menu.Content className="dt-menu" align="end" sideOffset={4} collisionPadding={8}>
          {entry('reply', t('reply'), () => onReply(message))}
          {onThread && !message.thread_id && entry('thread', t('replyInThread'), () => onThread(message))}
          {message.content && entry('copy', t('copyText'), () => void copy(plainText(message.content)))}
          {entry('link', t('copyLink'), () => void copy(new URL(routes.conversation(message.conversation_id, message.id), location.href).href))}
          {!own && !message.thread_id && entry('unread', t('markUnread'), () => void attempt(chat.reading.markUnread(message.conversation_id, message.id)))}
          {own && entry('edit', t('edit'), () => onEdit(message))}
          {!own && entry('flag', t('report'), () => onReport(message))}
          {own && <Menu.Separator className="dt-menu-line" />}
          {own && entry('trash', t('deleteMessage'), () => onDelete(message), true)}
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  )
}
