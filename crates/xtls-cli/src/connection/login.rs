//! From nothing to a bound resource: a server that answers, TLS, SASL, bind. One attempt to log in, no second one.

use std::time::Duration;

use tokio::net::TcpStream;
use xtls::link::{DirectFault, Features, LinkConfig, LinkEvent, ServerTerms, ServerTls};
use xtls::tls::TlsVersion;
use xtls::{CloseReason, Fault, Identity};
use xtls_stanza::jid::FullJid;
use xtls_stanza::{Condition as StanzaCondition, Element, Limits, StanzaError, ns};

use super::binding::Bindings;
use super::error::Words;
use super::sasl::{Exchange, Heard};
use crate::account::{Account, Protection};
use crate::exit::{Code, Failure};
use crate::server::Client;
use crate::way::{Refused, Target, Tried};
use crate::wire::{self, wire};

/// The bytes to and from the server, with the link on them.
pub(super) type Wire = wire::Wire<xtls::link::Client>;

/// Largest stanza that is read from the server. Servers forward less: 256 KiB from a client is usual.
const MAX_STANZA: usize = 1 << 20;
/// Longest place that a server sends us to, in bytes: a name of the DNS, and a port.
const MAX_PLACE: usize = 253 + ":65535".len();
/// The namespace of resource binding (RFC 6120 § 7.1).
const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// The feature of servers that approve a subscription before it is asked for (RFC 6121 § 3.4).
const PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";
/// Ids of the bind request, and of the one after a conflict; nothing else is sent before their answers.
const BIND_ID: &str = "bind";
const SECOND_BIND_ID: &str = "bind-2";

/// What a login comes to.
pub(super) struct Bound {
    /// The address that the server bound.
    pub(super) jid: FullJid,
    /// See [`PRE_APPROVAL`].
    pub(super) pre_approves: bool,
}

/// Connects, logs in and binds the resource. The server does not get to see the certificate of `identity`.
///
/// Returns the connection, on which the answer to the bind request was the last thing read, and what the server said.
pub(super) async fn login(account: &Account, password: &str, identity: &Identity) -> Result<(Wire, Bound), Failure> {
    let (patience, mut tried) = (account.way.patience(), Tried::default());
    let attempt = tokio::time::timeout(patience, attempt(account, password, identity, &mut tried)).await;
    attempt.unwrap_or_else(|_| Err(Words { account }.no_answer(&tried, patience)))
}

/// A server may send us elsewhere once (RFC 6120 § 4.9.3.19), by a word that anybody may have put in before TLS. So nothing else
/// changes by it: what the certificate has to name and whether TLS has to be is as it was.
async fn attempt(
    account: &Account,
    password: &str,
    identity: &Identity,
    tried: &mut Tried,
) -> Result<(Wire, Bound), Failure> {
    let entrance = Entrance { account, password, identity };
    let targets = account.way.targets(&account.jid.domain_part()).await?;
    let (from, first) = match entrance.log_in(&targets, tried).await {
        Ok(logged_in) => return Ok(logged_in),
        Err(Sent::Nowhere(failure)) => return Err(failure),
        Err(Sent::Elsewhere(from, place)) => (from, place),
    };
    let targets = account.way.elsewhere(&first, &from).await?;
    entrance.log_in(&targets, tried).await.map_err(|sent| match sent {
        Sent::Nowhere(failure) => entrance.words().failed_elsewhere(&first, &failure),
        Sent::Elsewhere(_, second) => entrance.words().sent_on(&first, &second),
    })
}

/// Why a login did not come about.
enum Sent {
    Nowhere(Failure),
    /// The server that was found here sends us there.
    Elsewhere(Target, String),
}

/// What a login is made with.
#[derive(Clone, Copy)]
struct Entrance<'a> {
    account: &'a Account,
    password: &'a str,
    identity: &'a Identity,
}

impl<'a> Entrance<'a> {
    fn words(&self) -> Words<'a> {
        Words { account: self.account }
    }

    /// Logs in to the first of these servers whose stream opens, secured if it has to be. Which one that is must not depend on the
    /// login: no other one gets the password.
    async fn log_in(&self, targets: &[Target], tried: &mut Tried) -> Result<(Wire, Bound), Sent> {
        let mut at = None;
        let greeted = self.account.way.first_of(targets, tried, async |target, stream| {
            at = Some(target.clone());
            self.greet(target, stream).await
        });
        let ended = match greeted.await {
            Ok((mut login, features)) => match login.negotiate(features, self.password).await {
                Ok(bound) => return Ok((login.wire, bound)),
                Err(refused) => {
                    // RFC 6120 § 6.4.5: a client that has no other way to log in closes the stream.
                    wire::end(login.wire).await;
                    refused
                }
            },
            Err(refused) => refused,
        };
        Err(match (ended, at) {
            (Refused::Elsewhere(place), Some(from)) => Sent::Elsewhere(from, place),
            (Refused::Elsewhere(_), None) => Sent::Nowhere(Failure::other("nobody sends us elsewhere")),
            (Refused::Next(failure) | Refused::Last(failure), _) => Sent::Nowhere(failure),
        })
    }

    /// Begins the stream, and waits for what the server offers.
    async fn greet(&self, target: &Target, stream: TcpStream) -> Result<(Login<'a>, Features), Refused> {
        let account = self.account;
        let (jid, domain) = (account.jid.to_bare(), self.words().domain());
        let (trust, mut terms) = match &account.protection {
            Protection::Tls { trust } => (Some(trust), ServerTerms::new(trust.policy())),
            Protection::Plaintext => (None, ServerTerms::new(xtls::TrustPolicy::Pinned)),
        };
        match account.protection {
            // XEP-0368 § 3, rules 2 and 3.
            Protection::Tls { .. } => terms.direct_tls = target.direct,
            Protection::Plaintext => terms.tls = ServerTls::Never,
        }
        let client = Client { jid: &jid, identity: self.identity, domain: &domain };
        let link = client.link(trust, &terms, config(account.way.patience()))?;
        let mut login = Login { words: self.words(), wire: wire(stream, link) };
        match login.features().await {
            Ok(features) => Ok((login, features)),
            Err(refused) => {
                wire::end(login.wire).await;
                Err(match refused {
                    // Whoever is no server of the domain is told of at once, and not passed over.
                    Refused::Last(failure) if failure.code != Code::Security => Refused::Next(failure),
                    refused => refused,
                })
            }
        }
    }
}

/// What differs from the defaults: a stanza that exceeds a limit ends the connection, and strangers can send some, so that what
/// the server lets through is bounded by its size alone. The whole login has a time and no step of it one. Whether the server is
/// alive, the session sees to.
fn config(patience: Duration) -> LinkConfig {
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
    config.timers.answer = 2 * patience;
    config.timers.handshake = 2 * patience;
    config.timers.keep_alive = None;
    config
}

/// A login under way.
struct Login<'a> {
    words: Words<'a>,
    wire: Wire,
}

impl Login<'_> {
    /// From what the server offers to the address that it binds.
    async fn negotiate(&mut self, features: Features, password: &str) -> Result<Bound, Refused> {
        if self.wire.link().security().is_none() && features.starttls.as_ref().is_some_and(|tls| tls.required) {
            return Err(self.words.wants_tls().into());
        }
        self.authenticate(&features, password).await?;
        // If the link has ended meanwhile, it says why.
        let _ = self.wire.with_link(|link, now| link.restart_stream(now));
        let features = self.features().await?;
        let pre_approves = features.others.iter().any(|feature| feature.is("sub", PRE_APPROVAL));
        Ok(Bound { jid: self.bind().await?, pre_approves })
    }

    async fn authenticate(&mut self, features: &Features, password: &str) -> Result<(), Refused> {
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
    async fn bind(&mut self) -> Result<FullJid, Refused> {
        let account = self.words.account;
        match self.bind_as(&account.jid, BIND_ID).await? {
            Ok(jid) => Ok(jid),
            Err(error) if account.takes_any_resource && error.condition == StanzaCondition::Conflict => {
                let other = account.elsewhere()?;
                self.bind_as(&other, SECOND_BIND_ID)
                    .await?
                    .map_err(|error| self.words.bad_bind(&other, &error.to_string()).into())
            }
            Err(error) => Err(self.words.bad_bind(&account.jid, &error.to_string()).into()),
        }
    }

    /// Asks for the resource of this address. The server may bind another one (RFC 6120 § 7.7.1), or say why it does not.
    async fn bind_as(&mut self, wanted: &FullJid, id: &str) -> Result<Result<FullJid, StanzaError>, Refused> {
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
                    let wrong = |e| words.bad_bind(wanted, &format!("it names no address ({e})"));
                    return Ok(Ok(bound.map_err(wrong)?));
                }
                Some("error") => {
                    let error = stanza.child("error", ns::CLIENT).map(StanzaError::parse);
                    return error.map(Err).ok_or_else(|| words.bad_bind(wanted, "no reason given").into());
                }
                _ => {}
            }
        }
    }

    async fn features(&mut self) -> Result<Features, Refused> {
        loop {
            if let LinkEvent::Features(features) = self.event().await? {
                return Ok(features);
            }
        }
    }

    /// The next event of a link that is not to end.
    async fn event(&mut self) -> Result<LinkEvent, Refused> {
        match wire::event(&mut self.wire).await {
            LinkEvent::Closed(closed) => Err(match other_host(&closed.reason) {
                Some(place) => Refused::Elsewhere(place.to_owned()),
                None => self.words.ended(self.wire.link(), &closed.reason).into(),
            }),
            event => Ok(event),
        }
    }
}

/// Where the server sends us, if it does (RFC 6120 § 4.9.3.19).
fn other_host(reason: &CloseReason) -> Option<&str> {
    let CloseReason::Fault(fault) = reason else { return None };
    match &**fault {
        Fault::Link(DirectFault::Reported(error)) => {
            error.other_host.as_deref().filter(|place| place.len() <= MAX_PLACE)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls::link::{StreamCondition, StreamError};

    use super::*;

    /// Whether a stream under the link's limits takes this stanza.
    fn is_read(text: &str) -> bool {
        let mut reader = xtls_stanza::StreamReader::new(config(Duration::from_secs(1)).limits);
        let header = format!("<stream:stream xmlns='{}' xmlns:stream='{}' version='1.0'>", ns::CLIENT, ns::STREAM);
        reader.read(&mut header.as_bytes()).unwrap();
        matches!(reader.read(&mut text.as_bytes()), Ok(Some(_)))
    }

    #[test]
    fn a_place_as_long_as_a_name_of_the_dns_is_gone_to_and_no_longer_one() {
        let sent_to = |length: usize| {
            let mut error = StreamError::new(StreamCondition::SeeOtherHost);
            error.other_host = Some("x".repeat(length));
            let fault = Fault::Link(DirectFault::Reported(error.into()));
            other_host(&CloseReason::Fault(Box::new(fault))).map(str::len)
        };
        assert_eq!(sent_to(MAX_PLACE), Some(MAX_PLACE));
        assert_eq!(sent_to(MAX_PLACE + 1), None);
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
