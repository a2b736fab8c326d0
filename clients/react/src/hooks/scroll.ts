// Where the list of messages stands: at its end it stays there; elsewhere nothing moves what somebody reads.
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type RefObject } from 'react'
import type { VirtualizerHandle } from 'virtua'
import type { Row } from './rows.ts'

/** So near to the end counts as at the end. */
const NEAR = 100
/** A scroll so soon after a wheel, a finger or a key is somebody's; any other is ours, or that of rows being measured. */
const BY_HAND_MS = 400
/** So long after something else was asked for, late scroll events of the end do not bring the end back. */
const LEAVING_MS = 300

export interface Scrolling {
  scroll: RefObject<HTMLDivElement | null>
  virtual: RefObject<VirtualizerHandle | null>
  /** True in the very render in which older rows were put before the others. */
  shift: boolean
  atEnd: boolean
  /** Messages of others that came while the end was not on the screen. */
  missed: number
  toEnd: () => void
  /** Somewhere else was asked for: the end is left. */
  leaveEnd: () => void
  onScroll: () => void
}

export function useScrolling(rows: Row[], fresh: boolean, startAtEnd: boolean, behind: boolean, onEnds: (edge: 'start' | 'end') => void): Scrolling {
  const scroll = useRef<HTMLDivElement>(null)
  const virtual = useRef<VirtualizerHandle>(null)
  const stuck = useRef(startAtEnd)
  const touched = useRef(0)
  const left = useRef(-LEAVING_MS)
  const [atEnd, setAtEnd] = useState(true)
  const [missed, setMissed] = useState(0)
  const before = useRef<{ bubbles: string[]; lastKey: string | null; behind: boolean }>({ bubbles: [], lastKey: null, behind })

  const bubbles = useMemo(() => rows.filter((row) => row.kind !== 'divider' && row.kind !== 'unread').map((row) => row.key), [rows])
  const oldFirst = before.current.bubbles[0]
  const shift = oldFirst !== undefined && bubbles[0] !== oldFirst && bubbles.includes(oldFirst)

  const toEnd = useCallback(() => {
    stuck.current = true
    left.current = touched.current = Number.NEGATIVE_INFINITY
    setAtEnd(true)
    setMissed(0)
    const element = scroll.current
    if (element) element.scrollTop = element.scrollHeight
  }, [])

  const onScroll = useCallback(() => {
    const element = scroll.current
    if (!element) return
    const rest = element.scrollHeight - element.scrollTop - element.clientHeight
    const byHand = performance.now() - touched.current < BY_HAND_MS
    // A finger has gone and the list still moves.
    if (byHand) touched.current = performance.now()
    if (rest < NEAR) stuck.current = stuck.current || performance.now() - left.current > LEAVING_MS
    else if (byHand) stuck.current = false
    else if (stuck.current) element.scrollTop = element.scrollHeight
    setAtEnd(stuck.current)
    if (stuck.current) setMissed(0)
    if (element.scrollTop < 400) onEnds('start')
    if (rest < 400) onEnds('end')
  }, [onEnds])

  const leaveEnd = useCallback(() => {
    left.current = touched.current = performance.now()
    stuck.current = false
    setAtEnd(false)
    // What was asked for may be at the end.
    setTimeout(onScroll, LEAVING_MS + 50)
  }, [onScroll])
  useEffect(() => {
    const element = scroll.current
    if (!element) return
    const touch = (event: Event) => {
      // A press counts only on the scroll bar, which belongs to the element itself.
      if (event.type !== 'pointerdown' || event.target === element) touched.current = performance.now()
    }
    const kinds = ['wheel', 'touchmove', 'keydown', 'pointerdown'] as const
    kinds.forEach((kind) => element.addEventListener(kind, touch, { passive: true }))
    return () => kinds.forEach((kind) => element.removeEventListener(kind, touch))
  }, [])

  // New rows at the end.
  useLayoutEffect(() => {
    const known = before.current
    const last = rows[rows.length - 1]
    const lastKey = last?.key ?? null
    const changed = lastKey !== known.lastKey
    before.current = { bubbles, lastKey, behind }
    if (known.bubbles.length === 0 || fresh) {
      if (fresh && startAtEnd && rows.length > 0) toEnd()
      return
    }
    if (!changed || !last) return
    const oldLast = known.bubbles[known.bubbles.length - 1]
    // From the end backwards: what is new is little, what is known may be much.
    const from = rows.findLastIndex((row) => row.key === oldLast)
    if (from < 0) return
    const added = rows.slice(from + 1)
    const own = added.some((row) => row.kind === 'bubble' && row.own && row.item.kind === 'outgoing')
    if (own || stuck.current) toEnd()
    // Pages that lead to the end are not new.
    else if (!known.behind) setMissed((n) => n + added.filter((row) => row.kind === 'bubble' && !row.own).length)
  }, [rows, bubbles, fresh, startAtEnd, behind, toEnd])

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

  return { scroll, virtual, shift, atEnd, missed, toEnd, leaveEnd, onScroll }
}
