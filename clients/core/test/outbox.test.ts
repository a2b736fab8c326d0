// What waits is sent as soon as it can be, whenever the connection comes back.
import type { SupabaseClient } from '@supabase/supabase-js'
import { describe, expect, test } from 'vitest'
import type { Context } from '../src/context.ts'
import { inMemory } from '../src/kept.ts'
import { Outbox } from '../src/outbox.ts'
import { serial } from '../src/serial.ts'
import { createStore } from '../src/store.ts'
import type { Uploads } from '../src/uploads.ts'
import { ME, message, opened, PLACE } from './worlds.ts'

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

describe('the outbox', () => {
  test('a connection that comes back while an attempt is failing is not missed', async () => {
    const answers: ((answer: object) => void)[] = []
    const supabase = { rpc: () => new Promise((done) => answers.push(done)) } as unknown as SupabaseClient
    const store = createStore()
    Object.assign(store.get(), opened())
    const context = { supabase, store, kept: inMemory(), me: ME, report: (error: unknown) => { throw error } } as unknown as Context
    const outbox = new Outbox(context, {} as Uploads)
    const { client_id } = await outbox.send({ conversation_id: PLACE, content: 'Hello' })
    while (answers.length < 1) await turn()
    outbox.flushAll()
    answers[0]?.({ status: 0, data: null, error: { message: 'no network' } })
    // At once: not after the delay that follows an attempt that failed.
    for (let i = 0; i < 50 && answers.length < 2; i++) await turn()
    expect(answers.length).toBe(2)
    answers[1]?.({ status: 200, data: message('m', { sender_id: ME, client_id }), error: null })
    for (let i = 0; i < 50 && Object.keys(store.get().outbox).length > 0; i++) await turn()
    expect(store.get().outbox).toEqual({})
    outbox.stop()
  })
})
