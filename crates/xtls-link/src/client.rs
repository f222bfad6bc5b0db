//! A client's connection to its server (RFC 6120).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls_channel::{
    Fault, Instant, NotAsked, SendError, Side, Stage, Terms, TowardsServerTerms, TrustDecision, TrustPolicy,
    rules::Choice,
};
use xtls_stanza::{Element, Method, TlsOffer, jid::Jid, ns};
use xtls_stream::{DirectStream, Features, StartTlsFault, TlsPolicy};
use xtls_tls::SessionCache;

use crate::{
    common::Core,
    config::LinkSetup,
    error::LinkError,
    event::LinkEvent,
    kind::{Hooks, Kind},
    link::Link,
    offer::chosen,
};

/// The client's end of a connection to its server.
///
/// Instead of [`LinkEvent::StreamOpened`], [`LinkEvent::Features`] tells that the stream is open. SASL is the caller's, by
/// [`send_nonza`](Link::send_nonza), [`LinkEvent::Nonza`], [`channel_binding`](Link::channel_binding) and
/// [`restart_stream`](ClientLink::restart_stream), except for EXTERNAL
/// ([`authenticate_external`](ClientLink::authenticate_external)). Stanzas bear the addresses that they were given.
pub type ClientLink = Link<Client>;

/// What sets a [`ClientLink`] apart: the other end is a server, and negotiates by features.
#[derive(Debug)]
pub struct Client {
    terms: ServerTerms,
    /// What the server has offered in clear.
    clear_features: Option<Box<Features>>,
    /// SASL EXTERNAL was asked for and not answered.
    external: bool,
}

/// Under which terms a client connects to its server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerTerms {
    /// What makes the server's certificate acceptable; the store is asked by the server's domain. With
    /// [`TrustPolicy::Authorities`] and without a pin, the certificate has to be vouched for by
    /// [`Local::authorities`](xtls_channel::Local::authorities) and to name the domain.
    pub trust: TrustPolicy,
    /// Whether TLS has to be. Default: [`ServerTls::Required`].
    pub tls: ServerTls,
    /// TLS begins with the connection, without STARTTLS (XEP-0368), whatever [`ServerTerms::tls`] says. Default off.
    pub direct_tls: bool,
    /// Present your certificate if the server asks for one, as [`ClientLink::authenticate_external`] needs. Default off: it
    /// tells who you are.
    pub present_certificate: bool,
    /// The cache of TLS sessions with this server, kept from one link to the next to resume them (RFC 7590 § 3.3).
    /// [`TlsParameters::resumed`](xtls_tls::TlsParameters::resumed) tells whether one was. The certificate is judged each
    /// time, by the pins and the policy of this link, as if it had been presented anew. Default none: whoever is on the way
    /// may tell by a session that is resumed that it is the same client again.
    pub sessions: Option<SessionCache>,
}

/// Whether a connection to a server has to be secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ServerTls {
    /// Nothing goes without TLS (RFC 7590 § 3.1).
    #[default]
    Required,
    /// TLS where the server offers it, else everything in clear: whoever is on the way can take the offer away, and read
    /// the password. Where TLS is used, the certificate counts as ever.
    Opportunistic,
    /// Everything in clear, even where the server offers TLS: for connections that do not leave the machine. Neither
    /// [`ServerTerms::trust`] nor the store has any effect. To a server that requires TLS ([`LinkEvent::Features`] tells)
    /// nothing can be sent.
    Never,
}

impl ServerTerms {
    /// TLS by STARTTLS, required, with certificates trusted by this policy.
    #[must_use]
    pub fn new(trust: TrustPolicy) -> Self {
        Self { trust, tls: ServerTls::Required, direct_tls: false, present_certificate: false, sessions: None }
    }
}

impl ClientLink {
    /// Connects to the server of this domain; [`Local::jid`](xtls_channel::Local::jid) is the account's address, which is
    /// told only once the stream is secured (RFC 6120 § 4.7.1).
    ///
    /// # Errors
    ///
    /// When the configuration is out of bounds, or the terms cannot be met with the server.
    pub fn connect(setup: LinkSetup, domain: Jid, terms: &ServerTerms, now: Instant) -> Result<Self, LinkError> {
        let mut core = Core::new(setup, Side::Initiator, Some(domain.clone()), now, |options| {
            options.secured = terms.direct_tls;
            options.tls = match terms.tls {
                ServerTls::Required => TlsPolicy::Required,
                ServerTls::Opportunistic => TlsPolicy::IfOffered,
                ServerTls::Never => TlsPolicy::Never,
            };
        })?;
        if terms.direct_tls || terms.tls != ServerTls::Never {
            core.channel = Some(core.channel_with(Side::Initiator, &domain, Terms::new(terms.trust))?);
        }
        let client = Client { terms: terms.clone(), clear_features: None, external: false };
        if terms.direct_tls {
            client.start_tls(&mut core);
        } else {
            core.begin();
        }
        Ok(Self { core, kind: client })
    }

    /// What the server offered before TLS, so that anybody on the way may have changed it. `None` before that, and where TLS
    /// begins with the connection.
    #[must_use]
    pub fn clear_features(&self) -> Option<&Features> {
        self.kind.clear_features.as_deref()
    }

    /// Answers [`LinkEvent::TrustRequired`].
    ///
    /// # Errors
    ///
    /// When nobody asked.
    pub fn trust(&mut self, now: Instant, decision: TrustDecision) -> Result<(), NotAsked> {
        self.decide(now, decision)
    }

    /// Begins the stream anew, as SASL asks for after `<success/>` (RFC 6120 § 6.4.6). [`LinkEvent::Features`] follows.
    ///
    /// # Errors
    ///
    /// [`SendError::NoStream`] when the link is not open.
    pub fn restart_stream(&mut self, now: Instant) -> Result<(), SendError> {
        self.act(now, |link| restart(&mut link.core))
    }

    /// Asks the server by SASL EXTERNAL to take the certificate that TLS has presented (XEP-0178 § 3, RFC 4422 appendix A),
    /// for this authorisation identity; none stands for the one that the certificate names. [`LinkEvent::Authenticated`] and,
    /// of the new stream, [`LinkEvent::Features`] follow, or a nonza that tells why not.
    ///
    /// # Errors
    ///
    /// When the link is not open or not secured, and without [`ServerTerms::present_certificate`].
    pub fn authenticate_external(&mut self, now: Instant, authorisation: Option<&Jid>) -> Result<(), SendError> {
        self.act(now, |link| {
            let Self { core, kind } = link;
            if core.stage != Stage::Open {
                return Err(SendError::NoStream);
            }
            if !core.is_secured() {
                return Err(SendError::NotSecured);
            }
            if !kind.terms.present_certificate {
                return Err(SendError::NoCertificate);
            }
            // RFC 6120 § 6.4.2: an empty response is one equals sign.
            let response = authorisation.map_or_else(|| "=".to_owned(), |jid| STANDARD.encode(jid.as_str()));
            let auth = Element::builder("auth", ns::SASL).attribute("mechanism", "EXTERNAL").text(&response).build();
            let auth = auth.map_err(|_| SendError::TooLarge)?;
            core.write(|stream, text| stream.send_nonza(&auth, text))?;
            kind.external = true;
            Ok(())
        })
    }
}

impl Kind for Client {}

impl Hooks for Client {
    fn header(&mut self, core: &mut Core) {
        core.expect_step();
    }

    /// TLS comes first, if it has to or can be had.
    fn features(&mut self, core: &mut Core, features: Features) {
        if !core.in_tls() {
            self.clear_features = Some(Box::new(features.clone()));
        }
        if core.stream.wants_tls() {
            return ask_for_tls(core);
        }
        core.open();
        core.tell(LinkEvent::Features(features));
    }

    fn agreed(&mut self, core: &mut Core, proceed: Option<TlsOffer>) {
        let asked = [Method::X509];
        let is_ours = core.channel.as_mut().is_some_and(|channel| chosen(&asked, proceed.as_ref(), channel).is_some());
        if !is_ours {
            return core.fail(Fault::StartTls(StartTlsFault::Method));
        }
        self.start_tls(core);
    }

    fn accepted(&mut self, core: &mut Core) {
        // Where TLS begins with the connection, this is the first stream.
        core.restart(if self.terms.direct_tls { DirectStream::start } else { DirectStream::secured });
        core.expect_user();
    }

    /// A nonza, unless it answers a question of the link's own.
    fn nonza(&mut self, core: &mut Core, nonza: Element) {
        let is_answer = self.external && nonza.ns() == ns::SASL;
        self.external &= !is_answer;
        if !(is_answer && nonza.name() == "success") {
            return core.tell(LinkEvent::Nonza(nonza));
        }
        core.tell(LinkEvent::Authenticated);
        if restart(core).is_err() {
            core.fail(Fault::Internal("the stream cannot begin anew"));
        }
    }

    /// A server has nobody to ask.
    fn may_be_judged(&self) -> bool {
        false
    }
}

impl Client {
    fn start_tls(&self, core: &mut Core) {
        let Some(domain) = core.peer.as_ref().map(|peer| peer.domain_part()) else { return };
        let terms = TowardsServerTerms {
            domain,
            present_certificate: self.terms.present_certificate,
            // XEP-0368 § 3.
            alpn: self.terms.direct_tls,
            sessions: self.terms.sessions.clone(),
        };
        core.start_tls(|channel, env, out| match channel {
            Some(channel) => channel.start_towards_server(terms, env, out),
            None => Err(Fault::Internal("TLS with nobody").into()),
        });
    }
}

fn ask_for_tls(core: &mut Core) {
    let Some(channel) = &mut core.channel else { return };
    if let Err(fault) = channel.refresh(&core.env) {
        return core.fail(fault);
    }
    match channel.choose(&[Method::X509]) {
        Choice::Methods(_) => {
            core.ask_for_tls(|stream, text| stream.start_tls(None, text));
            core.expect_step();
        }
        Choice::Refuse(fault) => core.fail(fault),
        // A server shares no password of this kind.
        Choice::AskPassword => core.fail(Fault::Internal("a password for a server")),
    }
}

fn restart(core: &mut Core) -> Result<(), SendError> {
    if core.stage != Stage::Open || !core.step(DirectStream::restart) {
        return Err(SendError::NoStream);
    }
    core.enter(Stage::Restarting);
    core.expect_step();
    Ok(())
}
