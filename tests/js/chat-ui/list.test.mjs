// The list of conversations: in which order, what each row says, how one is found, what is left of what was begun.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { browserOf, bubble, composer, ready, until, write } from './browser.mjs'
import { direct, group, people, say } from './people.mjs'

const row = (page, text) => page.locator('.dt-conversation').filter({ hasText: text })
const names = (page) => page.locator('.dt-conversation-name').allTextContents()

/** Ana with a group and a direct conversation, the latter with the last word. */
async function world() {
  const [ana, ben, cleo] = await people({ Ana: 'trainer', Ben: 'client', Cleo: 'trainer' })
  const team = await group(ana, 'The team', [ben, cleo])
  await say(cleo, team, 'Said to all')
  const pair = await direct(ana, ben)
  await say(ben, pair, 'Said to one')
  return { ana, ben, cleo, team, pair }
}

describe('rows', () => {
  test('C-502: the latest first, with what was said, by whom in a group, and when; a new message lifts its conversation', async (t) => {
    const { ana, cleo, team } = await world()
    const page = await browserOf(t, ana)
    await row(page, 'Ben').filter({ hasText: 'Said to one' }).waitFor()
    assert.deepEqual(await names(page), ['Ben', 'The team'])
    assert.equal(await row(page, 'The team').locator('.dt-conversation-preview').textContent(), 'Cleo: Said to all')
    assert.match(await row(page, 'Ben').getByRole('time', { includeHidden: true }).textContent(), /^(now|\d min)$/)
    await say(cleo, team, 'And again')
    await until('the order', async () => (await names(page)).join() === 'The team,Ben' || names(page))
    await say(ana, team, 'My own')
    await row(page, 'You: My own').waitFor()
    await page.fine()
  })

  test('drafts are kept for each conversation, and marked in the list', async (t) => {
    const { ana, team, pair } = await world()
    const page = await browserOf(t, ana, { conversation: team })
    await composer(page).fill('For all of you')
    await row(page, 'Ben').click()
    await ready(page)
    await row(page, 'Draft: For all of you').waitFor()
    assert.equal(await composer(page).inputValue(), '')
    await composer(page).fill('For Ben')
    await row(page, 'The team').click()
    await until('its own draft', async () => (await composer(page).inputValue()) === 'For all of you' || composer(page).inputValue())
    await row(page, 'Draft: For Ben').waitFor()
    await composer(page).press('Enter')
    await row(page, 'Ben').click()
    await page.waitForURL((url) => url.hash.includes(pair))
    await row(page, 'You: For all of you').waitFor()
    await page.fine()
  })

  test('a muted conversation shows no number and does not count; one that was put away comes back with the next message', async (t) => {
    const { ana, ben, cleo, team, pair } = await world()
    const page = await browserOf(t, ana, { conversation: pair })
    await row(page, 'The team').getByTestId('unread').filter({ hasText: '1' }).waitFor()
    await ana.rpc('set_conversation_preferences', { conversation_id: team, muted_until: 'infinity' })
    await row(page, 'The team').locator('.dt-icon-mute').waitFor()
    await row(page, 'The team').getByTestId('unread').waitFor({ state: 'detached' })
    await until('the title', async () => (await page.title()) === 'Messages' || page.title())
    // Who is named is told all the same.
    await say(cleo, team, `@[Ana](${ana.id}) please`)
    await row(page, 'The team').locator('.dt-badge-mention').waitFor()
    await page.getByRole('button', { name: 'Details' }).click()
    await page.getByTestId('side').getByRole('button', { name: 'Archive', exact: true }).click()
    await row(page, 'Ben').waitFor({ state: 'detached' })
    await say(ben, pair, 'Still there?')
    await row(page, 'Ben').waitFor()
    await page.fine()
  })

  test('a group gets another name, in the list and above its messages', async (t) => {
    const { ana, team } = await world()
    const page = await browserOf(t, ana, { conversation: team })
    await page.getByRole('button', { name: 'Details' }).click()
    await page.getByTestId('side').getByRole('button', { name: 'Rename' }).click()
    await page.getByRole('dialog').getByLabel('Name of the group').fill('The crew')
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
    await row(page, 'The crew').waitFor()
    await page.locator('.dt-header h2').filter({ hasText: 'The crew' }).waitFor()
    await page.fine()
  })
})

describe('finding', () => {
  test('by the name of the conversation or of who takes part; by kind; nothing found says so', async (t) => {
    const { ana } = await world()
    const page = await browserOf(t, ana)
    const search = page.getByTestId('list-search')
    await search.fill('cle')
    await until('with Cleo', async () => (await names(page)).join() === 'The team' || names(page))
    await search.fill('ben')
    await until('with Ben', async () => (await names(page)).join() === 'Ben,The team' || names(page))
    await search.fill('nobody is called so')
    await page.getByText('No conversation has this name').waitFor()
    await search.press('Escape')
    await until('all again', async () => (await names(page)).length === 2 || names(page))
    await page.getByRole('button', { name: 'Trainers' }).click()
    await until('with trainers', async () => (await names(page)).join() === 'The team' || names(page))
    await page.fine()
  })

  test('a list that could not be loaded says so and is tried again', async (t) => {
    const { ana } = await world()
    const page = await browserOf(t, ana, { serviceWorkers: 'block' })
    await page.route('**/rpc/get_conversations', (route) => route.abort())
    await page.getByRole('button', { name: 'Unread', exact: true }).click()
    await page.getByText('This could not be loaded.').waitFor()
    await page.unroute('**/rpc/get_conversations')
    await page.getByRole('button', { name: 'Try again' }).click()
    await row(page, 'Ben').waitFor()
    await page.fine()
  })

  test('who has none is asked to begin one', async (t) => {
    const [ana] = await people({ Ana: 'trainer', Ben: 'client' })
    const page = await browserOf(t, ana)
    await page.getByText('No conversations yet').waitFor()
    await page.locator('.dt-blank').getByRole('button', { name: 'New conversation' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Search people').fill('be')
    await dialog.getByText('Ben').click()
    await dialog.getByRole('button', { name: 'Messages' }).click()
    await ready(page)
    await page.getByText('Say hello to Ben.').waitFor()
    await write(page, 'Hello')
    await row(page, 'You: Hello').waitFor()
    await page.fine()
  })

  test('of many only those that are near are drawn, and older ones come when scrolling', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    for (let n = 0; n < 70; n++) await group(ana, `Group ${n}.`, [ben])
    const page = await browserOf(t, ana)
    await row(page, 'Group 69.').waitFor()
    await page.locator('.dt-list-scroll').hover()
    await until('the oldest is reached', async () => {
      await page.mouse.wheel(0, 1500)
      return (await row(page, 'Group 0.').count()) === 1
    })
    assert.ok((await page.locator('.dt-conversation').count()) < 40)
    await page.fine()
  })

  test('a person whom one has not written to yet is found by name beside the messages, and a choice opens the conversation', async (t) => {
    const [ana, ben, cleo] = await people({ Ana: 'trainer', 'Ben Ito': 'client', Cleo: 'client' })
    const conversation = await direct(ana, cleo)
    await say(cleo, conversation, 'Ben Ito said so')
    await say(cleo, conversation, '', { attachments: [{ name: 'ben-report.pdf', url: 'https://example.com/r.pdf', mime_type: 'application/pdf', size: 1000 }] })
    const page = await browserOf(t, ana, { conversation })
    await page.getByTestId('list-search').fill('ben')
    await page.getByRole('button', { name: 'Search messages for “ben”' }).click()
    const side = page.getByTestId('side')
    await side.locator('.dt-hit').nth(1).waitFor()
    assert.equal(await side.locator('.dt-hit-files').textContent(), 'ben-report.pdf')
    const person = side.getByRole('list', { name: 'People' }).getByRole('button')
    assert.deepEqual(await person.allTextContents(), ['BIBen Ito'])
    // A person is above what was said, and one that is narrowed down is about messages alone.
    assert.ok((await person.boundingBox()).y < (await side.locator('.dt-hit').first().boundingBox()).y)
    await side.getByLabel('With').selectOption({ label: 'Files' })
    await person.waitFor({ state: 'detached' })
    await side.getByLabel('With').selectOption({ label: 'Anything' })
    await person.press('Enter')
    await ready(page)
    await page.getByText('Say hello to Ben Ito.').waitFor()
    await write(page, 'Found you')
    const made = await direct(ben, ana)
    await until('it is there', async () => (await ben.rpc('get_messages', { conversation_id: made })).messages.some((m) => m.content === 'Found you'))
    await page.fine()
  })
})

describe('how much is unread', () => {
  test('on the icon of the tab and of the app, and gone when it is read', async (t) => {
    const { ana, ben, pair, team } = await world()
    const page = await browserOf(t, ana)
    // The page tells the system; what it tells is looked at.
    await page.addInitScript(() => {
      window.badges = []
      navigator.setAppBadge = async (count) => { window.badges.push(count) }
      navigator.clearAppBadge = async () => { window.badges.push(0) }
    })
    await page.reload()
    const icon = () => page.locator('link[rel=icon]').getAttribute('href')
    await until('a number on the icon', async () => (await icon()).startsWith('data:image/png'))
    await until('on the app', async () => (await page.evaluate(() => window.badges.at(-1))) === 2)
    await row(page, 'Ben').click()
    await until('less on the app', async () => (await page.evaluate(() => window.badges.at(-1))) === 1)
    await row(page, 'The team').click()
    await until('the plain icon', async () => (await icon()).endsWith('icon.svg'))
    await until('nothing on the app', async () => (await page.evaluate(() => window.badges.at(-1))) === 0)
    // Only what is not on the screen counts.
    await say(ben, team, 'Seen at once')
    await bubble(page, 'Seen at once').waitFor()
    await say(ben, pair, 'Elsewhere')
    await until('one', async () => (await page.evaluate(() => window.badges.at(-1))) === 1)
    await page.fine()
  })

  test('Alt and an arrow go to the next unread conversation, in both directions', async (t) => {
    const { ana, ben, cleo, team } = await world()
    const read = await group(ana, 'All read', [cleo])
    const page = await browserOf(t, ana, { conversation: read })
    assert.deepEqual(await names(page), ['All read', 'Ben', 'The team'])
    await page.keyboard.press('Alt+ArrowDown')
    await bubble(page, 'Said to one').waitFor()
    await page.getByTestId('unread').nth(1).waitFor({ state: 'detached' })
    await page.keyboard.press('Alt+ArrowUp')
    // Above there is nothing unread; from below it begins again.
    await bubble(page, 'Said to all').waitFor()
    await say(ben, team, 'End of it')
    await bubble(page, 'End of it').waitFor()
    await page.fine()
  })
})
