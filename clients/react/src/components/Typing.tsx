// Three dots in a bubble, and who it is.
import { useTypingLine } from '../hooks/names.ts'

export function Typing({ conversationId }: { conversationId: string }) {
  const { ids, line } = useTypingLine(conversationId)
  if (ids.length === 0) return null
  return (
    <div className="dt-row dt-other dt-first dt-last dt-typing" data-testid="typing">
      <span className="dt-avatar-space" />
      <div className="dt-stack">
        <div className="dt-bubble dt-bubble-typing" aria-hidden="true"><span /><span /><span /></div>
        <span className="dt-typing-line">{line}</span>
      </div>
    </div>
  )
}
