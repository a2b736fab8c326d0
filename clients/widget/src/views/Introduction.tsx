// Who somebody is, before the first message. What they say goes with it.
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Field } from '../settings.ts'
import { useShared } from './context.ts'

const INPUT = {
  name: { label: 'formName', keyboard: 'text', autocomplete: 'name' },
  email: { label: 'formEmail', keyboard: 'email', autocomplete: 'email' },
} as const
const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/

/** What is wrong with an answer, as the name of its text. */
function wrong({ name, optional }: Field, value: string): 'missing' | 'noEmail' | null {
  if (!value) return optional ? null : 'missing'
  return name === 'email' && !EMAIL.test(value) ? 'noEmail' : null
}

export function Introduction({ fields, focus, onDone }: { fields: Field[]; focus: boolean; onDone: () => void }) {
  const { chat, language: { t } } = useShared()
  const form = useRef<HTMLFormElement>(null)
  const [asked, setAsked] = useState(false)
  const [answers, setAnswers] = useState<Partial<Record<Field['name'], string>>>({})
  const answer = (field: Field) => (answers[field.name] ?? '').trim()
  useEffect(() => { if (focus) form.current?.querySelector('input')?.focus({ preventScroll: true }) }, [])

  const onSubmit = (event: Event) => {
    event.preventDefault()
    setAsked(true)
    const first = fields.findIndex((field) => wrong(field, answer(field)))
    if (first >= 0) {
      form.current?.querySelectorAll('input')[first]?.focus()
      return
    }
    onDone()
    chat.introduce(Object.fromEntries(fields.map((field) => [field.name, answer(field)])))
  }
  return (
    <form class="form" ref={form} noValidate onSubmit={onSubmit} aria-label={t('formTitle')} data-testid="form">
      {fields.map((field) => {
        const { label, keyboard, autocomplete } = INPUT[field.name]
        const problem = asked ? wrong(field, answer(field)) : null
        return (
          <div class="form-field" key={field.name}>
            <label for={`field-${field.name}`}>{field.optional ? t('optional', { label: t(label) }) : t(label)}</label>
            <input
              id={`field-${field.name}`} type="text" inputmode={keyboard} autocomplete={autocomplete} maxLength={200} dir="auto" value={answers[field.name] ?? ''}
              required={!field.optional} aria-invalid={problem !== null} aria-describedby={problem ? `wrong-${field.name}` : undefined}
              onInput={(event) => setAnswers({ ...answers, [field.name]: event.currentTarget.value })}
            />
            {problem && <p class="wrong" id={`wrong-${field.name}`} role="alert">{t(problem)}</p>}
          </div>
        )
      })}
      <button type="submit" class="button">{t('start')}</button>
    </form>
  )
}
