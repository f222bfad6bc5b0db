//! Whether a certificate is the peer's: the one rule of tunnels and links.

use xtls_stanza::{Fingerprint, HashAlgo};
use xtls_tls::{PeerCertificate, UnixTime};

use crate::{
    fault::Fault,
    record::{Learn, Learned, Pin, TrustRecord},
    security::Authentication,
    terms::TrustPolicy,
};

/// How announced fingerprints bind the certificate that is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "one or all")]
pub enum Announcements {
    /// One of them has to be its (XEP-0250 § 3.1: the names of other keys may stand beside it).
    Any,
    /// All of them have to be its (draft-meyer-xmpp-e2e-encryption-02 § 3).
    Every,
}

/// A peer that was judged and accepted.
#[derive(Debug, Clone)]
pub(crate) struct Verified {
    pub(crate) by: Authentication,
    pub(crate) changed_from: Vec<Fingerprint>,
    /// The pins that this was judged by; `None` with a password.
    pub(crate) judged_by: Option<Vec<Fingerprint>>,
    /// What is to be remembered as soon as the peer has accepted us too.
    pub(crate) learn: Option<Learn>,
}

/// What comes of a certificate whose key is proven.
#[derive(Debug)]
pub(crate) enum Judgement {
    Accept(Verified),
    /// The user has to say; the peer was known by these until now.
    Ask {
        certificate: PeerCertificate,
        previous: Vec<Fingerprint>,
    },
    Refuse(Fault),
}

impl Verified {
    /// The password proved right. The announcement is all there is to tell a change by: no certificate is presented.
    pub(crate) fn by_password(changed_from: Vec<Fingerprint>) -> Self {
        Self { changed_from, ..Self::by_itself(Authentication::Password) }
    }

    /// A client is authenticated inside TLS, by this.
    pub(crate) fn by_itself(by: Authentication) -> Self {
        Self { by, changed_from: Vec::new(), judged_by: None, learn: None }
    }

    /// The user has accepted this certificate; the peer was known by these until now, and still is if the user `keeps` them. A
    /// certificate that was replaced may have been stolen, and opens nothing any more.
    pub(crate) fn approved(certificate: &PeerCertificate, known: Vec<Fingerprint>, keeps: bool, now: UnixTime) -> Self {
        let replaces = if keeps { Vec::new() } else { known.clone() };
        let learn = Learn { pin: Pin::manual(certificate.fingerprint_sha256()).with_since(now), replaces };
        let judged_by = Some(known.clone());
        Self { by: Authentication::Approved, changed_from: known, judged_by, learn: Some(learn) }
    }
}

impl Announcements {
    /// The announcement that a certificate contradicts, if there is one. MD5 says nothing either way.
    #[must_use]
    pub fn contradicted_by(self, announced: &[Fingerprint], certificate: &PeerCertificate) -> Option<Fingerprint> {
        let comparable = || announced.iter().filter(|one| one.algo() != HashAlgo::Md5);
        let fits = |one: &&Fingerprint| certificate.has(one);
        match self {
            Self::Every => comparable().find(|one| !fits(one)).copied(),
            Self::Any if comparable().any(|one| fits(&one)) => None,
            Self::Any => comparable().max().copied(),
        }
    }
}

/// The pins that TLS itself is to hold the peer's certificate against, if nothing else will do.
pub(crate) fn only_pins(policy: TrustPolicy, pins: &[Fingerprint]) -> Option<Vec<Fingerprint>> {
    let only_pinned = match policy {
        TrustPolicy::Pinned | TrustPolicy::LeapOfFaith | TrustPolicy::Authorities => !pins.is_empty(),
        TrustPolicy::Ask => false,
    };
    (only_pinned && pins.iter().all(Fingerprint::is_trustworthy)).then(|| pins.to_vec())
}

/// Judges a certificate by what is known of the peer now. `is_vouched_for` says that TLS has followed its chain to an
/// authority and compared the name: a pin that was taken away meanwhile is not made up for by that.
pub(crate) fn judge(
    certificate: &PeerCertificate,
    record: &TrustRecord,
    policy: TrustPolicy,
    is_vouched_for: bool,
    now: UnixTime,
) -> Judgement {
    let presented = certificate.fingerprint_sha256();
    let pinned = record.fingerprints();
    let accept = |by, learn| {
        let judged_by = Some(pinned.clone());
        Judgement::Accept(Verified { by, changed_from: Vec::new(), judged_by, learn })
    };
    if let Some(pin) = record.pins.iter().find(|pin| certificate.has(&pin.fingerprint)) {
        // A pin by another digest is remembered by SHA-256 from now on. It is trusted since it was.
        let strong = Pin { fingerprint: presented, ..*pin };
        let learn = (pin.fingerprint != presented).then(|| Learn { pin: strong, replaces: vec![pin.fingerprint] });
        return accept(Authentication::Pinned, learn);
    }
    match policy {
        TrustPolicy::Ask => Judgement::Ask { certificate: certificate.clone(), previous: pinned },
        TrustPolicy::LeapOfFaith if pinned.is_empty() && certificate.is_expired(now) => {
            Judgement::Refuse(Fault::OutOfDate { fingerprint: presented })
        }
        TrustPolicy::LeapOfFaith if pinned.is_empty() => {
            let learn = Learn { pin: Pin::new(presented, Learned::LeapOfFaith).with_since(now), replaces: Vec::new() };
            accept(Authentication::LeapOfFaith, Some(learn))
        }
        TrustPolicy::Authorities if pinned.is_empty() && is_vouched_for => accept(Authentication::Authority, None),
        TrustPolicy::Pinned | TrustPolicy::Authorities if pinned.is_empty() => {
            Judgement::Refuse(Fault::NotTrusted { fingerprint: Some(presented) })
        }
        TrustPolicy::Pinned | TrustPolicy::LeapOfFaith | TrustPolicy::Authorities => {
            Judgement::Refuse(Fault::CertificateChanged { presented: Some(presented), pinned })
        }
    }
}
