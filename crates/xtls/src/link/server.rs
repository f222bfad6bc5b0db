//! A client's connection to its server (RFC 6120).

use std::time::Instant;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls_stanza::{Element, Method, jid::Jid, ns};
use xtls_stream::{Features, TlsPolicy};
use xtls_tls::SessionCache;

use super::{Link, LinkError, LinkEvent, LinkSendError, LinkSetup, LinkStage, LinkTerms};
use crate::trust::TrustPolicy;

/// Under which conditions a client connects to its server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerTerms {
    /// What makes the server's certificate acceptable; the store is asked by the server's domain. With
    /// [`TrustPolicy::Authorities`] and without a pin, the certificate has to be vouched for by
    /// [`LinkLocal::authorities`](crate::LinkLocal::authorities) and to name the domain.
    pub trust: TrustPolicy,
    /// Whether TLS has to be. Default: [`ServerTls::Required`].
    pub tls: ServerTls,
    /// TLS begins with the connection, without STARTTLS (XEP-0368), whatever [`ServerTerms::tls`] says. Default off.
    pub direct_tls: bool,
    /// Present the own certificate if the server asks for one, as [`Link::authenticate_external`] needs. Default off: it tells
    /// who this end is.
    pub present_certificate: bool,
    /// The cache of TLS sessions with this server, kept from one link to the next to resume them (RFC 7590 § 3.3).
    /// [`TlsParameters::resumed`](crate::TlsParameters::resumed) tells whether one was. The certificate is judged each time, by
    /// the pins and the policy of this link, as if it had been presented anew. Default none: whoever is on the way may tell by
    /// a session that is resumed that it is the same client again.
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
}

/// What a link to a server keeps.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) tls: TlsPolicy,
    pub(super) direct_tls: bool,
    pub(super) present_certificate: bool,
    pub(super) sessions: Option<SessionCache>,
    /// SASL EXTERNAL was asked for and not answered.
    external: bool,
}

impl ServerTerms {
    /// TLS by STARTTLS, required, with certificates trusted by this policy.
    #[must_use]
    pub fn new(trust: TrustPolicy) -> Self {
        Self { trust, tls: ServerTls::Required, direct_tls: false, present_certificate: false, sessions: None }
    }
}

impl Link {
    /// The client's end of a connection to its server, for this domain; [`LinkLocal::jid`](crate::LinkLocal::jid) is the
    /// account's address, which is told only once the stream is secured (RFC 6120 § 4.7.1).
    ///
    /// Instead of [`LinkEvent::Opened`], [`LinkEvent::Features`] tells that the stream is open. SASL is the caller's, by
    /// [`Link::send_nonza`], [`LinkEvent::Nonza`], [`Link::channel_binding`] and [`Link::restart_stream`], except for EXTERNAL
    /// ([`Link::authenticate_external`]). Stanzas bear the addresses that they were given.
    ///
    /// # Errors
    ///
    /// When the configuration or the conditions make no sense.
    pub fn to_server(setup: LinkSetup, domain: Jid, terms: &ServerTerms, now: Instant) -> Result<Self, LinkError> {
        let tls = match terms.tls {
            ServerTls::Required => TlsPolicy::Required,
            ServerTls::Opportunistic => TlsPolicy::IfOffered,
        };
        let ServerTerms { trust, direct_tls, present_certificate, .. } = *terms;
        let sessions = terms.sessions.clone();
        let server = Server { tls, direct_tls, present_certificate, sessions, external: false };
        let mut link = Self::new(setup, true, Some(domain), Some(server), None, now)?;
        link.take_terms(LinkTerms::new(trust))?;
        if direct_tls {
            link.method = Some(Method::X509);
            link.start_tls();
        } else {
            link.begin();
        }
        Ok(link)
    }

    /// To a server: what it offered before TLS, so that anybody on the way may have changed it. `None` before that, and where
    /// TLS begins with the connection.
    #[must_use]
    pub fn clear_features(&self) -> Option<&Features> {
        self.clear_features.as_deref()
    }

    /// To a server: begins the stream anew, as SASL asks for behind `<success/>` (RFC 6120 § 6.4.6).
    /// [`LinkEvent::Features`] follows.
    ///
    /// # Errors
    ///
    /// When the link is not open, and between peers, where nothing asks for it.
    pub fn restart_stream(&mut self, now: Instant) -> Result<(), LinkSendError> {
        self.clock.advance(now);
        if self.stage != LinkStage::Open || self.server.is_none() {
            return Err(LinkSendError::NotOpen);
        }
        let mut header = Vec::new();
        self.stream.restart(&mut header).map_err(|_| LinkSendError::NotOpen)?;
        self.emit(&header);
        self.stage = LinkStage::Restarting;
        self.wait_for_step();
        self.deliver();
        Ok(())
    }

    /// To a server: asks it by SASL EXTERNAL to take the certificate that TLS has presented (XEP-0178 § 3, RFC 4422 appendix
    /// A), for this authorisation identity; none stands for the one that the certificate names.
    /// [`LinkEvent::Authenticated`] and, of the new stream, [`LinkEvent::Features`] follow, or a nonza that tells why not.
    ///
    /// # Errors
    ///
    /// When the link is not open or not secured, and without [`ServerTerms::present_certificate`].
    pub fn authenticate_external(&mut self, now: Instant, authorisation: Option<&Jid>) -> Result<(), LinkSendError> {
        let Some(server) = self.server.as_ref().filter(|_| self.security.is_some()) else {
            return Err(LinkSendError::NotOpen);
        };
        if !server.present_certificate {
            return Err(LinkSendError::NoCertificate);
        }
        // RFC 6120 § 6.4.2: an empty response is one equals sign.
        let response = authorisation.map_or_else(|| "=".to_owned(), |jid| STANDARD.encode(jid.as_str()));
        let auth = Element::builder("auth", ns::SASL).attribute("mechanism", "EXTERNAL").text(&response).build();
        let auth = auth.map_err(|_| LinkSendError::TooLarge)?;
        self.send_nonza(now, &auth)?;
        if let Some(server) = &mut self.server {
            server.external = true;
        }
        Ok(())
    }

    /// The server's features: TLS comes first, if it has to or can be had.
    pub(super) fn server_features(&mut self, features: Features) {
        if self.tls.is_none() {
            self.clear_features = Some(Box::new(features.clone()));
        }
        if self.stream.wants_tls() {
            self.learn_offer(None);
            return self.negotiate();
        }
        self.open();
        self.events.push(LinkEvent::Features(features), 0);
    }

    /// A nonza, unless it answers a question of the link's own.
    pub(super) fn nonza(&mut self, nonza: Element, weight: usize) {
        let external = self.server.as_ref().is_some_and(|server| server.external) && nonza.ns() == ns::SASL;
        if external && let Some(server) = &mut self.server {
            server.external = false;
        }
        if !(external && nonza.name() == "success") {
            return self.events.push(LinkEvent::Nonza(nonza), weight);
        }
        self.events.push(LinkEvent::Authenticated, weight);
        if self.restart_stream(self.clock.now()).is_err() {
            self.fail(super::LinkFault::Internal("the stream cannot begin anew"));
        }
    }
}
