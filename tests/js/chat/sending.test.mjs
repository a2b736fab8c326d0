// Sending (C-203) and what a reader gets who fetches while others write (C-308).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { backend, data, direct, forbidden, group, listed, people, refused, rejected, shown, uuid } from './support.mjs'

const { ana, ben, cat, eve } = await people({ ana: 'trainer', ben: 'client', cat: 'client', eve: 'client' })
const talk = await direct(ana, ben)
const room = await group(ana, [ben, cat], 'Room')
const elsewhere = await direct(ana, cat)

const number = async (conversation = talk) => (await backend.from('messages').select('*', { count: 'exact', head: true }).eq('conversation_id', conversation)).count
const send = (who, args) => who.ask('send_message', { conversation_id: talk, ...args })
/** Refused, and nothing was written. */
async function refusedWhole(asked, ...how) {
  const before = await number()
  const error = await refused(asked(), ...how)
  assert.equal(await number(), before)
  return error
}

describe('C-203 send_message', () => {
  test('C-203 gives the row as get_messages does, with who sent it', async () => {
    const sent = await ana.say(talk, 'hello', { client_id: uuid(), metadata: { a: 1 } })
    assert.equal(sent.sender_id, ana.id)
    assert.deepEqual([sent.sender_name, sent.sender_type, sent.content, sent.content_type], ['ana', 'trainer', 'hello', 'text'])
    assert.deepEqual([sent.is_read, sent.read_at, sent.seen_at, sent.edited_at, sent.deleted_at, sent.thread_id], [false, null, null, null, null, null])
    assert.deepEqual([sent.metadata, sent.attachments, sent.mentions], [{ a: 1 }, [], []])
    assert.deepEqual((await shown(ben, talk)).at(-1), sent)
  })

  test('C-203 20 tries at the same time with one client_id make one message', async () => {
    const before = await number()
    const args = { conversation_id: talk, content: 'once', client_id: uuid() }
    const answers = await Promise.all(Array.from({ length: 20 }, () => ana.call('send_message', args)))
    assert.equal(new Set(answers.map((m) => m.id)).size, 1)
    assert.equal(await number(), before + 1)
    // Later, and with another text: the message that is there.
    assert.deepEqual(await ana.call('send_message', { ...args, content: 'twice' }), answers[0])
    assert.equal(await number(), before + 1)
  })

  test('C-203 a retry gives the message also when it could not be sent any more', async () => {
    const root = await ben.say(talk, 'root')
    const args = { conversation_id: talk, content: 'reply', thread_id: root.id, client_id: uuid() }
    const sent = await ana.call('send_message', args)
    await ben.call('delete_message', { message_id: root.id })
    assert.equal((await ana.call('send_message', args)).id, sent.id)
  })

  test('C-203 a client_id belongs to its sender; in another conversation it is refused', async () => {
    const client_id = uuid()
    const hers = await ana.say(talk, 'hers', { client_id })
    const his = await ben.say(talk, 'his', { client_id })
    assert.notEqual(his.id, hers.id)
    const before = await number(elsewhere)
    await refused(ana.ask('send_message', { conversation_id: elsewhere, content: 'again', client_id }), '22023', /client_id/)
    assert.equal(await number(elsewhere), before)
  })

  test('C-203 the conversation shows the last message: 100 characters of one line', async () => {
    const { created_at } = await ben.say(room, `  @[ana](${ana.id}) says\n\n"hi"  ${'é'.repeat(200)}`)
    const row = await listed(cat, room)
    assert.equal(row.last_message_at, created_at)
    assert.equal([...row.last_message_preview].length, 100)
    assert.match(row.last_message_preview.trim(), /^@ana says "hi" é+$/)
    assert.deepEqual([row.last_message_sender_id, row.last_message_sender_name], [ben.id, 'ben'])
  })

  test('C-203 mentions: named participants and @all, nobody else', async () => {
    const mentioned = async (content) => (await ana.say(room, content)).mentions
    assert.deepEqual(await mentioned(`@[ben](${ben.id}) and @[eve](${eve.id})`), [ben.id])
    assert.deepEqual(new Set(await mentioned('@all look')), new Set([ben.id, cat.id]))
    assert.deepEqual(await mentioned('mail@all.example @allegro @[x](nothing)'), [])
    assert.deepEqual(await mentioned(`myself @[ana](${ana.id})`), [])
    assert.equal((await listed(cat, room)).mention_count >= 1, true)
  })

  test('C-203 text is kept as it is: markup, emoji, right to left, quotes, NUL refused', async () => {
    for (const content of ['<script>alert(1)</script>', '👩‍👩‍👧‍👦 ❤️', 'שלום עולם', `'; drop table messages; -- \\ " %s`, ' leading and trailing ', 'a\n\n\tb']) {
      assert.equal((await ana.say(talk, content)).content, content)
    }
    const before = await number()
    await rejected(send(ana, { content: 'nul \u0000 byte' }))
    assert.equal(await number(), before)
  })

  test('C-203 limits: length, emptiness, types, metadata', async () => {
    assert.equal((await ana.say(talk, 'x'.repeat(10_000))).content.length, 10_000)
    await refusedWhole(() => send(ana, { content: 'x'.repeat(10_001) }), '22001')
    await refusedWhole(() => send(ana, { content: 'x'.repeat(100_000) }), '22001')
    for (const content of ['', '   ', ' \n\t\r ', null]) await refusedWhole(() => send(ana, { content }), '22023')
    await refusedWhole(() => send(ana, { content: 'fake', content_type: 'system' }), '42501')
    await refusedWhole(() => send(ana, { content: 'x', metadata: { big: Array.from({ length: 2000 }, uuid) } }), '23514')
    const before = await number()
    for (const odd of [{ content_type: 'hologram' }, { content_type: '' }, { metadata: [1] }, { metadata: 'text' }, { client_id: '' }, { client_id: 'x'.repeat(201) }]) {
      await refused(send(ana, { content: 'odd', ...odd }), '22023')
    }
    assert.equal(await number(), before)
  })

  test('C-203 threads and quotes stay within their conversation', async () => {
    const root = await ana.say(talk, 'root')
    const reply = await ben.say(talk, 'reply', { thread_id: root.id })
    const foreign = await ana.say(elsewhere, 'foreign')
    await refusedWhole(() => send(ana, { content: 'x', thread_id: reply.id }), '22023', /thread/)
    await refusedWhole(() => send(ana, { content: 'x', thread_id: foreign.id }), 'PT404')
    await refusedWhole(() => send(ana, { content: 'x', thread_id: uuid() }), 'PT404')
    await refusedWhole(() => send(ana, { content: 'x', reply_to: foreign.id }), 'PT404')
    await refusedWhole(() => send(ana, { content: 'x', reply_to: uuid() }), 'PT404')
    assert.equal((await ana.say(talk, 'x', { reply_to: reply.id })).quoted.id, reply.id)
    await ana.call('delete_message', { message_id: root.id })
    await refusedWhole(() => send(ben, { content: 'x', thread_id: root.id }), '23514')
  })

  test('C-203 only participants write, and in their own name', async () => {
    await refusedWhole(() => send(eve, { content: 'let me in' }), '42501')
    await refusedWhole(() => ana.from('messages').insert({ conversation_id: talk, sender_id: ben.id, content: 'as ben' }), '42501')
    await refusedWhole(() => eve.from('messages').insert({ conversation_id: talk, sender_id: eve.id, content: 'x' }), '42501')
    await refusedWhole(() => ana.from('messages').insert({ conversation_id: talk, content: 'from nobody' }), '42501')
    for (const conversation_id of [uuid(), null]) await refusedWhole(() => send(ana, { conversation_id, content: 'x' }), '42501')
  })

  test('C-203 a plain insert is a message too, and says nothing that only the server knows', async () => {
    const old = '2001-01-01T00:00:00Z'
    const row = await data(ana.from('messages').insert({
      conversation_id: talk, sender_id: ana.id, content: 'plain', sender_name: 'The Boss', sender_type: 'system', is_read: true, read_at: old, seen_at: old,
      edited_at: old, deleted_at: old, created_at: old, mentions: [eve.id], in_main_line: false,
    }).select().single())
    assert.deepEqual([row.sender_name, row.sender_type, row.is_read, row.read_at, row.seen_at, row.edited_at, row.deleted_at, row.mentions, row.in_main_line],
      ['ana', 'trainer', false, null, null, null, null, [], true])
    assert.ok(Date.parse(row.created_at) > Date.now() - 60_000)
    assert.equal((await listed(ben, talk)).last_message_preview, 'plain')
    await forbidden(ana.from('messages').upsert({ id: row.id, conversation_id: talk, sender_id: ana.id, content: 'changed' }))
  })
})

describe('C-203 attachments', () => {
  const file = (more = {}) => ({ name: 'a.pdf', path: `${talk}/${ana.id}/a.pdf`, size: 10, mime_type: 'application/pdf', ...more })
  const attach = (...attachments) => send(ana, { attachments })

  test('C-203 are described, and give the message its type and preview', async () => {
    const image = file({ name: 'b.png', path: `${talk}/${ana.id}/b.png`, mime_type: 'image/png', width: 10, height: 20, blurhash: 'LEHV6n', thumbnail_url: '/storage/v1/x' })
    const sent = (await attach(image, file())).data
    assert.deepEqual(sent.attachments, [image, file()])
    assert.deepEqual([sent.content, sent.content_type, sent.attachment_name, sent.attachment_type], ['', 'image', 'b.png', 'image/png'])
    assert.ok(sent.attachment_url.endsWith(image.path))
    assert.match((await listed(ben, talk)).last_message_preview, /b\.png/)
    assert.equal((await attach(file({ mime_type: 'video/mp4' }))).data.content_type, 'video')
    assert.equal((await attach(file())).data.content_type, 'file')
    const old = await data(ana.from('messages').insert({ conversation_id: talk, sender_id: ana.id, attachment_url: 'https://example.com/c.jpg', attachment_type: 'image/jpeg' }).select().single())
    assert.deepEqual([old.attachment_url, old.content_type, old.attachments.length], ['https://example.com/c.jpg', 'image', 1])
  })

  const bad = {
    'the path of another conversation': () => file({ path: `${elsewhere}/${ana.id}/a.pdf` }),
    'a path that climbs': () => file({ path: `${talk}/../${elsewhere}/a.pdf` }),
    'a thumbnail of another conversation': () => file({ thumbnail_path: `${elsewhere}/t.png` }),
    'a javascript: url': () => ({ name: 'x', url: 'javascript:alert(1)' }),
    'a JavaScript: url with spaces': () => ({ name: 'x', url: ' JaVaScRiPt:alert(1)' }),
    'a data: url': () => ({ name: 'x', url: 'data:text/html,<script>1</script>' }),
    'a url of any host': () => ({ name: 'x', url: '//evil.example/x' }),
    'a javascript: thumbnail': () => file({ thumbnail_url: 'javascript:alert(1)' }),
    'an unknown key': () => file({ onclick: 'x' }),
    'no name': () => ({ path: `${talk}/x` }),
    'an empty name': () => file({ name: '' }),
    'a name of null': () => file({ name: null }),
    'a name of 256': () => file({ name: 'x'.repeat(256) }),
    'neither path nor url': () => ({ name: 'x' }),
    'path and url of null': () => ({ name: 'x', path: null, url: null }),
    'a size that is text': () => file({ size: 'big' }),
    'a width that is an object': () => file({ width: {} }),
    'text for an object': () => 'a.pdf',
    'null for an object': () => null,
  }
  for (const [what, make] of Object.entries(bad)) {
    test(`C-203 refused: ${what}`, () => refusedWhole(() => attach(make()), '22023'))
  }
  test('C-203 refused: 11 of them, one too large, no array', async () => {
    assert.equal((await attach(...Array.from({ length: 10 }, () => file()))).data.attachments.length, 10)
    await refusedWhole(() => attach(...Array.from({ length: 11 }, () => file())), '23514')
    await refusedWhole(() => attach(file({ size: 52_428_801 })), '23514')
    await refusedWhole(() => attach(file({ size: -1 })), '22023')
    for (const attachments of [{}, 'x', 7]) await refusedWhole(() => send(ana, { content: 'x', attachments }), '22023')
    await refusedWhole(() => ana.from('messages').insert({ conversation_id: talk, sender_id: ana.id, attachment_url: 'javascript:alert(1)' }), '22023')
  })
})

describe('C-308 nothing is missed', () => {
  test('C-203 C-308 30 senders at the same time: every moment is its own, and a reader who polls gets all in order', async () => {
    const id = await group(ana, [ben, cat])
    const [{ created_at: start, id: start_id }] = await shown(ana, id)
    const [senders, expected] = [[ana, ben, cat], 120]
    let cursor = { after: start, after_id: start_id }
    const polled = []
    const poll = async () => {
      const { messages } = await cat.call('get_messages', { conversation_id: id, page_size: 7, ...cursor })
      polled.push(...messages)
      if (messages.length) cursor = { after: messages.at(-1).created_at }
      return messages.length
    }
    const writers = Array.from({ length: 30 }, async (_, n) => {
      for (let turn = 0; turn < expected / 30; turn++) await senders[n % 3].say(id, `${n}.${turn}`, { client_id: uuid() })
    })
    let writing = true
    const written = Promise.all(writers).finally(() => { writing = false })
    while (writing) await poll()
    await written
    while (await poll());
    const { messages } = await ana.call('get_messages', { conversation_id: id, page_size: 200, after: start, after_id: start_id })
    assert.equal(messages.length, expected)
    const times = messages.map((m) => m.created_at)
    assert.equal(new Set(times).size, expected, 'two messages of one moment')
    assert.deepEqual(polled.map((m) => m.id), messages.map((m) => m.id))
    // In the order in which each sender sent.
    for (let n = 0; n < 30; n++) {
      assert.deepEqual(messages.map((m) => m.content).filter((text) => text.startsWith(`${n}.`)), [0, 1, 2, 3].map((turn) => `${n}.${turn}`))
    }
    assert.equal((await listed(ana, id)).last_message_at, times.at(-1))
  })
})
