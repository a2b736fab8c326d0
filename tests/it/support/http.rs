//! HTTP/1.1 by hand: one request per connection, nothing added that the caller did not say.
//!
//! The transcripts look at refusals of an upgrade and at odd requests; a client library would repair or
//! hide them. Also the first half of a WebSocket connection.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request as it goes over the wire. `Content-Length` is added when there is a body.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// `Host` included.
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

/// An answer, with its header names in lower case.
#[derive(Clone, Debug, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// A GET with a `Host` and `Connection: close`.
    pub fn get(host: &str, path: &str) -> Self {
        Self {
            method: "GET".into(),
            path: path.into(),
            headers: vec![
                ("Host".into(), host.into()),
                ("Connection".into(), "close".into()),
            ],
            body: None,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        } else if self.method != "GET" {
            head.push_str("Content-Length: 0\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }
}

impl Response {
    /// The value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(have, _)| have == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request, one answer.
pub async fn exchange(address: (&str, u16), request: &Request) -> io::Result<Response> {
    let mut stream = TcpStream::connect(address).await?;
    let (mut response, rest) = begin(&mut stream, request).await?;
    response.body = read_body(&mut stream, &response, rest).await?;
    Ok(response)
}

/// Sends the request and reads the head of the answer, and what happened to come with it.
pub async fn begin(stream: &mut TcpStream, request: &Request) -> io::Result<(Response, Vec<u8>)> {
    stream.write_all(&request.to_bytes()).await?;
    answer(stream).await
}

/// Reads the head of an answer, and what happened to come with it.
pub async fn answer(stream: &mut TcpStream) -> io::Result<(Response, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = find(&bytes, b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            let said = String::from_utf8_lossy(&bytes).into_owned();
            return Err(io::Error::other(format!(
                "closed before an answer: {said:?}"
            )));
        }
    };
    let rest = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| io::Error::other(format!("not an HTTP answer: {head:?}")))?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let response = Response {
        status,
        headers,
        body: Vec::new(),
    };
    Ok((response, rest))
}

/// Reads the body that belongs to an answer whose head was read already.
pub async fn read_body(
    stream: &mut TcpStream,
    response: &Response,
    mut have: Vec<u8>,
) -> io::Result<Vec<u8>> {
    let chunked = response.header("transfer-encoding") == Some("chunked");
    let length = response
        .header("content-length")
        .and_then(|value| value.parse::<usize>().ok());
    loop {
        let complete = match length {
            Some(length) if !chunked => have.len() >= length,
            _ => chunked && find(&have, b"0\r\n\r\n").is_some(),
        };
        if complete || stream.read_buf(&mut have).await? == 0 {
            break;
        }
    }
    if !chunked {
        return Ok(have);
    }
    let mut body = Vec::new();
    let mut rest = have.as_slice();
    while let Some(at) = find(rest, b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..at]).into_owned();
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        if size == 0 || rest.len() < at + 4 + size {
            break;
        }
        body.extend_from_slice(&rest[at + 2..at + 2 + size]);
        rest = &rest[at + 4 + size..];
    }
    Ok(body)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|w| w == wanted)
}
