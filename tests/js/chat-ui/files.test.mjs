// Files: chosen, dropped, pasted; on their way, there, seen by the other.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { browserOf, bubble, composer, database, until, write } from './browser.mjs'
import { anonKey, direct, people, say, server } from './people.mjs'

/** A picture made by the browser itself: noise, so that it stays large. */
const picture = (page, width, height) => page.evaluate(async ([w, h]) => {
  const canvas = new OffscreenCanvas(w, h)
  const pen = canvas.getContext('2d')
  const image = pen.createImageData(w, h)
  for (let i = 0; i < image.data.length; i += 65_536) crypto.getRandomValues(image.data.subarray(i, Math.min(i + 65_536, image.data.length)))
  for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255
  pen.putImageData(image, 0, 0)
  const blob = await canvas.convertToBlob({ type: 'image/png' })
  const reader = new FileReader()
  reader.readAsDataURL(blob)
  await new Promise((done) => { reader.onload = done })
  return reader.result.split(',')[1]
}, [width, height]).then((base64) => Buffer.from(base64, 'base64'))

async function pair(t) {
  const [ana, ben] = await people({ Ana: 'trainer', Ben: 'client' })
  const conversation = await direct(ana, ben)
  const [one, other] = await Promise.all([browserOf(t, ana, { conversation, serviceWorkers: 'block' }), browserOf(t, ben, { conversation, serviceWorkers: 'block' })])
  return { ana, ben, conversation, one, other }
}

describe('files', () => {
  test('several at once: a picture with a place of its own shape, a document as a card; the lightbox; the download', async (t) => {
    const { one, other } = await pair(t)
    const chooser = one.waitForEvent('filechooser')
    await one.getByRole('button', { name: 'Attach files' }).click()
    await (await chooser).setFiles([
      { name: 'sunrise.png', mimeType: 'image/png', buffer: await picture(one, 300, 200) },
      { name: 'Plan für März.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.4\n%%EOF\n') },
    ])
    await one.locator('.dt-staged li').nth(1).waitFor()
    await write(one, 'Two files')
    await bubble(other, 'Two files').waitFor()
    const shown = other.locator('.dt-picture img.dt-shown')
    await shown.waitFor()
    const { width, height } = await other.locator('.dt-picture').boundingBox()
    assert.ok(Math.abs(width / height - 1.5) < 0.02, `${width} x ${height}`)
    await other.locator('.dt-picture').click()
    const large = other.getByRole('dialog').locator('img')
    await until('the picture is large', () => large.evaluate((i) => i.complete && i.naturalWidth === 300))
    await other.keyboard.press('Escape')
    const download = other.waitForEvent('download')
    await other.locator('.dt-card').filter({ hasText: 'Plan für März.pdf' }).click()
    assert.equal((await download).suggestedFilename(), 'Plan für März.pdf')
    await one.fine()
    await other.fine()
  })

  test('C-611: a picture of 12 MB: progress, a smaller version for the other, and nobody else has it', async (t) => {
    const { conversation, one, other } = await pair(t)
    const buffer = await picture(one, 2048, 1536)
    assert.ok(buffer.length > 9_000_000, `${buffer.length} bytes`)
    await one.evaluate(() => {
      window.shares = []
      new MutationObserver(() => document.querySelectorAll('[role=progressbar][aria-valuenow]').forEach((e) => window.shares.push(Number(e.ariaValueNow)))).observe(document.body, { subtree: true, childList: true, attributes: true })
    })
    let parts = 0
    one.on('request', (request) => { if (request.method() === 'PATCH' && request.url().includes('/upload/resumable/')) parts += 1 })
    await one.getByTestId('file-input').setInputFiles([{ name: 'large.png', mimeType: 'image/png', buffer }])
    await one.locator('.dt-staged li').waitFor()
    // Sent while it is on its way.
    await write(one, 'Look at the size')
    await bubble(other, 'Look at the size').waitFor({ timeout: 30_000 })
    await other.locator('.dt-picture img.dt-shown').waitFor({ timeout: 30_000 })
    const steps = [...new Set(await one.evaluate(() => window.shares))]
    assert.ok(steps.some((s) => s > 0 && s < 100), `progress was shown: ${steps}`)
    assert.ok(parts >= 1, 'it goes up in parts')
    const shown = await other.locator('.dt-picture img').evaluate((i) => i.naturalWidth)
    assert.ok(shown <= 1024, `a smaller version is shown: ${shown}`)
    const [cleo] = await people({ Cleo: 'client' })
    const { messages } = await other.evaluate(async ([url, key, id]) => {
      const { access_token } = JSON.parse(localStorage['dovetail-auth'])
      return (await fetch(`${url}/rest/v1/rpc/get_messages`, { method: 'POST', headers: { apikey: key, authorization: `Bearer ${access_token}`, 'content-type': 'application/json' }, body: JSON.stringify({ conversation_id: id }) })).json()
    }, [server, anonKey, conversation])
    const { path } = messages[0].attachments[0]
    assert.ok((await cleo.client.storage.from('chat-attachments').download(path)).error)
    await one.fine()
    await other.fine()
  })

  test('dropped and pasted; taken back before it is sent; too large is said before it is sent', async (t) => {
    const { one, other } = await pair(t)
    const give = (kind) => one.evaluate((type) => {
      const data = new DataTransfer()
      data.items.add(new File(['hello'], `${type}.txt`, { type: 'text/plain' }))
      const event = type === 'paste' ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }) : new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true })
      document.querySelector('.dt-composer textarea').dispatchEvent(event)
    }, kind)
    await give('dragenter')
    await one.getByText('Drop files to attach them').waitFor()
    await give('drop')
    await give('paste')
    await one.locator('.dt-staged li').nth(1).waitFor()
    await one.getByRole('button', { name: 'Remove drop.txt' }).click()
    await one.locator('.dt-staged li').nth(1).waitFor({ state: 'detached' })
    await composer(one).press('Enter')
    await other.locator('.dt-card').filter({ hasText: 'paste.txt' }).waitFor()
    await one.getByTestId('file-input').setInputFiles([{ name: 'empty.txt', mimeType: 'text/plain', buffer: Buffer.alloc(0) }])
    await one.getByRole('alert').filter({ hasText: 'empty.txt is empty.' }).waitFor()
    await one.fine()
  })

  test('what the bucket does not take is refused before it is sent: kind, size, number; SVG of others is never shown in the page', async (t) => {
    const { rows: [{ max_attachment_bytes: usual }] } = await database.query('select max_attachment_bytes from chat_settings')
    t.after(() => database.query('update chat_settings set max_attachment_bytes = $1', [usual]))
    await database.query('update chat_settings set max_attachment_bytes = 2000000')
    const { ben, conversation, one } = await pair(t)
    const uploads = []
    one.on('request', (request) => { if (request.method() === 'POST' && request.url().includes('/storage/v1/')) uploads.push(request.url()) })
    const give = (...files) => one.getByTestId('file-input').setInputFiles(files.map(([name, mimeType, size = 10]) => ({ name, mimeType, buffer: Buffer.alloc(size, 'x') })))
    const told = (text) => one.getByRole('alert').filter({ hasText: text }).waitFor()
    for (const [name, type] of [['drawing.svg', 'image/svg+xml'], ['page.html', 'text/html'], ['program.bin', 'application/octet-stream'], ['nameless', '']]) {
      await give([name, type])
      await told(`${name} is of a kind that cannot be sent here.`)
    }
    await give(['film.mp4', 'video/mp4', 2_000_001])
    await told('film.mp4 is larger than 2 MB.')
    await give(...Array.from({ length: 11 }, (_, n) => [`${n}.txt`, 'text/plain']))
    await told('At most 10 files in one message.')
    await one.locator('.dt-staged li').nth(9).waitFor()
    await until('only those that may be sent were', async () => uploads.length === 10 || uploads)
    await say(ben, conversation, '', { attachments: [{ name: 'theirs.svg', url: 'https://example.com/a.svg', mime_type: 'image/svg+xml', size: 10 }] })
    await one.locator('.dt-card').filter({ hasText: 'theirs.svg' }).waitFor()
    assert.equal(await one.locator('.dt-picture').count(), 0)
    await one.fine()
  })

  test('an upload that broke off says so and is tried again; one on its way is stopped', async (t) => {
    const { one, other } = await pair(t)
    await one.route('**/storage/v1/object/**', () => {})
    await one.getByTestId('file-input').setInputFiles([{ name: 'stopped.txt', mimeType: 'text/plain', buffer: Buffer.from('stopped') }])
    await one.getByRole('progressbar', { name: 'Uploading stopped.txt: 0%' }).waitFor()
    const stopped = one.waitForEvent('requestfailed', (request) => request.url().endsWith('stopped.txt'))
    await one.getByRole('button', { name: 'Remove stopped.txt' }).click()
    await stopped
    await one.locator('.dt-staged').waitFor({ state: 'detached' })
    await one.unroute('**/storage/v1/object/**')
    await one.route('**/storage/v1/object/**', (route) => route.abort())
    await one.getByTestId('file-input').setInputFiles([{ name: 'again.txt', mimeType: 'text/plain', buffer: Buffer.from('again') }])
    const staged = one.locator('.dt-staged li')
    await staged.filter({ hasText: 'Upload failed' }).waitFor()
    await one.unroute('**/storage/v1/object/**')
    await staged.getByRole('button', { name: 'Retry' }).click()
    await staged.filter({ hasText: 'Upload failed' }).waitFor({ state: 'detached' })
    await staged.getByRole('progressbar').waitFor({ state: 'detached' })
    await composer(one).press('Enter')
    await other.locator('.dt-card').filter({ hasText: 'again.txt' }).waitFor()
    await one.fine()
  })

  test('until a picture is there its place is kept and its colours are shown; an address that has ended is renewed', async (t) => {
    const { ana, conversation, one, other } = await pair(t)
    await other.close()
    await one.getByTestId('file-input').setInputFiles([{ name: 'calm.png', mimeType: 'image/png', buffer: await picture(one, 400, 200) }])
    await one.locator('.dt-staged li').waitFor()
    await write(one, 'Calm')
    await until('the server has looked at it', async () => {
      const { messages } = await ana.rpc('get_messages', { conversation_id: conversation })
      return Boolean(messages[0]?.attachments[0]?.blurhash) || messages
    }, 20_000)
    let release
    const held = new Promise((done) => { release = done })
    let [asked, signed] = [0, 0]
    one.on('request', (request) => { if (request.method() === 'POST' && request.url().includes('/object/sign/')) signed += 1 })
    await one.route(/storage\/v1\/(object|render\/image)\/sign\/.*token=/, async (route) => {
      asked += 1
      if (asked === 1) return route.abort()
      await held
      return route.continue()
    })
    await one.reload()
    const place = one.locator('.dt-picture')
    await place.locator('.dt-blur').waitFor()
    await until('its colours', () => place.locator('.dt-blur').evaluate((e) => e.getContext('2d').getImageData(0, 0, 1, 1).data[3] === 255))
    await until('it is asked for again', async () => asked >= 2 || asked)
    // More than twice where the smaller version came to be known meanwhile.
    assert.ok(signed >= 2, 'at a new address')
    const before = await place.boundingBox()
    release()
    await place.locator('img.dt-shown').waitFor()
    assert.deepEqual(await place.boundingBox(), before)
    await one.fine()
  })

  test('a film has the shape of its own and a first picture; with two pictures the arrows go from one to the other', async (t) => {
    const { one, other } = await pair(t)
    const film = Buffer.from(await one.evaluate(async () => {
      const canvas = document.createElement('canvas')
      canvas.width = 160
      canvas.height = 240
      const pen = canvas.getContext('2d')
      const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: 'video/webm' })
      const parts = []
      recorder.ondataavailable = ({ data }) => parts.push(data)
      recorder.start()
      for (let frame = 0; frame < 20; frame++) {
        pen.fillStyle = `rgb(200, ${frame}, 0)`
        pen.fillRect(0, 0, 160, 240)
        await new Promise((done) => { requestAnimationFrame(done) })
      }
      recorder.stop()
      await new Promise((done) => { recorder.onstop = done })
      return [...new Uint8Array(await new Blob(parts).arrayBuffer())]
    }))
    await one.getByTestId('file-input').setInputFiles([
      { name: 'film.webm', mimeType: 'video/webm', buffer: film },
      { name: 'first.png', mimeType: 'image/png', buffer: await picture(one, 60, 40) },
      { name: 'second.png', mimeType: 'image/png', buffer: await picture(one, 40, 60) },
    ])
    // Sent at once: the shape of the film is not known yet.
    await write(one, 'A film and two pictures')
    const video = other.locator('video.dt-video')
    await until('a first picture', () => video.evaluate((e) => e.readyState >= 2 && e.videoWidth === 160 && e.paused))
    const { width, height } = await video.boundingBox()
    assert.ok(Math.abs(width / height - 160 / 240) < 0.02, `${width} x ${height}`)
    // What was chosen first is first, though a film is looked at for longer than a picture.
    await until('the order', async () => (await other.locator('.dt-attachments > *').evaluateAll((all) => all.map((e) => e.getAttribute('aria-label')))).join() === 'film.webm,Open image first.png,Open image second.png')
    await other.locator('.dt-picture img.dt-shown').nth(1).waitFor()
    await other.getByRole('button', { name: 'Open image first.png' }).click()
    const box = other.getByRole('dialog')
    await box.getByText('Image 1 of 2').waitFor()
    await other.keyboard.press('ArrowRight')
    await box.getByText('Image 2 of 2').waitFor()
    await box.getByRole('img', { name: 'second.png' }).waitFor()
    await other.keyboard.press('Escape')
    await box.waitFor({ state: 'detached' })
    // Closed with the mouse, nothing of the message stays open behind it.
    await other.getByRole('button', { name: 'Open image first.png' }).click()
    await box.getByRole('button', { name: 'Close' }).click()
    await box.waitFor({ state: 'detached' })
    await other.locator('.dt-bar').waitFor({ state: 'detached' })
    await other.fine()
  })
})
