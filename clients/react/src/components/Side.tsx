// A panel at the side of a conversation; on a phone it covers it.
import { useEffect, useRef, type ReactNode } from 'react'
import { useLanguage } from '../i18n/index.tsx'
import { IconButton } from './controls.tsx'

export function Side({ title, onClose, children, label }: { title: string; onClose: () => void; children: ReactNode; label?: string }) {
  const { t } = useLanguage()
  const panel = useRef<HTMLElement>(null)
  // The focus comes here and goes back to where it was.
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null
    if (!panel.current?.contains(before)) panel.current?.focus({ preventScroll: true })
    return () => { if (before?.isConnected) before.focus({ preventScroll: true }) }
  }, [])
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
