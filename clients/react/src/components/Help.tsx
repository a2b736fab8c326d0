// The keys that do something.
import { useLanguage, type Key } from '../i18n/index.tsx'
import { Modal } from './Dialogs.tsx'

const KEYS: [string[], Key][] = [
  [['Ctrl', 'K'], 'shortcutSwitch'], [['Alt', '↑ ↓'], 'shortcutUnread'], [['Ctrl', 'F'], 'shortcutSearch'], [['Enter'], 'shortcutSend'], [['Shift', 'Enter'], 'shortcutLine'],
  [['↑'], 'shortcutEdit'], [['↑ ↓', 'Home', 'End'], 'shortcutMove'], [['Enter'], 'shortcutActions'], [['Esc'], 'shortcutClose'], [['?'], 'shortcutHelp'],
]

export function Help({ onClose }: { onClose: () => void }) {
  const { t } = useLanguage()
  return (
    <Modal title={t('shortcuts')} onClose={onClose}>
      <dl className="dt-help">
        {KEYS.map(([keys, what]) => <div key={what}><dt>{keys.map((k) => <kbd key={k}>{k}</kbd>)}</dt><dd>{t(what)}</dd></div>)}
      </dl>
    </Modal>
  )
}
