// What the parts of the library share.
import type { SupabaseClient } from '@supabase/supabase-js'
import type { Channels } from './channels.ts'
import type { Kept } from './kept.ts'
import { Problem, take } from './problem.ts'
import type { Id } from './state/index.ts'
import type { Store } from './store.ts'

export interface Context {
  supabase: SupabaseClient
  store: Store
  channels: Channels
  kept: Kept
  bucket: string
  me: Id
  /** Told of what failed and has no place of its own on the screen. */
  report: (error: unknown) => void
}

/** Calls a function of the database. */
export async function call<T>(context: Context, name: string, args: Record<string, unknown> = {}): Promise<T> {
  try {
    return take<T>(await context.supabase.rpc(name, args))
  } catch (error) {
    // fetch itself failed
    if (error instanceof TypeError) throw new Problem('no connection', 'network', true)
    throw error
  }
}

/** Runs later, once, however often it is asked for until then. */
export function debounced(ms: number, run: () => void): { (): void; cancel: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined
  const ask = () => {
    clearTimeout(timer)
    timer = setTimeout(run, ms)
  }
  ask.cancel = () => clearTimeout(timer)
  return ask
}

/** Runs once at the end of each stretch of time in which it was asked for: never starved by being asked again. */
export function throttled(ms: number, run: () => void): { (): void; cancel: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined
  const ask = () => {
    timer ??= setTimeout(() => {
      timer = undefined
      run()
    }, ms)
  }
  ask.cancel = () => {
    clearTimeout(timer)
    timer = undefined
  }
  return ask
}
