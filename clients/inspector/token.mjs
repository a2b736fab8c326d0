// What a pasted token says about itself. Nothing is verified here: only the server has the keys.

function part(text) {
  const base64 = text.replace(/-/g, '+').replace(/_/g, '/')
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
  return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
}

/** A token as the server reads it: without any whitespace (protocol.md §1.2). */
export const clean = (text) => text.replace(/\s+/g, '')

/** `{ header, claims }` of a JWT, or `{ problem }` in plain words. */
export function decode(text) {
  const token = clean(text)
  if (token === '') return { problem: 'Paste a token.' }
  if (token.startsWith('sb_')) {
    return { problem: 'This is a publishable or secret key, not a JWT. The gateway of a Supabase stack exchanges it; this server by itself does not know it. Paste the JWT (anon key or a user’s access token).' }
  }
  const parts = token.split('.')
  if (parts.length !== 3) return { problem: `A JWT has three parts divided by dots; this text has ${parts.length}.` }
  try {
    const [header, claims] = [part(parts[0]), part(parts[1])]
    if (claims === null || typeof claims !== 'object' || Array.isArray(claims)) return { problem: 'The claims are not a JSON object.' }
    return { header, claims }
  } catch {
    return { problem: 'The first two parts are not JSON in base64url: something of the token is missing or was changed.' }
  }
}

/** A length of time in words: `3 min 20 s`, `9 years`. */
export function duration(seconds) {
  const units = [['year', 31_536_000], ['day', 86_400], ['h', 3600], ['min', 60], ['s', 1]]
  let left = Math.max(0, Math.floor(seconds))
  const words = []
  for (const [name, size] of units) {
    const count = Math.floor(left / size)
    if (count > 0) {
      words.push(`${count} ${name}${count > 1 && size >= 86_400 ? 's' : ''}`)
      left -= count * size
      if (words.length === 2 || size >= 31_536_000) break
    }
  }
  return words.join(' ') || '0 s'
}

/** Until when the token is good: `{ text, level }`, level `ok`, `soon`, `bad`. `now` in seconds since 1970. */
export function expiry(claims, now) {
  if (claims.exp === undefined) return { level: 'bad', text: 'no expiry: the server refuses tokens without exp' }
  if (!Number.isInteger(claims.exp)) return { level: 'bad', text: 'exp is not a whole number: the server refuses this' }
  const left = claims.exp - now
  if (left <= 0) return { level: 'bad', text: `expired ${duration(-left)} ago` }
  return { level: left < 300 ? 'soon' : 'ok', text: `expires in ${duration(left)}` }
}

/** What is worth knowing about the claims, one sentence each. */
export function remarks(claims) {
  const found = []
  if (claims.role === undefined) found.push('There is no role claim: the server refuses the token.')
  if (claims.role === 'service_role') found.push('service_role bypasses row level security: with it you see more than your users do. Never give it to a browser that is not yours.')
  if (claims.role === 'authenticated' && claims.sub === undefined) found.push('There is no sub claim: auth.uid() is null in policies.')
  return found
}
