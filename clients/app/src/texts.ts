// The texts of the pages themselves.
const en = {
  signIn: 'Sign in', email: 'Email', password: 'Password', signingIn: 'Signing in…', signOut: 'Sign out', demo: 'Or as one of the demo users', wrong: 'Email or password is wrong.', unreachable: 'The server cannot be reached.',
  tagline: 'Conversations with the people you work with.',
  preferences: 'Preferences', back: 'Back to messages', appearance: 'Appearance', language: 'Language', automatic: 'Automatic', theme: 'Theme', light: 'Light', dark: 'Dark',
  notifications: 'Notifications', push: 'Notifications on this device', pushOn: 'On', pushOff: 'Off', pushDenied: 'Blocked in the settings of this browser', pushUnsupported: 'Not offered by this browser or server', enable: 'Turn on', disable: 'Turn off',
  allPush: 'Notify me by push', preview: 'Show what was written', sound: 'Play a sound', digest: 'Email digest', none: 'None', daily: 'Daily', weekly: 'Weekly',
  quiet: 'Quiet hours', quietHint: 'What comes in this time is told afterwards.', from: 'From', until: 'Until', saved: 'Saved', profile: 'Profile', displayName: 'Name', save: 'Save',
  message: 'Message', client: 'Client', noClient: 'There is nobody here, or not for you to see.', menu: 'Menu', newInvite: 'The invitation does not hold any more.',
}
const de: typeof en = {
  signIn: 'Anmelden', email: 'E-Mail', password: 'Passwort', signingIn: 'Wird angemeldet…', signOut: 'Abmelden', demo: 'Oder als eine der Demopersonen', wrong: 'E-Mail oder Passwort ist falsch.', unreachable: 'Der Server ist nicht erreichbar.',
  tagline: 'Unterhaltungen mit den Menschen, mit denen du arbeitest.',
  preferences: 'Einstellungen', back: 'Zurück zu den Nachrichten', appearance: 'Aussehen', language: 'Sprache', automatic: 'Automatisch', theme: 'Farben', light: 'Hell', dark: 'Dunkel',
  notifications: 'Benachrichtigungen', push: 'Benachrichtigungen auf diesem Gerät', pushOn: 'An', pushOff: 'Aus', pushDenied: 'In den Einstellungen dieses Browsers gesperrt', pushUnsupported: 'Von diesem Browser oder Server nicht angeboten', enable: 'Einschalten', disable: 'Ausschalten',
  allPush: 'Per Push benachrichtigen', preview: 'Inhalt anzeigen', sound: 'Ton abspielen', digest: 'Zusammenfassung per E-Mail', none: 'Keine', daily: 'Täglich', weekly: 'Wöchentlich',
  quiet: 'Ruhezeit', quietHint: 'Was in dieser Zeit kommt, wird danach gemeldet.', from: 'Von', until: 'Bis', saved: 'Gespeichert', profile: 'Profil', displayName: 'Name', save: 'Speichern',
  message: 'Nachricht', client: 'Kunde', noClient: 'Hier ist niemand, oder du darfst die Person nicht sehen.', menu: 'Menü', newInvite: 'Die Einladung gilt nicht mehr.',
}

export type AppTexts = typeof en
export const textsFor = (locale: string): AppTexts => (locale.startsWith('de') ? de : en)
