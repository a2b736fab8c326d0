// Questions before something that cannot be undone, a form with one field, and the sheet that other pages open.
import * as Dialog from '@radix-ui/react-dialog'
import { useState, type ReactNode } from 'react'
import { useSurroundings } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { IconButton } from './controls.tsx'

/** The dialog itself has the focus first: on a button its hint would open, and take the first Escape. */
export function focusWhole(event: Event): void {
  event.preventDefault()
  ;(event.currentTarget as HTMLElement).focus()
}

/** Where the focus was, looked for before a field of the dialog takes it by itself; there it goes when the dialog closes. */
function useFocusBefore(): (event: Event) => void {
  const [before] = useState(() => document.activeElement as HTMLElement | null)
  return (event) => {
    event.preventDefault()
    before?.focus({ preventScroll: true })
  }
}

interface ModalProps { title: string; hint?: string; onClose: () => void; children: ReactNode; wide?: boolean }

export function Modal({ title, hint, onClose, children, wide }: ModalProps) {
  const { t } = useLanguage()
  const { portal } = useSurroundings()
  const back = useFocusBefore()
  return (
    <Dialog.Root open onOpenChange={(open) => { if (!open) onClose() }}>
      <Dialog.Portal container={portal}>
        <Dialog.Overlay className="dt-overlay" />
        <Dialog.Content className={`dt-modal${wide ? ' dt-modal-wide' : ''}`} onOpenAutoFocus={focusWhole} onCloseAutoFocus={back} {...(hint ? {} : { 'aria-describedby': undefined })}>
          <header><Dialog.Title>{title}</Dialog.Title><Dialog.Close asChild><IconButton icon="close" label={t('close')} /></Dialog.Close></header>
          {hint && <Dialog.Description>{hint}</Dialog.Description>}
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

export interface Question { title: string; hint: string; action: string; run: () => void }

export function Confirm({ question, onClose }: { question: Question; onClose: () => void }) {
  const { t } = useLanguage()
  return (
    <Modal title={question.title} hint={question.hint} onClose={onClose}>
      <footer>
        <button type="button" className="dt-button" onClick={onClose}>{t('cancel')}</button>
        <button type="button" className="dt-button dt-button-danger" autoFocus onClick={() => { question.run(); onClose() }}>{question.action}</button>
      </footer>
    </Modal>
  )
}

export function Ask({ title, label, start = '', action, onClose, onDone }: { title: string; label: string; start?: string; action: string; onClose: () => void; onDone: (text: string) => void }) {
  const { t } = useLanguage()
  const [text, setText] = useState(start)
  return (
    <Modal title={title} onClose={onClose}>
      <form onSubmit={(event) => { event.preventDefault(); onDone(text.trim()); onClose() }}>
        <label className="dt-field"><span>{label}</span><input value={text} maxLength={200} onChange={(event) => setText(event.target.value)} autoFocus /></label>
        <footer>
          <button type="button" className="dt-button" onClick={onClose}>{t('cancel')}</button>
          <button type="submit" className="dt-button dt-button-main" disabled={!text.trim()}>{action}</button>
        </footer>
      </form>
    </Modal>
  )
}

/** 480 pixels at the end of the page; the whole of a phone. */
export function Sheet({ title, onClose, children }: { title: string; onClose: () => void; children: ReactNode }) {
  const { portal } = useSurroundings()
  const back = useFocusBefore()
  return (
    <Dialog.Root open onOpenChange={(open) => { if (!open) onClose() }}>
      <Dialog.Portal container={portal}>
        <Dialog.Overlay className="dt-overlay" />
        <Dialog.Content className="dt-sheet" onCloseAutoFocus={back} aria-describedby={undefined} data-testid="sheet">
          <Dialog.Title className="dt-hidden">{title}</Dialog.Title>
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
