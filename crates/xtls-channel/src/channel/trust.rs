//! What is known of the peer, and how it is judged.

use xtls_stanza::{Fingerprint, Method, jid::BareJid};
use xtls_tls::{PeerCertificate, TlsSession};

use super::Side;
use crate::{
    environment::Environment,
    fault::Fault,
    judgement::{Announcements, Judgement, Verified, judge},
    record::{Confirmation, Confirmed, TrustRecord},
    rules::{self, Choice, Offered, Policy, Said, Standing, Unofferable},
    store::StoreError,
};

/// Who the other end has to be.
pub(super) struct Trust {
    pub(super) peer: BareJid,
    /// Whose bare JID is the user name of TLS-SRP: computed here at both ends, and never taken from what the peer says
    /// (XEP-0250 § 2.3).
    pub(super) initiator: BareJid,
    pub(super) policy: Policy,
    pub(super) standing: Standing,
    /// Fingerprints that the peer announced.
    pub(super) announced: Vec<Fingerprint>,
    rule: Announcements,
    /// What is known of its negotiation hash.
    pub(super) hash: HashShown,
    /// Whether the provider can do the TLS that the policy needs.
    has_tls: bool,
}

/// Whether the peer shows the negotiation hash.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HashShown {
    /// It did before.
    pub(super) before: bool,
    /// It has in this tunnel.
    pub(super) now: bool,
    /// Nothing of this tunnel could be remembered, which was told.
    pub(super) unsaved: bool,
}

impl Trust {
    pub(super) fn new(
        side: Side,
        peer: BareJid,
        policy: Policy,
        said: Said,
        rule: Announcements,
        env: &Environment,
    ) -> Result<Self, Box<Fault>> {
        let initiator = match side {
            Side::Initiator => env.own().clone(),
            Side::Responder => peer.clone(),
        };
        let (standing, before) = env.standing_and_hash(&peer, &initiator, said)?;
        let has_tls = env.has_tls_for(side, &policy);
        let hash = HashShown { before, ..HashShown::default() };
        Ok(Self { peer, initiator, policy, standing, announced: Vec::new(), rule, hash, has_tls })
    }

    pub(super) fn refresh(&mut self, env: &Environment) -> Result<(), Box<Fault>> {
        (self.standing, self.hash.before) = env.standing_and_hash(&self.peer, &self.initiator, self.standing.said)?;
        Ok(())
    }

    /// A peer that has accepted us has shown the negotiation hash: it is held to that from now on.
    pub(super) fn remember_hash(&mut self, method: Method, env: &mut Environment) -> Option<StoreError> {
        if self.hash.before || self.hash.unsaved {
            return None;
        }
        let confirmed = Confirmed::new(method, None, None).with_negotiation_hash(true);
        let unsaved = env.confirm(&self.peer, &confirmed).err();
        self.hash.before = unsaved.is_none();
        unsaved
    }

    pub(super) fn offerable(&self) -> Result<Vec<Method>, Unofferable> {
        if !self.has_tls {
            return Err(Unofferable::NoTls13);
        }
        rules::offerable(&self.policy, &self.standing)
    }

    pub(super) fn lacks_user_name(&self) -> bool {
        rules::lacks_user_name(&self.policy, &self.standing)
    }

    pub(super) fn takes_unknown(&self) -> bool {
        rules::takes_unknown(&self.policy, &self.standing)
    }

    pub(super) fn choose(&self, theirs: Offered<'_>) -> Choice {
        rules::choose(theirs, &self.policy, &self.standing)
    }

    pub(super) fn pins(&self) -> &[Fingerprint] {
        &self.standing.pins
    }

    pub(super) fn contradicted_by(&self, certificate: &PeerCertificate) -> Option<Fingerprint> {
        self.rule.contradicted_by(&self.announced, certificate)
    }

    /// The handshake is complete, so the peer knows the password, or holds the key of the certificate it showed.
    pub(super) fn judge(&self, tls: &TlsSession, method: Method, env: &Environment) -> Judgement {
        let record = match env.record(&self.peer) {
            Ok(record) => record,
            Err(error) => return Judgement::Refuse(Fault::Store(error)),
        };
        if method == Method::Srp {
            let pins = record.fingerprints();
            let fits = rules::announcement_fits(&self.announced, &pins);
            return Judgement::Accept(Verified::by_password(if fits { Vec::new() } else { pins }));
        }
        let Some(certificate) = tls.peer_certificate() else {
            return Judgement::Refuse(Fault::NotTrusted { fingerprint: None });
        };
        if let Some(announced) = self.contradicted_by(certificate) {
            let presented = certificate.fingerprint_sha256();
            return Judgement::Refuse(Fault::FingerprintMismatch { announced, presented });
        }
        self.judge_by(&record, certificate, tls, env)
    }

    /// Remembers that both ends have accepted one another. Pins that have changed since the judgement are judged by anew: of
    /// two leaps of faith side by side only one counts.
    ///
    /// # Errors
    ///
    /// When the certificate is not the peer's any more. What the store could not write ends nothing, and is told.
    pub(super) fn remember(
        &mut self,
        tls: &TlsSession,
        method: Method,
        verified: &mut Verified,
        env: &mut Environment,
    ) -> Result<Option<StoreError>, Box<Fault>> {
        /// Each turn needs another engine to have written meanwhile.
        const TURNS: usize = 4;
        for _ in 0..TURNS {
            let confirmed = Confirmed::new(method, verified.judged_by.clone(), verified.learn.clone())
                .with_negotiation_hash(self.hash.now);
            match env.confirm(&self.peer, &confirmed) {
                Ok(Confirmation::Remembered) => {
                    verified.learn = None;
                    self.hash.before |= self.hash.now;
                    return Ok(None);
                }
                Err(error) => {
                    self.hash.unsaved = true;
                    return Ok(Some(error));
                }
                Ok(Confirmation::PinsChanged) => {}
            }
            let record = env.record(&self.peer)?;
            let Some(certificate) = tls.peer_certificate() else {
                return Err(Fault::NotTrusted { fingerprint: None }.into());
            };
            *verified = match self.judge_by(&record, certificate, tls, env) {
                Judgement::Accept(verified) => verified,
                Judgement::Refuse(fault) => return Err(fault.into()),
                // The user was asked about another peer, as it were, and is not asked again.
                Judgement::Ask { certificate, previous: pinned } => {
                    let presented = Some(certificate.fingerprint_sha256());
                    return Err(Fault::CertificateChanged { presented, pinned }.into());
                }
            };
        }
        Err(StoreError::new("the pins of the peer change all the time").into())
    }

    fn judge_by(
        &self,
        record: &TrustRecord,
        certificate: &PeerCertificate,
        tls: &TlsSession,
        env: &Environment,
    ) -> Judgement {
        judge(certificate, record, self.policy.trust, tls.is_vouched_for(), env.clock().unix_time())
    }
}
