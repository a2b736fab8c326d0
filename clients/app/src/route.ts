// Addresses after the #: they need no server, and push messages can open them.
import { useEffect, useState } from 'react'

export type Route =
  | { page: 'messages'; conversation: string | null; message?: string }
  | { page: 'client'; id: string }
  | { page: 'preferences' }
  | { page: 'invite'; token: string }

const ID = '[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}'

export function parse(hash: string): Route {
  const conversation = new RegExp(`^#/c/(${ID})(?:/(${ID}))?$`).exec(hash)
  if (conversation) return { page: 'messages', conversation: conversation[1] as string, message: conversation[2] }
  const client = new RegExp(`^#/client/(${ID})$`).exec(hash)
  if (client) return { page: 'client', id: client[1] as string }
  const invite = /^#\/invite\/([0-9a-zA-Z_-]{10,200})$/.exec(hash)
  if (invite) return { page: 'invite', token: invite[1] as string }
  return hash === '#/preferences' ? { page: 'preferences' } : { page: 'messages', conversation: null }
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parse(location.hash))
  useEffect(() => {
    const look = () => setRoute(parse(location.hash))
    addEventListener('hashchange', look)
    return () => removeEventListener('hashchange', look)
  }, [])
  return route
}

export const go = (hash: string): void => { location.hash = hash }
