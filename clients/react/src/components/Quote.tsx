// What a message answers: who said it and how it began. A click goes there.
import type { Quote as Quoted } from '@dovetail/chat'
import { useLanguage } from '../i18n/index.tsx'

export function Quote({ quoted, onJump }: { quoted: Quoted; onJump?: (id: string) => void }) {
  const { t } = useLanguage()
  const inner = (
    <>
      <strong>{quoted.sender_name ?? t('somebody')}</strong>
      <span>{quoted.deleted_at ? t('deletedQuote') : quoted.preview}</span>
    </>
  )
  return onJump
    ? <button type="button" className="dt-quote" onClick={() => onJump(quoted.id)}>{inner}</button>
    : <div className="dt-quote">{inner}</div>
}
