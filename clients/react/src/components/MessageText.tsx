// What people wrote, as text: never as markup. Addresses become links, mentions stand out, one to three emoji are large.
import { Fragment, memo, type ReactNode } from 'react'

const PART = /@\[([^\]]{1,200})\]\(([0-9a-f-]{36})\)|(?<=^|\s)(@all)(?=$|\W)|(https?:\/\/[^\s<>"']+)/g
/** What belongs to the sentence rather than to the address. */
const TRAILING = /[.,;:!?)\]}'"]+$/

export const isOnlyEmoji = (text: string): boolean =>
  text.length <= 40 && /^(?:\p{Extended_Pictographic}(?:\p{Emoji_Modifier}|\uFE0F|\u200D\p{Extended_Pictographic})*\s*){1,3}$/u.test(text)

/** Without the form in which mentions are stored, for previews and the clipboard. */
export const plainText = (text: string): string => text.replace(/@\[([^\]]{1,200})\]\([0-9a-f-]{36}\)/g, '@$1')

export const MessageText = memo(function MessageText({ text, me }: { text: string; me: string }) {
  const parts: ReactNode[] = []
  let end = 0
  for (const match of text.matchAll(PART)) {
    const [whole, name, id, all, address] = match
    parts.push(text.slice(end, match.index))
    end = match.index + whole.length
    if (address) {
      const tail = TRAILING.exec(address)?.[0] ?? ''
      const href = tail ? address.slice(0, -tail.length) : address
      parts.push(<a href={href} target="_blank" rel="noopener noreferrer nofollow">{href}</a>, tail)
    } else {
      parts.push(<span className={`dt-mention${all || id === me ? ' dt-mention-me' : ''}`}>{all ?? `@${name}`}</span>)
    }
  }
  parts.push(text.slice(end))
  return <>{parts.map((part, i) => <Fragment key={i}>{part}</Fragment>)}</>
})
