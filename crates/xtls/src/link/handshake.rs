//! How TLS begins.

use xtls_stanza::Method;
use xtls_tls::{SrpConfig, TlsConfig, TlsSession, TlsVersion, TowardsServer};

use super::{Link, LinkFault, LinkStage, LinkTimer};
use crate::trust::TrustPolicy;

impl Link {
    /// Begins TLS by the method that was agreed on.
    pub(super) fn start_tls(&mut self) {
        let session = match self.method {
            Some(Method::Srp) => self.srp_session(),
            Some(Method::X509) => self.x509_session(),
            _ => None,
        };
        let Some(session) = session else {
            return self.fail(LinkFault::Internal("TLS cannot be set up"));
        };
        self.tls = Some(session);
        // TLS has made of it what it needs.
        self.forget_secret();
        self.stage = LinkStage::Handshake;
        self.wait_for(LinkTimer::Handshake, self.config.timers.handshake);
        self.release();
    }

    fn srp_session(&mut self) -> Option<TlsSession> {
        let config = SrpConfig::new(self.credentials()?, self.local.provider.clone());
        if self.initiating {
            TlsSession::srp_client(&config, &mut self.held).ok()
        } else {
            TlsSession::srp_server(&config).ok()
        }
    }

    fn x509_session(&mut self) -> Option<TlsSession> {
        if self.server.is_some() {
            return self.server_session();
        }
        if let Some(terms) = self.client_terms() {
            return self.client_session(terms);
        }
        let local = &self.local;
        let verification = self.verification();
        let mut config =
            TlsConfig::new(local.identity.clone(), local.provider.clone(), self.clock.wall(), verification);
        // The header of the stream inside of TLS says that the peer was accepted; it may have to be judged first.
        config.send_ticket = false;
        config.minimum = self.minimum_tls();
        if self.initiating {
            TlsSession::client(&config, &mut self.held).ok()
        } else {
            TlsSession::server(&config).ok()
        }
    }

    fn server_session(&mut self) -> Option<TlsSession> {
        let server = self.server.as_ref()?;
        let domain = self.peer.as_ref()?.domain().to_owned();
        let verification = self.server_verification();
        let local = &self.local;
        let mut config = TowardsServer::new(domain, local.provider.clone(), self.clock.wall(), verification);
        config.identity = server.present_certificate.then(|| local.identity.clone());
        // XEP-0368 § 2.2.
        config.alpn = server.direct_tls;
        config.minimum = self.minimum_tls();
        config.sessions.clone_from(&server.sessions);
        TlsSession::towards_server(&config, &mut self.held).ok()
    }

    fn minimum_tls(&self) -> TlsVersion {
        if self.initiating && self.policy() == TrustPolicy::Ask {
            // RFC 5246 § 7.3: the client of TLS 1.2 finishes before the server does, and cannot wait for a person.
            return TlsVersion::Tls13;
        }
        self.config.minimum_tls
    }

    /// Behind this end's part of a handshake that is not complete yet the other end's person may have to judge our
    /// certificate, and the time for that is added. The initiating end is done by then in TLS 1.3; in TLS 1.2 it waits for the
    /// other one's Finished (RFC 5246 § 7.3). A server has nobody to ask.
    pub(super) fn answered_handshake(&mut self) {
        if self.server.is_none() && self.method == Some(Method::X509) && !self.held.is_empty() {
            let timers = &self.config.timers;
            self.wait_for(LinkTimer::Handshake, timers.handshake.saturating_add(timers.question));
        }
    }
}
