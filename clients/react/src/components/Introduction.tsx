// What a guest said of themselves before the chat (the widget's form). Anybody could have written it.
import type { Message } from '@dovetail/chat'
import { useLanguage } from '../i18n/index.tsx'

const LONGEST = 200

export function Introduction({ message }: { message: Message }) {
  const { t } = useLanguage()
  const visitor = message.metadata.visitor as Partial<Record<'name' | 'email', unknown>> | null | undefined
  const said = [visitor?.name, visitor?.email].filter((part): part is string => typeof part === 'string' && part !== '')
  if (said.length === 0) return null
  return <span className="dt-edited" dir="auto">{t('introduced', { who: said.join(' · ').slice(0, LONGEST) })}</span>
}
