// Files of a message that is on its way: what has arrived of each, and how to stop or try again.
import type { OutgoingFile } from '@dovetail/chat'
import { useChat, useChatState } from '../context.tsx'
import { useLanguage } from '../i18n/index.tsx'
import { IconButton } from './controls.tsx'
import { Icon } from './Icon.tsx'

export function OutgoingFiles({ files }: { files: OutgoingFile[] }) {
  return <ul className="dt-outgoing-files">{files.map((file) => <li key={file.key}><FileProgress file={file} /></li>)}</ul>
}

export function FileProgress({ file, onRemove }: { file: OutgoingFile; onRemove?: () => void }) {
  const { t, bytes, percent } = useLanguage()
  const chat = useChat()
  const upload = useChatState((s) => s.uploads[file.key])
  const share = file.path || upload?.state === 'done' ? 1 : file.size > 0 ? (upload?.sent ?? 0) / file.size : 0
  const preview = chat.uploads.preview(file.key)
  const failed = upload?.state === 'failed'
  return (
    <div className={`dt-file${failed ? ' dt-file-failed' : ''}`}>
      {preview ? <img className="dt-file-preview" src={preview} alt="" width={40} height={40} /> : <Icon name="file" size={22} />}
      <span className="dt-file-text">
        <span className="dt-card-name">{file.name}</span>
        <span className="dt-card-size">{failed ? `${t('uploadFailed')}: ${upload.error ?? ''}` : `${bytes(file.size)}${share < 1 ? ` · ${percent(share)}` : ''}`}</span>
        {share < 1 && !failed && (
          <span className="dt-progress" role="progressbar" aria-label={t('uploading', { name: file.name, percent: percent(share) })} aria-valuenow={Math.round(share * 100)} aria-valuemin={0} aria-valuemax={100}>
            <span style={{ transform: `scaleX(${share})` }} />
          </span>
        )}
      </span>
      {failed && <button type="button" className="dt-link" onClick={() => chat.uploads.retry(file.key)}>{t('retry')}</button>}
      {onRemove && <IconButton icon="close" size={16} label={t('removeFile', { name: file.name })} onClick={onRemove} />}
    </div>
  )
}
