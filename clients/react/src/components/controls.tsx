// Small parts that everything uses.
import * as Tooltip from '@radix-ui/react-tooltip'
import type { ButtonHTMLAttributes, ReactNode, Ref } from 'react'
import { useSurroundings } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { Icon, type IconName } from './Icon.tsx'

interface IconButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> { icon: IconName; label: string; size?: number; ref?: Ref<HTMLButtonElement> }

export function IconButton({ icon, label, size, className = '', ref, ...rest }: IconButtonProps) {
  return (
    <Hint text={label}>
      <button type="button" aria-label={label} className={`dt-icon-button ${className}`} ref={ref} {...rest}><Icon name={icon} size={size} /></button>
    </Hint>
  )
}

export function Hint({ text, children }: { text: ReactNode; children: ReactNode }) {
  const { portal } = useSurroundings()
  return (
    <Tooltip.Root delayDuration={500}>
      <Tooltip.Trigger asChild onFocus={(event) => { if (!event.currentTarget.matches(':focus-visible')) event.preventDefault() }}>{children}</Tooltip.Trigger>
      <Tooltip.Portal container={portal}>
        <Tooltip.Content className="dt-tooltip" sideOffset={6} collisionPadding={8}>{text}</Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  )
}

export const HintProvider = Tooltip.Provider

export function Spinner({ label }: { label?: string }) {
  const { t } = useLanguage()
  return <span className="dt-spinner" role="progressbar" aria-label={label ?? t('loading')} />
}

/** Empty, failed, not found: a picture, a line, a hint, and what can be done. */
export function Blank({ icon, title, hint, action }: { icon: IconName; title: string; hint?: string; action?: ReactNode }) {
  return (
    <div className="dt-blank">
      <span className="dt-blank-icon"><Icon name={icon} size={32} /></span>
      <p className="dt-blank-title">{title}</p>
      {hint && <p className="dt-blank-hint">{hint}</p>}
      {action}
    </div>
  )
}

export function Failed({ onRetry }: { onRetry: () => void }) {
  const { t } = useLanguage()
  return <Blank icon="warn" title={t('loadFailed')} action={<button type="button" className="dt-button" onClick={onRetry}>{t('tryAgain')}</button>} />
}
