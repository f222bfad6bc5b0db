//! Whose certificate is it?

use std::sync::Arc;

use xtls_jingle::Session;
use xtls_stanza::{Fingerprint, Method};
use xtls_tls::{Authorities, PeerCertificate, TlsParameters, TlsSession, Verification};

use super::{Phase, Tunnel};
use crate::{
    error::TrustError,
    event::Event,
    fault::Fault,
    judgement::{Judgement, Verified, judge, only_pins},
    security::Security,
    shared::Shared,
    timer::Timer,
    trust::{Confirmed, PasswordOutcome, TrustDecision, TrustPolicy, TrustRecord},
};

impl Tunnel {
    /// What TLS itself is to check. Where nothing but a pin will do, a certificate without one is refused with an alert;
    /// else it is judged when its key is proven.
    pub(super) fn verification(&self, shared: &Shared) -> Verification {
        let pins = self.record(shared).fingerprints();
        if let Some(authorities) = self.authorities(shared).filter(|_| pins.is_empty()) {
            return Verification::Authorities { authorities, address: self.peer.to_bare() };
        }
        only_pins(self.trust_policy(), pins).map_or(Verification::Deferred, Verification::Pinned)
    }

    /// The fingerprints that the peer is known by.
    pub(super) fn pinned(&self, shared: &Shared) -> Vec<Fingerprint> {
        self.record(shared).fingerprints()
    }

    /// The handshake is complete, so the peer holds the key of the certificate it showed. Nothing was sent since.
    pub(super) fn judge(&mut self, shared: &mut Shared) {
        self.timers.clear(Timer::Handshake);
        if self.is_by_password() {
            self.password_tried(PasswordOutcome::Right, shared);
            let pins = self.pinned(shared);
            let changed_from = if self.announcement_fits(&pins) { Vec::new() } else { pins };
            return self.verified(Verified::by_password(changed_from), shared);
        }
        let certificate = self.tls.as_ref().and_then(TlsSession::peer_certificate).cloned();
        let Some(certificate) = certificate else {
            return self.fail(Fault::NotTrusted { fingerprint: None }, shared);
        };
        match self.judgement(&certificate, shared) {
            Judgement::Accept(verified) => self.verified(verified, shared),
            Judgement::Refuse(fault) => self.fail(fault, shared),
            Judgement::Ask { previous } => {
                self.phase = Phase::Judging;
                self.timers.set(Timer::Ring, shared.after(shared.config.timers.ring));
                shared.events.push(Event::TrustRequired { id: self.id, certificate, previous });
            }
        }
    }

    /// A person has judged.
    pub(crate) fn decide(&mut self, decision: TrustDecision, shared: &mut Shared) -> Result<(), TrustError> {
        if self.phase != Phase::Judging {
            return Err(TrustError::NotAsked);
        }
        self.timers.clear(Timer::Ring);
        let certificate = self.tls.as_ref().and_then(TlsSession::peer_certificate);
        match (decision, certificate) {
            (TrustDecision::Accept, Some(certificate)) => {
                let verified = Verified::approved(certificate, self.pinned(shared));
                self.verified(verified, shared);
            }
            (TrustDecision::Accept | TrustDecision::Refuse, _) => self.fail(Fault::TrustRefused, shared),
        }
        Ok(())
    }

    /// Tells that the tunnel can be used, and whether the peer has confirmed that.
    pub(super) fn secured(&mut self, confirmed: bool, shared: &mut Shared) {
        let (Some(tls), Some(verified)) = (&self.tls, &self.verified) else { return };
        let Some(parameters) = tls.parameters() else { return };
        self.phase = Phase::Secured;
        self.timers.clear(Timer::Confirm);
        let certificate = tls.peer_certificate().cloned();
        let unix_time = shared.clock.unix_time();
        let security = Security {
            method: self.method_used(),
            authenticated_by: verified.by,
            tls: parameters,
            out_of_date: certificate.as_ref().is_some_and(|certificate| certificate.is_expired(unix_time)),
            certificate,
            changed_from: verified.changed_from.clone(),
            confirmed,
        };
        shared.events.push(Event::Secured { id: self.id, security: Box::new(security.clone()) });
        self.security = Some(Box::new(security));
        if confirmed {
            self.remember(shared);
        }
    }

    /// The first authenticated byte of the peer: it has accepted us.
    pub(super) fn confirmed(&mut self, shared: &mut Shared) {
        if self.phase == Phase::Confirming {
            return self.secured(true, shared);
        }
        if let Some(security) = self.security.as_mut().filter(|security| !security.confirmed) {
            security.confirmed = true;
            self.timers.clear(Timer::Stream);
            shared.events.push(Event::Confirmed { id: self.id });
            self.remember(shared);
        }
    }

    fn remember(&mut self, shared: &mut Shared) {
        let learn = self.verified.as_mut().and_then(|verified| verified.learn.take());
        shared.store.confirmed(&self.peer.to_bare(), &Confirmed::new(self.method_used(), learn));
    }

    fn judgement(&self, certificate: &PeerCertificate, shared: &Shared) -> Judgement {
        let presented = certificate.fingerprint_sha256();
        if let Some(announced) = self.contradicted_by(certificate) {
            return Judgement::Refuse(Fault::FingerprintMismatch { announced, presented });
        }
        let unix_time = shared.clock.unix_time();
        judge(certificate, &self.record(shared), self.trust_policy(), self.is_vouched_for(), unix_time)
    }

    /// The announcement that a certificate contradicts: what was announced must be what is presented. MD5 says nothing
    /// either way.
    pub(super) fn contradicted_by(&self, certificate: &PeerCertificate) -> Option<Fingerprint> {
        let mut comparable = self.announced.iter().filter(|announced| announced.algo() != xtls_stanza::HashAlgo::Md5);
        comparable.find(|announced| !announced.matches(certificate.der())).copied()
    }

    /// The certificate is accepted: what was held back goes out, and the tunnel begins.
    fn verified(&mut self, verified: Verified, shared: &mut Shared) {
        self.verified = Some(verified);
        self.release_held();
        self.established(shared);
    }

    /// Whether TLS runs by the password.
    pub(super) fn is_by_password(&self) -> bool {
        self.session.as_ref().and_then(Session::method) == Some(Method::Srp)
    }

    pub(super) fn trust_policy(&self) -> TrustPolicy {
        self.options.as_ref().map_or(TrustPolicy::Pinned, |options| options.trust)
    }

    /// The method that TLS runs by.
    fn method_used(&self) -> Method {
        if self.is_by_password() { Method::Srp } else { Method::X509 }
    }

    fn is_vouched_for(&self) -> bool {
        self.tls.as_ref().is_some_and(TlsSession::is_vouched_for)
    }

    /// Those whose word counts for a peer without a pin.
    pub(super) fn authorities(&self, shared: &Shared) -> Option<Arc<Authorities>> {
        shared.local.authorities.clone().filter(|_| self.trust_policy() == TrustPolicy::Authorities)
    }

    pub(super) fn record(&self, shared: &Shared) -> TrustRecord {
        shared.store.record(&self.peer.to_bare())
    }
}

/// The TLS version tells whether a finished handshake proves that the peer has accepted us.
pub(super) fn proves_acceptance(parameters: &TlsParameters) -> bool {
    parameters.version == xtls_tls::TlsVersion::Tls12
}
