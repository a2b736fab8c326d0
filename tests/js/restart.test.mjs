// The server goes away and comes back: unmodified clients find their way by themselves.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { client, database, fresh, libraries, restartServer, Seen, table } from './support.mjs'

test('clients rejoin after a restart of the server and see rows again', async (t) => {
  const sql = await database(t)
  const name = await table(sql)
  const watchers = await Promise.all(libraries.map(async (library) => {
    const [states, rows] = [new Seen(), new Seen()]
    const made = await client(t, library)
    made
      .channel(fresh('restart'))
      .on('postgres_changes', { event: 'INSERT', schema: 'public', table: name }, rows.add)
      .subscribe((status) => states.add({ status }))
    return { library, states, rows }
  }))
  const live = async (watcher) => watcher.states.until((s) => s.status === 'SUBSCRIBED', `${watcher.library.name} SUBSCRIBED`)
  for (const watcher of watchers) await live(watcher)
  await sql.query(`insert into ${name} values (1, 'ann', 'before')`)
  for (const watcher of watchers) await watcher.rows.until((e) => e.new.id === 1)

  for (const watcher of watchers) watcher.states.items.length = 0
  await restartServer()
  for (const watcher of watchers) await live(watcher)
  await sql.query(`insert into ${name} values (2, 'ann', 'after')`)
  for (const watcher of watchers) {
    await watcher.rows.until((e) => e.new.id === 2, `${watcher.library.name}: the row after the restart`)
    assert.deepEqual(watcher.rows.items.map((e) => e.new.id), [1, 2])
  }
})
