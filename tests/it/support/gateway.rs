//! What the stack's gateway does to requests for realtime, and nothing else (postgres.md 6.6): strips the public path,
//! replaces the host and the key, and adds the key as a header. Plain TCP, one upstream connection a client connection.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The name of the stack's container, which is the tenant's too.
const UPSTREAM: &str = "realtime-dev.supabase-realtime:4000";

/// A running gateway; it ends when it is dropped.
pub struct Gateway {
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gateway {
    /// In front of a server. `jwt` gives the token for a client's key: the key itself, or what an opaque one stands for.
    pub async fn start(port: u16, jwt: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let jwt: Arc<dyn Fn(&str) -> String + Send + Sync> = Arc::new(jwt);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let jwt = Arc::clone(&jwt);
                // A client or a server that goes away ends its connection and nothing else.
                tokio::spawn(async move { pass(client, port, &*jwt).await.ok() });
            }
        });
        Self {
            port: address.port(),
            task,
        }
    }

    /// What clients are told as the URL of their project.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

async fn pass(
    mut client: TcpStream,
    port: u16,
    jwt: &(dyn Fn(&str) -> String + Send + Sync),
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let Some(rewritten) = rewrite(&head, jwt) else {
        return client
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
    };
    let mut upstream = TcpStream::connect(("127.0.0.1", port)).await?;
    upstream.write_all(rewritten.as_bytes()).await?;
    copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

/// The head of a request as it goes upstream; none for paths that are not realtime's.
fn rewrite(head: &str, jwt: &(dyn Fn(&str) -> String + Send + Sync)) -> Option<String> {
    let mut lines = head.trim_end().split("\r\n");
    let mut request = lines.next()?.splitn(3, ' ');
    let (method, target) = (request.next()?, request.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = match path.strip_prefix("/realtime/v1/")? {
        api if api.starts_with("api/") => format!("/{api}"),
        rest => format!("/socket/{rest}"),
    };
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let key = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("apikey="))
        .map(str::to_owned)
        .or_else(|| header("apikey"))?;
    let token = jwt(&key);
    let query: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.starts_with("apikey=") {
            true => format!("apikey={token}"),
            false => pair.to_owned(),
        })
        .collect();
    let target = match query.is_empty() {
        true => path,
        false => format!("{path}?{}", query.join("&")),
    };
    let mut out =
        format!("{method} {target} HTTP/1.1\r\nHost: {UPSTREAM}\r\nx-api-key: {token}\r\n");
    let mut authorized = false;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "host" | "x-api-key" => continue,
            // One request a connection keeps this small.
            "connection" if !value.to_ascii_lowercase().contains("upgrade") => continue,
            "authorization" => {
                authorized = true;
                let repeats = value.trim().strip_prefix("Bearer ") == Some(&*key);
                let value = if repeats { &*token } else { value.trim() };
                // Some versions of the gateway leave out "Bearer".
                out.push_str(&format!("Authorization: {value}\r\n"));
            }
            _ => out.push_str(&format!("{line}\r\n")),
        }
    }
    if !authorized {
        out.push_str(&format!("Authorization: {token}\r\n"));
    }
    if header("upgrade").is_none() {
        out.push_str("Connection: close\r\n");
    }
    out.push_str("\r\n");
    Some(out)
}
