//! tokio-xmpp as the outer stream (feature `tokio-xmpp`).
//!
//! It stands on [`StanzaStream`] and not on `tokio_xmpp::Client`, which does not tell when the connection is away.
//!
//! # Addresses
//!
//! tokio-xmpp prepares addresses by RFC 6122, and so makes `strasse.example` of `straße.example`, which is somebody else's domain
//! (RFC 7622 § 5). What is sent to an address that it would change is not sent: [`Handle::call`](crate::Handle::call) says
//! [`CallError::Address`](crate::CallError::Address), and [`connect`](XmppStream::connect) refuses such an account. What comes from such
//! an address cannot be told from what comes from the other one: a peer is known by its certificate or its password, not by its
//! address alone.
//!
//! # Trees and text
//!
//! What comes is handed to the engine from tree to tree, and the client's own stanzas pass as they are. What an engine sends is text:
//! a block goes from TLS into base64 in the very string that is sent, and no tree of it exists. tokio-xmpp takes nothing but trees,
//! so that text is read once here, and written once more by tokio-xmpp.
//!
//! # Resumption
//!
//! tokio-xmpp resumes sessions where the server has XEP-0198. It sends what it had not sent, or what was not acknowledged, by itself;
//! [`Received::Suspended`] and [`Received::Resumed`] come in their place among the stanzas. A session that is not resumed is
//! [`Received::Lost`], and [`session`](XmppStream::session) gives the next one. (At a `<failed/>`
//! without `h` version 6.0 drops the connection first.)
//!
//! # Limits
//!
//! What the server announces (XEP-0478) is told to the engine. Why a stream ended tokio-xmpp does not tell, and a session that it
//! resumes begins with the very stanza that was too large: at a server that takes less than blocks have and announces nothing,
//! set [`Config::block_size`](xtls::Config::block_size).

mod connect;
mod convert;

use core::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::{collections::VecDeque, io};

use futures::{FutureExt as _, Stream as _, StreamExt as _};
use tokio_xmpp::{
    Stanza,
    connect::ServerConnector,
    stanzastream::{Event, StanzaStage, StanzaState, StanzaStream, StanzaToken, StreamEvent},
    xmlstream::Timeouts,
};
use xtls::jid::{FullJid, Jid};

pub use self::{
    connect::NoDelayStartTls,
    convert::{from_minidom, to_minidom, to_stanza},
};
use crate::{OuterStream, Received};

/// How many stanzas wait in tokio-xmpp, in each direction.
const DEPTH: usize = 16;

/// A [`StanzaStream`] as an outer stream: one login after the other, each with an engine and a driver of its own.
///
/// ```no_run
/// # use xtls::{Engine, jid::FullJid};
/// # use xtls_tokio::{Driver, tokio_xmpp::XmppStream};
/// # async fn run(mut stream: XmppStream, engine: impl Fn(FullJid) -> Engine) -> std::io::Result<()> {
/// // A login: the address that the server has bound.
/// while let Some(jid) = stream.session().await? {
///     let (driver, handle, stanzas) = Driver::new(engine(jid), stream);
///     # drop((handle, stanzas));
///     // It ends when there is a new session, in which nothing of the old one is left.
///     stream = driver.await.outer;
/// }
/// # Ok(())
/// # }
/// ```
pub struct XmppStream {
    stream: StanzaStream,
    depth: usize,
    /// What was handed over and is not sent yet, the oldest first.
    unsent: VecDeque<StanzaToken>,
    /// The oldest of them, while it is waited for.
    oldest: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The address of a session that has begun and that nobody has asked for.
    session: Option<tokio_xmpp::jid::Jid>,
    /// What the server of that session says of its limits.
    stanza_limit: Option<u32>,
}

impl XmppStream {
    /// Connects, logs in and keeps doing so, by tokio-xmpp's rules. [`session`](Self::session) waits for the first login.
    /// [`NoDelayStartTls`] is the connector for this: those of tokio-xmpp have Nagle's algorithm on.
    ///
    /// # Errors
    ///
    /// When tokio-xmpp would change the address, and with it give the password to another server.
    pub fn connect(server: impl ServerConnector, jid: &Jid, password: String, timeouts: Timeouts) -> io::Result<Self> {
        let account = convert::jid(jid).ok_or_else(|| {
            let changed = format!("tokio-xmpp does not take {jid} for what it is");
            io::Error::new(io::ErrorKind::InvalidInput, changed)
        })?;
        Ok(Self::new(StanzaStream::new_c2s(server, account, password, timeouts, DEPTH), DEPTH))
    }

    /// Stands on this stream, which was made with queues of this depth.
    #[must_use]
    pub fn new(stream: StanzaStream, queue_depth: usize) -> Self {
        Self {
            stream,
            depth: queue_depth.max(1),
            unsent: VecDeque::new(),
            oldest: None,
            session: None,
            stanza_limit: None,
        }
    }

    /// Waits for the next login, and gives the address that the server has bound; `None` when there will be none. It can be dropped
    /// and asked again.
    ///
    /// # Errors
    ///
    /// When the address is none by RFC 7622, or has no resource.
    pub async fn session(&mut self) -> io::Result<Option<FullJid>> {
        while self.session.is_none() {
            match self.stream.next().await {
                // What still comes of the session before is dropped.
                Some(event) => drop(self.received(event)),
                None => return Ok(None),
            }
        }
        let Some(bound) = self.session.take() else { return Ok(None) };
        let bound: Result<FullJid, _> = bound.as_str().parse();
        bound.map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Ends the stream in order.
    pub async fn close(self) {
        self.stream.close().await;
    }

    fn received(&mut self, event: Event) -> Received<Stanza> {
        match event {
            Event::Stanza(stanza) => Received::Stanza(stanza),
            Event::Stream(StreamEvent::Suspended) => Received::Suspended,
            Event::Stream(StreamEvent::Resumed) => Received::Resumed,
            Event::Stream(StreamEvent::Reset { bound_jid, features }) => {
                self.stanza_limit = features.limits.and_then(|limits| limits.max_bytes).map(Into::into);
                self.session = Some(bound_jid);
                let lost = "the session could not be resumed, and there is a new one";
                Received::Lost(io::Error::new(io::ErrorKind::ConnectionReset, lost))
            }
        }
    }

    /// Forgets what was sent.
    fn forget_sent(&mut self) {
        while self.unsent.front().is_some_and(|token| token.state() >= StanzaStage::Sent) {
            self.unsent.pop_front();
        }
    }
}

impl OuterStream for XmppStream {
    type Stanza = Stanza;

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received<Stanza>> {
        let next = ready!(Pin::new(&mut self.stream).poll_next(cx));
        Poll::Ready(next.map_or(Received::Ended, |event| self.received(event)))
    }

    /// No more is handed over than its queue takes at once: whoever waited for room in it could not receive meanwhile.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.oldest.is_none() {
                self.forget_sent();
            }
            if self.unsent.len() + usize::from(self.oldest.is_some()) < self.depth {
                return Poll::Ready(Ok(()));
            }
            let oldest = match (&mut self.oldest, self.unsent.pop_front()) {
                (Some(oldest), front) => {
                    front.into_iter().for_each(|token| self.unsent.push_front(token));
                    oldest
                }
                (none, Some(mut token)) => none.insert(Box::pin(async move {
                    token.wait_for(StanzaStage::Sent).await;
                })),
                (None, None) => return Poll::Ready(Ok(())),
            };
            ready!(oldest.as_mut().poll(cx));
            self.oldest = None;
        }
    }

    fn start_send(&mut self, stanza: Stanza) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "tokio-xmpp has ended its stream");
        // There is room: it does not wait. It panics when the other end is gone.
        let send = AssertUnwindSafe(tokio::task::unconstrained(self.stream.send(Box::new(stanza))));
        match send.catch_unwind().now_or_never() {
            Some(Ok(token)) => {
                if let StanzaState::Queued = token.state() {
                    self.unsent.push_back(token);
                }
                Ok(())
            }
            Some(Err(_)) | None => Err(gone()),
        }
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It writes by itself.
        Poll::Ready(Ok(()))
    }

    fn stanza_limit(&self) -> Option<u32> {
        self.stanza_limit
    }
}

impl core::fmt::Debug for XmppStream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("XmppStream").field("unsent", &self.unsent.len()).finish_non_exhaustive()
    }
}
