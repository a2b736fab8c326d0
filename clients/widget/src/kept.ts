// What survives a reload: in the storage of the page, or, where a page may not use that, in memory.

function usable(pick: () => Storage): Storage | null {
  try {
    return pick()
  } catch {
    return null
  }
}

export class Kept {
  private readonly memory = new Map<string, string>()
  private readonly storage: Storage | null

  constructor(pick: () => Storage, private readonly prefix: string) {
    this.storage = usable(pick)
  }

  get<T>(key: string): T | null {
    try {
      const text = this.memory.get(key) ?? this.storage?.getItem(this.prefix + key)
      return text ? (JSON.parse(text) as T) : null
    } catch {
      return null
    }
  }

  set(key: string, value: unknown): void {
    const text = JSON.stringify(value)
    try {
      if (!this.storage) throw new Error('no storage')
      this.storage.setItem(this.prefix + key, text)
      this.memory.delete(key)
    } catch {
      // Full or forbidden: it lasts as long as the page.
      this.memory.set(key, text)
    }
  }

  drop(key: string): void {
    this.memory.delete(key)
    try {
      this.storage?.removeItem(this.prefix + key)
    } catch {
      // Forbidden meanwhile.
    }
  }

  keys(): string[] {
    const found = new Set(this.memory.keys())
    try {
      for (let i = 0; i < (this.storage?.length ?? 0); i++) {
        const key = this.storage?.key(i)
        if (key?.startsWith(this.prefix)) found.add(key.slice(this.prefix.length))
      }
    } catch {
      // Forbidden meanwhile.
    }
    return [...found]
  }
}
