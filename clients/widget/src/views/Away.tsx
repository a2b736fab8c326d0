// Outside of the hours: that nobody is there, and from when on somebody is.
import { useShared } from './context.ts'
import { useMinute } from './minute.ts'

export function Away() {
  const { chat, settings: { hours, away }, language: { t, ahead } } = useShared()
  useMinute()
  const now = Date.now()
  // Who is there in spite of the hour answers.
  if (!hours || hours.isOpen(now) || chat.advisor?.online) return null
  return (
    <p class="away" role="status" data-testid="away" dir="auto">
      {away || `${t('away')} ${t('backAt', { time: ahead(hours.next(now)) })}`}
    </p>
  )
}
