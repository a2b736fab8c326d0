import { colourOf } from '@dovetail/chat/state'
import { useState } from 'preact/hooks'

const initials = (name: string) => name.split(/\s+/).filter(Boolean).map((word) => [...word][0] ?? '').filter((_, i, all) => i === 0 || i === all.length - 1).join('').toUpperCase() || '?'

/** The picture, or the initials where there is none, it is gone, or the page does not let it be shown. */
export function Avatar({ id, name, url, size }: { id: string | undefined; name: string; url: string | null; size: number }) {
  const [failed, setFailed] = useState(false)
  const shown = url && /^https?:\/\//.test(url) && !failed
  const shape = { width: `${size}px`, height: `${size}px`, fontSize: `${Math.round(size * 0.4)}px` }
  return (
    <span class="avatar" style={shown ? shape : { ...shape, background: colourOf(id ?? name) }} aria-hidden="true">
      {shown
        ? <img src={url} alt="" width={size} height={size} referrerpolicy="no-referrer" onError={() => setFailed(true)} />
        : initials(name)}
    </span>
  )
}
