//! Whose certificate is it? The rules are those of tunnels.

use std::sync::Arc;

use xtls_stanza::{Fingerprint, Method};
use xtls_tls::{Authorities, PeerCertificate, ServerVerification, TlsSession, TlsVersion, Verification};

use super::{Link, LinkEvent, LinkStage};
use crate::{
    fault::Fault,
    judgement::{Judgement, Verified, judge, only_pins},
    security::Security,
    trust::{Confirmed, PasswordOutcome, TrustDecision, TrustPolicy},
};

impl Link {
    /// What TLS itself is to check. Where nothing but a pin will do, a certificate without one is refused with an alert;
    /// else it is judged when its key is proven.
    pub(super) fn verification(&self) -> Verification {
        if let (Some(authorities), Some(address)) = (self.vouching(), self.peer_bare()) {
            return Verification::Authorities { authorities, address };
        }
        self.only_pins().map_or(Verification::Deferred, Verification::Pinned)
    }

    /// The same for a server, which is known by its domain.
    pub(super) fn server_verification(&self) -> ServerVerification {
        if let Some(authorities) = self.vouching() {
            return ServerVerification::Authorities(authorities);
        }
        self.only_pins().map_or(ServerVerification::Deferred, ServerVerification::Pinned)
    }

    /// Whose word decides.
    fn vouching(&self) -> Option<Arc<Authorities>> {
        let wanted = self.policy() == TrustPolicy::Authorities && self.record().pins.is_empty();
        self.local.authorities.clone().filter(|_| wanted)
    }

    /// The pins, if nothing else will do.
    fn only_pins(&self) -> Option<Vec<Fingerprint>> {
        only_pins(self.policy(), self.record().fingerprints())
    }

    /// The handshake is complete, so the peer knows the password or holds the key of the certificate it showed. Nothing was
    /// sent since.
    pub(super) fn judge(&mut self) {
        self.wait = None;
        if self.client.is_some() {
            return self.client_encrypted();
        }
        if self.method == Some(Method::Srp) {
            self.password_tried(PasswordOutcome::Right);
            let pins = self.record().fingerprints();
            let changed_from = if self.announcement_fits(&pins) { Vec::new() } else { pins };
            return self.verified(Verified::by_password(changed_from));
        }
        let certificate = self.tls.as_ref().and_then(TlsSession::peer_certificate).cloned();
        let Some(certificate) = certificate else {
            return self.fail(Fault::NotTrusted { fingerprint: None }.into());
        };
        match self.judgement(&certificate) {
            Judgement::Accept(verified) => self.verified(verified),
            Judgement::Refuse(fault) => self.fail(fault.into()),
            Judgement::Ask { previous } => {
                self.wait_for_answer(LinkStage::Judging);
                self.events.push(LinkEvent::TrustRequired { certificate: Box::new(certificate), previous }, 0);
            }
        }
    }

    /// A person has judged.
    pub(super) fn decide(&mut self, decision: TrustDecision) {
        let certificate = self.tls.as_ref().and_then(TlsSession::peer_certificate);
        match (decision, certificate) {
            (TrustDecision::Accept, Some(certificate)) => {
                let verified = Verified::approved(certificate, self.record().fingerprints());
                self.verified(verified);
            }
            (TrustDecision::Accept | TrustDecision::Refuse, _) => self.fail(Fault::TrustRefused.into()),
        }
    }

    /// Both ends have accepted one another.
    pub(super) fn secured(&mut self) {
        if self.security.is_some() {
            return;
        }
        let (Some(tls), Some(verified)) = (&self.tls, &mut self.verified) else { return };
        let Some(parameters) = tls.parameters() else { return };
        let certificate = tls.peer_certificate().cloned();
        let unix_time = self.clock.unix_time();
        let method = self.method.unwrap_or(Method::X509);
        let security = Security {
            method,
            authenticated_by: verified.by,
            tls: parameters,
            out_of_date: certificate.as_ref().is_some_and(|certificate| certificate.is_expired(unix_time)),
            certificate,
            changed_from: verified.changed_from.clone(),
            confirmed: true,
        };
        let learn = verified.learn.take();
        if let Some(peer) = self.peer_bare() {
            self.store.confirmed(&peer, &Confirmed::new(method, learn));
        }
        self.events.push(LinkEvent::Secured(Box::new(security.clone())), 0);
        self.security = Some(Box::new(security));
    }

    fn judgement(&self, certificate: &PeerCertificate) -> Judgement {
        let presented = certificate.fingerprint_sha256();
        // What was announced must be what is presented (XEP-0250 § 3.1); the names of other keys may stand beside it.
        let fits = |announced: &Fingerprint| announced.matches(certificate.der());
        if let Some(&announced) = self.announced.iter().max()
            && !self.announced.iter().any(fits)
        {
            return Judgement::Refuse(Fault::FingerprintMismatch { announced, presented });
        }
        let is_vouched_for = self.tls.as_ref().is_some_and(TlsSession::is_vouched_for);
        judge(certificate, &self.record(), self.policy(), is_vouched_for, self.clock.unix_time())
    }

    /// The peer is accepted: what was held back goes out, and the stream begins anew.
    fn verified(&mut self, verified: Verified) {
        self.verified = Some(verified);
        self.release();
        self.restart();
        // RFC 8446 § 4.4: the client of TLS 1.3 is done before its certificate is judged; the first byte tells of that.
        let version = self.tls.as_ref().and_then(TlsSession::parameters).map(|parameters| parameters.version);
        if !self.initiating || version == Some(TlsVersion::Tls12) {
            self.secured();
        }
    }
}
