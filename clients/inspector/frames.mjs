// Frames of the Phoenix protocol, serializer 2.0.0 (protocol.md §2.2, §2.3): text and binary, both directions.
// Pure: no DOM, no socket. A message is { joinRef, ref, topic, event, payload } and, for binary ones, more.

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** The longest field of a binary frame in bytes. */
export const MAX_FIELD = 255

/** The text of one frame: `[join_ref, ref, topic, event, payload]`. */
export function encodeText({ joinRef = null, ref = null, topic, event, payload = {} }) {
  return JSON.stringify([joinRef, ref, topic, event, payload])
}

/**
 * A broadcast as a binary frame (kind 3). `payload` is bytes, or any JSON value.
 * Throws a RangeError when a field is longer than its length byte can say.
 */
export function encodeUserBroadcast({ joinRef = '', ref = '', topic, event, payload }) {
  const binary = payload instanceof Uint8Array
  const fields = [joinRef, ref, topic, event].map((text) => encoder.encode(text))
  const names = ['join_ref', 'ref', 'topic', 'event']
  fields.forEach((field, n) => {
    if (field.length > MAX_FIELD) {
      throw new RangeError(`the ${names[n]} has ${field.length} bytes; a binary frame holds at most ${MAX_FIELD}`)
    }
  })
  const body = binary ? payload : encoder.encode(JSON.stringify(payload))
  const head = [3, ...fields.map((field) => field.length), 0, binary ? 0 : 1]
  return join([Uint8Array.from(head), ...fields, body])
}

function join(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/**
 * Reads a text frame. What is not an array of five elements comes back as `{ malformed }`, never as an exception:
 * the inspector shows it.
 */
export function decodeText(text) {
  let array
  try {
    array = JSON.parse(text)
  } catch (error) {
    return { malformed: `not JSON: ${error.message}` }
  }
  if (!Array.isArray(array) || array.length < 5) {
    return { malformed: 'not an array of five elements: [join_ref, ref, topic, event, payload]' }
  }
  const [joinRef, ref, topic, event, payload] = array
  if (typeof topic !== 'string' || typeof event !== 'string') {
    return { malformed: 'topic or event is not a string' }
  }
  return { joinRef, ref, topic, event, payload }
}

/** How each kind of binary frame is laid out: which fields have a length byte, and in which order they come. */
const KINDS = {
  'in 0': { name: 'push', lengths: ['joinRef', 'topic', 'event'], flag: false },
  'in 1': { name: 'reply', lengths: ['joinRef', 'ref', 'topic', 'status'], flag: false },
  'in 2': { name: 'broadcast', lengths: ['topic', 'event'], flag: false },
  'in 4': { name: 'user broadcast', lengths: ['topic', 'event', 'metadata'], flag: true },
  'out 0': { name: 'push', lengths: ['joinRef', 'ref', 'topic', 'event'], flag: false },
  'out 3': { name: 'user broadcast push', lengths: ['joinRef', 'ref', 'topic', 'event', 'metadata'], flag: true },
}

/**
 * Reads a binary frame that came `in` from the server or went `out` to it.
 *
 * The user event of kinds 3 and 4 is `userEvent`; their `event` is `broadcast`, as in the text form. `bytes` is the
 * raw payload; `payload` is its JSON value when the frame says it is JSON.
 */
export function decodeBinary(bytes, direction = 'in') {
  const kind = bytes[0]
  const layout = KINDS[`${direction} ${kind}`]
  if (!layout) return { malformed: bytes.length === 0 ? 'an empty binary frame' : `unknown kind ${kind} of binary frame` }
  const header = 1 + layout.lengths.length + (layout.flag ? 1 : 0)
  if (bytes.length < header) return { malformed: 'the binary frame ends within its header' }
  const fields = {}
  let at = header
  for (const [n, name] of layout.lengths.entries()) {
    const end = at + bytes[1 + n]
    if (end > bytes.length) return { malformed: `the binary frame ends within its ${name}` }
    try {
      fields[name] = decoder.decode(bytes.subarray(at, end))
    } catch {
      return { malformed: `the ${name} of the binary frame is not UTF-8` }
    }
    at = end
  }
  const body = bytes.subarray(at)
  const { joinRef = null, ref = null, topic, event, status, metadata } = fields
  const message = { joinRef, ref, topic, event: event ?? 'phx_reply', kind: layout.name, bytes: body, payload: undefined }
  if (status !== undefined) message.status = status
  if (!layout.flag) return message
  message.userEvent = event
  message.event = 'broadcast'
  message.json = bytes[header - 1] !== 0
  try {
    if (metadata) message.meta = JSON.parse(metadata)
    if (message.json) message.payload = JSON.parse(decoder.decode(body))
  } catch (error) {
    message.problem = `${message.meta === undefined && metadata ? 'metadata' : 'payload'} is not JSON: ${error.message}`
  }
  return message
}

/** Bytes as `0000  00 01 …  text`, sixteen a line; at most `limit` bytes. */
export function hex(bytes, limit = 4096) {
  const lines = []
  const shown = bytes.subarray(0, limit)
  for (let at = 0; at < shown.length; at += 16) {
    const row = Array.from(shown.subarray(at, at + 16))
    const codes = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`${at.toString(16).padStart(4, '0')}  ${codes.padEnd(47)}  ${text}`)
  }
  if (bytes.length > limit) lines.push(`… ${bytes.length - limit} more bytes`)
  return lines.join('\n')
}

/** Bytes from text such as `de ad be ef` or `deadbeef`; `null` when it is not hexadecimal. */
export function fromHex(text) {
  const digits = text.replace(/\s+/g, '')
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) return null
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16))
}
