import { useEffect, useState } from 'preact/hooks'

/** Drawn anew every half a minute: "2 minutes ago" does not stay true, and neither does "closed until nine". */
export function useMinute(): void {
  const [, tick] = useState(0)
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 30_000)
    return () => clearInterval(timer)
  }, [])
}
