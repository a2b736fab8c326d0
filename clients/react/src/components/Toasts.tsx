// Short notices. Errors interrupt, everything else waits its turn.
import { useCallback, useState } from 'react'

interface Toast { id: number; text: string; kind: 'info' | 'error' }
export type Notify = (text: string, kind?: Toast['kind']) => void

let number = 0

export function useToasts(): [Toast[], Notify] {
  const [toasts, setToasts] = useState<Toast[]>([])
  const notify = useCallback<Notify>((text, kind = 'info') => {
    const id = ++number
    setToasts((known) => [...known.filter((t) => t.text !== text).slice(-2), { id, text, kind }])
    setTimeout(() => setToasts((known) => known.filter((t) => t.id !== id)), kind === 'error' ? 8000 : 4000)
  }, [])
  return [toasts, notify]
}

export function Toasts({ toasts }: { toasts: Toast[] }) {
  return (
    <>
      <div className="dt-toasts" role="status">
        {toasts.filter((t) => t.kind === 'info').map((t) => <div className="dt-toast" key={t.id}>{t.text}</div>)}
      </div>
      <div className="dt-toasts dt-toasts-errors" role="alert">
        {toasts.filter((t) => t.kind === 'error').map((t) => <div className="dt-toast dt-toast-error" key={t.id}>{t.text}</div>)}
      </div>
    </>
  )
}
