// Where a message is written.
import { ATTACHMENT_TYPES, compareMessages, timelineKey, timelineOf, type Message, type Quote as Quoted } from '@dovetail/chat'
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type ClipboardEvent, type KeyboardEvent } from 'react'
import { useAttempt, useChat, useChatState } from '../context.tsx'
import type { Staged } from '../hooks/files.ts'
import { asked, decode, encode, type Named } from '../hooks/mentions.ts'
import { useLanguage } from '../i18n/index.tsx'
import { IconButton } from './controls.tsx'
import { EmojiButton } from './EmojiButton.tsx'
import { Icon } from './Icon.tsx'
import { MentionPicker, useMentionChoices } from './MentionPicker.tsx'
import { FileProgress } from './OutgoingFiles.tsx'

interface Props {
  conversationId: string
  threadId?: string
  placeholder: string
  staged: Staged
  quoted: Quoted | null
  onUnquote: () => void
  editing: Message | null
  onEdit: (message: Message | null) => void
  autoFocus?: boolean
}

export function Composer({ conversationId, threadId, placeholder, staged, quoted, onUnquote, editing, onEdit, autoFocus }: Props) {
  const chat = useChat()
  const attempt = useAttempt()
  const { t } = useLanguage()
  const key = timelineKey(conversationId, threadId)
  const most = useChatState((s) => s.settings.max_message_length)
  const [text, setText] = useState('')
  const [named, setNamed] = useState<Named[]>([])
  const [caret, setCaret] = useState(0)
  const [closed, setClosed] = useState<number | null>(null)
  const [alsoInMain, setAlsoInMain] = useState(false)
  const area = useRef<HTMLTextAreaElement>(null)
  const picker = useRef<HTMLInputElement>(null)
  const pasted = useRef(0)

  // What is shown belongs to this conversation, or to the message that is edited.
  useEffect(() => {
    const begun = decode(editing ? editing.content : (chat.store.get().drafts[key] ?? ''))
    setText(begun.text)
    setNamed(begun.named)
    if (editing || autoFocus) {
      area.current?.focus({ preventScroll: true })
      requestAnimationFrame(() => area.current?.setSelectionRange(begun.text.length, begun.text.length))
    }
  }, [chat, key, editing, autoFocus])
  useEffect(() => {
    if (quoted) area.current?.focus()
  }, [quoted])

  useLayoutEffect(() => {
    const element = area.current
    if (!element) return
    element.style.height = 'auto'
    element.style.height = `${Math.min(element.scrollHeight, 160)}px`
  }, [text])

  const question = asked(text, caret)
  const choices = useMentionChoices(conversationId, question && question.from !== closed ? question.part : null)
  const [chosen, setChosen] = useState(0)
  useEffect(() => setChosen(0), [question?.part])

  const change = (next: string, names = named) => {
    setText(next)
    if (editing) return
    chat.draft(key, encode(next, names))
    if (next.trim()) chat.typing.pressed(conversationId)
    else chat.typing.stopped(conversationId)
  }
  const mention = (one: Named) => {
    if (!question) return
    const name = one.id === 'all' ? 'all' : one.name
    const names = one.id === 'all' || named.some((n) => n.id === one.id) ? named : [...named, one]
    setNamed(names)
    change(`${text.slice(0, question.from)}@${name} ${text.slice(caret)}`, names)
    const at = question.from + name.length + 2
    requestAnimationFrame(() => {
      area.current?.focus()
      area.current?.setSelectionRange(at, at)
      setCaret(at)
    })
  }

  /** Where the caret was when the emoji were opened. */
  const put = (emoji: string) => {
    const { selectionStart: from, selectionEnd: to } = area.current as HTMLTextAreaElement
    change(text.slice(0, from) + emoji + text.slice(to))
    requestAnimationFrame(() => area.current?.setSelectionRange(from + emoji.length, from + emoji.length))
  }

  const content = encode(text, named)
  const left = most - [...content].length
  const ready = left >= 0 && (text.trim() !== '' || staged.files.length > 0)

  const send = () => {
    if (!ready) return
    chat.typing.stopped(conversationId)
    if (editing) {
      const message = editing
      void attempt(chat.actions.edit(message.id, content).then(() => true)).then((done) => { if (done) onEdit(null) })
      return
    }
    void attempt(chat.outbox.send({ conversation_id: conversationId, thread_id: threadId ?? null, content: content.trim(), quoted, files: staged.take(), alsoInMain }))
    setText('')
    setNamed([])
    chat.draft(key, '')
    onUnquote()
    area.current?.focus()
  }

  const editLast = () => {
    const state = chat.store.get()
    const last = timelineOf(state, conversationId, threadId).ids.map((id) => state.messages[id])
      .filter((m): m is Message => m !== undefined && m.sender_id === state.me?.id && !m.deleted_at && m.content !== '').sort(compareMessages).pop()
    if (last) onEdit(last)
  }

  const onKey = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    // Enter that ends the choice of a character in an input method is not for us.
    if (event.nativeEvent.isComposing || event.keyCode === 229) return
    if (choices.length > 0) {
      if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
        event.preventDefault()
        setChosen((n) => (n + (event.key === 'ArrowDown' ? 1 : -1) + choices.length) % choices.length)
        return
      }
      if (event.key === 'Enter' || event.key === 'Tab') {
        event.preventDefault()
        mention(choices[chosen] ?? (choices[0] as Named))
        return
      }
      if (event.key === 'Escape') {
        event.stopPropagation()
        setClosed(question?.from ?? null)
        return
      }
    }
    if (event.key === 'Enter' && !event.shiftKey && !event.altKey) {
      event.preventDefault()
      send()
    } else if (event.key === 'Escape' && (editing || quoted)) {
      event.stopPropagation()
      if (editing) onEdit(null)
      else onUnquote()
    } else if (event.key === 'ArrowUp' && text === '' && !event.altKey) {
      event.preventDefault()
      editLast()
    }
  }
  const onPaste = (event: ClipboardEvent) => {
    const files = [...event.clipboardData.files]
    if (files.length === 0) return
    event.preventDefault()
    staged.add(files.map((f) => (f.name === 'image.png' || !f.name ? new File([f], `pasted-${++pasted.current}.${f.type.split('/')[1] ?? 'png'}`, { type: f.type }) : f)))
  }
  const see = useCallback(() => setCaret(area.current?.selectionStart ?? 0), [])

  return (
    <form className="dt-composer" onSubmit={(event) => { event.preventDefault(); send() }}>
      {(editing ?? quoted) && (
        <div className="dt-composer-about">
          <Icon name={editing ? 'edit' : 'reply'} size={18} />
          <span className="dt-grow">
            <strong>{editing ? t('editing') : t('replyingTo', { name: quoted?.sender_name ?? t('somebody') })}</strong>
            <span>{editing ? decode(editing.content).text : quoted?.preview}</span>
          </span>
          <IconButton icon="close" size={18} label={t('cancel')} onClick={() => (editing ? onEdit(null) : onUnquote())} />
        </div>
      )}
      {staged.files.length > 0 && (
        <ul className="dt-staged">{staged.files.map((file) => <li key={file.key}><FileProgress file={file} onRemove={() => staged.remove(file.key)} /></li>)}</ul>
      )}
      <MentionPicker choices={choices} chosen={chosen} onChoose={mention} />
      <div className="dt-composer-line">
        {!editing && (
          <>
            <IconButton icon="attach" label={t('attach')} onClick={() => picker.current?.click()} />
            <input ref={picker} type="file" multiple hidden accept={ATTACHMENT_TYPES.join()} onChange={(event) => { staged.add(event.target.files ?? []); event.target.value = '' }} data-testid="file-input" />
          </>
        )}
        <textarea ref={area} rows={1} value={text} placeholder={placeholder} aria-label={placeholder} dir="auto" enterKeyHint="send"
          aria-autocomplete="list" aria-controls={choices.length > 0 ? 'dt-mentions' : undefined} aria-activedescendant={choices.length > 0 ? `dt-mention-${chosen}` : undefined}
          onChange={(event) => { change(event.target.value); setCaret(event.target.selectionStart) }} onSelect={see} onKeyDown={onKey} onPaste={onPaste} onBlur={() => chat.typing.stopped(conversationId)} />
        <EmojiButton onChoose={put} onClosed={() => area.current?.focus()} />
        <button type="submit" className="dt-send" disabled={!ready} aria-label={editing ? t('save') : t('send')}><Icon name={editing ? 'check' : 'send'} size={20} /></button>
      </div>
      <div className="dt-composer-foot">
        {threadId && !editing && <label><input type="checkbox" checked={alsoInMain} onChange={(event) => setAlsoInMain(event.target.checked)} /> {t('alsoSend')}</label>}
        {left < most / 5 && text.length > 0 && (
          <span className={`dt-counter${left < 0 ? ' dt-danger' : ''}`} role={left < 0 ? 'alert' : undefined}>{left < 0 ? t('tooLong', { count: -left }) : t('charsLeft', { count: left })}</span>
        )}
      </div>
    </form>
  )
}
