// Mentions in a textarea: written as @Name, kept and sent as @[Name](id).

export interface Named { id: string; name: string }

const STORED = /@\[([^\]]{1,200})\]\(([0-9a-f-]{36})\)/g

/** What is shown of a stored text, and whom it names. */
export function decode(stored: string): { text: string; named: Named[] } {
  const named: Named[] = []
  const text = stored.replace(STORED, (_, name: string, id: string) => {
    if (!named.some((n) => n.id === id)) named.push({ id, name })
    return `@${name}`
  })
  return { text, named }
}

/** What is stored of what is shown. Longer names first, so that "@Ana Maria" is not taken for "@Ana". */
export function encode(text: string, named: Named[]): string {
  let stored = text
  const byLength = [...named].sort((a, b) => b.name.length - a.name.length)
  // Placeholders keep what was replaced from being looked at again.
  byLength.forEach(({ name }, i) => {
    const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    stored = stored.replace(new RegExp(`@${escaped}(?![\\p{L}\\p{N}_])`, 'gu'), `\uE000${i}\uE001`)
  })
  return stored.replace(/\uE000(\d+)\uE001/g, (_, i: string) => {
    const one = byLength[Number(i)] as Named
    return `@[${one.name.replace(/[[\]]/g, '')}](${one.id})`
  })
}

/** The beginning of a name before the caret: "@an" gives "an"; null where there is none. */
export function asked(text: string, caret: number): { from: number; part: string } | null {
  const match = /(?:^|\s)@([\p{L}\p{N}_.'-]{0,40}(?: [\p{L}\p{N}_.'-]{0,40})?)$/u.exec(text.slice(0, caret))
  if (!match) return null
  return { from: caret - (match[1] as string).length - 1, part: match[1] as string }
}
