// What went wrong, and whether trying again can help.

export class Problem extends Error {
  constructor(message: string, readonly code: string, readonly temporary: boolean, readonly hint = '') {
    super(message)
    this.name = 'Problem'
  }
}

interface Answer { status: number; error: { message: string; code?: string; hint?: string } | null }

/** Statuses after which the same request may work later: no network, too slow, too often, an expired token, a broken server. */
const isTemporary = (status: number) => status === 0 || status === 401 || status === 408 || status === 429 || status >= 500

/** The data of an answer of supabase-js, or a Problem. */
export function take<T>(answer: Answer & { data: T | null }): T {
  if (answer.error) throw problemOf(answer)
  return answer.data as T
}

export function problemOf({ status, error }: Answer): Problem {
  const offline = status === 0
  return new Problem(offline ? 'no connection' : (error?.message ?? `status ${status}`), offline ? 'network' : (error?.code ?? String(status)), isTemporary(status), error?.hint ?? '')
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
export const isTemporaryProblem = (error: unknown): boolean => (error instanceof Problem ? error.temporary : error instanceof TypeError)
