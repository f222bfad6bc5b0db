//! Whether a certificate is the peer's: the one rule of tunnels and links.

use xtls_stanza::Fingerprint;
use xtls_tls::PeerCertificate;

use crate::{
    fault::Fault,
    security::Authentication,
    trust::{Learn, Learned, Pin, TrustPolicy, TrustRecord},
};

/// A peer that was judged and accepted.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) by: Authentication,
    pub(crate) changed_from: Vec<Fingerprint>,
    /// What is to be remembered as soon as the peer has accepted us too.
    pub(crate) learn: Option<Learn>,
}

/// What comes of a certificate whose key is proven.
#[derive(Debug)]
pub(crate) enum Judgement {
    Accept(Verified),
    /// A person has to say; the peer was known by these until now.
    Ask {
        previous: Vec<Fingerprint>,
    },
    Refuse(Fault),
}

impl Verified {
    /// The password proved right. The announcement is all there is to tell a change by: no certificate is presented.
    pub(crate) fn by_password(changed_from: Vec<Fingerprint>) -> Self {
        Self { by: Authentication::Password, changed_from, learn: None }
    }

    /// A person has accepted this certificate; the peer was known by these until now.
    pub(crate) fn approved(certificate: &PeerCertificate, changed_from: Vec<Fingerprint>) -> Self {
        let learn = Learn { pin: Pin::manual(certificate.fingerprint_sha256()), replaces: None };
        Self { by: Authentication::Approved, changed_from, learn: Some(learn) }
    }
}

/// The pins that TLS itself is to hold the peer's certificate against, if nothing else will do.
pub(crate) fn only_pins(policy: TrustPolicy, pins: Vec<Fingerprint>) -> Option<Vec<Fingerprint>> {
    let only_pinned = match policy {
        TrustPolicy::Pinned | TrustPolicy::LeapOfFaith | TrustPolicy::Authorities => !pins.is_empty(),
        TrustPolicy::Ask => false,
    };
    (only_pinned && pins.iter().all(Fingerprint::is_trustworthy)).then_some(pins)
}

/// Judges a certificate by what is known of the peer now. `is_vouched_for` says that TLS has followed its chain to an
/// authority and compared the name: a pin that was taken away meanwhile is not made up for by that.
pub(crate) fn judge(
    certificate: &PeerCertificate,
    record: &TrustRecord,
    policy: TrustPolicy,
    is_vouched_for: bool,
    unix_time: u64,
) -> Judgement {
    let presented = certificate.fingerprint_sha256();
    if let Some(pin) = record.pins.iter().find(|pin| pin.fingerprint.matches(certificate.der())) {
        // A pin by another digest is remembered by SHA-256 from now on.
        let strong = Pin::new(presented, pin.learned);
        let learn = (pin.fingerprint != presented).then_some(Learn { pin: strong, replaces: Some(pin.fingerprint) });
        return Judgement::Accept(Verified { by: Authentication::Pinned, changed_from: Vec::new(), learn });
    }
    let pinned = record.fingerprints();
    match policy {
        TrustPolicy::Ask => Judgement::Ask { previous: pinned },
        TrustPolicy::LeapOfFaith if pinned.is_empty() && certificate.is_expired(unix_time) => {
            Judgement::Refuse(Fault::OutOfDate { fingerprint: presented })
        }
        TrustPolicy::LeapOfFaith if pinned.is_empty() => {
            let learn = Learn { pin: Pin::new(presented, Learned::LeapOfFaith), replaces: None };
            let by = Authentication::LeapOfFaith;
            Judgement::Accept(Verified { by, changed_from: pinned, learn: Some(learn) })
        }
        TrustPolicy::Authorities if pinned.is_empty() && is_vouched_for => {
            let by = Authentication::Authority;
            Judgement::Accept(Verified { by, changed_from: Vec::new(), learn: None })
        }
        TrustPolicy::Pinned | TrustPolicy::Authorities if pinned.is_empty() => {
            Judgement::Refuse(Fault::NotTrusted { fingerprint: Some(presented) })
        }
        TrustPolicy::Pinned | TrustPolicy::LeapOfFaith | TrustPolicy::Authorities => {
            Judgement::Refuse(Fault::CertificateChanged { presented: Some(presented), pinned })
        }
    }
}
