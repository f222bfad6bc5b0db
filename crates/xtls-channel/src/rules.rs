//! Which method authenticates whom: the rules of both doors, as pure functions.
//!
//! draft-meyer-xmpp-e2e-encryption-02 § 3 (methods), § 5 (trust) and § 8.3 (downgrades), and XEP-0250 § 3. [`Policy`] is what the
//! caller allows, [`Standing`] what is known of the peer. Two questions are asked of them: [`offerable`], before the peer has
//! said anything, and [`choose`], once it has. Everything else about methods follows from these two.

use xtls_stanza::{Fingerprint, Method};
use xtls_tls::UnixTime;

pub use crate::policy::{Policy, Said};
use crate::{
    fault::{Fault, Missing},
    terms::TrustPolicy,
};

/// What is known of a peer when a method is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the rules are whole, and so is what they go by")]
pub struct Standing {
    /// The certificates it is known by.
    pub pins: Vec<Fingerprint>,
    /// The methods by which it was secured and confirmed before.
    pub secured_by: Vec<Method>,
    /// Until when no password may be tried with it: wrong guesses were made.
    pub locked_until: Option<UnixTime>,
    /// Whether the initiator's bare JID can be the user name of TLS-SRP (RFC 5054 § 2.8.1).
    pub has_user_name: bool,
    /// Whether there are authorities whose word counts.
    pub has_authorities: bool,
    /// What the user said about a password.
    pub said: Said,
}

/// What the peer said of itself. All of it is a hint until TLS has proven it.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "the rules are whole, and so is what they go by")]
pub struct Offered<'p> {
    /// Its methods.
    pub methods: &'p [Method],
    /// The fingerprints of its certificate.
    pub announced: &'p [Fingerprint],
}

/// What can be done about a peer's methods.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_enums, reason = "the rules are whole, and so is what they go by")]
pub enum Choice {
    /// These methods would do, the preferred one first; never empty.
    Methods(Vec<Method>),
    /// The user has to be asked for the password first.
    AskPassword,
    /// Nothing would do.
    Refuse(Fault),
}

/// Why there is nothing to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the rules are whole, and so is what they go by")]
pub enum Unofferable {
    /// No method is allowed.
    NoMethod,
    /// Only a password would do, and the initiator's address cannot be the user name.
    UserName,
    /// Only a password would do, and it is locked.
    PasswordLocked {
        /// When the lock ends.
        until: UnixTime,
    },
    /// Only a certificate that authorities vouch for would do, and there are none.
    NoAuthorities,
    /// Only a leap of faith would do, and the peer was secured by something better before (draft § 8.3).
    Downgraded,
    /// Only a pinned certificate would do, and none is.
    NotPinned,
    /// The policy asks the user, for which an initiator needs TLS 1.3, and the provider cannot do it.
    NoTls13,
}

/// What the policy makes of a certificate that is not pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// It goes on: the user judges it, authorities do, or the leap is taken.
    Accept,
    /// A leap of faith, as soon as the user has said that there is no password.
    AcceptWithoutPassword,
    /// It does not: the policy wants a pin.
    Refuse,
    /// It does not: the peer was secured by something better before.
    RefuseLess,
}

/// What an initiator may offer, and what a responder may say it is ready for: the preferred method first.
///
/// A method that cannot succeed is left out (draft § 3). A pinned certificate comes first, since it needs no user; then the
/// password, which is better than a certificate that nobody knows.
///
/// # Errors
///
/// Why nothing is left.
pub fn offerable(policy: &Policy, standing: &Standing) -> Result<Vec<Method>, Unofferable> {
    let x509 = policy.methods.contains(&Method::X509);
    let srp = may_share_password(policy, standing);
    let locked = standing.locked_until.filter(|_| srp);
    let pinned = x509 && !standing.pins.is_empty();
    let unknown = x509 && !pinned && takes_unknown(policy, standing);
    let mut methods = Vec::new();
    methods.extend(pinned.then_some(Method::X509));
    methods.extend((srp && locked.is_none()).then_some(Method::Srp));
    methods.extend(unknown.then_some(Method::X509));
    if !methods.is_empty() {
        return Ok(methods);
    }
    Err(match locked {
        Some(until) => Unofferable::PasswordLocked { until },
        None if policy.methods.contains(&Method::Srp) => Unofferable::UserName,
        None if x509 && policy.trust == TrustPolicy::Authorities => Unofferable::NoAuthorities,
        None if x509 && unknown_certificate(policy, standing) == Unknown::RefuseLess => Unofferable::Downgraded,
        None if x509 => Unofferable::NotPinned,
        None => Unofferable::NoMethod,
    })
}

/// Whether an offer names a certificate that the peer could not be verified by (`<insecure/>` of XEP-0250 § 3.1).
///
/// A leap of faith is named whatever the user may say of a password, so that the offer gives nothing away; but not while wrong
/// guesses lock the password, since whoever made them must not get a leap for it.
#[must_use]
pub fn takes_unknown(policy: &Policy, standing: &Standing) -> bool {
    let may_share = may_share_password(policy, standing);
    let may_leap = policy.trust == TrustPolicy::LeapOfFaith && standing.pins.is_empty();
    let is_locked = may_share && standing.locked_until.is_some();
    match unknown_certificate(policy, standing) {
        Unknown::Accept => !(may_leap && is_locked),
        Unknown::AcceptWithoutPassword | Unknown::Refuse => may_leap && !is_locked,
        // The user may still say that there is no password any more, where one may be asked for and nothing else is missed.
        Unknown::RefuseLess => may_leap && !is_locked && may_share && was_by_password_alone(standing),
    }
}

/// Chooses among the peer's methods (draft § 3, responder's rules 3 to 5 and initiator's rule 2).
///
/// What the peer announced decides which method is tried, and proves nothing: a pin that does not fit the announcement is
/// still a pin, and TLS shows whether the certificate really changed.
#[must_use]
pub fn choose(peer: Offered<'_>, policy: &Policy, standing: &Standing) -> Choice {
    let locked = standing.locked_until.filter(|_| may_share_password(policy, standing));
    if let Some(missing) = stripped(peer.methods, policy, standing) {
        // While we are locked ourselves, the password is not the peer's to bring: what is missing is missed on our side.
        return Choice::Refuse(match locked {
            Some(until) if missing == [Method::Srp] => Fault::PasswordLocked { until },
            _ => Fault::Downgraded { missing: Missing::Methods(missing) },
        });
    }
    let x509 = policy.methods.contains(&Method::X509) && peer.methods.contains(&Method::X509);
    let srp = may_share_password(policy, standing) && peer.methods.contains(&Method::Srp);
    let usable = srp && locked.is_none();
    let ready = usable && standing.said == Said::Password;
    let unknown = if x509 { unknown_certificate(policy, standing) } else { Unknown::Refuse };
    if x509 && !standing.pins.is_empty() && announcement_fits(peer.announced, &standing.pins) {
        let mut methods = vec![Method::X509];
        methods.extend(ready.then_some(Method::Srp));
        return Choice::Methods(methods);
    }
    if ready {
        let mut methods = vec![Method::Srp];
        methods.extend((unknown == Unknown::Accept).then_some(Method::X509));
        return Choice::Methods(methods);
    }
    let asks_first = usable || (unknown == Unknown::AcceptWithoutPassword && locked.is_none());
    if asks_first && standing.said == Said::Nothing {
        return Choice::AskPassword;
    }
    if unknown == Unknown::Accept || (x509 && !standing.pins.is_empty()) {
        return Choice::Methods(vec![Method::X509]);
    }
    Choice::Refuse(match locked {
        Some(until) => Fault::PasswordLocked { until },
        None if unknown == Unknown::RefuseLess => Fault::Downgraded { missing: Missing::Proof },
        None if lacks_user_name(policy, standing) && peer.methods.contains(&Method::Srp) => Fault::UserName,
        None if x509 || srp => Fault::NotTrusted { fingerprint: peer.announced.iter().max().copied() },
        None => Fault::NoCommonMethod { offered: peer.methods.to_vec() },
    })
}

/// Whether the announced fingerprints leave hope that the certificate is a pinned one.
#[must_use]
pub fn announcement_fits(announced: &[Fingerprint], pins: &[Fingerprint]) -> bool {
    let mut comparable = announced.iter().filter(|one| pins.iter().any(|pin| pin.algo() == one.algo())).peekable();
    comparable.peek().is_none() || comparable.any(|one| pins.contains(one))
}

/// The methods that have secured the peer before, of which none is left in `theirs`, nor a certificate that is pinned
/// (draft § 8.3). One that we would not speak ourselves is not missed.
fn stripped(theirs: &[Method], policy: &Policy, standing: &Standing) -> Option<Vec<Method>> {
    let is_left = |method: &Method| {
        standing.secured_by.contains(method) || (*method == Method::X509 && !standing.pins.is_empty())
    };
    if policy.allow_downgrade || theirs.iter().any(is_left) {
        return None;
    }
    let is_ours =
        |method: &Method| policy.methods.contains(method) && (*method != Method::Srp || standing.has_user_name);
    let missing: Vec<Method> = standing.secured_by.iter().copied().filter(is_ours).collect();
    (!missing.is_empty()).then_some(missing)
}

/// Whether a password can be used: the method is allowed, and the initiator's address can be the user name.
fn may_share_password(policy: &Policy, standing: &Standing) -> bool {
    policy.methods.contains(&Method::Srp) && standing.has_user_name
}

/// Whether there is a password, and the initiator's address cannot be the user name that goes with it.
pub(crate) fn lacks_user_name(policy: &Policy, standing: &Standing) -> bool {
    policy.methods.contains(&Method::Srp) && standing.said == Said::Password && !standing.has_user_name
}

/// Whether the peer was secured before, and never by a certificate.
fn was_by_password_alone(standing: &Standing) -> bool {
    !standing.secured_by.is_empty() && !standing.secured_by.contains(&Method::X509)
}

/// What the policy makes of a certificate that is not pinned.
///
/// A leap of faith is for a first meeting (draft § 5 discourages it): an attacker can bring one about by leaving out
/// the password method, or by locking it with wrong guesses, so none is taken where a password may be shared.
fn unknown_certificate(policy: &Policy, standing: &Standing) -> Unknown {
    let has_pins = !standing.pins.is_empty();
    let by_password_alone = was_by_password_alone(standing);
    let may_share_password = may_share_password(policy, standing);
    // Three broken handshakes lock the password: that must not turn an old acquaintance into a first meeting.
    if may_share_password
        && standing.locked_until.is_some()
        && by_password_alone
        && !has_pins
        && !policy.allow_downgrade
    {
        return Unknown::RefuseLess;
    }
    match policy.trust {
        TrustPolicy::Pinned => Unknown::Refuse,
        TrustPolicy::Ask => Unknown::Accept,
        TrustPolicy::Authorities if standing.has_authorities && !has_pins => Unknown::Accept,
        TrustPolicy::Authorities => Unknown::Refuse,
        TrustPolicy::LeapOfFaith if has_pins => Unknown::Refuse,
        TrustPolicy::LeapOfFaith => {
            // That there is no password any more is for the user to say; nobody can say that of a certificate.
            let released = by_password_alone && standing.said == Said::NoPassword;
            if !standing.secured_by.is_empty() && !policy.allow_downgrade && !released {
                return Unknown::RefuseLess;
            }
            match standing.said {
                // Whoever has a password gets no leap, not even where the initiator's address does not go with it.
                _ if lacks_user_name(policy, standing) => Unknown::Refuse,
                _ if !may_share_password => Unknown::Accept,
                Said::NoPassword => Unknown::Accept,
                Said::Nothing => Unknown::AcceptWithoutPassword,
                Said::Password | Said::NoAnswer => Unknown::Refuse,
            }
        }
    }
}

#[cfg(test)]
mod tests;
