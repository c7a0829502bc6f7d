//! A server of HTTP/1.1 on a free loopback port, with or without TLS: a thread for each connection, and each answer in one
//! write.
//!
//! Written out, for what is measured behind it depends on how an answer comes: here it is the same in every run.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Nobody here sends more headers.
const HEADERS_MAX: usize = 64;

/// What a client asks.
#[derive(Debug)]
pub struct Request {
    /// `GET`, for instance.
    pub method: String,
    /// The path, with a query if there is one.
    pub path: String,
    /// The headers, their names in small letters.
    headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header, by its name in small letters; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// What it is answered.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Headers besides the body's length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    fn bytes(&self) -> Vec<u8> {
        let line = |(name, value): &(&str, String)| format!("{name}: {value}\r\n");
        let headers: String = self.headers.iter().map(line).collect();
        let (status, length) = (self.status, self.body.len());
        let head = format!("HTTP/1.1 {status} -\r\n{headers}content-length: {length}\r\n\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

/// Who answers. Of each connection it is told before anything is read.
pub trait Service: Send + Sync + 'static {
    /// Somebody has connected.
    fn connected(&self) {}

    /// The answer to a request; `None` to close the connection without one.
    fn answer(&self, request: &Request) -> Option<Response>;
}

/// Answers at the address that this returns, until the process ends.
///
/// # Errors
///
/// When no port is free.
pub fn serve(service: impl Service, tls: Option<Arc<ServerConfig>>) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    let address = listener.local_addr()?;
    let service = Arc::new(service);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            service.connected();
            let (service, tls) = (Arc::clone(&service), tls.clone());
            // However a connection ends, its client knows best why.
            thread::spawn(move || drop(converse(stream, tls, &*service)));
        }
    });
    Ok(address)
}

fn converse(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    service: &impl Service,
) -> Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => answer_all(stream, service)?,
        Some(config) => {
            let connection = ServerConnection::new(config)?;
            answer_all(StreamOwned::new(connection, stream), service)?;
        }
    }
    Ok(())
}

fn answer_all(mut stream: impl Read + Write, service: &impl Service) -> io::Result<()> {
    let mut received = Vec::new();
    while let Some(request) = read(&mut stream, &mut received)? {
        let Some(response) = service.answer(&request) else {
            break;
        };
        stream.write_all(&response.bytes())?;
        stream.flush()?;
    }
    Ok(())
}

/// The next request; `None` at the end. What was received of the one after it stays in `received`.
fn read(stream: &mut impl Read, received: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        if let Some((mut request, length)) = head(received)? {
            let body_bytes = request.header("content-length").parse().unwrap_or(0);
            if received.len() >= length + body_bytes {
                let rest = received.split_off(length + body_bytes);
                request.body = received.split_off(length);
                *received = rest;
                return Ok(Some(request));
            }
        }
        let mut part = [0; 16 * 1024];
        match stream.read(&mut part) {
            Ok(0) => return Ok(None),
            Ok(bytes) => received.extend_from_slice(&part[..bytes]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The head of a request, and its length, if all of it is there.
fn head(received: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(received);
    let parsed = parsed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let header = |header: &httparse::Header<'_>| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_ascii_lowercase(), value)
    };
    let headers = request.headers.iter().map(header).collect();
    let request = Request {
        method: request.method.unwrap_or_default().to_owned(),
        path: request.path.unwrap_or_default().to_owned(),
        headers,
        body: Vec::new(),
    };
    // Its end would have to be looked for.
    if !request.header("transfer-encoding").is_empty() {
        let error = "a body in chunks is not read here";
        return Err(io::Error::new(ErrorKind::InvalidData, error));
    }
    Ok(Some((request, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that comes byte by byte.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let one = 1.min(self.0.len());
            self.0.read(&mut to[..one])
        }
    }

    #[test]
    fn requests_are_told_apart_however_they_come() {
        let bytes = b"POST /a HTTP/1.1\r\nX-Amz-Target: T\r\ncontent-length: 2\r\n\r\n{}GET /b HTTP/1.1\r\n\r\n";
        let read_all = |stream: &mut dyn Read| {
            let mut received = Vec::new();
            let mut next = || read(&mut &mut *stream, &mut received).unwrap();
            let (first, second) = (next().unwrap(), next().unwrap());
            assert_eq!(
                (first.header("x-amz-target"), &*first.body),
                ("T", &b"{}"[..])
            );
            assert_eq!(
                (second.method.as_str(), second.path.as_str()),
                ("GET", "/b")
            );
            assert!(next().is_none());
        };
        read_all(&mut Drops(bytes));
        read_all(&mut &bytes[..]);
    }

    #[test]
    fn what_has_no_length_is_refused() {
        let mut chunked = &b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"[..];
        assert!(read(&mut chunked, &mut Vec::new()).is_err());
    }
}
