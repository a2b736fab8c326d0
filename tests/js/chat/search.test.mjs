// Search (C-210).
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { direct, group, people, refused, uuid } from './support.mjs'

const { ana, ben, cat, eve } = await people({ ana: 'trainer', ben: 'client', cat: 'client', eve: 'client' })
let pair, room, hidden
const sent = {}
const found = async (query, more = {}, who = ben) => (await who.call('search_messages', { query, ...more })).results.map((m) => m.id)

before(async () => {
  pair = await direct(ana, ben)
  room = await group(ana, [ben, cat], 'Climbers')
  hidden = await direct(ana, cat)
  const say = async (name, who, where, content, more) => { sent[name] = await who.say(where, content, more) }
  await say('one', ana, pair, 'Hello wonderful world')
  await say('two', ben, pair, 'the World is not enough')
  await say('three', ana, room, 'Hello everybody, see https://example.com/summer-plan.html?x=1')
  await say('percent', ana, room, '100% sure_thing')
  await say('accents', ana, pair, 'Füße über Zürich, naïve café')
  await say('image', ana, pair, '', { attachments: [{ name: 'sunset-beach.png', path: `${pair}/x.png`, mime_type: 'image/png' }] })
  await say('file', ana, pair, 'the contract', { attachments: [{ name: 'contract.pdf', path: `${pair}/c.pdf`, mime_type: 'application/pdf' }] })
  await say('video', ana, pair, 'the clip', { attachments: [{ name: 'clip.mp4', path: `${pair}/c.mp4`, mime_type: 'video/mp4' }] })
  await say('hidden', cat, hidden, 'Hello hidden world')
  await say('deleted', ana, pair, 'Hello deleted zebra')
  await ana.call('delete_message', { message_id: sent.deleted.id })
  await say('reply', ben, pair, 'a reply about giraffes', { thread_id: sent.one.id })
})

describe('C-210 search_messages', () => {
  test('C-210 words, beginnings of words, several of them, any case, newest first', async () => {
    assert.deepEqual(await found('hello'), [sent.three.id, sent.one.id])
    assert.deepEqual(await found('HEL'), [sent.three.id, sent.one.id])
    assert.deepEqual(await found('wor'), [sent.two.id, sent.one.id])
    assert.deepEqual(await found('wor hel'), [sent.one.id])
    assert.deepEqual(await found('hello, world!'), [sent.one.id])
    assert.deepEqual(await found('hello nothing'), [])
    assert.deepEqual(await found('füß'), [sent.accents.id])
    assert.deepEqual(await found('CAFÉ'), [sent.accents.id])
    assert.deepEqual(await found('giraffe'), [sent.reply.id], 'replies are found')
  })

  test('C-210 parts of words and what is no word', async () => {
    assert.deepEqual(await found('onderf'), [sent.one.id])
    assert.deepEqual(await found('ummer-pl'), [sent.three.id])
    assert.deepEqual(await found('example.com/summer'), [sent.three.id])
    assert.deepEqual(await found('0% sure_'), [sent.percent.id])
    assert.deepEqual(await found('0% sureXthing'), [], '_ is no wildcard')
  })

  test('C-210 names of files', async () => {
    assert.deepEqual(await found('contract.pdf'), [sent.file.id])
    assert.deepEqual(await found('contract'), [sent.file.id])
    assert.deepEqual(await found('sunset'), [sent.image.id])
    assert.deepEqual(await found('beach'), [sent.image.id])
    assert.deepEqual(await found('sunset-beach.png'), [sent.image.id])
    assert.deepEqual(await found('beach png'), [sent.image.id])
  })

  test('C-210 filters: conversation, sender, what it has, times, pages', async () => {
    assert.deepEqual(await found('hello', { conversation_id: room }), [sent.three.id])
    assert.deepEqual(await found('wor', { sender_id: ben.id }), [sent.two.id])
    assert.deepEqual(await found('wor', { sender_id: uuid() }), [])
    assert.deepEqual(await found('the', { has: 'attachment' }), [sent.video.id, sent.file.id])
    assert.deepEqual(await found('the', { has: 'file' }), [sent.file.id])
    assert.deepEqual(await found('clip', { has: 'video' }), [sent.video.id])
    assert.deepEqual(await found('sunset', { has: 'image' }), [sent.image.id])
    assert.deepEqual(await found('hello', { before: sent.three.created_at }), [sent.one.id])
    assert.deepEqual(await found('hello', { after: sent.one.created_at }), [sent.three.id])
    const first = await ben.call('search_messages', { query: 'hello', page_size: 1 })
    assert.deepEqual([first.results.map((m) => m.id), first.has_more], [[sent.three.id], true])
    const second = await ben.call('search_messages', { query: 'hello', page_size: 1, before: first.results[0].created_at })
    assert.deepEqual([second.results.map((m) => m.id), second.has_more], [[sent.one.id], false])
    assert.equal((await found('hello', { page_size: 0 })).length, 1)
    assert.equal((await found('hello', { page_size: null })).length, 2)
  })

  test('C-210 pieces to highlight, which are text and not markup', async () => {
    const where = await direct(ana, ben, { project_id: 'markup' })
    const content = `${'a long beginning '.repeat(20)}<b>Needle</b> & "needles"${' a long end'.repeat(30)}`
    await ana.say(where, content)
    const { results: [hit] } = await ben.call('search_messages', { query: 'need', conversation_id: where })
    assert.deepEqual(hit.snippet.filter((piece) => piece.hit).map((piece) => piece.text), ['Need', 'need'])
    const whole = hit.snippet.map((piece) => piece.text).join('')
    assert.ok(whole.length <= 170 && whole.startsWith('…') && whole.endsWith('…'), whole)
    assert.match(whole, /^…(a|long|beginning) /, 'it begins with a word')
    await ana.say(where, `Do we need a reservation for the train to Needles?`)
    const { results: [near] } = await ben.call('search_messages', { query: 'needles', conversation_id: where })
    assert.match(near.snippet.map((piece) => piece.text).join(''), /^Do we need/, 'for a few letters nothing is left out')
    assert.match(whole, /<b>Needle<\/b> & "needles"/)
    assert.equal(hit.content, content)
    assert.deepEqual([hit.conversation_type, hit.conversation_name, hit.sender_name], ['direct', null, 'ana'])
    const { results: [part] } = await ben.call('search_messages', { query: 'eedle</b> &', conversation_id: where })
    assert.deepEqual(part.snippet.filter((piece) => piece.hit).map((piece) => piece.text), ['eedle</b> &'])
    for (const odd of ['a.*b', '(((x', '[x', 'a\\', '$1 \\1', "o'neil", 'a & !b | c:*']) {
      const { results } = await ben.call('search_messages', { query: odd })
      assert.deepEqual(results.flatMap((m) => m.snippet).filter((piece) => typeof piece.text !== 'string'), [])
    }
  })

  test('C-210 C-610 own conversations only; deleted messages are not found', async () => {
    assert.deepEqual(await found('hidden'), [])
    assert.deepEqual(await found('idde'), [])
    assert.deepEqual(await found('hello', {}, eve), [])
    assert.deepEqual(await found('hello', { sender_id: ana.id }, eve), [])
    assert.deepEqual(await found('zebra', {}, ana), [])
    assert.deepEqual(await found('ebra', {}, ana), [])
    await refused(eve.ask('search_messages', { query: 'hello', conversation_id: pair }), 'PT404')
    await refused(ben.ask('search_messages', { query: 'hello', conversation_id: hidden }), 'PT404')
    await refused(ben.ask('search_messages', { query: 'hello', conversation_id: uuid() }), 'PT404')
  })

  test('C-210 refused: no word, only punctuation, 10 kB, odd filters', async () => {
    for (const query of ['', '   ', null, '!!!', '%', '_', '"&|*:', '…—', "''''", '\\']) await refused(ben.ask('search_messages', { query }), '22023', /word/)
    await refused(ben.ask('search_messages', { query: 'x'.repeat(10_000) }), '22001')
    await refused(ben.ask('search_messages', { query: '!'.repeat(10_000) }), '22001')
    await refused(ben.ask('search_messages', { query: 'hello', has: 'magic' }), '22023')
    assert.deepEqual(await found('q '.repeat(100)), [], 'many words')
  })
})
