// Every text, in English and German or as the page wants it, and dates as people say them.

const en = {
  open: 'Open chat with {name}', openUnread: { one: 'Open chat with {name}, {count} unread message', other: 'Open chat with {name}, {count} unread messages' },
  close: 'Close chat', dialog: 'Chat with {name}', about: 'Re: {subject}', log: 'Messages',
  online: 'Online', lastSeen: 'Last seen {time}',
  empty: 'Send a message to your advisor', loadFailed: 'The messages could not be loaded.', again: 'Try again', loading: 'Loading messages',
  write: 'Write a message', send: 'Send', attach: 'Attach files', removeFile: 'Remove {name}', charsLeft: '{count} characters left',
  typing: '{name} is typing', newMessages: { one: '{count} new message', other: '{count} new messages' }, toEnd: 'To the newest message',
  sending: 'Sending…', waiting: 'Waiting for the connection', sent: 'Sent', seen: 'Seen', seenAt: 'Seen {time}',
  failed: 'Not delivered', lost: 'Not delivered: choose the file again', retry: 'Retry', discard: 'Delete',
  deleted: 'This message was deleted', edited: 'edited', react: 'React', reactWith: 'React with {emoji}', unreact: 'Remove your {emoji}',
  image: 'Image {name}', download: 'Download {name}', uploading: '{name}: {percent}', uploadFailed: '{name} could not be uploaded', retryUpload: 'Upload {name} again',
  fileTooLarge: '{name} is larger than {size}.', fileType: '{name} is of a kind that cannot be sent.', fileEmpty: '{name} is empty.', tooManyFiles: 'At most {count} files in one message.',
  offline: 'You are offline. What you write is sent later.', reconnecting: 'Reconnecting…',
  closed: 'This chat has been closed.', closedKept: 'What you have not sent is still here, so that you can copy it.',
  dismiss: 'Dismiss', you: 'You', replies: { one: '{count} reply', other: '{count} replies' },
  away: 'We are not here at the moment. Leave us a message.', backAt: 'We answer from {time}.',
  formTitle: 'Before we begin', formName: 'Your name', formEmail: 'Your e-mail address', optional: '{label} (optional)', start: 'Start chat', missing: 'Please fill this in.', noEmail: 'This is not an e-mail address.',
  end: 'End chat', endSure: 'End this chat? It is forgotten on this device; {name} keeps what was written.', cancel: 'Cancel', ended: 'You have ended this chat.', beginAgain: 'Start again',
}

type Form = string | { one: string; other: string }
export type Texts = { [K in keyof typeof en]: (typeof en)[K] extends string ? string : { one: string; other: string } }
/** The page's own words for some of them. */
export type Overrides = Partial<Record<keyof Texts, Form>>

const de: Texts = {
  open: 'Chat mit {name} öffnen', openUnread: { one: 'Chat mit {name} öffnen, {count} ungelesene Nachricht', other: 'Chat mit {name} öffnen, {count} ungelesene Nachrichten' },
  close: 'Chat schließen', dialog: 'Chat mit {name}', about: 'Betrifft: {subject}', log: 'Nachrichten',
  online: 'Online', lastSeen: 'Zuletzt gesehen {time}',
  empty: 'Schreiben Sie eine Nachricht', loadFailed: 'Die Nachrichten konnten nicht geladen werden.', again: 'Noch einmal', loading: 'Nachrichten werden geladen',
  write: 'Nachricht schreiben', send: 'Senden', attach: 'Dateien anhängen', removeFile: '{name} entfernen', charsLeft: 'Noch {count} Zeichen',
  typing: '{name} schreibt', newMessages: { one: '{count} neue Nachricht', other: '{count} neue Nachrichten' }, toEnd: 'Zur neuesten Nachricht',
  sending: 'Wird gesendet…', waiting: 'Wartet auf die Verbindung', sent: 'Gesendet', seen: 'Gesehen', seenAt: 'Gesehen {time}',
  failed: 'Nicht zugestellt', lost: 'Nicht zugestellt: Bitte wählen Sie die Datei noch einmal', retry: 'Noch einmal', discard: 'Löschen',
  deleted: 'Diese Nachricht wurde gelöscht', edited: 'bearbeitet', react: 'Reagieren', reactWith: 'Mit {emoji} reagieren', unreact: 'Ihr {emoji} entfernen',
  image: 'Bild {name}', download: '{name} herunterladen', uploading: '{name}: {percent}', uploadFailed: '{name} konnte nicht hochgeladen werden', retryUpload: '{name} noch einmal hochladen',
  fileTooLarge: '{name} ist größer als {size}.', fileType: '{name} kann nicht gesendet werden: Diese Art von Datei ist nicht erlaubt.', fileEmpty: '{name} ist leer.', tooManyFiles: 'Höchstens {count} Dateien je Nachricht.',
  offline: 'Sie sind offline. Was Sie schreiben, wird später gesendet.', reconnecting: 'Verbindung wird wiederhergestellt…',
  closed: 'Dieser Chat wurde geschlossen.', closedKept: 'Was Sie noch nicht gesendet haben, steht weiter hier, damit Sie es kopieren können.',
  dismiss: 'Ausblenden', you: 'Sie', replies: { one: '{count} Antwort', other: '{count} Antworten' },
  away: 'Wir sind gerade nicht da. Hinterlassen Sie uns eine Nachricht.', backAt: 'Wir antworten ab {time}.',
  formTitle: 'Bevor wir beginnen', formName: 'Ihr Name', formEmail: 'Ihre E-Mail-Adresse', optional: '{label} (freiwillig)', start: 'Chat beginnen', missing: 'Bitte füllen Sie das aus.', noEmail: 'Das ist keine E-Mail-Adresse.',
  end: 'Chat beenden', endSure: 'Diesen Chat beenden? Auf diesem Gerät wird er vergessen; {name} behält, was geschrieben wurde.', cancel: 'Abbrechen', ended: 'Sie haben diesen Chat beendet.', beginAgain: 'Noch einmal beginnen',
}

const DAY = 86_400_000
const midnight = (at: number) => new Date(at).setHours(0, 0, 0, 0)
/** How many midnights lie between. Rounded, since days of a change of clocks are shorter or longer. */
const daysBetween = (then: number, now: number) => Math.round((midnight(now) - midnight(then)) / DAY)

export interface Language {
  locale: string
  t: (key: keyof Texts, values?: Record<string, string | number>) => string
  /** "2:34 PM" */
  time: (at: string) => string
  /** "Today 2:34 PM", "Yesterday 9:15 AM", "Mon Dec 14, 11:00 AM" */
  divider: (at: string, now?: number) => string
  /** "tomorrow 9:00 AM", "Monday 9:00 AM" */
  ahead: (at: number, now?: number) => string
  /** "5 minutes ago" */
  ago: (at: string, now?: number) => string
  exact: (at: string) => string
  bytes: (size: number) => string
  percent: (share: number) => string
}

/** A locale that this browser knows, whatever the page says. */
function known(locale: string): string {
  try {
    return Intl.getCanonicalLocales(locale)[0] ?? 'en'
  } catch {
    return 'en'
  }
}

export function language(wanted: string, own: Overrides = {}): Language {
  const locale = known(wanted)
  const texts: Texts = /^de\b/i.test(locale) ? de : en
  const plural = new Intl.PluralRules(locale)
  const number = new Intl.NumberFormat(locale)
  const time = new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit' })
  const relative = new Intl.RelativeTimeFormat(texts === de ? locale : /^en/i.test(locale) ? locale : 'en', { numeric: 'auto' })
  const format = (at: number, options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(locale, options).format(at)
  const capital = (text: string) => text.charAt(0).toLocaleUpperCase(locale) + text.slice(1)
  return {
    locale,
    t(key, values = {}) {
      const form: Form = own[key] ?? texts[key]
      const text = String(typeof form === 'string' ? form : plural.select(Number(values.count)) === 'one' ? form.one : form.other)
      return text.replace(/\{(\w+)\}/g, (_, name: string) => {
        const value = values[name]
        return typeof value === 'number' ? number.format(value) : (value ?? '')
      })
    },
    time: (at) => time.format(Date.parse(at)),
    divider(at, now = Date.now()) {
      const then = Date.parse(at)
      const days = daysBetween(then, now)
      if (days === 0 || days === 1) return `${capital(relative.format(-days, 'day'))} ${time.format(then)}`
      const year = new Date(then).getFullYear() === new Date(now).getFullYear() ? {} : { year: 'numeric' as const }
      return `${format(then, { weekday: 'short' })} ${format(then, { month: 'short', day: 'numeric', ...year })}, ${time.format(then)}`
    },
    ahead(at, now = Date.now()) {
      const days = -daysBetween(at, now)
      return `${days < 2 ? relative.format(days, 'day') : format(at, { weekday: 'long' })} ${time.format(at)}`
    },
    ago(at, now = Date.now()) {
      const seconds = Math.max(0, (now - Date.parse(at)) / 1000)
      if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), 'minute')
      if (seconds < 86_400) return relative.format(-Math.floor(seconds / 3600), 'hour')
      return relative.format(-Math.floor(seconds / 86_400), 'day')
    },
    exact: (at) => format(Date.parse(at), { dateStyle: 'full', timeStyle: 'short' }),
    bytes(size) {
      const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte']
      const step = Math.min(Math.floor(Math.log10(Math.max(size, 1)) / 3), units.length - 1)
      return new Intl.NumberFormat(locale, { style: 'unit', unit: units[step] as string, unitDisplay: 'short', maximumFractionDigits: step > 1 ? 1 : 0 }).format(size / 1000 ** step)
    },
    percent: (share) => new Intl.NumberFormat(locale, { style: 'percent' }).format(share),
  }
}
