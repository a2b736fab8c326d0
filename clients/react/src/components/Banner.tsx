// Says that there is no connection, and how much waits for it. Only after two seconds: short gaps are nobody's business.
import { waitingCount } from '@dovetail/chat'
import { useEffect, useState } from 'react'
import { useChatState } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { Icon } from './Icon.tsx'

const PATIENCE_MS = 2000

export function Banner() {
  const { t } = useLanguage()
  const connection = useChatState((s) => s.connection)
  const waiting = useChatState(waitingCount)
  const [shown, setShown] = useState(false)
  const well = connection === 'online'
  useEffect(() => {
    if (well) {
      setShown(false)
      return
    }
    const timer = setTimeout(() => setShown(true), PATIENCE_MS)
    return () => clearTimeout(timer)
  }, [well])
  return (
    <div role="status" className="dt-banner-place">
      {shown && (
        <p className="dt-banner" data-testid="banner">
          <Icon name="warn" size={18} />
          <span>{t(connection === 'offline' ? 'offlineBanner' : 'reconnecting')}{waiting > 0 && ` ${t('messagesWaiting', { count: waiting })}.`}</span>
        </p>
      )}
    </div>
  )
}
