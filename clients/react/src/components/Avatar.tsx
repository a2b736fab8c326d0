// A picture, or initials on a colour that belongs to the person.
import { colourOf } from '@dovetail/chat'
import { useState } from 'react'

const initialsOf = (name: string): string => {
  const words = name.trim().split(/\s+/).filter((w) => /[\p{L}\p{N}]/u.test(w))
  const letters = [words[0], words.length > 1 ? words[words.length - 1] : undefined].map((w) => [...(w ?? '')].find((c) => /[\p{L}\p{N}]/u.test(c)) ?? '')
  return letters.join('').toLocaleUpperCase() || '·'
}

export interface AvatarProps { id: string; name: string; url?: string | null; size?: number; presence?: 'online' | 'away' | null }

export function Avatar({ id, name, url, size = 40, presence }: AvatarProps) {
  const [broken, setBroken] = useState(false)
  return (
    <span className="dt-avatar" style={{ width: size, height: size, fontSize: Math.round(size * 0.38) }} aria-hidden="true">
      {url && !broken
        ? <img src={url} alt="" width={size} height={size} loading="lazy" referrerPolicy="no-referrer" onError={() => setBroken(true)} />
        : <span className="dt-avatar-letters" style={{ backgroundColor: colourOf(id) }}>{initialsOf(name)}</span>}
      {presence && <span className={`dt-dot dt-dot-${presence}`} />}
    </span>
  )
}

/** Two faces of a group. */
export function GroupAvatar({ people, id, name, size = 40 }: { people: { id: string; name: string; url?: string | null }[]; id: string; name: string; size?: number }) {
  const [first, second] = people
  if (!first || !second) return <Avatar id={id} name={name} size={size} />
  const small = Math.round(size * 0.68)
  return (
    <span className="dt-avatar-group" style={{ width: size, height: size }} aria-hidden="true">
      <Avatar {...first} size={small} />
      <Avatar {...second} size={small} />
    </span>
  )
}
