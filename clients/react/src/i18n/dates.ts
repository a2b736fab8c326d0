// Dates as people say them.

export interface Dates {
  /** "Today 2:34 PM", "Yesterday 9:15 AM", "Mon Dec 14, 11:00 AM". */
  divider: (time: string, now?: number) => string
  time: (time: string) => string
  /** In full, for tooltips. */
  exact: (time: string) => string
  /** As short as a list needs: a time, a weekday, a date. */
  short: (time: string, words: { now: string; minutes: (count: number) => string }, now?: number) => string
  /** "5 minutes ago" */
  ago: (time: string, now?: number) => string
}

const DAY = 86_400_000
const midnight = (at: number) => new Date(at).setHours(0, 0, 0, 0)
/** How many midnights lie between. Rounded, since days of a change of clocks are shorter or longer. */
const daysBetween = (then: number, now: number) => Math.round((midnight(now) - midnight(then)) / DAY)

export function createDates(locale: string): Dates {
  const time = new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit' })
  const weekday = new Intl.DateTimeFormat(locale, { weekday: 'short' })
  const day = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric' })
  const dayOfYear = new Intl.DateTimeFormat(locale, { year: 'numeric', month: 'short', day: 'numeric' })
  const exact = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'medium' })
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' })
  const capital = (text: string) => text.charAt(0).toLocaleUpperCase(locale) + text.slice(1)
  const sameYear = (a: number, b: number) => new Date(a).getFullYear() === new Date(b).getFullYear()
  return {
    divider(at, now = Date.now()) {
      const then = Date.parse(at)
      const days = daysBetween(then, now)
      if (days === 0 || days === 1) return `${capital(relative.format(-days, 'day'))} ${time.format(then)}`
      const date = sameYear(then, now) ? day.format(then) : dayOfYear.format(then)
      return `${weekday.format(then)} ${date}, ${time.format(then)}`
    },
    time: (at) => time.format(Date.parse(at)),
    exact: (at) => exact.format(Date.parse(at)),
    short(at, words, now = Date.now()) {
      const then = Date.parse(at)
      const minutes = Math.floor((now - then) / 60_000)
      if (minutes < 1) return words.now
      if (minutes < 60) return words.minutes(minutes)
      const days = daysBetween(then, now)
      if (days === 0) return time.format(then)
      if (days === 1) return capital(relative.format(-1, 'day'))
      if (days < 7) return weekday.format(then)
      return sameYear(then, now) ? day.format(then) : dayOfYear.format(then)
    },
    ago(at, now = Date.now()) {
      const seconds = (now - Date.parse(at)) / 1000
      if (seconds < 60) return relative.format(0, 'minute')
      if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), 'minute')
      if (seconds < 86_400) return relative.format(-Math.floor(seconds / 3600), 'hour')
      return relative.format(-Math.floor(seconds / 86_400), 'day')
    },
  }
}
