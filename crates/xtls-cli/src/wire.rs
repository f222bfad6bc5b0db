//! A connection with a link on it: moves bytes between the two.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use xtls::link::{Kind, Link, LinkEvent};

use crate::clock;

/// How much is read at once.
const CHUNK: usize = 32 * 1024;
/// How much waits for the connection before nothing more is taken out of the link.
const MAX_OUTPUT: usize = 64 * 1024;
/// How long the last bytes may take to be written, and the peer to notice the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// A connection with a link on it.
pub(crate) struct Wire<K: Kind> {
    pub(crate) link: Link<K>,
    stream: TcpStream,
    /// What has come and the link has not taken.
    input: Vec<u8>,
    /// Nothing more comes, and whether the link knows.
    ended: bool,
    told: bool,
    output: Vec<u8>,
    /// Nothing can be written any more.
    broken: bool,
}

impl<K: Kind> Wire<K> {
    pub(crate) fn new(stream: TcpStream, link: Link<K>) -> Self {
        // A line is to be seen when it is typed. If that cannot be had, it comes a little later.
        let _ = stream.set_nodelay(true);
        Self { link, stream, input: Vec::new(), ended: false, told: false, output: Vec::new(), broken: false }
    }

    /// The next event of the link. Dropping this loses nothing. After [`LinkEvent::Closed`] it never comes back.
    pub(crate) async fn event(&mut self) -> LinkEvent {
        loop {
            if let Some(event) = self.turn().await {
                return event;
            }
        }
    }

    /// The next event of the link; `None` when the last of what waited has been written. Dropping this loses nothing. After
    /// [`LinkEvent::Closed`] and the last byte it never comes back.
    pub(crate) async fn turn(&mut self) -> Option<LinkEvent> {
        loop {
            if let Some(event) = self.link.poll_event() {
                return Some(event);
            }
            let polled = self.output.len() < MAX_OUTPUT && self.collect();
            if self.feed() || polled {
                continue;
            }
            let reads = self.input.is_empty() && !self.ended;
            let writes = !self.output.is_empty() && !self.broken;
            let deadline = self.link.poll_timeout().map(|deadline| deadline.at);
            tokio::select! {
                _ = self.stream.readable(), if reads => self.read(),
                _ = self.stream.writable(), if writes => {
                    self.write();
                    if self.output.is_empty() {
                        return None;
                    }
                }
                () = clock::sleep_until(deadline) => self.link.handle_timeout(clock::now()),
            }
        }
    }

    /// Takes out of the link what there is to send, for the next turn to write; whether there was anything.
    pub(crate) fn collect(&mut self) -> bool {
        self.link.poll_transmit(clock::now(), &mut self.output)
    }

    /// How many bytes wait to be written, as far as they can be.
    pub(crate) fn waiting(&self) -> usize {
        if self.broken { 0 } else { self.output.len() }
    }

    /// Ends the stream in order, and then the connection. A peer that takes its time for that is left alone.
    pub(crate) async fn close(mut self) {
        self.link.close(clock::now());
        let end = async { while !matches!(self.event().await, LinkEvent::Closed(_)) {} };
        let _ = tokio::time::timeout(FAREWELL, end).await;
        self.finish().await;
    }

    /// Writes what is left, and lets the peer read it. A peer that does not in time is left alone.
    pub(crate) async fn finish(mut self) {
        let farewell = async {
            self.collect();
            if !self.broken && self.stream.write_all(&self.output).await.is_ok() && self.stream.shutdown().await.is_ok()
            {
                // A connection that is closed with bytes unread takes away what was written last.
                while !self.ended && self.stream.readable().await.is_ok() {
                    self.input.clear();
                    self.read();
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }

    /// Hands the link what has come; tells whether it took anything.
    fn feed(&mut self) -> bool {
        let now = clock::now();
        let used = self.link.handle_bytes(now, &self.input);
        self.input.drain(..used);
        if self.input.is_empty() && self.ended && !self.told {
            self.told = true;
            self.link.handle_end(now);
            return true;
        }
        used > 0
    }

    fn read(&mut self) {
        self.input.resize(CHUNK, 0);
        let count = match self.stream.try_read(&mut self.input) {
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return self.input.clear(),
            // A connection that broke and one that ended look the same to the link.
            Err(_) => 0,
        };
        // A server that waits for this before it writes more, as Nagle's algorithm has it, would wait for 40 ms. It does not last.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _ = self.stream.set_quickack(true);
        self.input.truncate(count);
        self.ended |= count == 0;
    }

    fn write(&mut self) {
        match self.stream.try_write(&self.output) {
            Ok(count) => drop(self.output.drain(..count)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            // What the peer has sent before may still be read; the end comes after it.
            Err(_) => self.broken = true,
        }
    }
}
