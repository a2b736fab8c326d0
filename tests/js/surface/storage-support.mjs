// What the tests of storage share: buckets of their own, and an image.
import zlib from 'node:zlib'
import { fresh, service } from './support.mjs'

/** A bucket that is emptied and deleted when the test ends. */
export async function bucket(t, options = { public: false }) {
  const name = fresh('bucket')
  const { storage } = service(t)
  const { error } = await storage.createBucket(name, options)
  if (error) throw error
  t.after(async () => {
    await storage.emptyBucket(name)
    await storage.deleteBucket(name)
  })
  return name
}

const crcTable = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1
  return n >>> 0
})

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data])
  let crc = 0xffffffff
  for (const byte of body) crc = crcTable[(crc ^ byte) & 0xff] ^ (crc >>> 8)
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE((crc ^ 0xffffffff) >>> 0)
  return Buffer.concat([length, body, sum])
}

/** A PNG of one colour. */
export function png(width, height) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const line = Buffer.concat([Buffer.from([0]), Buffer.alloc(width * 3, 0x7f)])
  const pixels = zlib.deflateSync(Buffer.concat(Array.from({ length: height }, () => line)))
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))])
}

/** Width and height of a PNG. */
export async function size(blob) {
  const bytes = Buffer.from(await blob.arrayBuffer())
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)]
}
