// Where the list of messages stands, whatever comes.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { browserOf, bubble, ready, until } from './browser.mjs'
import { direct, people, say } from './people.mjs'

describe('scrolling', () => {
  test('C-607: scrolled up nothing moves, and a pill counts; at the end it follows', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await direct(ana, ben)
    for (let n = 0; n < 80; n++) await say(ben, conversation, `Number ${n} ${'and more '.repeat(n % 7)}`)
    const page = await browserOf(t, ana, { conversation })
    const left = () => page.locator('.dt-thread-main .dt-scroll').evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight)
    await until('the end is shown first', async () => (await left()) < 2 || left())
    await say(ben, conversation, 'Followed')
    await bubble(page, 'Followed').waitFor()
    await until('the end is followed', async () => (await left()) < 2 || left())

    await page.locator('.dt-scroll').hover()
    for (let n = 0; n < 5; n++) await page.mouse.wheel(0, -250)
    await until('it is scrolled up', async () => (await left()) > 900)
    // Rows that came into sight are measured; then it stands still.
    const still = async () => page.locator('.dt-thread-main .dt-item-bubble').evaluateAll((rows) => rows.map((r) => [r.textContent, Math.round(r.getBoundingClientRect().top)]).filter(([, top]) => top > 100 && top < 600))
    let before = await still()
    let same = 0
    await until('it stands still', async () => {
      const now = await still()
      same = JSON.stringify(now) === JSON.stringify(before) ? same + 1 : 0
      before = now
      // Older messages come meanwhile, and are measured.
      return same >= 12
    })
    await say(ben, conversation, 'Not followed')
    const pill = page.getByTestId('to-end')
    await pill.filter({ hasText: '1 new message' }).waitFor()
    assert.deepEqual(await still(), before)
    await pill.click()
    await bubble(page, 'Not followed').waitFor()
    await until('the end is shown', async () => (await left()) < 2 || left())
    await pill.waitFor({ state: 'detached' })
    await page.fine()
  })

  test('older messages come when scrolling up, and all of them are there', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await direct(ana, ben)
    for (let n = 0; n < 120; n++) await say(ben, conversation, `Number ${n}.`)
    const page = await browserOf(t, ana, { conversation })
    await page.locator('.dt-scroll').hover()
    await until('the first is reached', async () => {
      await page.mouse.wheel(0, -800)
      return (await bubble(page, 'Number 0.').count()) === 1
    }, 20_000)
    assert.ok((await page.locator('.dt-item-bubble').count()) < 60, 'only what is near is drawn')
    await page.fine()
  })

  test('a long absence: the line, the way to the first unread message, and reading ends it', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await direct(ana, ben)
    await say(ben, conversation, 'Long ago')
    await ana.rpc('mark_as_read', { conversation_id: conversation })
    for (let n = 0; n < 90; n++) await say(ben, conversation, `Missed ${n}.`)
    const page = await browserOf(t, ana)
    await page.locator('.dt-conversation').getByTestId('unread').filter({ hasText: '90' }).waitFor()
    await page.locator('.dt-conversation').click()
    await ready(page)
    await page.getByRole('button', { name: 'Go to 90 unread messages' }).click()
    await page.getByTestId('unread-line').filter({ hasText: '90 unread messages' }).waitFor()
    await bubble(page, 'Missed 0.').waitFor()
    await page.getByTestId('to-end').click()
    await bubble(page, 'Missed 89.').waitFor()
    await until('all is read', async () => (await page.title()) === 'Messages' || page.title())
    await page.fine()
  })

  test('whoever reads an old message and writes sees what they wrote; pages on the way are not new', async (t) => {
    const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
    const conversation = await direct(ana, ben)
    const first = await say(ben, conversation, 'The very first')
    for (let n = 0; n < 120; n++) await say(ben, conversation, `Number ${n}.`)
    await ana.rpc('mark_as_read', { conversation_id: conversation })
    const page = await browserOf(t, ana, { conversation })
    const toOld = async () => {
      await page.evaluate((hash) => { location.hash = hash }, `#/c/${conversation}/${first.id}`)
      await bubble(page, 'The very first').waitFor()
    }
    await toOld()
    // Pages that lead back to the end.
    await page.locator('.dt-scroll').hover()
    await until('a page further', async () => {
      await page.mouse.wheel(0, 600)
      return (await bubble(page, /Number [3-9]\d\./).count()) > 0
    })
    assert.doesNotMatch(await page.getByTestId('to-end').textContent(), /new/)
    await page.locator('.dt-thread-main .dt-composer textarea').fill('From far above')
    await page.keyboard.press('Enter')
    await bubble(page, 'From far above').waitFor()
    await bubble(page, 'Number 119.').waitFor()
    await page.fine()
  })
})
