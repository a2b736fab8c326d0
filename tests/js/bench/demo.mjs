// The server with its demo, in a folder of its own, for measurements and pictures.
import { spawn } from 'node:child_process'
import crypto from 'node:crypto'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import readline from 'node:readline'

/** Starts `binary`; gives its address, how to sign a token for it, and how to stop it. */
export async function startDemo(binary) {
  const secret = crypto.randomBytes(32).toString('hex')
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'dovetail-bench-'))
  const server = spawn(path.resolve(binary), ['dev', '--demo'], {
    cwd: folder, env: { ...process.env, PORT: '0', API_JWT_SECRET: secret, DOVETAIL_DATA: folder, RUST_LOG: 'warn' }, stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said = []
  const url = await new Promise((found, lost) => {
    server.once('exit', () => lost(new Error(said.join('\n'))))
    readline.createInterface(server.stdout).on('line', (line) => {
      said.push(line)
      const address = line.match(/http:\/\/[\w.:[\]]+\/chat/)
      if (address) found(address[0].replace(/\/chat$/, ''))
    })
  })
  const sign = (claims) => {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims })}`
    return `${text}.${crypto.createHmac('sha256', secret).update(text).digest('base64url')}`
  }
  const stop = async () => {
    server.kill('SIGTERM')
    await new Promise((done) => { server.once('exit', done) })
    await fs.rm(folder, { recursive: true, force: true })
  }
  return { url, sign, stop }
}
