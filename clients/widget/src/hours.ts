// When somebody answers: "Mo-Fr 09:00-17:00, Sa 10:00-13:00", in the time zone of who answers.
const DAYS = ['mo', 'tu', 'we', 'th', 'fr', 'sa', 'su']
const RULE = /^([a-z]{2})(?: ?- ?([a-z]{2}))? (\d{1,2}):(\d{2}) ?- ?(\d{1,2}):(\d{2})$/
const DAY = 1440
const WEEK = 7 * DAY
const MINUTE_MS = 60_000

export class Hours {
  private constructor(private readonly spans: [from: number, to: number][], private readonly clock: Intl.DateTimeFormat) {}

  /** Null where the text or the zone makes no sense. */
  static read(text: string, timeZone: string | undefined): Hours | null {
    const spans: [number, number][] = []
    for (const rule of text.toLowerCase().split(/[,;]/)) {
      const [, first = '', last = first, ...numbers] = RULE.exec(rule.trim().replace(/\s+/g, ' ')) ?? []
      const [from, to] = [DAYS.indexOf(first), DAYS.indexOf(last)]
      const [hour = 99, minute = 99, untilHour = 99, untilMinute = 99] = numbers.map(Number)
      if (from < 0 || to < 0 || minute > 59 || untilMinute > 59 || hour > 23 || untilHour * 60 + untilMinute > DAY) return null
      const [begins, ends] = [hour * 60 + minute, untilHour * 60 + untilMinute]
      for (let day = from; ; day = (day + 1) % 7) {
        // An end before the beginning is on the next day.
        spans.push([day * DAY + begins, day * DAY + ends + (ends <= begins ? DAY : 0)])
        if (day === to) break
      }
    }
    try {
      return new Hours(spans, new Intl.DateTimeFormat('en-US', { timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }))
    } catch {
      return null
    }
  }

  private minuteOfWeek(at: number): number {
    const parts = Object.fromEntries(this.clock.formatToParts(at).map(({ type, value }) => [type, value]))
    return DAYS.indexOf((parts['weekday'] ?? '').slice(0, 2).toLowerCase()) * DAY + Number(parts['hour']) * 60 + Number(parts['minute'])
  }

  isOpen(at: number): boolean {
    const minute = this.minuteOfWeek(at)
    return this.spans.some(([from, to]) => (minute >= from && minute < to) || minute + WEEK < to)
  }

  /** When it opens next. */
  next(at: number): number {
    const minute = this.minuteOfWeek(at)
    const ahead = Math.min(...this.spans.map(([from]) => (from - minute + WEEK) % WEEK || WEEK))
    const found = Math.floor(at / MINUTE_MS) * MINUTE_MS + ahead * MINUTE_MS
    // Clocks may change in between.
    const off = (this.minuteOfWeek(found) - minute - ahead) % WEEK
    return found - (((off + WEEK * 1.5) % WEEK) - WEEK / 2) * MINUTE_MS
  }
}
