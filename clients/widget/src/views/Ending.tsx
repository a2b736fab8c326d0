// The guest ends the chat: asked once, and afterwards.
import { useEffect, useRef } from 'preact/hooks'
import { useShared } from './context.ts'

export function Ending({ name, onCancel }: { name: string; onCancel: () => void }) {
  const { chat, language: { t } } = useShared()
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => button.current?.focus({ preventScroll: true }), [])
  return (
    <div
      class="ending" role="group" aria-label={t('end')} data-testid="ending"
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return
        event.stopPropagation()
        onCancel()
      }}
    >
      <p id="end-sure">{t('endSure', { name })}</p>
      <div class="ending-line">
        <button type="button" class="button" ref={button} aria-describedby="end-sure" onClick={() => void chat.end()}>{t('end')}</button>
        <button type="button" class="link" onClick={onCancel}>{t('cancel')}</button>
      </div>
    </div>
  )
}

export function Ended() {
  const { chat, language: { t } } = useShared()
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => { if (chat.store.view.open) button.current?.focus({ preventScroll: true }) }, [])
  return (
    <div class="empty" data-testid="ended">
      <p role="status">{t('ended')}</p>
      <button type="button" class="button" ref={button} onClick={() => void chat.reopen()}>{t('beginAgain')}</button>
    </div>
  )
}
