//! The connection to the XMPP server: whole stanzas in both directions.

mod error;
mod framing;
mod login;
mod tls;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use jid::FullJid;
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt};
use xtls_stanza::{Element, ns};

use crate::account::Account;
use crate::exit::Failure;
use framing::{Frame, Framing};

/// How many bytes may wait to be written before the session stops producing more.
const WRITE_MARK: usize = 64 * 1024;
/// RFC 6120 § 4.4: the end of our stream.
const STREAM_END: &str = "</stream:stream>";

/// A logged-in connection. It does not come back once it is lost.
pub(crate) struct Connection {
    io: login::Io,
    jid: FullJid,
    framing: Framing,
    out: Vec<u8>,
    written: usize,
    unflushed: bool,
    /// Bytes that were read since the last stanza.
    read: usize,
}

/// What [`Connection::turn`] came back with.
#[derive(Debug)]
pub(crate) enum Turn {
    /// A stanza of so many bytes arrived; white space before it counts too.
    Stanza(Element, usize),
    /// Everything queued is on its way to the server.
    Written,
}

impl Connection {
    /// Connects, logs in and binds the resource; one attempt.
    ///
    /// # Errors
    ///
    /// One line that says what failed: unknown host, no connection, TLS, login, resource.
    pub(crate) async fn login(account: &Account, password: &str) -> Result<Self, Failure> {
        let (io, jid) = login::login(account, password).await?;
        Ok(Self { io, jid, framing: Framing::new(), out: Vec::new(), written: 0, unflushed: false, read: 0 })
    }

    /// The address that the server bound.
    pub(crate) fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// Queues one stanza; [`Connection::turn`] writes it.
    pub(crate) fn send(&mut self, stanza: &str) {
        self.out.extend_from_slice(stanza.as_bytes());
    }

    /// Whether so much waits to be written that nothing should be added.
    pub(crate) fn is_congested(&self) -> bool {
        self.out.len() - self.written >= WRITE_MARK
    }

    /// Whether anything waits to be written.
    pub(crate) fn has_output(&self) -> bool {
        self.written < self.out.len() || self.unflushed
    }

    /// What to say when the server does not give a sign of life.
    pub(crate) fn silent(&self) -> Failure {
        error::silent(self.domain())
    }

    /// Writes what is queued and waits for a stanza, whichever comes first. Can be cancelled without loss.
    ///
    /// # Errors
    ///
    /// When the connection is gone; it is of no use afterwards.
    pub(crate) async fn turn(&mut self) -> Result<Turn, Failure> {
        poll_fn(|cx| self.poll_turn(cx)).await
    }

    /// Ends the stream in order, without waiting for the server's end.
    pub(crate) async fn close(mut self) {
        self.send(STREAM_END);
        let rest = self.out.split_off(self.written);
        // The server may be gone already, and then there is nobody to tell.
        if self.io.write_all(&rest).await.is_ok() {
            let _ = self.io.shutdown().await;
        }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<Turn, Failure>> {
        if self.has_output() {
            match self.poll_write(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(Turn::Written)),
                Poll::Ready(Err(e)) => {
                    // The server may have said why before it closed: that is worth more than "broken pipe".
                    if let Poll::Ready(Err(told)) = self.poll_stanza(cx) {
                        return Poll::Ready(Err(told));
                    }
                    return Poll::Ready(Err(error::broken(self.domain(), &e)));
                }
                Poll::Pending => {}
            }
        }
        self.poll_stanza(cx).map_ok(|(stanza, bytes)| Turn::Stanza(stanza, bytes))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.unflushed = true;
        }
        self.out.clear();
        self.written = 0;
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn poll_stanza(&mut self, cx: &mut Context<'_>) -> Poll<Result<(Element, usize), Failure>> {
        let domain = self.jid.domain().as_str();
        loop {
            let bytes = ready!(Pin::new(&mut self.io).poll_fill_buf(cx)).map_err(|e| error::broken(domain, &e))?;
            if bytes.is_empty() {
                return Poll::Ready(Err(error::gone(domain)));
            }
            let mut rest = bytes;
            let frame = self.framing.read(&mut rest);
            let used = bytes.len() - rest.len();
            Pin::new(&mut self.io).consume(used);
            self.read += used;
            match frame.map_err(|e| error::not_xmpp(domain, &e.to_string()))? {
                Some(Frame::Element(element)) if ns::is_stanza(element.ns()) => {
                    return Poll::Ready(Ok((element, std::mem::take(&mut self.read))));
                }
                // Nothing but a stream error is expected beside stanzas; the rest was not asked for.
                Some(Frame::Element(element)) => {
                    if let Some(failure) = self.stream_error(&element) {
                        return Poll::Ready(Err(failure));
                    }
                }
                Some(Frame::End) => return Poll::Ready(Err(error::gone(domain))),
                None => {}
            }
        }
    }

    /// Reads a stream error (RFC 6120 § 4.9.2).
    fn stream_error(&self, element: &Element) -> Option<Failure> {
        if !element.is("error", ns::STREAM) {
            return None;
        }
        let text = element.child("text", ns::STREAM_ERRORS).map(|text| text.text());
        let condition = element.children().find(|child| child.ns() == ns::STREAM_ERRORS && child.name() != "text");
        let condition = condition.map_or("undefined-condition", |child| child.name());
        Some(error::stream_error(condition, text.as_deref(), self.jid.as_str()))
    }

    fn domain(&self) -> &str {
        self.jid.domain().as_str()
    }
}
