// Who is on a topic: the state and the differences that follow it (protocol.md §6.2). Pure.

/** The people of one channel, by key; each meta by its `phx_ref`. */
export class Presence {
  /** Key to a list of metas, oldest first. */
  keys = new Map()
  /** Whether the state came: differences before it are kept for it. */
  synced = false
  #early = []

  /** Takes a `presence_state`. */
  state(payload) {
    this.keys = new Map(entries(payload))
    this.synced = true
    for (const diff of this.#early.splice(0)) this.diff(diff)
  }

  /**
   * Takes a `presence_diff`. `expected` tells whether a state is to come; where none is (presence was not asked for at
   * the join), differences count at once.
   */
  diff(payload, expected = false) {
    if (!this.synced && expected) {
      this.#early.push(payload)
      return
    }
    for (const [key, metas] of entries(payload?.leaves)) {
      const gone = new Set(metas.map((meta) => meta.phx_ref))
      const left = (this.keys.get(key) ?? []).filter((meta) => !gone.has(meta.phx_ref))
      if (left.length > 0) this.keys.set(key, left)
      else this.keys.delete(key)
    }
    for (const [key, metas] of entries(payload?.joins)) {
      const refs = new Set(metas.flatMap((meta) => [meta.phx_ref, meta.phx_ref_prev]))
      const kept = (this.keys.get(key) ?? []).filter((meta) => !refs.has(meta.phx_ref))
      this.keys.set(key, [...kept, ...metas])
    }
  }

  /** `{ key, meta, ref }` for each, sorted by key. */
  rows() {
    return [...this.keys]
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .flatMap(([key, metas]) => metas.map(({ phx_ref, phx_ref_prev, ...meta }) => ({ key, meta, ref: phx_ref, updated: phx_ref_prev !== undefined })))
  }
}

function entries(map) {
  if (map === null || typeof map !== 'object') return []
  return Object.entries(map).map(([key, value]) => [key, Array.isArray(value?.metas) ? value.metas.filter((meta) => meta !== null && typeof meta === 'object') : []])
}
