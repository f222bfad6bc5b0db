//! How TLS begins, by either method.

use xtls_ibb::Bytestream;
use xtls_jingle::{Role, Session};
use xtls_stanza::Method;
use xtls_tls::{
    ClientHelloMethod, SrpConfig, TlsConfig, TlsSession, TlsVersion, client_hello_method, record_size_for_block,
};

use super::{Phase, Tunnel, method::Secret};
use crate::{fault::Fault, shared::Shared, timer::Timer, trust::TrustPolicy};

impl Tunnel {
    /// Begins TLS by the method that was chosen.
    pub(super) fn start_tls(&mut self, method: Method, shared: &Shared) {
        let session = match method {
            Method::Srp => self.srp_session(shared),
            Method::X509 | _ => self.x509_session(shared),
        };
        let Some(session) = session else {
            return self.fail(Fault::Internal("TLS cannot be set up"), shared);
        };
        self.tls = Some(session);
        // TLS has made of it what it needs.
        self.secret = Secret::default();
        self.release_held();
        self.phase = Phase::Handshake;
        if self.role == Role::Initiator {
            self.timers.set(Timer::Handshake, shared.after(shared.config.timers.handshake));
        }
        if let Some(session) = &mut self.session {
            session.tls_started(method);
        }
    }

    fn srp_session(&mut self, shared: &Shared) -> Option<TlsSession> {
        let mut config = SrpConfig::new(self.credentials(shared)?, shared.local.provider.clone());
        config.max_record = self.record_size();
        match self.role {
            Role::Initiator => TlsSession::srp_client(&config, &mut self.held).ok(),
            Role::Responder | _ => TlsSession::srp_server(&config).ok(),
        }
    }

    fn record_size(&self) -> usize {
        let block_size = self.session.as_ref().map_or(0, Session::block_size);
        record_size_for_block(usize::from(self.bytestream.as_ref().map_or(block_size, Bytestream::block_size)))
    }

    fn x509_session(&mut self, shared: &Shared) -> Option<TlsSession> {
        let local = &shared.local;
        let mut config = TlsConfig::new(
            local.identity.clone(),
            local.provider.clone(),
            shared.clock.wall(),
            self.verification(shared),
        );
        config.max_record = self.record_size();
        config.minimum = shared.config.minimum_tls;
        if self.role == Role::Initiator && self.trust_policy() == TrustPolicy::Ask {
            // RFC 5246 § 7.3: the client of TLS 1.2 finishes before the server does, and cannot wait for a person.
            config.minimum = TlsVersion::Tls13;
        }
        match self.role {
            Role::Initiator => TlsSession::client(&config, &mut self.held).ok(),
            Role::Responder | _ => TlsSession::server(&config).ok(),
        }
    }

    /// Responder: the first bytes of TLS. Where no security-info came and our answer left a choice, the ClientHello shows
    /// what the initiator has chosen (draft-meyer-xmpp-e2e-encryption-02 § 3).
    pub(super) fn begin_as_server(&mut self, block: &[u8], shared: &Shared) {
        if self.sniffed.is_empty() {
            self.timers.set(Timer::Handshake, shared.after(shared.config.timers.handshake));
        }
        self.sniffed.extend_from_slice(block);
        let method = match self.agreed_method() {
            Some(method) => method,
            None => match client_hello_method(&self.sniffed) {
                ClientHelloMethod::NeedMore => return,
                ClientHelloMethod::Srp => Method::Srp,
                // One method is agreed on before TLS begins; we do not choose in the initiator's stead.
                ClientHelloMethod::Mixed => return self.fail(Fault::NoCommonMethod { offered: Vec::new() }, shared),
                // What is no ClientHello is refused by the TLS that most peers would mean.
                ClientHelloMethod::X509 | ClientHelloMethod::NotClientHello | _ => Method::X509,
            },
        };
        let answered = self.session.as_ref().and_then(Session::local_security);
        if answered.is_some_and(|security| security.methods.contains(&method)) {
            self.start_tls(method, shared);
        } else {
            self.fail(Fault::NoCommonMethod { offered: vec![method] }, shared);
        }
    }

    /// Sends what TLS answers. Behind our part of a handshake that is not complete yet the peer's person may have to judge our
    /// certificate, and the time for that is added. The initiator is done by then in TLS 1.3; in TLS 1.2 it waits for the
    /// responder's Finished (RFC 5246 § 7.3).
    pub(super) fn answer_handshake(&mut self, shared: &Shared) {
        let is_judged = self.phase == Phase::Handshake && !self.is_by_password();
        if is_judged && !self.held.is_empty() {
            let timers = &shared.config.timers;
            self.timers.set(Timer::Handshake, shared.after(timers.handshake.saturating_add(timers.ring)));
        }
        self.release_held();
    }
}
