// The inspector in a real browser against a real server: what somebody does with it, and that nothing the network
// says becomes markup.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { launch } from './chromium.mjs'
import { anon, client, database, fresh, libraries, mint, subscribed, table, url, user } from './support.mjs'


let browser
before(async () => {
  browser = await launch()
})
after(() => browser?.close())

const hostile = (name) => `<img src=x onerror="window.hacked='${name}'">`

/** The page, watched: what it asks for, errors, violations of its policy. All must be empty at the end of the test. */
async function inspector(t, { viewport = { width: 1400, height: 900 } } = {}) {
  const context = await browser.newContext({ viewport })
  const page = await context.newPage()
  const wrong = []
  page.on('pageerror', (error) => wrong.push(`error: ${error.stack}`))
  page.on('request', (request) => { if (new URL(request.url()).host !== new URL(url).host) wrong.push(`asked ${request.url()}`) })
  await page.addInitScript(() => {
    window.violations = []
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => window.violations.push(`${violatedDirective} ${blockedURI}`))
  })
  await page.goto(`${url}/inspector`)
  page.fine = async () => {
    assert.deepEqual(wrong, [])
    assert.deepEqual(await page.evaluate(() => window.violations), [])
    assert.equal(await page.evaluate(() => window.hacked), undefined)
    assert.equal(await page.locator('img').count(), 0)
    assert.equal(page.url(), `${url}/inspector`, 'nothing is put into the URL')
  }
  t.after(() => context.close())
  return page
}

async function connected(page, token = anon) {
  await page.fill('#token', token)
  await page.click('#connect-button')
  await page.waitForSelector('#status[data-state=open]')
}

async function joined(page, topic, { state = 'joined', ...boxes } = {}) {
  await page.fill('#topic', topic)
  for (const [box, checked] of Object.entries(boxes)) await page.setChecked(`#${box}`, checked)
  await page.click('#join-button')
  await page.waitForSelector(`#channel-state[data-state=${state}]`)
}

const text = (page, selector, wanted) => page.locator(selector).filter({ hasText: wanted }).first().waitFor()

describe('what it is for', () => {
  test('connect, join, broadcasts of others and to others, refresh, leave', async (t) => {
    const page = await inspector(t)
    const topic = fresh('inspected')
    await connected(page)
    await text(page, '#token-says', 'role anon')
    await joined(page, topic)

    const other = (await client(t, libraries[0])).channel(topic)
    const heard = new Promise((done) => { other.on('broadcast', { event: '*' }, done) })
    await subscribed(other)
    await other.send({ type: 'broadcast', event: 'typing', payload: { who: 'ann' } })
    await text(page, '#message-rows', '{"who":"ann"}')
    await other.send({ type: 'broadcast', event: 'blob', payload: Uint8Array.of(0xca, 0xfe).buffer })
    await text(page, '#message-rows pre', 'ca fe')

    await page.fill('#event', 'answer')
    await page.fill('#payload', '{"n": 1}')
    await page.selectOption('#form', 'json')
    await page.click('#send-form .primary')
    const { event, payload } = await heard
    assert.deepEqual([event, payload], ['answer', { n: 1 }])
    await page.fill('#payload', '{')
    await page.click('#send-form .primary')
    await text(page, '#payload-problem', 'JSON')

    await page.fill('#token', mint({ role: 'anon', fresh: true }))
    await page.click('#refresh')
    await page.click('.frame[data-event=access_token]')
    assert.match(await page.textContent('#frame-text'), /"access_token": "‹token›"/, 'frames can be shown to others')

    await page.click('#leave')
    await page.waitForSelector('#channel-state[data-state=left]')
    await page.fine()
  })

  test('presence: the table follows who comes, changes and goes', async (t) => {
    const page = await inspector(t)
    const topic = fresh('people')
    await connected(page)
    await page.fill('#key', 'inspector')
    await joined(page, topic, { presence: true })
    await page.click('#tab-presence')
    await page.click('#track-form .primary')
    await text(page, '#people-rows tr', 'inspector')
    const made = await client(t, libraries[0])
    const bob = made.channel(topic, { config: { presence: { key: 'bob', enabled: true } } })
    await subscribed(bob)
    await bob.track({ mood: 'fine' })
    await text(page, '#people-rows tr', '{"mood":"fine"}')
    await bob.track({ mood: 'better' })
    await text(page, '#people-rows tr', '{"mood":"better"}')
    assert.equal(await page.locator('#people-rows tr').count(), 2)
    await made.removeChannel(bob)
    await page.locator('#people-rows tr').filter({ hasText: 'bob' }).waitFor({ state: 'detached' })
    await page.click('#untrack')
    await text(page, '#no-people', 'Nobody')
    await page.fine()
  })

  test('row changes, filtered', async (t) => {
    const page = await inspector(t)
    const session = await database(t)
    const name = await table(session)
    await connected(page)
    await page.click('#add-binding')
    await page.fill('#binding-1-table', name)
    await page.fill('#binding-1-filter', 'owner=eq.ann')
    await joined(page, fresh('rows'))
    await text(page, '.note.good', 'Subscribed to PostgreSQL')
    await session.query(`insert into ${name} values (1, 'bob', 'no'), (2, 'ann', 'yes'); update ${name} set v = 'changed' where id = 2`)
    await text(page, '#change-rows tr', 'v: changed')
    const rows = await page.locator('#change-rows tr').allTextContents()
    assert.equal(rows.length, 2)
    assert.ok(rows[1].includes('INSERT') && rows[1].includes('v: yes') && rows[0].includes('UPDATE'), rows.join('\n'))
    await page.fine()
  })

  test('topics of the server, for service_role alone', async (t) => {
    const page = await inspector(t)
    const topic = fresh('listed')
    await connected(page)
    assert.equal(await page.isVisible('#server-section'), false)
    await joined(page, topic)
    await page.fill('#token', mint({ role: 'service_role' }))
    await page.click('#server-load')
    await text(page, '#server-topics', topic)
    await page.locator('#server-topics button').filter({ hasText: topic }).click()
    assert.equal(await page.inputValue('#topic'), topic)
    await page.fill('#token', `${mint({ role: 'service_role' })}x`)
    await page.click('#server-load')
    await text(page, '#server-topics', 'HTTP 401')
    await page.fine()
  })

  test('a lost server is told, and what was joined is joined again', async (t) => {
    const page = await inspector(t)
    await connected(page)
    await joined(page, fresh('again'))
    await page.click('#disconnect')
    await page.waitForSelector('#channel-state[data-state=lost]')
    await page.click('#connect-button')
    await page.waitForSelector('#channel-state[data-state=joined]')
    await page.fine()
  })
})

describe('refusals in plain words', () => {
  for (const [what, token, title] of [
    ['a wrong signature', () => `${anon.slice(0, -8)}AAAAAAAA`, 'Wrong signature'],
    ['an expired token', () => mint({ role: 'anon', exp: 1000 }), 'Token expired'],
    ['no token', () => '', 'Not a JWT'],
    ['a token without role', () => mint({}), 'Claims missing'],
  ]) {
    test(`${what} is refused with its status`, async (t) => {
      const page = await inspector(t)
      await page.fill('#token', token())
      await page.click('#connect-button')
      await text(page, '#ended .note-title', title)
      assert.match(await page.textContent('#ended .said'), /HTTP 401/)
      await page.fine()
    })
  }

  test('a private topic without a policy: the policy to write, and the command to ask', async (t) => {
    const page = await inspector(t)
    const topic = fresh('secret')
    await connected(page, user('ann'))
    await joined(page, topic, { private: true, state: 'refused' })
    await text(page, '#notice .note-title', 'No policy lets you in')
    const snippets = await page.locator('#notice pre').allTextContents()
    assert.ok(snippets[0].includes(`realtime.topic() = '${topic}'`) && snippets[0].includes('to authenticated'), snippets[0])
    assert.ok(snippets[1].startsWith('dovetail doctor --as ') && snippets[1].includes('"sub":"ann"'), snippets[1])

    // The policy does what is said of it; and without one for INSERT, sending is refused, and explained likewise.
    const session = await database(t)
    await session.query(snippets[0])
    await page.click('#rejoin')
    await page.waitForSelector('#channel-state[data-state=joined]')
    await page.click('#tab-presence')
    await page.click('#track-form .primary')
    await text(page, '#notice .note-title', 'Presence refused')
    const write = await page.locator('#notice pre').first().textContent()
    await session.query(write)
    await page.click('#leave')
    await page.click('#rejoin')
    await page.waitForSelector('#channel-state[data-state=joined]')
    await page.click('#track-form .primary')
    await text(page, '#people-rows tr', 'inspector')
    await page.fine()
  })

  test('a table that is not published, and a filter that is none', async (t) => {
    const page = await inspector(t)
    await connected(page)
    await page.click('#add-binding')
    await page.fill('#binding-1-table', 'nowhere')
    await joined(page, fresh('unpublished'))
    await text(page, '#notice .note-title', 'Table is not published')
    await page.fill('#binding-1-filter', 'wrong')
    await joined(page, fresh('unfiltered'))
    await text(page, '#notice .note-title', 'Filter not understood')
    await page.fine()
  })

  test('a server that does not answer', async (t) => {
    const page = await inspector(t)
    await page.fill('#token', anon)
    await page.fill('#server', `${url}/elsewhere`)
    await page.click('#connect-button')
    await text(page, '#ended .note-title', 'Nothing there')
    await page.fine()
  })

  test('the list of messages can be searched', async (t) => {
    const page = await inspector(t)
    await page.click('#reasons-open')
    const all = await page.locator('#reasons-list article').count()
    await page.fill('#reasons-filter', 'partition')
    await text(page, '#reasons-list', 'MissingPartition')
    const found = await page.locator('#reasons-list article').count()
    assert.ok(found > 0 && found < all / 10, `${found} of ${all}`)
    await page.fine()
  })
})

describe('hostile text', () => {
  test('in topics, keys, events, payloads, rows and reasons stays text', async (t) => {
    const page = await inspector(t)
    const session = await database(t)
    const name = await table(session)
    const topic = `${fresh('hostile')} ${hostile('topic')}`
    await connected(page, mint({ role: 'anon', sub: hostile('sub') }))
    await page.click('#add-binding')
    await page.fill('#binding-1-table', name)
    await joined(page, topic, { presence: true })
    await text(page, '.note.good', 'Subscribed')

    const made = await client(t, libraries[0])
    const other = made.channel(topic, { config: { presence: { key: hostile('key'), enabled: true } } })
    await subscribed(other)
    await other.track({ [hostile('meta key')]: hostile('meta') })
    await other.send({ type: 'broadcast', event: hostile('event'), payload: { a: hostile('payload') } })
    await session.query(`insert into ${name} values (1, $1, $2)`, [hostile('owner'), hostile('value')])
    await text(page, '#change-rows tr', hostile('value'))
    await page.click('#tab-presence')
    await text(page, '#people-rows tr', hostile('key'))
    await page.click('#tab-messages')
    await text(page, '#message-rows tr', hostile('event'))
    await text(page, '#channel-name', hostile('topic'))
    await text(page, '#token-says', hostile('sub'))
    for (const event of ['broadcast', 'presence_diff', 'postgres_changes']) {
      await page.locator('.frame').filter({ hasText: event }).first().click()
      assert.match(await page.textContent('#frame-text'), /<img/)
    }
    await joined(page, `${topic} 2`, { private: true, state: 'refused' })
    await text(page, '#notice .said', hostile('topic'))
    await page.fine()
  })

  test('could not become markup even by mistake', async (t) => {
    const page = await inspector(t)
    const refused = await page.evaluate(() => {
      try {
        document.body.innerHTML = '<p>'
        return 'allowed'
      } catch (error) {
        return error.name
      }
    })
    assert.equal(refused, 'TypeError')
    await page.waitForFunction(() => window.violations.some((what) => what.startsWith('require-trusted-types-for')))
  })
})

describe('what it keeps', () => {
  test('the token only when asked to, only in this tab', async (t) => {
    const page = await inspector(t)
    await connected(page)
    const kept = () => page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie]))
    assert.equal(await kept(), '[{},{},""]')
    await page.check('#keep')
    assert.ok((await kept()).includes(anon))
    await page.reload()
    assert.equal(await page.inputValue('#token'), anon)
    await page.uncheck('#keep')
    assert.equal(await kept(), '[{},{},""]')
    await page.fine()
  })

  test('of frames the newest five thousand, of which only the visible are drawn', async (t) => {
    const page = await inspector(t)
    await connected(page)
    await joined(page, fresh('flood'), { self: true, ack: false })
    await page.evaluate(() => {
      document.querySelector('#payload').value = '{"flood": true}'
      for (let n = 0; n < 3000; n++) document.querySelector('#send-form .primary').click()
    })
    await text(page, '#count-messages', '3,000')
    await text(page, '#frame-count', '5,000 of 5,000')
    assert.ok((await page.locator('.frame').count()) < 100)
    assert.ok((await page.locator('#message-rows tr').count()) <= 101)
    await page.click('#frame-pause')
    await page.fill('#frame-filter', 'phx_join')
    await text(page, '#frame-count', '0 of 5,000')
    await page.click('#frame-clear')
    await text(page, '#frame-count', '0 of 0')
    await page.fine()
  })
})

describe('how it is served', () => {
  test('with a strict policy, as what it is, and revalidated', async () => {
    const answer = await fetch(`${url}/inspector`)
    const policy = answer.headers.get('content-security-policy')
    assert.match(policy, /^default-src 'self';/)
    assert.doesNotMatch(policy, /unsafe|\*/)
    assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
    assert.equal(answer.headers.get('referrer-policy'), 'no-referrer')
    const tag = answer.headers.get('etag')
    const again = await fetch(`${url}/inspector`, { headers: { 'if-none-match': tag } })
    assert.equal(again.status, 304)
    const page = await answer.text()
    assert.doesNotMatch(page, /<script(?![^>]*src=)|<style|\son\w+=|\sstyle=/, 'nothing inline')
    const redirected = await fetch(`${url}/inspector/`)
    assert.equal(redirected.url, `${url}/inspector`)
  })

  test('every file of the folder is in the binary', async () => {
    const folder = new URL('../../clients/inspector/', import.meta.url)
    for (const name of fs.readdirSync(folder).filter((name) => name !== 'index.html')) {
      const answer = await fetch(`${url}/inspector/${name}`)
      assert.equal(answer.status, 200, name)
      assert.equal(await answer.text(), fs.readFileSync(new URL(name, folder), 'utf8'))
      assert.match(answer.headers.get('content-type'), { mjs: /^text\/javascript/, css: /^text\/css/, svg: /^image\/svg/ }[name.split('.').pop()])
    }
  })

  test('on a phone one section at a time, and everything can be reached by keyboard', async (t) => {
    const page = await inspector(t, { viewport: { width: 390, height: 800 } })
    assert.equal(await page.isVisible('#frames'), false)
    await connected(page)
    await joined(page, fresh('phone'))
    assert.equal(await page.isVisible('#channels'), true)
    await page.click('#views [data-view=frames]')
    await page.focus('#frame-list')
    await page.keyboard.press('End')
    await text(page, '#frame-text', 'realtime:phone')
    const wide = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(wide <= 390, `nothing sticks out: ${wide}`)
    const unnamed = await page.evaluate(() => [...document.querySelectorAll('input, select, textarea, button')]
      .filter((element) => !(element.labels?.length || element.getAttribute('aria-label') || element.textContent.trim())).map((element) => element.id))
    assert.deepEqual(unnamed, [], 'every control has a name')
    await page.fine()
  })
})
