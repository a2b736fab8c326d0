// What somebody chooses: how they are told of messages, how the pages look; and what the service worker shows of push.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { address, browserOf, bubble, composer, database, ready, until } from './browser.mjs'
import { direct, group, people, say } from './people.mjs'

const preferencesOf = async (person) => (await database.query('select * from notification_preferences where user_id = $1', [person.id])).rows[0]

describe('preferences', () => {
  test('C-514: quiet hours with the zone of the browser, sound, preview and digest are kept', async (t) => {
    const [ana] = await people({ Ana: 'trainer' })
    const page = await browserOf(t, ana, { hash: '#/preferences' })
    await page.getByLabel('Quiet hours').click()
    await page.getByLabel('From').fill('21:30')
    await until('the start is kept', async () => (await preferencesOf(ana))?.quiet_start === '21:30:00')
    await page.getByLabel('Until').fill('06:45')
    await page.getByLabel('Play a sound').click()
    await page.getByLabel('Show what was written').click()
    await page.getByLabel('Email digest').selectOption({ label: 'Weekly' })
    await until('all is kept', async () => {
      const { quiet_start, quiet_end, time_zone, sound, preview, email_digest } = await preferencesOf(ana)
      const kept = [quiet_start, quiet_end, time_zone, sound, preview, email_digest].join()
      return kept === '21:30:00,06:45:00,Europe/Berlin,false,false,weekly' || kept
    })
    await page.reload()
    await until('they are shown again', async () => (await page.getByLabel('From').inputValue()) === '21:30')
    assert.equal(await page.getByLabel('Play a sound').isChecked(), false)
    await page.getByLabel('Quiet hours').click()
    await until('none', async () => (await preferencesOf(ana)).quiet_start === null)
    await page.fine()
  })

  test('what comes elsewhere is heard, unless the sound is off', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await direct(ana, ben)
    const page = await browserOf(t, ana)
    await page.addInitScript(() => {
      window.sounds = 0
      window.AudioContext = class extends AudioContext {
        constructor() {
          super()
          window.sounds += 1
        }
      }
    })
    for (const [n, sound] of [true, false].entries()) {
      await ana.rpc('set_notification_preferences', { sound })
      const asked = page.waitForResponse((answer) => answer.url().includes('/notification_preferences'))
      await page.reload()
      await asked
      // A page that nobody has touched is silent, and so are its first seconds.
      await page.getByTestId('list-search').click()
      await page.clock.setSystemTime(Date.now() + 60_000)
      await say(ben, conversation, `Number ${n}`)
      await until('it counts', async () => (await page.title()) === `(${n + 1}) Messages` || page.title())
      assert.equal(await page.evaluate(() => window.sounds), sound ? 1 : 0)
    }
    await page.fine()
  })

  test('language, colours and name change at once, and stay', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await direct(ana, ben)
    await say(ana, conversation, 'By Ana')
    const page = await browserOf(t, ana, { hash: '#/preferences', colorScheme: 'light' })
    const paper = () => page.locator('.app-page').evaluate((e) => getComputedStyle(e).backgroundColor)
    assert.equal(await paper(), 'rgb(255, 255, 255)')
    await page.getByLabel('Theme').selectOption({ label: 'Dark' })
    await until('dark', async () => (await paper()) === 'rgb(23, 23, 26)' || paper())
    await page.getByLabel('Name').fill('Ana Maria')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved').waitFor()
    await page.getByLabel('Language').selectOption({ label: 'Deutsch' })
    await page.getByRole('heading', { name: 'Einstellungen' }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'Einstellungen' }).waitFor()
    assert.equal(await paper(), 'rgb(23, 23, 26)')
    const other = await browserOf(t, ben)
    await other.locator('.dt-conversation').filter({ hasText: 'Ana Maria' }).waitFor()
    await page.fine()
  })

  test('of a conversation: all, mentions or nothing', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await group(ana, 'Levels', [ben])
    const page = await browserOf(t, ana, { conversation })
    await page.getByRole('button', { name: 'Details' }).click()
    const choice = page.getByTestId('side').getByLabel('Notify me about')
    const kept = async () => (await database.query('select notify from conversation_participants where conversation_id = $1 and user_id = $2', [conversation, ana.id])).rows[0].notify
    for (const [label, value] of [['Mentions only', 'mentions'], ['Nothing', 'none'], ['Every message', 'all']]) {
      await choice.selectOption({ label })
      await until(label, async () => (await kept()) === value || kept())
    }
    await page.fine()
  })

  test('somebody is blocked and unblocked, and a message is reported', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await direct(ana, ben)
    const { id } = await say(ben, conversation, 'Rude')
    const page = await browserOf(t, ana, { conversation })
    await bubble(page, 'Rude').hover()
    await page.getByRole('button', { name: 'More', exact: true }).click()
    await page.getByRole('menuitem', { name: 'Report' }).click()
    await page.getByRole('dialog').getByLabel('What is wrong with it?').fill('Not nice')
    await page.getByRole('dialog').getByRole('button', { name: 'Report' }).click()
    await page.getByText('Thank you. It was reported.').waitFor()
    const { rows } = await database.query('select reason from message_reports where message_id = $1', [id])
    assert.deepEqual(rows, [{ reason: 'Not nice' }])
    await page.getByRole('button', { name: 'Details' }).click()
    const side = page.getByTestId('side')
    const blocked = async () => (await database.query('select from user_blocks where user_id = $1 and blocked_id = $2', [ana.id, ben.id])).rowCount
    await side.getByRole('button', { name: 'Block', exact: true }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Block', exact: true }).click()
    await side.getByRole('button', { name: 'Unblock' }).waitFor()
    assert.equal(await blocked(), 1)
    await side.getByRole('button', { name: 'Unblock' }).click()
    await side.getByRole('button', { name: 'Block', exact: true }).waitFor()
    assert.equal(await blocked(), 0)
    await page.fine()
  })
})

describe('who is there', () => {
  test('away is told, once every tab is', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await direct(ana, ben)
    const page = await browserOf(t, ana, { conversation })
    const { org_id } = (await database.query('select org_id from profiles where id = $1', [ben.id])).rows[0]
    t.after(() => ben.client.removeAllChannels())
    await ben.client.realtime.setAuth()
    const tab = ben.client.channel(`presence:${org_id}`, { config: { private: true, presence: { key: ben.id, enabled: true } } })
    await new Promise((done, failed) => { tab.subscribe((said, error) => { if (said === 'SUBSCRIBED') done(); else if (error) failed(error) }) })
    await tab.track({ user_id: ben.id, away: false })
    await page.getByTestId('status').filter({ hasText: 'Online' }).waitFor()
    await tab.track({ user_id: ben.id, away: true })
    await page.getByTestId('status').filter({ hasText: 'Away' }).waitFor()
    await page.locator('.dt-conversation .dt-dot-away').waitFor()
    const other = await browserOf(t, ben)
    await page.getByTestId('status').filter({ hasText: 'Online' }).waitFor()
    await other.fine()
    await page.fine()
  })

  test('a connection that is away for less than two seconds is nobody\'s business', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const page = await browserOf(t, ana, { conversation: await direct(ana, ben) })
    await page.clock.install()
    await page.clock.pauseAt(Date.now() + 60_000)
    await page.context().setOffline(true)
    await until('the page knows', () => page.evaluate(() => !navigator.onLine))
    await page.clock.runFor(1900)
    assert.equal(await page.getByTestId('banner').count(), 0)
    await page.clock.runFor(200)
    await page.getByTestId('banner').filter({ hasText: 'You are offline.' }).waitFor()
    await page.fine()
  })
})

describe('the installed app', () => {
  test('has a manifest with what an installation needs', async (t) => {
    const [ana] = await people({ Ana: 'trainer' })
    const page = await browserOf(t, ana)
    const manifest = await page.evaluate(async () => {
      const link = document.querySelector('link[rel=manifest]')
      const said = await (await fetch(link.href)).json()
      const sizes = await Promise.all(said.icons.filter((i) => i.type === 'image/png').map(async (i) => (await createImageBitmap(await (await fetch(new URL(i.src, link.href))).blob())).width))
      return { ...said, sizes, begins: new URL(said.start_url, link.href).href }
    })
    assert.equal(manifest.display, 'standalone')
    assert.equal(new URL(manifest.begins).pathname, '/chat/')
    assert.ok(manifest.name && manifest.theme_color && manifest.background_color)
    assert.deepEqual(manifest.sizes, [192, 512])
    await page.fine()
  })

  test('C-514: push is shown once for a conversation, not to who looks at it; a click opens it; it goes when it was read elsewhere', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const [conversation, other] = [await direct(ana, ben), await group(ana, 'Other', [ben])]
    const page = await browserOf(t, ana, { conversation: other, permissions: ['notifications'] })
    const session = await page.context().newCDPSession(page)
    const registered = new Promise((done) => {
      session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => { if (registrations[0]) done(registrations[0].registrationId) })
    })
    await session.send('ServiceWorker.enable')
    const registrationId = await registered
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}))
    const push = (about, title) => session.send('ServiceWorker.deliverPushMessage', {
      origin: new URL(address()).origin, registrationId, data: JSON.stringify({ title, body: 'Words', data: { conversation_id: about } }),
    })
    const notices = () => page.evaluate(async () => (await (await navigator.serviceWorker.ready).getNotifications()).map(({ title, tag }) => `${title} ${tag}`))
    await say(ben, conversation, 'Words')
    await page.getByTestId('unread').waitFor()
    await page.bringToFront()
    await push(other, 'Looked at')
    await push(conversation, 'Ben')
    await push(conversation, 'Ben again')
    await until('one notice', async () => (await notices()).join() === `Ben again ${conversation}` || notices())
    const [worker] = page.context().serviceWorkers()
    // A click as the system would tell it.
    await worker.evaluate(async () => self.dispatchEvent(new self.NotificationEvent('notificationclick', { notification: (await self.registration.getNotifications())[0] })))
    await bubble(page, 'Words').waitFor()
    await until('it is closed', async () => (await notices()).length === 0 || notices())
    await page.evaluate((id) => { location.hash = `#/c/${id}` }, other)
    await say(ben, conversation, 'More words')
    await page.getByTestId('unread').waitFor()
    await push(conversation, 'Ben')
    await until('another notice', async () => (await notices()).length === 1 || notices())
    await ana.rpc('mark_as_read', { conversation_id: conversation })
    await until('none', async () => (await notices()).length === 0 || notices())
    await page.fine()
  })

  test('after a reload without a network the last messages are there, and a draft can be written', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await direct(ana, ben)
    for (let n = 0; n < 60; n++) await say(ben, conversation, `Number ${n}.`)
    const page = await browserOf(t, ana, { conversation })
    await bubble(page, 'Number 59.').waitFor()
    const kept = () => page.evaluate(async (id) => {
      const request = indexedDB.open(`dovetail-chat-${id}`)
      await new Promise((done) => { request.onsuccess = done })
      const rows = request.result.transaction('snapshots').objectStore('snapshots').get('last')
      await new Promise((done) => { rows.onsuccess = done })
      request.result.close()
      return JSON.stringify(rows.result ?? null)
    }, ana.id)
    await until('they are kept', async () => (await kept()).includes('Number 59.'))
    await until('the pages are kept', () => page.evaluate(async () => Boolean(await caches.match('/chat/'))))
    await page.context().setOffline(true)
    await page.reload()
    await bubble(page, 'Number 59.').waitFor()
    await page.locator('.dt-conversation').filter({ hasText: 'Number 59.' }).waitFor()
    await composer(page).fill('Later')
    await page.context().setOffline(false)
    await ready(page)
    assert.equal(await composer(page).inputValue(), 'Later')
    await page.fine()
  })
})
