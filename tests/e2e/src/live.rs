//! A client of the live updates.

use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::Value;
use tungstenite::{Error, HandshakeError, Message, WebSocket, client};
use url::Url;

use crate::{User, secrets, wait_until};

/// How long opening a connection may take, with a hundred cold functions on two cores.
const OPENING: Duration = Duration::from_mins(1);

/// How long after a task had ended a message tells of it that comes now.
///
/// # Errors
///
/// When it tells of no end.
pub fn latency(message: &Value) -> Result<Duration> {
    let ended = message["data"]["finished_at"].as_str().context("no end")?;
    let ended = SystemTime::try_from(DateTime::from_str(ended, Format::DateTime)?)?;
    // One machine, one clock.
    Ok(SystemTime::now().duration_since(ended)?)
}

/// The median of some durations, and what 19 of 20 are not above.
#[must_use]
pub fn percentiles(mut durations: Vec<Duration>) -> (Duration, Duration) {
    durations.sort();
    let at = |percent: usize| {
        let at = (durations.len() * percent).div_ceil(100).saturating_sub(1);
        durations.get(at).copied().unwrap_or_default()
    };
    (at(50), at(95))
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocket<TcpStream>,
}

/// What came of trying to open one.
#[derive(Debug)]
pub enum Opened {
    /// It is open.
    Open(Connection),
    /// It was refused, with this HTTP status.
    Refused(u16),
}

impl User {
    /// Asks for where the user is told of tasks.
    ///
    /// # Errors
    ///
    /// When there is no such answer.
    pub fn live_url(&self) -> Result<String> {
        let answer = self.post("/api/live/", b"")?;
        let url = answer.json()?.pointer("/data/url").cloned();
        let url = url.as_ref().and_then(Value::as_str);
        let url = url.with_context(|| format!("no URL: {} {}", answer.status, answer.text()))?;
        secrets::note(url.rsplit('=').next().unwrap_or_default())?;
        Ok(url.to_owned())
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// When that is refused.
    pub fn listen(&self) -> Result<Connection> {
        match open(&self.live_url()?)? {
            Opened::Open(connection) => Ok(connection),
            Opened::Refused(status) => bail!("refused: {status}"),
        }
    }
}

/// Opens a connection at a URL, as a browser would.
///
/// # Errors
///
/// When nobody answers.
pub fn open(url: &str) -> Result<Opened> {
    let port = Url::parse(url)?.port().context("no port")?;
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(OPENING))?;
    match client(url, stream) {
        Ok((socket, _)) => Ok(Opened::Open(Connection { socket })),
        Err(HandshakeError::Failure(Error::Http(response))) => {
            Ok(Opened::Refused(response.status().as_u16()))
        }
        Err(error) => bail!("no handshake: {error}"),
    }
}

impl Connection {
    /// The next message, or `None` when the connection is closed.
    ///
    /// # Errors
    ///
    /// When there is none within that time, or it is no JSON.
    pub fn next(&mut self, within: Duration) -> Result<Option<Value>> {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_millis(1));
            self.socket.get_ref().set_read_timeout(Some(left))?;
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(Some(serde_json::from_str(&text)?)),
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                    return Ok(None);
                }
                Ok(_) => {}
                Err(error) => bail!("nothing came within {} ms: {error}", within.as_millis()),
            }
        }
    }

    /// The messages up to the first of which this is true, that one included.
    ///
    /// # Errors
    ///
    /// When it does not come within that time.
    pub fn until(
        &mut self,
        within: Duration,
        is_last: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>> {
        let until = Instant::now() + within;
        let mut messages = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let message = self.next(left)?.context("the connection was closed")?;
            let is_last = is_last(&message);
            messages.push(message);
            if is_last {
                return Ok(messages);
            }
        }
    }

    /// Says something.
    ///
    /// # Errors
    ///
    /// When it is closed.
    pub fn say(&mut self, text: &str) -> Result<()> {
        Ok(self.socket.send(text.into())?)
    }

    /// Waits for the other side to close it.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn closed(&mut self, within: Duration) -> Result<()> {
        wait_until("the connection is closed", within, || {
            Ok(self.next(within)?.is_none().then_some(()))
        })
    }
}
