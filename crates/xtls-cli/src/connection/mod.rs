//! The connection to the XMPP server: whole stanzas in both directions, over a link.

mod error;
mod login;
mod sasl;

use xtls::Identity;
use xtls::link::LinkEvent;
use xtls_stanza::jid::FullJid;
use xtls_stanza::{Element, Limits};

use crate::account::Account;
use crate::clock;
use crate::exit::Failure;
use error::Words;
use login::{MAX_STANZA, Wire};

/// How many bytes may wait to be written before the session stops producing more.
const WRITE_MARK: usize = 64 * 1024;

/// A logged-in connection. It does not come back once it is lost.
pub(crate) struct Connection {
    account: Account,
    wire: Wire,
    jid: FullJid,
    /// The link has ended.
    is_over: bool,
}

/// What [`Connection::turn`] came back with.
#[derive(Debug)]
pub(crate) enum Turn {
    /// A stanza arrived.
    Stanza(Element),
    /// Everything queued is on its way to the server.
    Written,
}

impl Connection {
    /// Connects, logs in and binds the resource; one attempt. The server does not get to see the certificate.
    ///
    /// # Errors
    ///
    /// One line that says what failed: unknown host, no connection, TLS, login, resource.
    pub(crate) async fn login(account: Account, password: &str, identity: &Identity) -> Result<Self, Failure> {
        let (wire, jid) = login::login(&account, password, identity).await?;
        Ok(Self { account, wire, jid, is_over: false })
    }

    /// The address that the server bound.
    pub(crate) fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// Queues one stanza; [`Connection::turn`] writes it.
    pub(crate) fn send(&mut self, stanza: &str) {
        let mut limits = Limits::default();
        limits.stanza_bytes = MAX_STANZA;
        let Ok(element) = Element::parse(stanza, &limits) else {
            debug_assert!(false, "what the engine and the session write is a stanza: {stanza}");
            return;
        };
        // If the link has ended, the next turn tells; else it takes everything, since all of it is collected at once.
        let _ = self.wire.link.send(clock::now(), &element);
        self.wire.collect();
    }

    /// Whether so much waits to be written that nothing should be added.
    pub(crate) fn is_congested(&self) -> bool {
        self.wire.waiting() >= WRITE_MARK
    }

    /// Whether anything waits to be written.
    pub(crate) fn has_output(&self) -> bool {
        self.wire.waiting() > 0
    }

    /// What to say when the server does not give a sign of life.
    pub(crate) fn silent(&self) -> Failure {
        self.words().silent()
    }

    /// Writes what is queued and waits for a stanza, whichever comes first. Can be cancelled without loss.
    ///
    /// # Errors
    ///
    /// When the connection is gone; it is of no use afterwards.
    pub(crate) async fn turn(&mut self) -> Result<Turn, Failure> {
        loop {
            match self.wire.turn().await {
                None => return Ok(Turn::Written),
                Some(LinkEvent::Stanza { stanza }) => return Ok(Turn::Stanza(stanza)),
                Some(LinkEvent::Closed(closed)) => {
                    self.is_over = true;
                    return Err(self.words().ended(&self.wire.link, &closed.reason));
                }
                // Nothing else was asked for.
                Some(_) => {}
            }
        }
    }

    /// Ends the stream in order.
    pub(crate) async fn close(self) {
        if self.is_over { self.wire.finish().await } else { self.wire.close().await }
    }

    fn words(&self) -> Words<'_> {
        Words { account: &self.account }
    }
}
