// Pictures and files of a message. Nothing jumps when they arrive: the space is there before.
import { useEffect, useState } from 'preact/hooks'
import type { Attachment, OutgoingFile } from '@dovetail/chat/state'
import { Icon } from './icons.tsx'
import { useShared } from './context.ts'

const WIDEST = 220
const HIGHEST = 240

/** As large as it may be, in its own proportions. */
function boxOf(width?: number | null, height?: number | null) {
  if (!width || !height) return { width: `${WIDEST}px`, aspectRatio: '4 / 3' }
  const scale = Math.min(WIDEST / width, HIGHEST / height, 1)
  return { width: `${Math.max(48, Math.round(width * scale))}px`, aspectRatio: `${width} / ${height}` }
}

const safe = (url: string | null | undefined) => (url && /^(https?:\/\/|\/[^/])/.test(url) ? url : null)

/** The address of an object, asked for when it is shown. */
function useAddress(path: string | null | undefined, url: string | null | undefined, download?: string): string | null {
  const { chat } = useShared()
  const [address, setAddress] = useState<string | null>(null)
  useEffect(() => {
    let gone = false
    setAddress(null)
    if (path) chat.api.signedUrl(path, download).then((found) => { if (!gone) setAddress(found) }).catch(() => {})
    return () => { gone = true }
  }, [path, download])
  if (path) return address
  const given = safe(url)
  // A path of the server is meant, not one of the page.
  return given?.startsWith('/') ? chat.api.url + given : given
}

const isPicture = (type?: string | null) => /^image\/(png|jpeg|gif|webp|avif)$/.test(type ?? '')

function Picture({ item, preview }: { item: Attachment; preview: string | null }) {
  const { language: { t } } = useShared()
  const small = useAddress(item.thumbnail_path ?? item.path, item.thumbnail_url ?? item.url)
  const large = useAddress(item.preview_path ?? item.path, item.url)
  const [broken, setBroken] = useState<string | null>(null)
  const source = small && small !== broken ? small : preview
  if (small && small === broken && !preview) return <Card item={item} />
  return (
    <a class="picture" style={boxOf(item.width, item.height)} href={large ?? undefined} target="_blank" rel="noopener noreferrer" aria-label={t('image', { name: item.name })}>
      {source && <img src={source} alt="" referrerpolicy="no-referrer" onError={() => setBroken(source)} />}
    </a>
  )
}

function Card({ item }: { item: Attachment }) {
  const { language: { t, bytes } } = useShared()
  const address = useAddress(item.path, item.url, item.name)
  return (
    <a class="card" href={address ?? undefined} target="_blank" rel="noopener noreferrer" title={t('download', { name: item.name })}>
      <Icon name="file" />
      <span class="card-text">
        <span class="card-name" dir="auto">{item.name}</span>
        {item.size ? <span class="soft">{bytes(item.size)}</span> : null}
      </span>
    </a>
  )
}

export function Attachments({ items }: { items: Attachment[] }) {
  const { chat } = useShared()
  return (
    <div class="attachments">
      {items.map((item, i) => {
        const known = !('error' in item) && isPicture(item.mime_type)
        const key = item.path?.split('/')[2] ?? ''
        return known ? <Picture key={i} item={item} preview={chat.files.preview(key)} /> : <Card key={i} item={item} />
      })}
    </div>
  )
}

/** Files that are on their way, in a bubble or above the text that is being written. */
export function Uploading({ file, onRemove }: { file: OutgoingFile; onRemove?: () => void }) {
  const { chat, language: { t, bytes, percent } } = useShared()
  const upload = chat.store.state.uploads[file.key]
  const preview = chat.files.preview(file.key)
  const share = upload && file.size > 0 ? upload.sent / file.size : 0
  const failed = upload?.state === 'failed'
  return (
    <div class={`upload ${failed ? 'upload-failed' : ''}`} data-testid="upload">
      {preview ? <img src={preview} alt="" /> : <Icon name="file" />}
      <span class="card-text">
        <span class="card-name" dir="auto">{file.name}</span>
        {upload?.state === 'uploading'
          ? <progress max={1} value={share} aria-label={t('uploading', { name: file.name, percent: percent(share) })} />
          : <span class="soft">{failed ? t('uploadFailed', { name: file.name }) : bytes(file.size)}</span>}
      </span>
      {failed && <button type="button" class="link" aria-label={t('retryUpload', { name: file.name })} onClick={() => chat.files.retry(file.key)}>{t('retry')}</button>}
      {onRemove && <button type="button" class="icon" aria-label={t('removeFile', { name: file.name })} onClick={onRemove}><Icon name="close" size={16} /></button>}
    </div>
  )
}
