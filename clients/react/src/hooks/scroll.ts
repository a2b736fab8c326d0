// Where the list of messages stands: at its end it stays there; elsewhere nothing moves what somebody reads.
import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from 'react'
import type { VirtualizerHandle } from 'virtua'
import type { Row } from './rows.ts'

/** So near to the end counts as at the end. */
const NEAR = 100

export interface Scrolling {
  scroll: RefObject<HTMLDivElement | null>
  virtual: RefObject<VirtualizerHandle | null>
  /** True in the very render in which older rows were put before the others. */
  shift: boolean
  atEnd: boolean
  /** Messages of others that came while the end was not on the screen. */
  missed: number
  toEnd: () => void
  onScroll: () => void
}

export function useScrolling(rows: Row[], fresh: boolean, onEnds: (edge: 'start' | 'end') => void): Scrolling {
  const scroll = useRef<HTMLDivElement>(null)
  const virtual = useRef<VirtualizerHandle>(null)
  const stuck = useRef(true)
  const [atEnd, setAtEnd] = useState(true)
  const [missed, setMissed] = useState(0)
  const before = useRef<{ bubbles: string[]; lastKey: string | null }>({ bubbles: [], lastKey: null })

  const bubbles = rows.filter((row) => row.kind !== 'divider' && row.kind !== 'unread').map((row) => row.key)
  const oldFirst = before.current.bubbles[0]
  const shift = oldFirst !== undefined && bubbles[0] !== oldFirst && bubbles.includes(oldFirst)

  const toEnd = useCallback(() => {
    stuck.current = true
    setAtEnd(true)
    setMissed(0)
    const element = scroll.current
    if (element) element.scrollTop = element.scrollHeight
  }, [])

  const onScroll = useCallback(() => {
    const element = scroll.current
    if (!element) return
    const left = element.scrollHeight - element.scrollTop - element.clientHeight
    stuck.current = left < NEAR
    setAtEnd(stuck.current)
    if (stuck.current) setMissed(0)
    if (element.scrollTop < 400) onEnds('start')
    if (left < 400) onEnds('end')
  }, [onEnds])

  // New rows at the end.
  useLayoutEffect(() => {
    const known = before.current
    const last = rows[rows.length - 1]
    const lastKey = last?.key ?? null
    const changed = lastKey !== known.lastKey
    before.current = { bubbles, lastKey }
    if (known.bubbles.length === 0 || fresh) {
      if (fresh && rows.length > 0) toEnd()
      return
    }
    if (!changed || !last) return
    const oldLast = known.bubbles[known.bubbles.length - 1]
    const from = oldLast ? bubbles.lastIndexOf(oldLast) : -1
    if (from < 0) return
    const added = rows.filter((row) => row.kind === 'bubble' && bubbles.indexOf(row.key) > from)
    const own = added.some((row) => row.kind === 'bubble' && row.own && row.item.kind === 'outgoing')
    if (own || stuck.current) toEnd()
    else setMissed((n) => n + added.filter((row) => row.kind === 'bubble' && !row.own).length)
  })

  // Pictures, dots, a growing composer, the keyboard of a phone: the end stays in sight.
  useEffect(() => {
    const element = scroll.current
    if (!element) return
    const keep = () => {
      if (stuck.current) element.scrollTop = element.scrollHeight
    }
    const watch = new ResizeObserver(keep)
    watch.observe(element)
    for (const child of element.children) watch.observe(child)
    return () => watch.disconnect()
  }, [])

  return { scroll, virtual, shift, atEnd, missed, toEnd, onScroll }
}
