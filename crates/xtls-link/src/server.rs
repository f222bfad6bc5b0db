//! A server's end of a connection to a client (RFC 6120).

use xtls_channel::{Authentication, Channel, Fault, Instant, SendError, Side, Stage};
use xtls_stanza::{Element, TlsOffer, jid::BareJid, jid::Jid};
use xtls_stream::{DirectStage, DirectStream, Features};

use crate::{
    common::{Core, slip},
    config::LinkSetup,
    error::LinkError,
    event::LinkEvent,
    kind::{Hooks, Kind},
    link::Link,
    sasl::{EXTERNAL, External},
};

/// The server's end of a connection from a client; [`Local::jid`](xtls_channel::Local::jid) is the domain.
///
/// [`LinkEvent::Encrypted`] tells that TLS is there, which says nothing about who the client is: [`security`](Link::security)
/// and [`peer`](Link::peer) are `None` until it has authenticated, and nothing but elements that negotiate is sent to it or
/// taken from it before that. [`LinkEvent::FeaturesRequired`] asks for what there is to negotiate
/// ([`send_features`](ServerLink::send_features)), then and again after the client has authenticated.
///
/// SASL EXTERNAL is the link's own (XEP-0178 § 2): it is offered, answered and counted without the caller, who hears of its
/// success by [`LinkEvent::Secured`] and [`LinkEvent::ClientAuthenticated`]. Other mechanisms are the caller's, by
/// [`LinkEvent::Nonza`], [`send_nonza`](Link::send_nonza), [`channel_binding`](Link::channel_binding) and
/// [`client_authenticated`](ServerLink::client_authenticated). From the features on the client has the time of an answer and
/// a question for all of it. Whether there is such an account is for the caller to know: where there is none, close the link.
pub type ServerLink = Link<Server>;

/// What sets a [`ServerLink`] apart: TLS authenticates nobody, and the client says inside who it is.
#[derive(Debug)]
pub struct Server {
    terms: ClientTerms,
    pub(crate) external: External,
}

/// Under which terms a server takes a client. Nothing goes without TLS (RFC 7590 § 3.1).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientTerms {
    /// TLS begins with the connection, without STARTTLS (XEP-0368). Default off.
    pub direct_tls: bool,
    /// Ask for a certificate, which a client need not have, and offer SASL EXTERNAL to whoever presents one that names an
    /// account of the domain and that is believed: by a pin for that account in the store, whatever its dates, and for an
    /// account without a pin by [`Local::authorities`](xtls_channel::Local::authorities). Default on.
    pub external: bool,
    /// How often EXTERNAL may be tried again (RFC 6120 § 6.4.5): 2 to 5. Default 2.
    pub retries: u32,
}

impl ClientTerms {
    /// STARTTLS, and EXTERNAL for those that can have it.
    #[must_use]
    pub fn new() -> Self {
        Self { direct_tls: false, external: true, retries: 2 }
    }
}

impl Default for ClientTerms {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerLink {
    /// Waits for the client that opened the connection.
    ///
    /// # Errors
    ///
    /// When the configuration or the terms are out of bounds, or your address is more than a domain.
    pub fn listen(setup: LinkSetup, terms: &ClientTerms, now: Instant) -> Result<Self, LinkError> {
        let jid = &setup.local.jid;
        if jid.local().is_some() || jid.is_full() {
            return Err(LinkError::NotADomain);
        }
        // RFC 6120 § 6.4.5.
        if !(2..=5).contains(&terms.retries) {
            return Err(LinkError::Retries);
        }
        let mut core = Core::new(setup, Side::Responder, None, now, |options| options.secured = terms.direct_tls)?;
        let server = Server { terms: terms.clone(), external: External::new(terms.retries) };
        if terms.direct_tls {
            server.start_tls(&mut core);
        } else {
            core.expect_step();
        }
        Ok(Self { core, kind: server })
    }

    /// Answers [`LinkEvent::FeaturesRequired`] with the mechanisms and features of the caller. EXTERNAL is added where it can
    /// be had.
    ///
    /// # Errors
    ///
    /// [`SendError::NoStream`] when nobody asked, or the trust store has just failed; [`SendError::Reserved`] for STARTTLS,
    /// for EXTERNAL, and for any mechanism once the client has authenticated; [`SendError::TooLarge`]. But for a store that
    /// fails, which ends the link, the question still stands then.
    pub fn send_features(&mut self, now: Instant, features: &Features) -> Result<(), SendError> {
        self.act(now, |link| {
            let core = &mut link.core;
            if core.stage != Stage::Offering {
                return Err(SendError::NoStream);
            }
            let is_known = core.is_secured();
            let mechanisms = &features.mechanisms;
            if mechanisms.iter().any(|mechanism| mechanism == EXTERNAL) || (is_known && !mechanisms.is_empty()) {
                return Err(SendError::Reserved);
            }
            let mut features = features.clone();
            if !is_known {
                let identities = core.identities().map_err(|error| {
                    core.fail(Fault::Store(error));
                    SendError::NoStream
                })?;
                // RFC 6120 § 6.3.4: only where it can succeed.
                features.mechanisms.splice(0..0, (!identities.is_empty()).then(|| EXTERNAL.to_owned()));
            }
            core.write_features(&features).map_err(slip)?;
            core.open();
            if !is_known {
                core.expect_user();
            }
            Ok(())
        })
    }

    /// A mechanism of the caller's has authenticated the client as this account, and `<success/>` was sent. The stream begins
    /// anew (RFC 6120 § 6.4.6). [`LinkEvent::Secured`], with [`Authentication::Sasl`], [`LinkEvent::ClientAuthenticated`] and
    /// [`LinkEvent::FeaturesRequired`] follow.
    ///
    /// # Errors
    ///
    /// [`SendError::NoStream`] when the link is not open, or the client has authenticated already;
    /// [`SendError::ForeignAddress`] when it is no account of the domain.
    pub fn client_authenticated(&mut self, now: Instant, client: &BareJid) -> Result<(), SendError> {
        self.act(now, |link| {
            let core = &mut link.core;
            if core.stage != Stage::Open || core.is_secured() {
                return Err(SendError::NoStream);
            }
            if !core.is_account(client) {
                return Err(SendError::ForeignAddress);
            }
            client_is(core, client.clone(), Authentication::Sasl);
            Ok(())
        })
    }
}

impl Kind for Server {}

impl Hooks for Server {
    fn header(&mut self, core: &mut Core) {
        if core.in_tls() {
            let client = core.peer.as_ref().map(Jid::to_bare);
            return core.ask(Stage::Offering, LinkEvent::FeaturesRequired { client });
        }
        core.enter(Stage::Asking);
        core.expect_step();
        if core.write_features(&Features::default()).is_err() {
            core.fail(Fault::Internal("features that cannot be sent"));
        }
    }

    fn starttls(&mut self, core: &mut Core, _: Option<TlsOffer>) {
        if !core.step(|stream, text| stream.proceed(None, text)) {
            core.fail(Fault::Internal("TLS was not asked for"));
        }
    }

    fn agreed(&mut self, core: &mut Core, _: Option<TlsOffer>) {
        self.start_tls(core);
    }

    /// The stream begins anew inside TLS, with nobody authenticated.
    fn accepted(&mut self, core: &mut Core) {
        // Where TLS begins with the connection, this is the first stream.
        let begin = if self.terms.direct_tls { |_: &mut _, _: &mut _| Ok(()) } else { DirectStream::secured };
        core.restart(begin);
        core.expect_step();
        if let Some(channel) = &core.channel
            && let Some(tls) = channel.parameters()
        {
            let certificate = channel.peer_certificate().cloned().map(Box::new);
            core.tell(LinkEvent::Encrypted { tls, certificate });
        }
    }

    fn nonza(&mut self, core: &mut Core, nonza: Element) {
        self.external.hear(core, nonza);
    }

    fn may_be_judged(&self) -> bool {
        true
    }

    fn may_talk(&self, core: &Core) -> bool {
        core.is_secured()
    }

    /// What the client has sent on the stream before must not count on the one that begins anew after an answer, which it did
    /// not wait for.
    fn is_hasty(&self, core: &Core) -> bool {
        core.stream.stage() == DirectStage::Start
    }
}

impl Server {
    fn start_tls(&self, core: &mut Core) {
        core.start_tls(|channel, env, _| {
            *channel = Some(Channel::towards_client(self.terms.external, env)?);
            Ok(())
        });
    }
}

/// The client is authenticated, and the stream begins anew.
pub(crate) fn client_is(core: &mut Core, client: BareJid, by: Authentication) {
    // After what was negotiated the stream may have ended; then nobody is authenticated any more.
    if !core.stream.is_open() {
        return;
    }
    core.peer = Some(Jid::from(client.clone()));
    core.restart(DirectStream::restart);
    core.expect_step();
    let Some(channel) = &mut core.channel else { return };
    channel.identify(by, &core.env);
    if let Some(security) = channel.security().cloned() {
        core.tell(LinkEvent::Secured { security: Box::new(security) });
        core.tell(LinkEvent::ClientAuthenticated { client });
    }
}
