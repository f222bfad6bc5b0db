//! The connection to the XMPP server: whole stanzas in both directions, over a link.

mod binding;
mod error;
mod login;
mod sasl;
mod scram;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream as _;
use tokio::time::{Instant, Sleep};
use xtls::Identity;
use xtls::link::LinkEvent;
use xtls_stanza::jid::FullJid;
use xtls_stanza::{Element, Limits};
use xtls_tokio::{OuterStream, Received, link::may_be_size};
use xtls_trace::Direction;

use crate::account::Account;
use crate::exit::Failure;
use crate::session;
use crate::trace::Shared;
use crate::wire;
use error::Words;
use login::{Bound, Wire};

/// Silence of the server after which it is asked for a sign of life.
const IDLE: Duration = Duration::from_secs(60);
/// How long it may take with that.
const PATIENCE: Duration = Duration::from_secs(30);
/// The id of the question for a sign of life. One is open at a time.
const PING_ID: &str = "alive";

/// A logged-in connection. It does not come back once it is lost: why, the [`Failure`] says that is inside of the error of
/// [`Received::Lost`].
pub(crate) struct Connection {
    account: Account,
    wire: Wire,
    jid: FullJid,
    pre_approves: bool,
    trace: Shared,
    /// When the server was last heard of, and whether it was asked for a sign of life since.
    heard: Instant,
    asked: bool,
    /// When that is looked at next.
    look: Pin<Box<Sleep>>,
}

impl Connection {
    /// Connects, logs in and binds the resource; one attempt. The server does not get to see the certificate. From then on
    /// stanzas are traced.
    ///
    /// # Errors
    ///
    /// One line that says what failed: unknown host, no connection, TLS, login, resource.
    pub(crate) async fn login(
        account: Account,
        password: &str,
        identity: &Identity,
        trace: Shared,
    ) -> Result<Self, Failure> {
        let (wire, Bound { jid, pre_approves }) = login::login(&account, password, identity).await?;
        let look = Box::pin(tokio::time::sleep(IDLE));
        Ok(Self { account, wire, jid, pre_approves, trace, heard: Instant::now(), asked: false, look })
    }

    /// The address that the server bound.
    pub(crate) fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// Whether the server approves subscriptions before they are asked for (RFC 6121 § 3.4).
    pub(crate) fn pre_approves(&self) -> bool {
        self.pre_approves
    }

    /// Ends the stream in order.
    pub(crate) async fn close(self) {
        wire::end(self.wire).await;
    }

    /// RFC 6120 § 4.6: a server that is gone without a word is noticed by asking it for one.
    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        while self.look.as_mut().poll(cx).is_ready() {
            let due = self.heard + if self.asked { IDLE + PATIENCE } else { IDLE };
            if Instant::now() < due {
                self.look.as_mut().reset(due);
                continue;
            }
            if self.asked {
                return Poll::Ready(Words { account: &self.account }.silent());
            }
            self.asked = true;
            if let Ok(ping) = Element::parse(&session::ping(PING_ID, self.jid.domain()), &Limits::default()) {
                let _ = self.start_send(ping);
            }
        }
        Poll::Pending
    }

    fn lost(failure: Failure) -> Received<Element> {
        Received::Lost(io::Error::other(failure))
    }
}

impl OuterStream for Connection {
    type Stanza = Element;

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received<Element>> {
        loop {
            // Asking for a sign of life is written by the link.
            let silent = self.watch(cx);
            match (Pin::new(&mut self.wire).poll_next(cx), silent) {
                (Poll::Ready(Some(LinkEvent::Stanza { stanza })), _) => {
                    (self.heard, self.asked) = (Instant::now(), false);
                    self.trace.lock().stanza(self.jid.as_str(), Direction::In, &stanza);
                    return Poll::Ready(Received::Stanza(stanza));
                }
                (Poll::Ready(Some(LinkEvent::Closed(closed))), _) => {
                    let words = Words { account: &self.account };
                    let failure = io::Error::other(words.ended(self.wire.link(), &closed.reason));
                    return Poll::Ready(if may_be_size(&closed.reason) {
                        Received::StanzaTooLarge(failure)
                    } else {
                        Received::Lost(failure)
                    });
                }
                // Nothing else was asked for.
                (Poll::Ready(Some(_)), _) => {}
                (Poll::Ready(None), _) => return Poll::Ready(Received::Ended),
                (Poll::Pending, Poll::Ready(silent)) => return Poll::Ready(Self::lost(silent)),
                (Poll::Pending, Poll::Pending) => return Poll::Pending,
            }
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        OuterStream::poll_ready(&mut self.wire, cx)
    }

    fn start_send(&mut self, stanza: Element) -> io::Result<()> {
        self.trace.lock().stanza(self.jid.as_str(), Direction::Out, &stanza);
        OuterStream::start_send(&mut self.wire, stanza)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        OuterStream::poll_flush(&mut self.wire, cx)
    }

    fn stanza_limit(&self) -> Option<u32> {
        self.wire.stanza_limit()
    }
}
