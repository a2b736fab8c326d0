// Postgres Changes with unmodified supabase-js.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { client, database, fresh, libraries, Seen, subscribed, table, user } from './support.mjs'

/** Subscribes to Postgres Changes; returns what arrives. */
async function listen(made, filter) {
  const seen = new Seen()
  const system = new Seen()
  const channel = made.channel(fresh('changes'))
  channel.on('system', {}, system.add).on('postgres_changes', { schema: 'public', ...filter }, seen.add)
  await subscribed(channel)
  return { seen, channel, system }
}

for (const library of libraries) {
  describe(`${library.name}: postgres_changes`, () => {
    test('insert, update and delete arrive with their rows', async (t) => {
      const sql = await database(t)
      const name = await table(sql)
      const { seen } = await listen(await client(t, library), { event: '*', table: name })
      await sql.query(`insert into ${name} values (1, 'ann', 'a')`)
      await sql.query(`update ${name} set v = 'b'`)
      await sql.query(`delete from ${name}`)
      await seen.until((e) => e.eventType === 'DELETE', 'the delete')
      assert.deepEqual(seen.items.map((e) => e.eventType), ['INSERT', 'UPDATE', 'DELETE'])
      const [insert, update, remove] = seen.items
      assert.deepEqual(insert.new, { id: 1, owner: 'ann', v: 'a' })
      assert.deepEqual(update.new, { id: 1, owner: 'ann', v: 'b' })
      assert.deepEqual(update.old, { id: 1 })
      assert.deepEqual(remove.old, { id: 1 })
      assert.equal(insert.table, name)
      assert.equal(insert.schema, 'public')
      assert.equal(insert.errors, null)
      assert.ok(Math.abs(Date.parse(insert.commit_timestamp) - Date.now()) < 60_000)
    })

    test('a write right after SUBSCRIBED is not lost', async (t) => {
      const sql = await database(t)
      const name = await table(sql)
      for (let n = 1; n <= 3; n++) {
        const { seen } = await listen(await client(t, library), { event: 'INSERT', table: name })
        await sql.query(`insert into ${name} values (${n}, 'ann', 'first')`)
        const first = await seen.until(() => true, 'the row')
        assert.equal(first.new.id, n)
      }
    })

    test('a filter lets only its rows through', async (t) => {
      const sql = await database(t)
      const name = await table(sql)
      const made = await client(t, library)
      const mine = await listen(made, { event: '*', table: name, filter: 'owner=eq.ann' })
      const large = await listen(made, { event: '*', table: name, filter: 'id=gt.1' })
      await sql.query(`insert into ${name} values (1, 'ann', 'x'), (2, 'bob', 'x'), (3, 'ann', 'x')`)
      await large.seen.until((e) => e.new.id === 3)
      await mine.seen.until((e) => e.new.id === 3)
      assert.deepEqual(mine.seen.items.map((e) => e.new.id), [1, 3])
      assert.deepEqual(large.seen.items.map((e) => e.new.id), [2, 3])
    })

    test('events are separate, and two bindings of a channel keep apart', async (t) => {
      const sql = await database(t)
      const name = await table(sql)
      const [inserts, deletes] = [new Seen(), new Seen()]
      const channel = (await client(t, library)).channel(fresh('both'))
      channel.on('postgres_changes', { event: 'INSERT', schema: 'public', table: name }, inserts.add)
      channel.on('postgres_changes', { event: 'DELETE', schema: 'public', table: name }, deletes.add)
      await subscribed(channel)
      await sql.query(`insert into ${name} values (1, 'ann', 'a')`)
      await sql.query(`update ${name} set v = 'b'`)
      await sql.query(`delete from ${name}`)
      await deletes.until(() => true, 'the delete')
      assert.deepEqual(inserts.items.map((e) => e.eventType), ['INSERT'])
      assert.deepEqual(deletes.items.map((e) => e.eventType), ['DELETE'])
    })

    test('row level security: the wrong user gets nothing', async (t) => {
      const sql = await database(t)
      const name = await table(sql, { owned: true })
      const ann = await listen(await client(t, library, { token: user('ann') }), { event: '*', table: name })
      const bob = await listen(await client(t, library, { token: user('bob') }), { event: '*', table: name })
      await sql.query(`insert into ${name} values (1, 'ann', 'secret of ann')`)
      await sql.query(`update ${name} set v = 'still of ann'`)
      // One row for each at the end: whoever has it has had everything before.
      await sql.query(`insert into ${name} values (2, 'ann', 'end'), (3, 'bob', 'end')`)
      await ann.seen.until((e) => e.new.v === 'end')
      await bob.seen.until((e) => e.new.v === 'end')
      assert.deepEqual(ann.seen.items.map((e) => [e.eventType, e.new.id]), [['INSERT', 1], ['UPDATE', 1], ['INSERT', 2]])
      assert.deepEqual(bob.seen.items.map((e) => [e.eventType, e.new.id]), [['INSERT', 3]])
    })

    test('setAuth changes who sees on a live channel', async (t) => {
      const sql = await database(t)
      const name = await table(sql, { owned: true })
      const made = await client(t, library, { token: user('ann') })
      const { seen, system } = await listen(made, { event: '*', table: name })
      const live = (m) => m.extension === 'postgres_changes' && m.status === 'ok'
      await system.until(live, 'the first Subscribed')
      system.items.length = 0
      await made.realtime.setAuth(user('bob'))
      await system.until(live, 'the second Subscribed')
      await sql.query(`insert into ${name} values (1, 'ann', 'x'), (2, 'bob', 'x')`)
      await seen.until((e) => e.new.id === 2, "bob's row")
      assert.deepEqual(seen.items.map((e) => e.new.id), [2])
    })

    test('after removeChannel nothing arrives', async (t) => {
      const sql = await database(t)
      const name = await table(sql)
      const made = await client(t, library)
      const gone = await listen(made, { event: '*', table: name })
      const stays = await listen(made, { event: '*', table: name })
      assert.equal(await made.removeChannel(gone.channel), 'ok')
      await sql.query(`insert into ${name} values (1, 'ann', 'x')`)
      await stays.seen.until(() => true)
      assert.deepEqual(gone.seen.items, [])
    })

    test('a table that cannot be subscribed says so in a system message', async (t) => {
      const made = await client(t, library)
      const system = new Seen()
      const channel = made.channel(fresh('nowhere')).on('system', {}, system.add)
      channel.on('postgres_changes', { event: '*', schema: 'public', table: 'there_is_no_such_table' }, () => {})
      channel.subscribe()
      const message = await system.until((m) => m.extension === 'postgres_changes')
      assert.equal(message.status, 'error')
    })
  })
}
