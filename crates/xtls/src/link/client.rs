//! A server's end of a connection to a client (RFC 6120).

use std::time::Instant;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls_stanza::{
    Element, Method,
    jid::{BareJid, Jid},
    ns,
};
use xtls_stream::{DirectFault, Features};
use xtls_tls::{ClientVerification, PeerCertificate, TlsSession, TowardsClient};

use super::{Link, LinkError, LinkEvent, LinkFault, LinkSendError, LinkSetup, LinkStage, bytes::slip};
use crate::security::{Authentication, Security};

/// The mechanism that is the link's own.
const EXTERNAL: &str = "EXTERNAL";

/// Under which conditions a server takes a client. Nothing goes without TLS (RFC 7590 § 3.1).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientTerms {
    /// TLS begins with the connection, without STARTTLS (XEP-0368). Default off.
    pub direct_tls: bool,
    /// Ask for a certificate, which a client need not have, and offer SASL EXTERNAL to whoever presents one that names an
    /// account of the domain and that is believed: by a pin for that account in the store, whatever its dates, and for an
    /// account without a pin by [`LinkLocal::authorities`](crate::LinkLocal::authorities). Default on.
    pub external: bool,
    /// How often EXTERNAL may be tried again (RFC 6120 § 6.4.5): 2 to 5. Default 2.
    pub retries: u32,
}

/// What a link to a client keeps. Who the client is stands in [`Link::security`] alone.
#[derive(Debug)]
pub(super) struct Client {
    terms: ClientTerms,
    /// The handshake is complete. Nobody is authenticated by that.
    encrypted: bool,
    /// How often EXTERNAL was tried.
    attempts: u32,
    /// EXTERNAL was asked for without a response, which is waited for.
    challenged: bool,
}

impl Client {
    pub(super) fn is_direct(&self) -> bool {
        self.terms.direct_tls
    }
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

impl Link {
    /// The server's end of a connection from a client; [`LinkLocal::jid`](crate::LinkLocal::jid) is the domain.
    ///
    /// [`LinkEvent::Encrypted`] tells that TLS is there, which says nothing about who the client is: [`Link::security`] and
    /// [`Link::peer`] are `None` until it has authenticated, and nothing but elements that negotiate is sent to it or taken
    /// from it before that. [`LinkEvent::FeaturesRequired`] asks for what there is to negotiate ([`Link::send_features`]),
    /// then and again after the client has authenticated.
    ///
    /// SASL EXTERNAL is the link's own (XEP-0178 § 2): it is offered, answered and counted without the caller, who hears
    /// of its success by [`LinkEvent::Secured`] and [`LinkEvent::ClientAuthenticated`]. Other mechanisms are the caller's, by
    /// [`LinkEvent::Nonza`], [`Link::send_nonza`], [`Link::channel_binding`] and [`Link::client_authenticated`]. From the
    /// features on the client has the time of a step and a question for all of it. Whether there is such an account is for
    /// the caller to know: where there is none, close the link.
    ///
    /// # Errors
    ///
    /// When the configuration or the conditions make no sense, or the own address is more than a domain.
    pub fn from_client(setup: LinkSetup, terms: &ClientTerms, now: Instant) -> Result<Self, LinkError> {
        let jid = &setup.local.jid;
        if jid.node().is_some() || jid.resource().is_some() {
            return Err(LinkError::NotADomain);
        }
        // RFC 6120 § 6.4.5.
        if !(2..=5).contains(&terms.retries) {
            return Err(LinkError::Retries);
        }
        let client = Client { terms: terms.clone(), encrypted: false, attempts: 0, challenged: false };
        let mut link = Self::new(setup, false, None, None, Some(client), now)?;
        if terms.direct_tls {
            link.method = Some(Method::X509);
            link.start_tls();
        } else {
            link.wait_for_step();
        }
        Ok(link)
    }

    /// From a client: answers [`LinkEvent::FeaturesRequired`] with the mechanisms and features of the caller. EXTERNAL is added
    /// where it can be had.
    ///
    /// # Errors
    ///
    /// [`LinkSendError::NotOpen`] when nobody asked; [`LinkSendError::Reserved`] for STARTTLS, for EXTERNAL, and for any
    /// mechanism once the client has authenticated; [`LinkSendError::TooLarge`]. Then the question still stands.
    pub fn send_features(&mut self, now: Instant, features: &Features) -> Result<(), LinkSendError> {
        self.clock.advance(now);
        if self.stage != LinkStage::Offering {
            return Err(LinkSendError::NotOpen);
        }
        let is_known = self.security.is_some();
        let mechanisms = &features.mechanisms;
        if mechanisms.iter().any(|mechanism| mechanism == EXTERNAL) || (is_known && !mechanisms.is_empty()) {
            return Err(LinkSendError::Reserved);
        }
        let mut features = features.clone();
        // RFC 6120 § 6.3.4: only where it can succeed.
        if !is_known && !self.identities().is_empty() {
            features.mechanisms.insert(0, EXTERNAL.to_owned());
        }
        let mut text = Vec::new();
        self.stream.send_features(&features, &mut text).map_err(slip)?;
        self.emit(&text);
        self.open();
        if !is_known {
            self.wait_for_person();
        }
        self.deliver();
        Ok(())
    }

    /// From a client: a mechanism of the caller's has authenticated it as this account, and `<success/>` was sent. The stream
    /// begins anew (RFC 6120 § 6.4.6). [`LinkEvent::Secured`], with [`Authentication::Sasl`],
    /// [`LinkEvent::ClientAuthenticated`] and [`LinkEvent::FeaturesRequired`] follow.
    ///
    /// # Errors
    ///
    /// [`LinkSendError::NotOpen`] when the link is not open, is none from a client, or the client has authenticated already;
    /// [`LinkSendError::ForeignAddress`] when it is no account of the domain.
    pub fn client_authenticated(&mut self, now: Instant, client: &BareJid) -> Result<(), LinkSendError> {
        self.clock.advance(now);
        if self.stage != LinkStage::Open || self.is_known_client() != Some(false) {
            return Err(LinkSendError::NotOpen);
        }
        if !self.is_account(client) {
            return Err(LinkSendError::ForeignAddress);
        }
        self.client_is(client.clone(), Authentication::Sasl);
        self.deliver();
        Ok(())
    }

    /// Whether the client is authenticated; `None` where the other end is no client.
    pub(super) fn is_known_client(&self) -> Option<bool> {
        self.client.as_ref().map(|_| self.security.is_some())
    }

    /// Whether TLS towards a client is there, whoever that is.
    pub(super) fn is_client_encrypted(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.encrypted)
    }

    pub(super) fn client_session(&self, terms: &ClientTerms) -> Option<TlsSession> {
        let local = &self.local;
        // A certificate that is not believed is as good as none, and the client can log in by other means.
        let verification = match &local.authorities {
            _ if !terms.external => ClientVerification::NotAsked,
            Some(authorities) => ClientVerification::AuthoritiesOrDeferred(authorities.clone()),
            None => ClientVerification::Deferred,
        };
        let identity = local.identity.clone();
        let mut config = TowardsClient::new(identity, local.provider.clone(), self.clock.wall(), verification);
        config.minimum = self.config.minimum_tls;
        TlsSession::towards_client(&config).ok()
    }

    /// What a link to a client was told.
    pub(super) fn client_terms(&self) -> Option<&ClientTerms> {
        self.client.as_ref().map(|client| &client.terms)
    }

    /// The client asks for TLS.
    pub(super) fn client_starttls(&mut self) {
        self.method = Some(Method::X509);
        self.proceed(None);
    }

    /// The handshake is complete: the stream begins anew inside of TLS, with nobody authenticated.
    pub(super) fn client_encrypted(&mut self) {
        let Some(client) = &mut self.client else { return };
        client.encrypted = true;
        let is_direct = client.is_direct();
        self.release();
        // Where TLS begins with the connection, this is the first stream.
        if !is_direct && self.stream.secured(&mut Vec::new()).is_err() {
            return self.fail(LinkFault::Internal("no stream inside of TLS"));
        }
        self.stage = LinkStage::Restarting;
        self.wait_for_step();
        if let Some(tls) = &self.tls
            && let Some(parameters) = tls.parameters()
        {
            let certificate = tls.peer_certificate().cloned().map(Box::new);
            self.events.push(LinkEvent::Encrypted { tls: parameters, certificate }, 0);
        }
    }

    /// The client's header, in clear or in TLS.
    pub(super) fn client_header(&mut self) {
        if self.is_client_encrypted() {
            self.wait_for_answer(LinkStage::Offering);
            let client = self.peer_bare();
            return self.events.push(LinkEvent::FeaturesRequired { client }, 0);
        }
        self.stage = LinkStage::Asking;
        self.wait_for_step();
        self.write_features(&Features::default());
    }

    /// A nonza of the client's: SASL EXTERNAL is the link's to answer.
    pub(super) fn client_nonza(&mut self, nonza: Element, weight: usize) {
        if nonza.ns() != ns::SASL {
            return self.events.push(LinkEvent::Nonza(nonza), weight);
        }
        if self.security.is_some() {
            // RFC 6120 § 6.4.6: behind success there is nothing left to negotiate.
            return self.fail(LinkFault::Stream(DirectFault::Unexpected));
        }
        let Some(client) = &mut self.client else { return };
        let was_challenged = core::mem::take(&mut client.challenged);
        match nonza.name() {
            "auth" if nonza.attribute("mechanism") == Some(EXTERNAL) => {
                client.attempts = client.attempts.saturating_add(1);
                if client.attempts > client.terms.retries.saturating_add(1) {
                    return self.fail(LinkFault::TooManyAttempts);
                }
                let response = nonza.text();
                if response.is_empty() {
                    // RFC 4422 § 5: a mechanism where the client speaks first begins with an empty challenge then.
                    client.challenged = true;
                    return self.answer("challenge", None);
                }
                self.external(&response);
            }
            "response" if was_challenged => self.external(&nonza.text()),
            // RFC 6120 § 6.5.1.
            "abort" if was_challenged => self.answer("failure", Some("aborted")),
            _ => self.events.push(LinkEvent::Nonza(nonza), weight),
        }
    }

    /// XEP-0178 § 2: the answer to a response of EXTERNAL.
    fn external(&mut self, response: &str) {
        match self.authorised(response) {
            Ok((client, by)) => {
                self.answer("success", None);
                self.client_is(client, by);
            }
            Err(condition) => self.answer("failure", Some(condition)),
        }
    }

    /// Who the client may be: the condition of the failure if nobody (RFC 6120 § 6.5).
    fn authorised(&self, response: &str) -> Result<(BareJid, Authentication), &'static str> {
        if self.certificate().is_none() {
            return Err("invalid-mechanism");
        }
        // RFC 6120 § 6.4.2: an empty response is one equals sign.
        let wanted = match response {
            "" | "=" => None,
            _ => Some(STANDARD.decode(response).map_err(|_| "incorrect-encoding")?),
        };
        let mut identities = self.identities();
        if identities.is_empty() {
            return Err("not-authorized");
        }
        let Some(wanted) = wanted else {
            // Of several it has to name one.
            return identities.pop().filter(|_| identities.is_empty()).ok_or("invalid-authzid");
        };
        let wanted = core::str::from_utf8(&wanted).ok().and_then(|wanted| BareJid::new(wanted).ok());
        let wanted = wanted.ok_or("invalid-authzid")?;
        identities.into_iter().find(|(client, _)| *client == wanted).ok_or("invalid-authzid")
    }

    /// The accounts that the client's certificate names and is believed for, none of them twice.
    fn identities(&self) -> Vec<(BareJid, Authentication)> {
        let mut identities: Vec<(BareJid, Authentication)> = Vec::new();
        let Some(certificate) = self.certificate() else { return identities };
        for client in certificate.xmpp_addrs().iter().filter(|client| self.is_account(client)) {
            if let Some(by) = self.believed(certificate, client)
                && !identities.iter().any(|(known, _)| known == client)
            {
                identities.push((client.clone(), by));
            }
        }
        identities
    }

    /// A pin goes before authorities, as with peers.
    fn believed(&self, certificate: &PeerCertificate, client: &BareJid) -> Option<Authentication> {
        let pins = self.store.record(client).fingerprints();
        if pins.is_empty() {
            let is_vouched_for = self.tls.as_ref().is_some_and(TlsSession::is_vouched_for);
            return is_vouched_for.then_some(Authentication::Authority);
        }
        let is_pinned = pins.iter().any(|pin| pin.is_trustworthy() && pin.matches(certificate.der()));
        is_pinned.then_some(Authentication::Pinned)
    }

    fn is_account(&self, client: &BareJid) -> bool {
        client.node().is_some() && client.domain() == self.local.jid.domain()
    }

    fn certificate(&self) -> Option<&PeerCertificate> {
        self.tls.as_ref().and_then(TlsSession::peer_certificate)
    }

    fn answer(&mut self, name: &str, condition: Option<&str>) {
        let mut nonza = Element::builder(name, ns::SASL);
        if let Some(condition) = condition {
            nonza = nonza.open(condition, ns::SASL).close();
        }
        let mut text = Vec::new();
        let sent = nonza.build().is_ok_and(|nonza| self.stream.send_nonza(&nonza, &mut text).is_ok());
        // A stream that the client has ended meanwhile takes none, and tells of its end by itself.
        if sent {
            self.emit(&text);
        }
    }

    /// The client is authenticated, and the stream begins anew.
    fn client_is(&mut self, client: BareJid, by: Authentication) {
        // Behind what was negotiated the stream may have ended; then nobody is authenticated any more.
        if !self.stream.is_open() {
            return;
        }
        let Some(parameters) = self.tls.as_ref().and_then(TlsSession::parameters) else { return };
        self.stream.authenticated(Jid::from(client.clone()));
        if self.stream.restart(&mut Vec::new()).is_err() {
            return self.fail(LinkFault::Internal("the stream cannot begin anew"));
        }
        // A certificate that has proven nothing does not stand where it could be taken for a proof.
        let certificate = self.certificate().filter(|_| by != Authentication::Sasl).cloned();
        let unix_time = self.clock.unix_time();
        let security = Security {
            method: Method::X509,
            authenticated_by: by,
            tls: parameters,
            out_of_date: certificate.as_ref().is_some_and(|certificate| certificate.is_expired(unix_time)),
            certificate,
            changed_from: Vec::new(),
            confirmed: true,
        };
        self.peer = Some(Jid::from(client.clone()));
        self.events.push(LinkEvent::Secured(Box::new(security.clone())), 0);
        self.security = Some(Box::new(security));
        self.events.push(LinkEvent::ClientAuthenticated { client }, 0);
        self.stage = LinkStage::Restarting;
        self.wait_for_step();
    }
}
