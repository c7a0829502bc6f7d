//! The endpoint that the stack delivers messages to, played by the test: it takes only so many at a time.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use url::Url;

use crate::{Stack, wait_until};

/// An endpoint at work. It goes on until the test's process ends.
#[derive(Debug, Clone)]
pub struct Endpoint {
    takes: Duration,
    at_a_time: usize,
    seen: Arc<Mutex<Seen>>,
}

/// What it has seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// How often a message was taken, by its idempotency key.
    pub taken: BTreeMap<String, u32>,
    /// How many came when there were too many already.
    pub refused: u32,
    /// The most that were at work at a time.
    pub at_work_max: usize,
    at_work: usize,
    /// From the first that began to the last that ended.
    span: Option<(Instant, Instant)>,
    /// How long all together were at work.
    worked: Duration,
}

impl Seen {
    /// How many were at work on average, from the first that began to the last that ended.
    #[must_use]
    pub fn at_work_on_average(&self) -> f64 {
        let lasted = self.span.map_or(Duration::ZERO, |(from, to)| to - from);
        self.worked.as_secs_f64() / lasted.as_secs_f64()
    }
}

impl Endpoint {
    /// Listens where the stack was told that it would. A message takes so long, and so many are taken at a time; the
    /// others are asked to come again in a second.
    ///
    /// # Errors
    ///
    /// When the stack delivers to nowhere, or somebody else listens there.
    pub fn listen(stack: &Stack, takes: Duration, at_a_time: usize) -> Result<Self> {
        let path = format!(
            "/2015-03-31/functions/{}-deliver-messages/configuration",
            stack.name
        );
        let function = stack.rest("GET", "lambda", &path, &Value::Null)?;
        let url = &function["Environment"]["Variables"]["DELIVERY_URL"];
        let url = Url::parse(url.as_str().context("the stack delivers no messages")?)?;
        let port = url.port().context("the endpoint has no port")?;
        let listener = wait_until("the port is free", Duration::from_mins(1), || {
            Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        })?;
        let endpoint = Self {
            takes,
            at_a_time,
            seen: Arc::default(),
        };
        let at_work = endpoint.clone();
        thread::spawn(move || {
            // Each connection has a thread at once: a pool would make some of them wait.
            for connection in listener.incoming().flatten() {
                let endpoint = at_work.clone();
                // An error is how it ends.
                thread::spawn(move || endpoint.serve(&connection));
            }
        });
        Ok(endpoint)
    }

    /// What it has seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the requests that come over a connection, one after the other.
    fn serve(&self, mut connection: &TcpStream) -> Result<()> {
        let mut requests = BufReader::new(connection);
        loop {
            let mut headers = BTreeMap::new();
            loop {
                let mut line = String::new();
                if requests.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let line = line.trim_end();
                if line.is_empty() {
                    break;
                }
                if let Some((name, value)) = line.split_once(": ") {
                    headers.insert(name.to_lowercase(), value.to_owned());
                }
            }
            let length = headers.get("content-length").context("no length")?;
            requests.read_exact(&mut vec![0; length.parse()?])?;
            let key = headers.remove("idempotency-key").context("no key")?;
            let status = if self.take(key) {
                "200 OK"
            } else {
                "429 Too Many Requests\r\nretry-after: 1"
            };
            // In one piece: of several the last would wait for the first to be acknowledged.
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            connection.write_all(answer.as_bytes())?;
        }
    }

    /// Takes a message, unless there are too many. Returns whether it did.
    fn take(&self, key: String) -> bool {
        let began = Instant::now();
        {
            let mut seen = self.lock();
            if seen.at_work >= self.at_a_time {
                seen.refused += 1;
                return false;
            }
            seen.at_work += 1;
            seen.at_work_max = seen.at_work_max.max(seen.at_work);
            *seen.taken.entry(key).or_default() += 1;
        }
        thread::sleep(self.takes);
        let ended = Instant::now();
        let mut seen = self.lock();
        seen.at_work -= 1;
        seen.worked += ended - began;
        let first = seen.span.map_or(began, |(first, _)| first.min(began));
        seen.span = Some((first, ended));
        true
    }
}
