//! What `dev` prints when it is ready.

use std::net::SocketAddr;
use std::path::Path;

use dovetail::config::Parts;
use dovetail::postgres::ConnectOptions;

use super::keys::DevKeys;

/// What there is of the messaging system.
#[derive(Clone, Copy)]
pub(super) enum Chat {
    Off,
    On,
    /// With the people of the demo.
    Demo,
}

/// Address, keys, and a sample that works as pasted.
pub(super) fn text(
    address: SocketAddr,
    keys: &DevKeys,
    database: &ConnectOptions,
    folder: &Path,
    parts: Parts,
    chat: Chat,
) -> String {
    let DevKeys {
        anon_key,
        service_key,
        ..
    } = keys;
    let database = database_url(database);
    let folder = folder.display();
    let write = match parts.rest {
        true => WRITE_WITH_CLIENT,
        false => WRITE_WITH_SQL,
    };
    let services = services(parts);
    let chat = match chat {
        Chat::Off => String::new(),
        Chat::On => format!("  chat         http://{address}/chat/\n"),
        Chat::Demo => format!(
            "  chat         http://{address}/chat/ (choose somebody; a second browser may be somebody else)\n  \
             widget       http://{address}/widget/demo.html\n"
        ),
    };
    format!(
        r#"
Dovetail is ready on http://{address}

{chat}  anon key     {anon_key}
  service key  {service_key}
  database     {database}
  inspector    http://{address}/inspector
{services}
Try it with supabase-js. In an empty folder:

  npm install @supabase/supabase-js ws

Save this as todos.mjs and run it: node todos.mjs

  import {{ createClient }} from '@supabase/supabase-js'

  // Browsers and Node 22 have WebSocket built in, older Node takes it from ws.
  const transport = globalThis.WebSocket ?? (await import('ws')).default
  const supabase = createClient(
    'http://{address}',
    '{anon_key}',
    {{ realtime: {{ transport }} }},
  )

  supabase
    .channel('todos')
    .on('postgres_changes', {{ event: '*', schema: 'public', table: 'todos' }}, (change) =>
      console.log(change.eventType, change.new))
{write}
Rows that are written by SQL arrive too:

  psql '{database}' -c "insert into todos (task) values ('buy milk')"

The table todos is open to everybody who has the anon key. Everything is kept in {folder};
remove it to begin anew. Only this machine can connect. Stop with Ctrl-C.
"#
    )
}

/// The end of the sample where rows can be written by the same client.
const WRITE_WITH_CLIENT: &str = r#"    .subscribe(async (status, error) => {
      console.log(status, error ?? '')
      if (status === 'SUBSCRIBED') await supabase.from('todos').insert({ task: 'buy bread' })
    })
"#;

/// And where they cannot.
const WRITE_WITH_SQL: &str = r#"    .subscribe((status, error) => console.log(status, error ?? ''))
"#;

/// What else of Supabase is served at the same address.
fn services(parts: Parts) -> String {
    let list: Vec<&str> = [
        (parts.rest, "from() and rpc()"),
        (parts.auth, "auth"),
        (parts.storage, "storage"),
    ]
    .into_iter()
    .filter_map(|(served, name)| served.then_some(name))
    .collect();
    match list.as_slice() {
        [] => String::new(),
        list => format!(
            "\nThe same address serves supabase-js: realtime, {}.\n",
            list.join(", ")
        ),
    }
}

/// The URL for psql, every part encoded.
fn database_url(options: &ConnectOptions) -> String {
    let encode = |text: &str| {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    char::from(byte).to_string()
                }
                byte => format!("%{byte:02X}"),
            })
            .collect::<String>()
    };
    let password = match &options.password {
        Some(password) => format!(":{}", encode(password)),
        None => String::new(),
    };
    let ConnectOptions {
        user, port, dbname, ..
    } = options;
    let host = encode(&options.host);
    let (user, dbname) = (encode(user), encode(dbname));
    format!("postgresql://{user}{password}@{host}:{port}/{dbname}")
}

#[cfg(test)]
mod tests {
    use dovetail::postgres::TlsMode;

    use super::*;

    #[test]
    fn the_database_url_reads_back_as_it_was() {
        let options = ConnectOptions {
            host: "127.0.0.1".into(),
            port: 5433,
            user: "po st".into(),
            password: Some("a'b@c/%".into()),
            dbname: "postgres".into(),
            tls: TlsMode::Disable,
            tls_ca_file: None,
            ip_version: None,
        };
        let url = database_url(&options);
        assert!(!url.contains('\''), "it stands in single quotes");
        let read = ConnectOptions::from_url(&url).unwrap();
        assert_eq!(read.password, options.password);
        assert_eq!((read.user, read.port), (options.user, 5433));
    }
}
