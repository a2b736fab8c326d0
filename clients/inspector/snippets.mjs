// Ready text to copy: SQL that grants what was refused, and the command that says which policy decided.

const literal = (text) => `'${String(text).replaceAll("'", "''")}'`
const identifier = (text) => `"${String(text).replaceAll('"', '""')}"`
/** The roles of a Supabase database need no quotes. */
const roleName = (role) => (['anon', 'authenticated', 'service_role'].includes(role) ? role : identifier(role))
/** Postgres has no NUL in text; a topic may have one. */
const representable = (text) => !String(text).includes('\0')
const shell = (text) => `'${String(text).replaceAll("'", `'\\''`)}'`

/** A policy's name: short, and different for different topics. */
function policyName(verb, topic) {
  const name = `${verb} ${topic}`
  return identifier(name.length > 40 ? `${name.slice(0, 39)}…` : name)
}

/** SQL that lets a role receive what is sent on a private topic and see who is there. */
export function readPolicy({ topic, role = 'authenticated' }) {
  if (!representable(topic)) return null
  return `create policy ${policyName('read', topic)} on realtime.messages
  for select to ${roleName(role)}
  using (
    realtime.topic() = ${literal(topic)}
    and extension in ('broadcast', 'presence')
    -- and who: for example (select auth.uid()) in (select user_id from members)
  );`
}

/** SQL that lets a role send broadcasts and track presence on a private topic. */
export function writePolicy({ topic, role = 'authenticated' }) {
  if (!representable(topic)) return null
  return `create policy ${policyName('write', topic)} on realtime.messages
  for insert to ${roleName(role)}
  with check (
    realtime.topic() = ${literal(topic)}
    and extension in ('broadcast', 'presence')
  );`
}

/** SQL that puts the tables of subscriptions into the publication and lets a role read them. */
export function publish({ bindings = [], role = 'authenticated' }) {
  const named = bindings.filter(({ table }) => table && table !== '*')
  const lines = named.flatMap(({ schema = 'public', table }) => {
    const name = `${identifier(schema)}.${identifier(table)}`
    return [`alter publication supabase_realtime add table ${name};`, `grant select on ${name} to ${roleName(role)};`]
  })
  return lines.length > 0 ? [...new Set(lines)].join('\n') : null
}

/** The command that tells which policy allowed or denied, for these claims and this topic. */
export function doctor({ topic, claims }) {
  if (!claims || !representable(topic)) return null
  return `dovetail doctor --as ${shell(JSON.stringify(claims))} --topic ${shell(topic)}`
}
