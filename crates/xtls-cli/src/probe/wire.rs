//! A connection with a link on it.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xtls::{Link, LinkEvent};

use crate::account::Server;
use crate::clock;
use crate::exit::Failure;

/// How much is read at once.
const CHUNK: usize = 16 * 1024;
/// How long the server may take to notice the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Connects to the first address of a server that answers.
pub(super) async fn connect(server: &Server) -> Result<TcpStream, Failure> {
    let Server { host, port } = server;
    let found = tokio::net::lookup_host((host.as_str(), *port)).await;
    let addresses =
        found.map_err(|e| Failure::connection(format!("unknown host {host}: {e}; check how it is written")))?;
    let mut why = "it has no address".to_owned();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(e) => why = e.to_string(),
        }
    }
    Err(Failure::connection(format!("cannot connect to {host} port {port}: {why}; check that the server runs there")))
}

/// Moves bytes between a connection and a link.
pub(super) struct Wire {
    pub(super) link: Link,
    stream: TcpStream,
    /// What has come and the link has not taken.
    input: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, link: Link) -> Self {
        Self { link, stream, input: Vec::new() }
    }

    /// The next event of the link. Behind [`LinkEvent::Closed`] it never comes back.
    pub(super) async fn event(&mut self) -> LinkEvent {
        let mut output = Vec::new();
        loop {
            // What a link says when it ends goes out before the end is told.
            if self.link.poll_transmit(clock::now(), &mut output) {
                // Where nothing can be written there may still be something to read, and then comes the end.
                let _ = self.stream.write_all(&output).await;
                output.clear();
            }
            if let Some(event) = self.link.poll_event() {
                return event;
            }
            let used = self.link.handle_bytes(clock::now(), &self.input);
            self.input.drain(..used);
            if used > 0 {
                continue;
            }
            let due = self.link.poll_timeout().map(|deadline| deadline.at);
            tokio::select! {
                read = read(&mut self.stream, &mut self.input), if self.input.is_empty() => {
                    // A connection that broke and one that ended look the same to the link.
                    if read == 0 {
                        self.link.handle_end(clock::now());
                    }
                }
                () = sleep_until(due) => self.link.handle_timeout(clock::now()),
            }
        }
    }

    /// Ends the stream in order. A server that takes its time for that is left alone.
    pub(super) async fn finish(mut self) {
        self.link.close(clock::now());
        let end = async { while !matches!(self.event().await, LinkEvent::Closed(_)) {} };
        let _ = tokio::time::timeout(FAREWELL, end).await;
    }
}

/// How many bytes were read; none at the end. Dropping this loses nothing.
async fn read(stream: &mut TcpStream, input: &mut Vec<u8>) -> usize {
    input.reserve(CHUNK);
    stream.read_buf(input).await.unwrap_or(0)
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
