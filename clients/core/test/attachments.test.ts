// What the pages refuse before an upload is what the bucket refuses.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ATTACHMENT_TYPES } from '../src/state/index.ts'

test('the kinds of files are those of the bucket', () => {
  const sql = readFileSync(new URL('../../../sql/chat/016_attachments.sql', import.meta.url), 'utf8')
  const list = /insert into storage\.buckets .*?array\[(.*?)\]\)/s.exec(sql)?.[1] ?? ''
  expect([...list.matchAll(/'([^']+)'/g)].map(([, kind]) => kind)).toEqual([...ATTACHMENT_TYPES])
})
