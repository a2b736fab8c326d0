// What people choose (C-211, C-212), whom they block, what they report, and invitations.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { backend, changes, data, direct, forbidden, group, listed, people, refused, rejected, shown, uuid } from './support.mjs'

const { ana, ben, cat, eve } = await people({ ana: 'trainer', ben: 'member', cat: 'client', eve: 'member' })
const { far } = await people({ far: 'trainer' })

describe('C-211 set_conversation_preferences', () => {
  test('C-211 what is not given stays; only one\'s own row changes', async () => {
    const id = await direct(ana, ben)
    const set = (args) => ana.call('set_conversation_preferences', { conversation_id: id, ...args })
    const row = await set({ notify: 'none', muted_until: 'infinity' })
    assert.deepEqual([row.user_id, row.notify, row.muted_until], [ana.id, 'none', 'infinity'])
    const pinned = await set({ pinned: true })
    assert.deepEqual([pinned.notify, pinned.muted_until], ['none', 'infinity'])
    assert.equal((await set({ pinned: true })).pinned_at, pinned.pinned_at)
    const none = await set({ unmute: true, pinned: false, notify: 'all' })
    assert.deepEqual([none.muted_until, none.pinned_at, none.notify], [null, null, 'all'])
    const other = await listed(ben, id)
    assert.deepEqual([other.muted_until, other.pinned_at, other.notify], [null, null, 'all'])
    await refused(ana.ask('set_conversation_preferences', { conversation_id: id, notify: 'loud' }), '22023')
    await refused(eve.ask('set_conversation_preferences', { conversation_id: id, pinned: true }), 'PT404')
    await refused(ana.ask('set_conversation_preferences', { conversation_id: null }), 'PT404')
    await rejected(ana.ask('set_conversation_preferences', { conversation_id: id, muted_until: 'tomorrowish' }))
  })
})

describe('C-211 set_notification_preferences', () => {
  test('C-211 the first call makes the row, later ones change what they name', async () => {
    const first = await ana.call('set_notification_preferences', { push: false })
    assert.deepEqual([first.user_id, first.push, first.sound, first.preview, first.email_digest, first.time_zone], [ana.id, false, true, true, 'none', 'UTC'])
    const quiet = await ana.call('set_notification_preferences', { quiet_start: '22:00', quiet_end: '07:00', time_zone: 'Europe/Berlin' })
    assert.deepEqual([quiet.push, quiet.quiet_start, quiet.quiet_end, quiet.time_zone], [false, '22:00:00', '07:00:00', 'Europe/Berlin'])
    assert.equal((await ana.call('set_notification_preferences', { sound: false, email_digest: 'daily' })).quiet_start, '22:00:00')
    assert.equal((await ana.call('set_notification_preferences', { no_quiet_hours: true })).quiet_start, null)
    assert.deepEqual((await data(ana.from('notification_preferences').select('user_id, email_digest'))), [{ user_id: ana.id, email_digest: 'daily' }])
    assert.deepEqual(await data(ben.from('notification_preferences').select()), [])
  })
  test('C-211 refused: half of quiet hours, unknown zones and digests', async () => {
    const set = (args) => eve.ask('set_notification_preferences', args)
    await refused(set({ quiet_start: '22:00' }), '22023')
    await refused(set({ quiet_end: '22:00' }), '22023')
    await refused(set({ time_zone: 'Mars/Olympus' }), '22023')
    await refused(set({ time_zone: '' }), '22023')
    await refused(set({ email_digest: 'hourly' }), '22023')
    await rejected(set({ quiet_start: '25:99', quiet_end: '07:00' }))
    assert.deepEqual(await data(eve.from('notification_preferences').select()), [])
  })
})

describe('C-211 register_push, unregister_push', () => {
  const keys = () => ({ p256dh: `B${uuid().replaceAll('-', '').repeat(3).slice(0, 86)}`, auth: uuid().replaceAll('-', '').slice(0, 22) })
  const endpoint = () => `https://push.example.com/${uuid()}`
  test('C-211 a browser is registered once, and taken back; only its owner may', async () => {
    const args = { endpoint: endpoint(), ...keys(), user_agent: 'Test' }
    await ana.call('register_push', args)
    await ana.call('register_push', args)
    const own = async (who) => (await data(who.from('push_subscriptions').select('endpoint').eq('endpoint', args.endpoint))).length
    assert.deepEqual([await own(ana), await own(ben), await own(backend)], [1, 0, 1])
    await ben.call('unregister_push', { endpoint: args.endpoint })
    assert.equal(await own(ana), 1)
    // With other keys nobody takes it over; with the same it is the same browser.
    await refused(ben.ask('register_push', { ...args, ...keys() }), '42501')
    assert.equal(await own(ana), 1)
    await ben.call('register_push', args)
    assert.deepEqual([await own(ana), await own(ben)], [0, 1])
    await ben.call('unregister_push', { endpoint: args.endpoint })
    assert.equal(await own(backend), 0)
  })
  test('C-211 refused: what is no push service, what are no keys', async () => {
    const bad = ['http://push.example.com/x', 'https://user:pw@push.example.com/', 'https://', 'ftp://x/y', 'javascript:alert(1)', '', null]
    for (const address of bad) await refused(eve.ask('register_push', { endpoint: address, ...keys() }), '22023')
    await refused(eve.ask('register_push', { endpoint: endpoint(), ...keys(), p256dh: 'short' }), '22023')
    await refused(eve.ask('register_push', { endpoint: endpoint(), ...keys(), auth: null }), '22023')
    await refused(eve.ask('register_push', { endpoint: `https://push.example.com/${'x'.repeat(5000)}`, ...keys() }), '22001')
    assert.deepEqual(await data(eve.from('push_subscriptions').select()), [])
  })
})

describe('C-212 touch_presence', () => {
  test('C-212 is one\'s own, seen by whoever may see the person, and heard', async () => {
    const heard = await changes(ana, 'user_presence', { filter: `user_id=eq.${ben.id}` })
    assert.equal((await ben.call('touch_presence', {})).is_online, true)
    await heard.until((e) => e.new.is_online === true)
    assert.equal((await ben.call('touch_presence', { is_online: false })).is_online, false)
    await heard.until((e) => e.new.is_online === false)
    assert.equal((await ben.call('touch_presence', { is_online: null })).is_online, true)
    assert.equal((await data(ana.from('user_presence').select('user_id').eq('user_id', ben.id))).length, 1)
    assert.deepEqual(await data(far.from('user_presence').select('user_id').eq('user_id', ben.id)), [], 'another organisation')
  })
})

describe('C-211 blocking and reporting', () => {
  test('C-211 who is blocked neither starts nor writes, also the other way, until it ends', async (t) => {
    const { one, two } = await people({ one: 'member', two: 'member' }, { t })
    const id = await direct(one, two)
    const m = await two.say(id, 'rude')
    await one.call('block_user', { user_id: two.id })
    await one.call('block_user', { user_id: two.id })
    for (const who of [one, two]) await refused(who.ask('send_message', { conversation_id: id, content: 'x' }), '42501', /delivered/)
    await refused(two.ask('edit_message', { message_id: m.id, content: 'ruder' }), '42501')
    await refused(two.ask('start_conversation', { user_id: one.id }), '42501')
    await refused(two.ask('create_group', { name: 'us', user_ids: [one.id] }), '42501')
    await refused(two.ask('add_participants', { conversation_id: await group(two, []), user_ids: [one.id] }), '42501')
    assert.deepEqual(await data(two.from('user_blocks').select()), [], 'the other cannot look it up')
    assert.deepEqual((await data(one.from('user_blocks').select('blocked_id'))).map((b) => b.blocked_id), [two.id])
    await two.call('unblock_user', { user_id: one.id })
    await refused(two.ask('send_message', { conversation_id: id, content: 'x' }), '42501')
    await one.call('unblock_user', { user_id: two.id })
    assert.ok(await two.say(id, 'sorry'))
  })
  test('C-211 refused: oneself, nobody, who cannot be seen', async () => {
    await refused(ana.ask('block_user', { user_id: ana.id }), '22023')
    for (const user_id of [uuid(), null, far.id]) await refused(ana.ask('block_user', { user_id }), 'PT404')
  })
  test('C-211 a report keeps what was said, once per person, for the service only', async () => {
    const id = await direct(ana, ben)
    const m = await ben.say(id, 'something rude')
    await ana.call('report_message', { message_id: m.id, reason: ' rude ' })
    await ana.call('report_message', { message_id: m.id, reason: 'again' })
    await ben.call('delete_message', { message_id: m.id })
    const kept = await data(backend.from('message_reports').select().eq('message_id', m.id))
    assert.deepEqual(kept.map((r) => [r.reporter_id, r.reason, r.content]), [[ana.id, 'rude', 'something rude']])
    assert.deepEqual(await data(ben.from('message_reports').select()), [])
    const other = await ben.say(id, 'x')
    await refused(eve.ask('report_message', { message_id: other.id, reason: 'x' }), 'PT404')
    await refused(ana.ask('report_message', { message_id: uuid(), reason: 'x' }), 'PT404')
    for (const reason of ['', '  ', null, 'x'.repeat(2001)]) await refused(ana.ask('report_message', { message_id: other.id, reason }), '22023')
  })
})

describe('C-207 invitations', () => {
  const accept = (who, token) => who.ask('accept_invite', { token })
  const invite = (who, id, more = {}) => who.call('create_invite', { conversation_id: id, ...more })
  test('C-207 who has the token joins, with a system message; again it says the same', async () => {
    const id = await group(ana, [ben])
    const { token } = await invite(ben, id)
    assert.ok(token.length >= 32)
    assert.equal((await accept(cat, token)).data.id, id)
    const said = (await shown(ana, id)).at(-1)
    assert.deepEqual([said.content, said.metadata.event, said.metadata.actor_id], ['cat joined', 'joined', cat.id])
    assert.equal((await accept(cat, token)).data.id, id)
    assert.equal((await shown(ana, id)).filter((m) => m.metadata.event === 'joined').length, 1)
    assert.deepEqual((await data(backend.from('conversation_invites').select('uses').eq('token', token))), [{ uses: 1 }])
    assert.deepEqual(await data(ana.from('conversation_invites').select().eq('token', token)), [], 'only who made it reads the token')
  })
  test('C-207 refused: another organisation, expired, used up, revoked, whose maker has left, unknown', async () => {
    const id = await group(ana, [ben])
    const made = await invite(ana, id)
    await refused(accept(far, made.token), 'PT404')
    await data(backend.from('conversation_invites').update({ expires_at: new Date(Date.now() - 1000).toISOString() }).eq('id', made.id))
    await refused(accept(cat, made.token), 'PT404')
    const once = await invite(ana, id, { max_uses: 1 })
    const answers = await Promise.all([accept(cat, once.token), accept(eve, once.token)])
    assert.equal(answers.filter((a) => a.error === null).length, 1, 'two at the same time, for one')
    assert.equal(answers.find((a) => a.error).error.code, 'PT404')
    const taken = await invite(ana, await group(ana, []))
    await refused(ben.ask('revoke_invite', { invite_id: taken.id }), 'PT404')
    await ana.call('revoke_invite', { invite_id: taken.id })
    await refused(accept(cat, taken.token), 'PT404')
    const room = await group(ana, [ben])
    const his = await invite(ben, room)
    await ben.call('leave_conversation', { conversation_id: room })
    await refused(accept(cat, his.token), 'PT404')
    for (const token of ['', null, uuid(), 'x'.repeat(10_000)]) await refused(accept(cat, token), 'PT404')
    assert.equal(await listed(cat, room), undefined)
  })
  test('C-207 who may invite, and for how long', async () => {
    const id = await group(ana, [ben])
    await refused(eve.ask('create_invite', { conversation_id: id }), 'PT404')
    await refused(ana.ask('create_invite', { conversation_id: await direct(ana, ben) }), '23514')
    for (const odd of [{ expires_in: '1 second' }, { expires_in: '1 year' }, { expires_in: '-1 day' }, { max_uses: 0 }, { max_uses: -1 }, { max_uses: 10_001 }, { expires_in: null }, { max_uses: null }]) {
      await refused(ana.ask('create_invite', { conversation_id: id, ...odd }), '22023')
    }
    await refused(ana.ask('revoke_invite', { invite_id: uuid() }), 'PT404')
    await refused(ana.ask('revoke_invite', { invite_id: null }), 'PT404')
    await forbidden(ana.from('conversation_invites').insert({ conversation_id: id, created_by: ana.id }))
  })
})
