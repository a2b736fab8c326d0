// What went wrong, and whether trying again can help.

export class Problem extends Error {
  override readonly name = 'Problem'

  constructor(message: string, readonly status: number, readonly code = String(status)) {
    super(message)
  }

  /** No network, too slow, too often, an expired token, a broken server: the same request may work later. */
  get temporary(): boolean {
    return this.status === 0 || this.status === 401 || this.status === 408 || this.status === 429 || (this.status >= 500 && this.status !== 501)
  }
}

export const isTemporary = (error: unknown): boolean => error instanceof Problem && error.temporary

/** Asks; an answer that is no success, and none at all, become a Problem. */
export async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  let response: Response
  try {
    // A connection that hangs would hold up everything behind it.
    response = await fetch(url, { ...init, signal: AbortSignal.timeout(20_000), credentials: 'omit', referrerPolicy: 'no-referrer' })
  } catch {
    throw new Problem('no connection', 0, 'network')
  }
  if (response.ok) return response
  throw problemOf(response.status, await response.text().catch(() => ''))
}

/** The Storage API puts the real status into the body of a 400. */
export function problemOf(status: number, body: string): Problem {
  let said: { message?: string; code?: string; statusCode?: string } = {}
  try {
    said = JSON.parse(body) as typeof said
  } catch {
    // Not JSON: a proxy answered.
  }
  const real = Number(said.statusCode) || status
  return new Problem(said.message ?? `status ${real}`, real, said.code)
}
