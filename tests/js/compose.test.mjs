// docker-compose.yml against the schema of the compose specification, and against what the stack promises.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { test } from 'node:test'
import Ajv from 'ajv'
import YAML from 'yaml'

const root = new URL('../../', import.meta.url)
const read = (name) => fs.readFileSync(new URL(name, root), 'utf8')
const compose = YAML.parse(read('docker-compose.yml'))
// The specification's schema comes with a linter, which is not used itself.
const { $schema: _, ...schema } = JSON.parse(read('tests/js/node_modules/dclint/schemas/compose.schema.json'))

// "duration" and such are formats of the specification's own.
const valid = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema)

test('the compose file is valid, and the schema would notice a mistake', () => {
  assert.ok(valid(compose), JSON.stringify(valid.errors, null, 1))
  const wrong = structuredClone(compose)
  wrong.services.realtime.enviroment = {}
  assert.equal(valid(wrong), false)
})

test('every image is pinned and every mounted file is there', () => {
  for (const [name, service] of Object.entries(compose.services)) {
    if (!service.build) assert.match(service.image, /^[\w./-]+:v?\d+\.\d+[\w.-]*$/, name)
    for (const volume of service.volumes ?? []) {
      if (volume.startsWith('./')) assert.ok(fs.existsSync(new URL(volume.split(':')[0], root)), volume)
    }
  }
})

test('variables of the compose file are explained in the example, and nothing secret is preset', () => {
  const used = new Set([...read('docker-compose.yml').matchAll(/\$\{(\w+)/g)].map((m) => m[1]))
  const example = Object.fromEntries([...read('docker/env.example').matchAll(/^(\w+)=(.*)$/gm)].map((m) => [m[1], m[2]]))
  assert.deepEqual([...used].sort(), Object.keys(example).sort())
  for (const name of ['POSTGRES_PASSWORD', 'JWT_SECRET', 'ANON_KEY', 'SERVICE_ROLE_KEY']) assert.equal(example[name], '')
})

test('the server understands its environment, and is given time to drain', () => {
  const known = new Set([...read('.env.example').matchAll(/^# (\w+)=/gm)].map((m) => m[1]))
  const { environment, stop_grace_period: grace } = compose.services.realtime
  for (const name of Object.keys(environment)) assert.ok(known.has(name), `${name} is not a setting`)
  const drain = Number(/^# DRAIN_SECONDS=(\d+)$/m.exec(read('.env.example'))[1])
  assert.ok(parseInt(grace) > drain, `${grace} must be longer than ${drain} s`)
})

test('the gateway sends the public paths to services of the compose file', () => {
  const conf = read('docker/gateway.conf')
  const hosts = new Set(Object.entries(compose.services).flatMap(([name, service]) => [name, service.container_name]))
  const upstreams = [...conf.matchAll(/http:\/\/([\w.-]+):(\d+)/g)].map((m) => m[1])
  assert.equal(upstreams.length, 4)
  for (const host of upstreams) assert.ok(hosts.has(host), host)
  for (const path of ['/realtime/v1/', '/rest/v1/', '/auth/v1/', '/storage/v1/']) assert.ok(conf.includes(`location ${path} `))
})
