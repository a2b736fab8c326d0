// Holds the state and tells who watches it.
import { EMPTY, reduce, type Event, type State } from './state/index.ts'

export interface Store {
  get: () => State
  dispatch: (event: Event) => void
  subscribe: (listener: () => void) => () => void
}

export function createStore(initial: State = EMPTY): Store {
  let state = initial
  const listeners = new Set<() => void>()
  return {
    get: () => state,
    dispatch(event) {
      const next = reduce(state, event)
      if (next === state) return
      state = next
      for (const listener of [...listeners]) listener()
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
