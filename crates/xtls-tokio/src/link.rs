//! Links: direct connections, between two entities without a server or between a client and its server.
//!
//! A link has one connection and one user, so it needs no driver: [`LinkStream`] moves bytes while it is polled, and gives what
//! happens.

mod bytes;
mod error;
mod received;

use core::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};
use std::{
    fmt, io,
    time::{Duration, Instant},
};

use futures::{Sink, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};
use xtls::{
    CloseReason, Element, Fault, Terms,
    error::SendError,
    jid::Jid,
    link::{Client, DirectFault, Kind, Link, LinkClosed, LinkError, LinkEvent, LinkSetup, Peer, PeerLink},
};

pub use self::{bytes::ByteLink, error::ByteLinkError};
use crate::{OuterStream, Received, shared::now};

/// How much is read at once.
const CHUNK: usize = 32 * 1024;
/// How much may wait to be written while a link that is an outer stream has room for one more stanza.
const WAITING: usize = 64 * 1024;
/// How long the last bytes may take to be written, and the other end to end the connection too.
const FAREWELL: Duration = Duration::from_secs(2);

/// A link over a connection: a `Stream` of what happens, and a `Sink` of stanzas.
///
/// - **Polling it as a stream** moves bytes in both directions and lets time pass. After [`LinkEvent::Closed`] it writes what is
///   left, shuts the connection down, waits for the other end to do so, for 2 s in all, and ends. Nothing is lost with a future that
///   is dropped.
/// - **Commands** are given by [`with_link`](Self::with_link): `accept`, `trust`, `send_nonza`.
/// - **Sending** waits for room: [`LinkConfig::send_buffer`](xtls::link::LinkConfig::send_buffer) in the link, and as much that
///   waits for the connection. Flushing waits until everything is written. A stanza that cannot be sent says so by
///   [`SendError`], and leaves the link as it was.
/// - **Closing** ends the link in order and waits for that; what else happens meanwhile is dropped.
///
/// The connection is to send what is written at once (`TCP_NODELAY`).
///
/// # As an outer stream
///
/// A client's link to its server carries tunnels as well, once the client has logged in over it (what SASL and resource binding
/// take is the client's: `send_nonza`, `restart_stream`). Then it is an [`OuterStream`] of elements. A link that ends in order
/// is [`Received::Ended`], otherwise [`Received::Lost`] or [`Received::StanzaTooLarge`] with a [`LinkEnd`] inside. Other events are dropped, and so is a stanza that
/// the link refuses to send. What stops while it is away is not resumed.
pub struct LinkStream<K: Kind, T> {
    link: Link<K>,
    connection: T,
    /// What has come and the link has not taken.
    input: Vec<u8>,
    /// Nothing more comes, and whether the link knows.
    has_ended: bool,
    is_told: bool,
    /// What is to be written after the first so many bytes.
    output: Vec<u8>,
    written: usize,
    /// Nothing can be written any more.
    is_broken: bool,
    /// The end of the link was told.
    is_closed: bool,
    /// The largest stanza that the other end takes, as it said last.
    stanza_limit: Option<u32>,
    /// A stanza that there was no room for.
    kept: Option<Element>,
    /// The connection is shut down in our direction.
    is_shut: bool,
    /// Who waits for something to be written.
    writer: Option<Waker>,
    timer: Option<Pin<Box<Sleep>>>,
    /// When the end is not waited for any more.
    farewell: Option<Pin<Box<Sleep>>>,
}

/// How a link ended that was an [`OuterStream`]: what is inside of the error of [`Received::Lost`].
#[derive(Debug)]
#[non_exhaustive]
pub struct LinkEnd {
    /// Who ended it, and why.
    pub closed: LinkClosed,
}

/// A link between two entities, over this connection to `peer`.
///
/// # Errors
///
/// When the configuration is out of bounds, or the terms cannot be met with the peer.
pub fn connect<T>(setup: LinkSetup, peer: Jid, terms: Terms, connection: T) -> Result<LinkStream<Peer, T>, LinkError> {
    Ok(LinkStream::new(PeerLink::connect(setup, peer, terms, now())?, connection))
}

/// The other end of one: [`LinkEvent::Incoming`] says who it is, and is answered by `accept` or `refuse`.
///
/// # Errors
///
/// When the configuration is out of bounds.
pub fn listen<T>(setup: LinkSetup, expected: Option<Jid>, connection: T) -> Result<LinkStream<Peer, T>, LinkError> {
    Ok(LinkStream::new(PeerLink::listen(setup, expected, now())?, connection))
}

impl<K: Kind, T> LinkStream<K, T> {
    /// A link that was just made, over its connection.
    #[must_use]
    pub fn new(link: Link<K>, connection: T) -> Self {
        Self {
            link,
            connection,
            input: Vec::new(),
            has_ended: false,
            is_told: false,
            output: Vec::new(),
            written: 0,
            is_broken: false,
            is_closed: false,
            stanza_limit: None,
            kept: None,
            is_shut: false,
            writer: None,
            timer: None,
            farewell: None,
        }
    }

    /// The link, to be asked.
    #[must_use]
    pub fn link(&self) -> &Link<K> {
        &self.link
    }

    /// Whether the connection has taken all that there was to send.
    fn is_written(&self) -> bool {
        self.is_broken || self.output.is_empty() && self.link.stats().unsent == 0
    }

    /// Gives the link a command. It goes out when this is polled next.
    pub fn with_link<R>(&mut self, command: impl FnOnce(&mut Link<K>, Instant) -> R) -> R {
        command(&mut self.link, now())
    }
}

impl<K: Kind, T: AsyncRead + AsyncWrite + Unpin> LinkStream<K, T> {
    /// Moves what can be moved; whether anything could.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        let now = now();
        let used = self.link.handle_bytes(now, &self.input);
        self.input.drain(..used);
        let mut moved = used > 0;
        if self.input.is_empty() && self.has_ended && !self.is_told {
            self.is_told = true;
            self.link.handle_end(now);
            moved = true;
        }
        // What waits here is no more than the link has held.
        if self.output.is_empty() {
            moved |= self.link.poll_transmit(now, &mut self.output);
        }
        moved |= self.write(cx) | self.read(cx);
        // What has come was on its way before the time passed.
        moved || self.pass_time(cx)
    }

    /// Hands the connection what there is to write; whether it took any.
    fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let before = self.written;
        while self.written < self.output.len() && !self.is_broken {
            let rest = self.output.get(self.written..).unwrap_or_default();
            match Pin::new(&mut self.connection).poll_write(cx, rest) {
                Poll::Ready(Ok(count)) if count > 0 => self.written += count,
                // What the peer has sent before may still be read; the end comes after it.
                Poll::Ready(_) => self.is_broken = true,
                Poll::Pending => break,
            }
        }
        let moved = self.written > before;
        if self.written >= self.output.len() || self.is_broken {
            self.output.clear();
            self.written = 0;
            self.is_broken |= matches!(Pin::new(&mut self.connection).poll_flush(cx), Poll::Ready(Err(_)));
        }
        if (moved || self.is_broken)
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
        moved
    }

    /// Reads, if the link has taken all that was read before; whether anything had come.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.input.is_empty() || self.has_ended {
            return false;
        }
        self.input.resize(CHUNK, 0);
        let mut buffer = ReadBuf::new(&mut self.input);
        let read = Pin::new(&mut self.connection).poll_read(cx, &mut buffer);
        let count = buffer.filled().len();
        self.input.truncate(count);
        match read {
            Poll::Pending => false,
            Poll::Ready(read) => {
                // A connection that broke and one that ended look the same to the link.
                self.has_ended = read.is_err() || count == 0;
                true
            }
        }
    }

    /// Lets time pass, if the link waits for that, and sets the timer; whether it did.
    fn pass_time(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.link.poll_timeout().map(|deadline| deadline.at) else { return false };
        let at = tokio::time::Instant::from_std(at);
        match &mut self.timer {
            Some(timer) if timer.deadline() == at => {}
            Some(timer) => timer.as_mut().reset(at),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(at))),
        }
        let is_due = self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if is_due {
            self.link.handle_timeout(now());
        }
        is_due
    }

    /// Writes the last bytes, shuts the connection down, and lets the other end read them.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_over = self.farewell.get_or_insert_with(|| Box::pin(tokio::time::sleep(FAREWELL))).as_mut().poll(cx);
        while !self.is_broken && !self.is_shut && is_over.is_pending() {
            while self.link.poll_transmit(now(), &mut self.output) {}
            self.write(cx);
            if !self.output.is_empty() {
                return Poll::Pending;
            }
            self.is_broken |= ready!(Pin::new(&mut self.connection).poll_shutdown(cx)).is_err();
            self.is_shut = true;
        }
        // A connection that is closed with bytes unread takes away what was written last.
        while !self.is_broken && !self.has_ended && is_over.is_pending() {
            self.input.clear();
            if !self.read(cx) {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }

    /// Sends what was kept.
    fn poll_kept(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        while let Some(stanza) = self.kept.take() {
            match self.link.send(now(), &stanza) {
                Err(SendError::Full) => self.kept = Some(stanza),
                sent => return Poll::Ready(sent),
            }
            ready!(self.poll_written(cx));
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what the link has to send, and waits for the connection to take it. One that takes nothing any more has it all.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.output.is_empty() && !self.link.poll_transmit(now(), &mut self.output) {
                return Poll::Ready(());
            }
            let moved = self.write(cx);
            if !moved && !self.output.is_empty() {
                self.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }
}

impl<K: Kind, T: AsyncRead + AsyncWrite + Unpin> Stream for LinkStream<K, T>
where
    Link<K>: Unpin,
{
    type Item = LinkEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LinkEvent>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.link.poll_event() {
                this.is_closed |= matches!(event, LinkEvent::Closed(_));
                if let LinkEvent::Features(features) = &event {
                    this.stanza_limit = features.stanza_limit();
                }
                return Poll::Ready(Some(event));
            }
            if this.is_closed {
                return this.poll_farewell(cx).map(|()| None);
            }
            if !this.turn(cx) {
                return Poll::Pending;
            }
        }
    }
}

impl<K: Kind, T: AsyncRead + AsyncWrite + Unpin> Sink<Element> for LinkStream<K, T>
where
    Link<K>: Unpin,
{
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_kept(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, stanza: Element) -> Result<(), SendError> {
        match self.link.send(now(), &stanza) {
            Err(SendError::Full) => {
                self.kept = Some(stanza);
                Ok(())
            }
            sent => sent,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        ready!(self.poll_kept(cx))?;
        ready!(self.poll_written(cx));
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if !self.is_closed {
            ready!(self.poll_kept(cx))?;
            self.link.close(now());
        }
        while ready!(self.as_mut().poll_next(cx)).is_some() {}
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> OuterStream for LinkStream<Client, T> {
    type Stanza = Element;

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received<Element>> {
        loop {
            match ready!(Pin::new(&mut *self).poll_next(cx)) {
                Some(LinkEvent::Stanza { stanza }) => return Poll::Ready(Received::Stanza(stanza)),
                Some(LinkEvent::Closed(closed)) if matches!(closed.reason, CloseReason::Done) => {
                    return Poll::Ready(Received::Ended);
                }
                Some(LinkEvent::Closed(closed)) => {
                    let too_large = may_be_size(&closed.reason);
                    let error = io::Error::other(LinkEnd { closed });
                    return Poll::Ready(if too_large {
                        Received::StanzaTooLarge(error)
                    } else {
                        Received::Lost(error)
                    });
                }
                Some(_) => {}
                None => return Poll::Ready(Received::Ended),
            }
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = ready!(self.poll_kept(cx));
        if self.link.stats().unsent + self.output.len() - self.written >= WAITING {
            ready!(self.poll_written(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(&mut self, stanza: Element) -> io::Result<()> {
        // If the link has ended, receiving tells.
        let _ = Sink::start_send(Pin::new(self), stanza);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = ready!(Sink::poll_flush(Pin::new(self), cx));
        Poll::Ready(Ok(()))
    }

    fn stanza_limit(&self) -> Option<u32> {
        self.stanza_limit
    }
}

/// Whether the other end ended the stream because a stanza may have been too large: see [`StreamError::may_be_size`].
///
/// [`StreamError::may_be_size`]: xtls::link::StreamError::may_be_size
#[must_use]
pub fn may_be_size(reason: &CloseReason) -> bool {
    let CloseReason::Fault(fault) = reason else { return false };
    matches!(&**fault, Fault::Link(DirectFault::Reported(error)) if error.may_be_size())
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the link ended: {}", self.closed.reason)
    }
}

impl core::error::Error for LinkEnd {}

impl<K: Kind, T> fmt::Debug for LinkStream<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unread = self.input.len();
        f.debug_struct("LinkStream").field("stage", &self.link.stage()).field("unread", &unread).finish_non_exhaustive()
    }
}
