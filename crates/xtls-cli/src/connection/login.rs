//! From nothing to a bound resource: TCP, TLS, SASL, bind. One attempt, no second one.

use std::time::Duration;

use xtls::Identity;
use xtls::link::{Features, LinkConfig, LinkEvent, ServerTerms, ServerTls};
use xtls::tls::TlsVersion;
use xtls_stanza::jid::FullJid;
use xtls_stanza::{Condition as StanzaCondition, Element, Limits, StanzaError, ns};

use super::binding::Bindings;
use super::error::Words;
use super::sasl::{Exchange, Heard};
use crate::account::{Account, Protection};
use crate::exit::Failure;
use crate::server::{self, Client};
use crate::wire::{self, wire};

/// The bytes to and from the server, with the link on them.
pub(super) type Wire = wire::Wire<xtls::link::Client>;

/// Longest time that connecting and logging in may take together.
const LOGIN_TIME: Duration = Duration::from_secs(30);
/// Largest stanza that is read from the server. Servers forward less: 256 KiB from a client is usual.
const MAX_STANZA: usize = 1 << 20;
/// The namespace of resource binding (RFC 6120 § 7.1).
const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// Ids of the bind request, and of the one after a conflict; nothing else is sent before their answers.
const BIND_ID: &str = "bind";
const SECOND_BIND_ID: &str = "bind-2";

/// Connects, logs in and binds the resource. The server does not get to see the certificate of `identity`.
///
/// Returns the connection, on which the answer to the bind request was the last thing read, and the address that the server
/// bound.
pub(super) async fn login(account: &Account, password: &str, identity: &Identity) -> Result<(Wire, FullJid), Failure> {
    tokio::time::timeout(LOGIN_TIME, attempt(account, password, identity))
        .await
        .unwrap_or_else(|_| Err(Words { account }.no_answer(LOGIN_TIME)))
}

async fn attempt(account: &Account, password: &str, identity: &Identity) -> Result<(Wire, FullJid), Failure> {
    let mut login = Login { words: Words { account }, wire: connect(account, identity).await? };
    match login.negotiate(password).await {
        Ok(jid) => Ok((login.wire, jid)),
        Err(failure) => {
            // RFC 6120 § 6.4.5: a client that has no other way to log in closes the stream.
            wire::end(login.wire).await;
            Err(failure)
        }
    }
}

/// Connects to the first address of the server that answers, and begins the stream.
async fn connect(account: &Account, identity: &Identity) -> Result<Wire, Failure> {
    let words = Words { account };
    let server = &account.server;
    let (jid, domain) = (account.jid.to_bare(), words.domain());
    let (trust, mut terms) = match &account.protection {
        Protection::Tls { trust, .. } => (Some(trust), ServerTerms::new(trust.policy())),
        Protection::Plaintext => (None, ServerTerms::new(xtls::TrustPolicy::Pinned)),
    };
    match account.protection {
        Protection::Tls { direct, .. } => terms.direct_tls = direct,
        Protection::Plaintext => terms.tls = ServerTls::Never,
    }
    let client = Client { jid: &jid, identity, domain: &domain };
    let link = client.link(trust, &terms, config())?;
    let addresses = server::resolve(server, &words.no_host()).await?;
    if matches!(account.protection, Protection::Plaintext)
        && let Some(elsewhere) = addresses.iter().find(|address| !address.ip().is_loopback())
    {
        return Err(Failure::usage(format!(
            "--insecure-plaintext is for loopback addresses only, and {} is {}: leave it out to log in with TLS",
            server.host,
            elsewhere.ip()
        )));
    }
    Ok(wire(server::connect(server, &addresses, &words.no_server()).await?, link))
}

/// What differs from the defaults: a stanza that exceeds a limit ends the connection, and strangers can send some, so that what
/// the server lets through is bounded by its size alone. The whole login has a time and no step of it one. Whether the server is
/// alive, the session sees to.
fn config() -> LinkConfig {
    let mut limits = Limits::default();
    limits.stanza_bytes = MAX_STANZA;
    limits.depth = MAX_STANZA;
    limits.attributes = MAX_STANZA;
    limits.declarations = MAX_STANZA;
    limits.name_bytes = MAX_STANZA;
    limits.value_bytes = MAX_STANZA;
    limits.nodes = MAX_STANZA;
    let mut config = LinkConfig::default();
    config.limits = limits;
    config.timers.answer = 2 * LOGIN_TIME;
    config.timers.handshake = 2 * LOGIN_TIME;
    config.timers.keep_alive = None;
    config
}

/// A login under way.
struct Login<'a> {
    words: Words<'a>,
    wire: Wire,
}

impl Login<'_> {
    /// From the first header to the address that the server binds.
    async fn negotiate(&mut self, password: &str) -> Result<FullJid, Failure> {
        let features = self.features().await?;
        if self.wire.link().security().is_none() && features.starttls.as_ref().is_some_and(|tls| tls.required) {
            return Err(self.words.wants_tls());
        }
        self.authenticate(&features, password).await?;
        // If the link has ended meanwhile, it says why.
        let _ = self.wire.with_link(|link, now| link.restart_stream(now));
        self.features().await?;
        self.bind().await
    }

    async fn authenticate(&mut self, features: &Features, password: &str) -> Result<(), Failure> {
        let name = self.words.account.jid.local().unwrap_or_default();
        let begun = Exchange::begin(features, name, password, &self.bindings());
        let (mut exchange, mut answer) = begun.map_err(|e| self.words.sasl(e))?;
        loop {
            let _ = self.wire.with_link(|link, now| link.send_nonza(now, &answer));
            let said = loop {
                match self.event().await? {
                    LinkEvent::Nonza(said) if said.ns() == ns::SASL => break said,
                    // What else the server says does not matter before the login.
                    _ => {}
                }
            };
            match exchange.hear(&said).map_err(|e| self.words.sasl(e))? {
                Heard::Response(response) => answer = response,
                Heard::Success => return Ok(()),
            }
        }
    }

    /// What the login can be bound to.
    fn bindings(&self) -> Bindings {
        let link = self.wire.link();
        let Some(security) = link.security() else { return Bindings::default() };
        Bindings {
            exporter: link.channel_binding().filter(|_| security.tls.version == TlsVersion::Tls13),
            end_point: security.certificate.as_ref().and_then(|certificate| certificate.server_end_point()),
        }
    }

    /// RFC 6120 § 7.7.2.2: a resource that somebody has is theirs. If the user has not chosen it there is a second attempt, with
    /// one that nobody has.
    async fn bind(&mut self) -> Result<FullJid, Failure> {
        let account = self.words.account;
        match self.bind_as(&account.jid, BIND_ID).await? {
            Ok(jid) => Ok(jid),
            Err(error) if account.takes_any_resource && error.condition == StanzaCondition::Conflict => {
                let other = account.elsewhere()?;
                self.bind_as(&other, SECOND_BIND_ID)
                    .await?
                    .map_err(|error| self.words.bad_bind(&other, &error.to_string()))
            }
            Err(error) => Err(self.words.bad_bind(&account.jid, &error.to_string())),
        }
    }

    /// Asks for the resource of this address. The server may bind another one (RFC 6120 § 7.7.1), or say why it does not.
    async fn bind_as(&mut self, wanted: &FullJid, id: &str) -> Result<Result<FullJid, StanzaError>, Failure> {
        let words = self.words;
        let request = Element::builder("iq", ns::CLIENT)
            .attribute("type", "set")
            .attribute("id", id)
            .open("bind", BIND)
            .open("resource", BIND)
            .text(wanted.resource())
            .build()
            .map_err(|e| words.bad_bind(wanted, &e.to_string()))?;
        let _ = self.wire.with_link(|link, now| link.send(now, &request));
        loop {
            // RFC 6120 § 7.1: whatever else comes is not for the resource that is not bound yet.
            let LinkEvent::Stanza { stanza } = self.event().await? else { continue };
            if !stanza.is("iq", ns::CLIENT) || stanza.attribute("id") != Some(id) {
                continue;
            }
            match stanza.attribute("type") {
                Some("result") => {
                    let jid = stanza.child("bind", BIND).and_then(|bind| bind.child("jid", BIND));
                    let text = jid.map(|jid| jid.text()).unwrap_or_default();
                    let bound = text.trim().parse();
                    return bound.map(Ok).map_err(|e| words.bad_bind(wanted, &format!("it names no address ({e})")));
                }
                Some("error") => {
                    let error = stanza.child("error", ns::CLIENT).map(StanzaError::parse);
                    return error.map(Err).ok_or_else(|| words.bad_bind(wanted, "no reason given"));
                }
                _ => {}
            }
        }
    }

    async fn features(&mut self) -> Result<Features, Failure> {
        loop {
            if let LinkEvent::Features(features) = self.event().await? {
                return Ok(features);
            }
        }
    }

    /// The next event of a link that is not to end.
    async fn event(&mut self) -> Result<LinkEvent, Failure> {
        match wire::event(&mut self.wire).await {
            LinkEvent::Closed(closed) => Err(self.words.ended(self.wire.link(), &closed.reason)),
            event => Ok(event),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Whether a stream under the link's limits takes this stanza.
    fn is_read(text: &str) -> bool {
        let mut reader = xtls_stanza::StreamReader::new(config().limits);
        let header = format!("<stream:stream xmlns='{}' xmlns:stream='{}' version='1.0'>", ns::CLIENT, ns::STREAM);
        reader.read(&mut header.as_bytes()).unwrap();
        matches!(reader.read(&mut text.as_bytes()), Ok(Some(_)))
    }

    #[test]
    fn a_strangers_deep_stanza_does_not_end_the_connection() {
        assert!(is_read(&format!("<message>{}{}</message>", "<a>".repeat(5000), "</a>".repeat(5000))));
        let nested: String = (0..5000).map(|number| format!("<a xmlns='urn:{number}'>")).collect();
        assert!(is_read(&format!("<message>{nested}{}</message>", "</a>".repeat(5000))));
        let attributes: String = (0..5000).map(|number| format!(" a{number}=''")).collect();
        assert!(is_read(&format!("<message{attributes}/>")));
        assert!(is_read(&format!("<message>{}</message>", "<a/>".repeat(50_000))));
        assert!(is_read(&format!("<message a='{}'/>", "x".repeat(500_000))));
        assert!(is_read(&format!("<message><{}/></message>", "x".repeat(50_000))));
    }

    #[test]
    fn a_stanza_is_read_at_the_limit_and_refused_one_past_it() {
        let message = |bytes: usize| format!("<message>{}</message>", "x".repeat(bytes - "<message></message>".len()));
        assert!(is_read(&message(MAX_STANZA)));
        assert!(!is_read(&message(MAX_STANZA + 1)));
    }
}
