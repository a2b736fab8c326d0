// Where a message is written.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { browserOf, bubble, composer, ready, texts, until } from './browser.mjs'
import { direct, group, people, say } from './people.mjs'

async function alone(t, more) {
  const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
  const conversation = await direct(ana, ben)
  return { ana, ben, conversation, page: await browserOf(t, ana, { conversation, ...more }) }
}

describe('emoji', () => {
  test('are found by a word, put where the caret is, and loaded only when they are opened', async (t) => {
    const { page } = await alone(t)
    const loaded = () => page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => /compact-/.test(name)).length)
    assert.equal(await loaded(), 0)
    await composer(page).fill('Run today!')
    await composer(page).evaluate((e) => e.setSelectionRange(3, 3))
    await page.getByRole('button', { name: 'Emoji', exact: true }).click()
    const picker = page.getByRole('dialog', { name: 'Emoji' })
    await picker.getByLabel('Search emoji').fill('person runn')
    await picker.getByRole('button', { name: 'person running', exact: true }).click()
    await picker.waitFor({ state: 'detached' })
    assert.equal(await composer(page).inputValue(), 'Run🏃 today!')
    assert.equal(await loaded(), 1)
    await until('the caret is behind it', () => composer(page).evaluate((e) => document.activeElement === e && e.selectionStart === 'Run🏃'.length))
    await page.keyboard.type('!')
    await composer(page).press('Enter')
    await bubble(page, 'Run🏃! today!').waitFor()
    await page.fine()
  })

  test('with the keyboard alone: open, move, choose; Escape leaves without one', async (t) => {
    const { page } = await alone(t)
    const focus = () => page.evaluate(() => document.activeElement.getAttribute('aria-label'))
    await composer(page).focus()
    await page.keyboard.press('Tab')
    await until('the button', async () => (await focus()) === 'Emoji' || focus())
    await page.keyboard.press('Enter')
    await until('the search', async () => (await focus()) === 'Search emoji' || focus())
    await page.keyboard.press('ArrowDown')
    await until('the first', async () => (await focus()) === 'grinning face' || focus())
    const step = async (key) => {
      const before = await focus()
      await page.keyboard.press(key)
      await until(`${key} moves`, async () => (await focus()) !== before)
      return focus()
    }
    const [right, down] = [await step('ArrowRight'), await step('ArrowDown')]
    assert.notEqual(right, down)
    await step('ArrowUp')
    assert.equal(await focus(), right)
    await page.keyboard.press('Escape')
    await until('back', async () => (await focus()) === 'Message Ben' || focus())
    assert.equal(await composer(page).inputValue(), '')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await until('the search', async () => (await focus()) === 'Search emoji' || focus())
    await page.keyboard.type('heart eyes')
    await page.keyboard.press('Enter')
    await until('the emoji', async () => (await composer(page).inputValue()) === '😍' || composer(page).inputValue())
    await page.fine()
  })

  test('have the names and groups of the reader\'s language, and a list that did not come is asked for again', async (t) => {
    const { page } = await alone(t, { locale: 'de-DE', serviceWorkers: 'block' })
    await page.route('**/assets/compact-*.js', (route) => route.abort())
    await page.getByRole('button', { name: 'Emoji', exact: true }).click()
    await page.getByText('Das konnte nicht geladen werden.').waitFor()
    await page.fine()
    await page.unroute('**/assets/compact-*.js')
    await page.reload()
    await ready(page)
    await page.getByRole('button', { name: 'Emoji', exact: true }).click()
    const picker = page.getByRole('dialog', { name: 'Emoji' })
    await picker.getByRole('button', { name: 'Tiere & Natur' }).click()
    await picker.getByRole('group', { name: 'Tiere & Natur' }).getByRole('button', { name: 'Affengesicht' }).waitFor()
    await picker.getByRole('searchbox', { name: 'Emoji suchen' }).fill('lachen')
    await picker.getByRole('button', { name: 'lachendes Gesicht', exact: true }).or(picker.getByRole('button', { name: 'Gesicht mit Freudentränen' })).first().waitFor()
    await picker.getByRole('searchbox', { name: 'Emoji suchen' }).fill('gibt es nicht')
    await picker.getByText('Nichts gefunden').waitFor()
    await page.fine()
  })

  test('do not leave a small screen, from right to left either', async (t) => {
    const { page } = await alone(t, { locale: 'ar', viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true })
    await page.locator('.dt-composer .dt-icon-smile').tap()
    const box = page.locator('.dt-emoji-popover')
    await box.locator('.dt-emoji-grid button').first().waitFor()
    await until('it has its place', async () => {
      const { x, y, width, height } = await box.boundingBox()
      return (x >= 0 && y >= 0 && x + width <= 360 && y + height <= 640) || { x, y, width, height }
    })
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360)
    await page.fine()
  })
})

describe('writing', () => {
  test('C-505: it grows with its lines up to a height; the button is blue only when there is something to send', async (t) => {
    const { page } = await alone(t)
    const height = () => composer(page).evaluate((e) => e.clientHeight)
    const colour = () => page.locator('.dt-send').evaluate((e) => getComputedStyle(e).backgroundColor)
    const [low, quiet] = [await height(), await colour()]
    await composer(page).pressSequentially('One')
    await until('another colour', async () => (await colour()) !== quiet)
    assert.equal(await page.locator('.dt-send').isEnabled(), true)
    for (let n = 0; n < 3; n++) await composer(page).press('Shift+Enter')
    const four = await height()
    assert.ok(four > low + 40, `${low} ${four}`)
    await composer(page).fill('line\n'.repeat(40))
    assert.ok((await height()) <= 160)
    assert.deepEqual(await texts(page), [])
    await composer(page).fill('   \n ')
    assert.equal(await page.locator('.dt-send').isDisabled(), true)
    await page.fine()
  })

  test('what is left of the limit is told near its end, in characters as people count them', async (t) => {
    const { page } = await alone(t)
    await composer(page).fill('x'.repeat(7000))
    assert.equal(await page.locator('.dt-counter').count(), 0)
    await composer(page).fill(`${'x'.repeat(8998)}👍🏃`)
    await page.locator('.dt-counter').filter({ hasText: /^1,000 characters left$/ }).waitFor()
    await page.fine()
  })

  test('the last own message comes back to be edited, and Escape leaves it as it was', async (t) => {
    const { ana, ben, conversation, page } = await alone(t)
    await say(ana, conversation, 'Mine')
    await say(ben, conversation, 'Not mine')
    await bubble(page, 'Not mine').waitFor()
    await composer(page).press('ArrowUp')
    await until('it is there', async () => (await composer(page).inputValue()) === 'Mine' || composer(page).inputValue())
    await page.getByText('Editing a message').waitFor()
    await composer(page).fill('Changed')
    await composer(page).press('Escape')
    await until('it is empty again', async () => (await composer(page).inputValue()) === '' || composer(page).inputValue())
    assert.deepEqual(await texts(page), ['Mine', 'Not mine'])
    await page.fine()
  })

  test('in a thread it has a draft of its own', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await group(ana, 'Drafts', [ben])
    const root = await say(ben, conversation, 'Root')
    await say(ben, conversation, 'Reply', { thread_id: root.id })
    const page = await browserOf(t, ana, { conversation })
    await composer(page).fill('For all')
    await page.locator('.dt-thread-summary').click()
    const side = page.getByTestId('side')
    await side.locator('textarea').fill('For the thread')
    // Escape closes one thing at a time.
    await side.getByRole('button', { name: 'Emoji', exact: true }).click()
    await page.getByRole('searchbox', { name: 'Search emoji' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await until('back in the thread', () => side.locator('textarea').evaluate((e) => document.activeElement === e))
    await page.keyboard.press('Escape')
    await side.waitFor({ state: 'detached' })
    await page.locator('.dt-thread-summary').click()
    await until('its draft', async () => (await side.locator('textarea').inputValue()) === 'For the thread' || side.locator('textarea').inputValue())
    assert.equal(await composer(page).inputValue(), 'For all')
    await page.fine()
  })
})
