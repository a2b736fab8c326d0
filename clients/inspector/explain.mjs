// Plain words for a refusal: what it means, what to do, and text to copy.
import { REASONS } from './reasons.mjs'
import { doctor, publish, readPolicy, writePolicy } from './snippets.mjs'

const SNIPPETS = {
  read: { label: 'Policy that lets this role join and read', make: readPolicy },
  write: { label: 'Policy that lets this role send and track', make: writePolicy },
  publish: { label: 'Publish the table and let this role read it', make: publish },
  doctor: { label: 'Which policy decides, for these claims', make: doctor },
}

const UNKNOWN = {
  title: 'Not known to the inspector',
  means: 'This message is not in its list. It may come from a proxy, or from another version of the server.',
  todo: ['Look into the server’s log.'],
}

/**
 * Explains a message of `kind` (connect, close, join, system, reply, channel).
 *
 * `what` is the text; for `connect` `{ status, body }`, for `close` the code. `context` has what is known: `topic`
 * (without `realtime:`), `role`, `claims`, `bindings`. Returns `{ title, means, todo, snippets, good, known }`.
 */
export function explain(kind, what, context = {}) {
  const found = REASONS[kind].find((entry) => fits(kind, entry, what))
  const { title, means, todo, show = [], good = false } = found ?? UNKNOWN
  const role = context.role || undefined
  const snippets = show
    .map((name) => ({ label: SNIPPETS[name].label, text: SNIPPETS[name].make({ ...context, role }) }))
    .filter(({ text }) => text)
  return { title, means, todo, snippets, good, known: found !== undefined }
}

function fits(kind, entry, what) {
  if (kind === 'close') return entry.code === what
  if (kind === 'connect') return entry.status === what.status && (!entry.match || entry.match.test(what.body))
  return entry.match.test(what)
}
