// Files that were chosen, dropped or pasted for the next message.
import { isAttachable, type OutgoingFile } from '@dovetail/chat'
import { useCallback, useEffect, useRef, useState } from 'react'
import { useChat, useChatState, useSurroundings } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'

export interface Staged { files: OutgoingFile[]; add: (files: Iterable<File>) => void; remove: (key: string) => void; take: () => string[] }

export function useStagedFiles(conversationId: string): Staged {
  const chat = useChat()
  const { notify } = useSurroundings()
  const { t, bytes } = useLanguage()
  const settings = useChatState((s) => s.settings)
  const [files, setFiles] = useState<OutgoingFile[]>([])
  const staged = useRef(files)
  staged.current = files

  const add = useCallback((chosen: Iterable<File>) => {
    let room = settings.max_attachments - staged.current.length
    for (const file of chosen) {
      // Said before anything is sent.
      if (file.size > settings.max_attachment_bytes) {
        notify(t('fileTooLarge', { name: file.name, size: bytes(settings.max_attachment_bytes) }), 'error')
      } else if (file.size === 0) {
        notify(t('fileEmpty', { name: file.name }), 'error')
      } else if (!isAttachable(file.type)) {
        notify(t('fileType', { name: file.name }), 'error')
      } else if (room-- <= 0) {
        notify(t('tooManyFiles', { count: settings.max_attachments }), 'error')
        return
      } else {
        const described = chat.uploads.describe(chat.uploads.begin(conversationId, file))
        if (described) setFiles((known) => [...known, described])
      }
    }
  }, [chat, conversationId, settings, notify, t, bytes])

  const remove = useCallback((key: string) => {
    chat.uploads.cancel(key)
    setFiles((known) => known.filter((f) => f.key !== key))
  }, [chat])

  const take = useCallback(() => {
    const keys = staged.current.map((f) => f.key)
    setFiles([])
    return keys
  }, [])

  // What was chosen for one conversation does not go to another.
  useEffect(() => () => {
    for (const { key } of staged.current) chat.uploads.cancel(key)
    setFiles([])
  }, [chat, conversationId])
  return { files, add, remove, take }
}
