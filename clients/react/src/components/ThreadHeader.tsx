// Who it is with, whether they are there or typing, and what else can be opened.
import { useCallback } from 'react'
import { useChatState } from '../context.tsx'
import { nameOf, presenceOf, subjectOf, useConversation, usePresenceLine, useTypingLine } from '../hooks/names.ts'
import { useLanguage } from '../i18n/index.tsx'
import { Avatar, GroupAvatar } from './Avatar.tsx'
import { IconButton } from './controls.tsx'

interface Props { conversationId: string; onBack?: () => void; onClose?: () => void; onInfo: () => void; onSearch: () => void }

export function ThreadHeader({ conversationId, onBack, onClose, onInfo, onSearch }: Props) {
  const language = useLanguage()
  const { t } = language
  const conversation = useConversation(conversationId)
  const { line } = useTypingLine(conversationId)
  const other = conversation?.type === 'direct' ? conversation.participants[0] : undefined
  const presence = useChatState(useCallback((s) => presenceOf(s, other), [other]))
  const presenceLine = usePresenceLine(other)
  const count = useChatState(useCallback((s) => s.people[conversationId]?.length ?? s.conversations[conversationId]?.participant_count ?? 0, [conversationId]))
  if (!conversation) return <header className="dt-header">{onBack && <IconButton icon="back" label={t('back')} onClick={onBack} className="dt-back" />}<span className="dt-skeleton dt-skeleton-title" /></header>
  const name = nameOf(conversation, language)
  const subject = subjectOf(conversation)
  return (
    <header className="dt-header">
      {onBack && <IconButton icon="back" label={t('back')} onClick={onBack} className="dt-back" />}
      <button type="button" className="dt-header-who" onClick={onInfo}>
        {other
          ? <Avatar id={other.user_id} name={name} url={other.avatar_url} size={36} presence={presence} />
          : <GroupAvatar id={conversation.id} name={name} size={36} people={conversation.participants.map((p) => ({ id: p.user_id, name: p.display_name ?? '', url: p.avatar_url }))} />}
        <span className="dt-header-text">
          <h2 dir="auto">{name}{subject && <bdi className="dt-subject">{subject}</bdi>}</h2>
          <span className="dt-header-status" data-testid="status">{line || (other ? presenceLine : t('memberCount', { count }))}</span>
        </span>
      </button>
      <IconButton icon="search" label={t('searchMessages')} onClick={onSearch} />
      <IconButton icon="info" label={t('info')} onClick={onInfo} />
      {onClose && <IconButton icon="close" label={t('close')} onClick={onClose} />}
    </header>
  )
}
