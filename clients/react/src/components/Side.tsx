// A panel at the side of a conversation; on a phone it covers it.
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { useLanguage } from '../i18n/index.tsx'
import { IconButton } from './controls.tsx'

export function Side({ title, onClose, children, label }: { title: string; onClose: () => void; children: ReactNode; label?: string }) {
  const { t } = useLanguage()
  const panel = useRef<HTMLElement>(null)
  // The focus comes here and goes back to where it was. Looked for before anything in here takes it by itself.
  const [before] = useState(() => document.activeElement as HTMLElement | null)
  useEffect(() => {
    if (!panel.current?.contains(document.activeElement)) panel.current?.focus({ preventScroll: true })
    return () => { if (before?.isConnected) before.focus({ preventScroll: true }) }
  }, [before])
  return (
    <aside className="dt-side" aria-label={label ?? title} ref={panel} tabIndex={-1} data-testid="side">
      <header className="dt-header">
        <h2 className="dt-grow">{title}</h2>
        <IconButton icon="close" label={t('close')} onClick={onClose} />
      </header>
      {children}
    </aside>
  )
}
