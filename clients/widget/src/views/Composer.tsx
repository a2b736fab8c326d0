// Where one writes. Enter sends, Shift+Enter breaks the line.
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import { ACCEPT } from '../files.ts'
import { Uploading } from './Attachments.tsx'
import { useShared } from './context.ts'
import { Icon } from './icons.tsx'

const HIGHEST = 112

export function Composer({ focus }: { focus: boolean }) {
  const { chat, language } = useShared()
  const { t } = language
  const { draft, files, complaint, phase, state } = chat.store.view
  const field = useRef<HTMLTextAreaElement>(null)
  const chooser = useRef<HTMLInputElement>(null)
  const limit = state.settings.max_message_length
  const left = limit - draft.trim().length
  const open = phase === 'ready'
  const ready = open && left >= 0 && (draft.trim() !== '' || files.length > 0)

  useEffect(() => { if (focus) field.current?.focus({ preventScroll: true }) }, [])
  // As high as the text, up to a few lines.
  useLayoutEffect(() => {
    if (!field.current) return
    field.current.style.height = 'auto'
    field.current.style.height = `${Math.min(field.current.scrollHeight, HIGHEST)}px`
  }, [draft])

  const add = (list: Iterable<File>) => void chat.addFiles([...list])
  const send = () => {
    if (!ready) return
    chat.send()
    field.current?.focus()
  }
  return (
    <div class="composer">
      {complaint && <p class="complaint" role="alert">{t(complaint.what, { name: complaint.name, size: language.bytes(state.settings.max_attachment_bytes), count: state.settings.max_attachments })}</p>}
      {files.length > 0 && (
        <div class="chosen">
          {files.map((key) => {
            const file = chat.files.describe(key)
            return file && <Uploading key={key} file={file} onRemove={() => chat.files.cancel(key)} />
          })}
        </div>
      )}
      <div class="composer-line">
        <input ref={chooser} type="file" multiple hidden accept={ACCEPT} aria-hidden="true" tabIndex={-1} data-testid="chooser" onChange={(event) => {
          add(event.currentTarget.files ?? [])
          // The same file may be chosen again after it was removed.
          event.currentTarget.value = ''
        }} />
        <button type="button" class="icon" aria-label={t('attach')} disabled={!open} onClick={() => chooser.current?.click()}><Icon name="clip" size={22} /></button>
        <textarea
          ref={field} rows={1} value={draft} placeholder={t('write')} aria-label={t('write')} readOnly={!open} dir="auto" enterkeyhint="send" autocomplete="off"
          onInput={(event) => chat.setDraft(event.currentTarget.value)}
          onPaste={(event) => {
            const pasted = event.clipboardData?.files
            if (!pasted?.length) return
            event.preventDefault()
            add(pasted)
          }}
          onKeyDown={(event) => {
            // Enter also ends the composition of a word in Japanese or Chinese.
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return
            event.preventDefault()
            send()
          }}
        />
        <button type="button" class="send" data-testid="send" aria-label={t('send')} disabled={!ready} onClick={send}><Icon name="send" size={20} /></button>
      </div>
      {left < 200 && <p class={`left ${left < 0 ? 'left-over' : ''}`} role="status">{t('charsLeft', { count: left })}</p>}
    </div>
  )
}
