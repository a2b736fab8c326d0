// What waits is sent as soon as it can be, whenever the connection comes back.
import type { SupabaseClient } from '@supabase/supabase-js'
import { describe, expect, test } from 'vitest'
import type { Context } from '../src/context.ts'
import { inMemory, type Kept } from '../src/kept.ts'
import { Outbox } from '../src/outbox.ts'
import { serial } from '../src/serial.ts'
import type { State } from '../src/state/index.ts'
import { createStore } from '../src/store.ts'
import type { Uploads } from '../src/uploads.ts'
import { ME, message, opened, outgoing, PLACE } from './worlds.ts'

/** The next turn of the event loop; timers of a second and more have not run by then. */
const turn = () => new Promise((done) => setImmediate(done))

describe('one at a time', () => {
  test('asked for while it runs, it runs once more, however often it was asked', async () => {
    const ends: (() => void)[] = []
    const ask = serial(() => new Promise<void>((done) => ends.push(done)))
    ask()
    ask()
    ask()
    expect(ends.length).toBe(1)
    ends[0]?.()
    await turn()
    expect(ends.length).toBe(2)
    ends[1]?.()
    await turn()
    expect(ends.length).toBe(2)
    ask()
    expect(ends.length).toBe(3)
  })
})

/** An outbox over a server that answers when it is told to. */
function world(kept: Kept = inMemory()) {
  const answers: ((answer: object) => void)[] = []
  const reports: unknown[] = []
  const supabase = { rpc: () => new Promise((done) => answers.push(done)) } as unknown as SupabaseClient
  const store = createStore()
  Object.assign(store.get(), opened())
  const context = { supabase, store, kept, me: ME, report: (error: unknown) => reports.push(error) } as unknown as Context
  const outbox = new Outbox(context, {} as Uploads)
  const asked = async (times: number) => {
    for (let i = 0; i < 50 && answers.length < times; i++) await turn()
    expect(answers.length).toBe(times)
  }
  const empty = async () => {
    for (let i = 0; i < 50 && Object.keys(store.get().outbox).length > 0; i++) await turn()
    expect(store.get().outbox).toEqual({})
  }
  const arrives = (n: number, client_id: string) => answers[n]?.({ status: 200, data: message('m', { sender_id: ME, client_id }), error: null })
  return { outbox, store, answers, reports, asked, empty, arrives }
}

const ids = (store: { get: () => State }) => Object.keys(store.get().outbox)

describe('the outbox', () => {
  test('a connection that comes back while an attempt is failing is not missed', async () => {
    const { outbox, answers, asked, empty, arrives } = world()
    const { client_id } = await outbox.send({ conversation_id: PLACE, content: 'Hello' })
    await asked(1)
    outbox.flushAll()
    answers[0]?.({ status: 0, data: null, error: { message: 'no network' } })
    // At once: not after the delay that follows an attempt that failed.
    await asked(2)
    arrives(1, client_id)
    await empty()
    outbox.stop()
  })

  test('it does not wait for the disk; what was sent does not stay on it', async () => {
    const kept = inMemory()
    let written: () => void = () => {}
    const disk = new Promise<void>((done) => { written = done })
    const { outbox, store, asked, empty, arrives } = world({ ...kept, put: (item) => disk.then(() => kept.put(item)) })
    const sending = outbox.send({ conversation_id: PLACE, content: 'Hello' })
    await asked(1)
    const [client_id] = ids(store)
    arrives(0, client_id as string)
    await turn()
    written()
    await sending
    await empty()
    expect(await kept.outbox()).toEqual([])
  })

  test('on a full disk it goes out all the same, also at the second attempt', async () => {
    const { outbox, store, answers, reports, asked, empty, arrives } = world({ ...inMemory(), put: () => Promise.reject(new Error('full')) })
    await outbox.send({ conversation_id: PLACE, content: 'Hello' })
    await asked(1)
    answers[0]?.({ status: 503, data: null, error: { message: 'later' } })
    for (let i = 0; i < 50 && store.get().outbox[ids(store)[0] as string]?.state !== 'waiting'; i++) await turn()
    outbox.flushAll()
    await asked(2)
    arrives(1, ids(store)[0] as string)
    await empty()
    expect(reports).toEqual([new Error('full')])
  })

  test('what another tab has sent is not sent again', async () => {
    const kept = inMemory()
    const { outbox, answers, asked, empty } = world(kept)
    const { client_id } = await outbox.send({ conversation_id: PLACE, content: 'Hello' })
    await asked(1)
    await kept.drop(outgoing(client_id))
    answers[0]?.({ status: 0, data: null, error: { message: 'no network' } })
    outbox.flushAll()
    await empty()
    expect(answers.length).toBe(1)
    outbox.stop()
  })
})
