// The pure half: state, events, reducers. Needs no library, so that a widget may use it with whatever speaks to the server.
export * from './types.ts'
export * from './events.ts'
export * from './order.ts'
export * from './select.ts'
export { colourOf } from './colour.ts'
export { quoteOf } from './messages.ts'
export { EMPTY, EMPTY_TIMELINE, timelineKey, type State, type SeenThreads } from './state.ts'
export { reduce } from './reduce.ts'
