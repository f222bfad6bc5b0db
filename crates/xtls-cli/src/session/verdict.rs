//! How a tunnel ended, and what the user can do about it.

use jid::BareJid;
use xtls::{CloseReason, Closed, EndedBy, Fault, jingle::ReasonCondition, trust::Method};

use crate::clock;
use crate::exit::Failure;

/// How a tunnel ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// In order.
    Done,
    /// Ours gave way to an offer of the peer, which comes next.
    GaveWay,
    /// Not in order.
    Failed(Failure),
}

impl Verdict {
    /// Whether a tunnel ended well, and else what to do.
    pub(crate) fn of(closed: &Closed) -> Self {
        let (full, bare) = (&closed.peer, closed.peer.to_bare());
        let failure = match &closed.reason {
            CloseReason::Done if !closed.truncated => return Self::Done,
            CloseReason::Terminated(reason) if closed.by == EndedBy::Local && !closed.truncated => {
                return if closed.reason.is_security() {
                    Self::Failed(Failure::security(format!("the tunnel with {full} was refused: {reason}")).about(full))
                } else {
                    Self::Done
                };
            }
            CloseReason::Terminated(reason) => match reason.condition {
                ReasonCondition::SecurityError => Failure::security(format!(
                    "{full} refused the tunnel with security-error: it neither trusts our certificate \
                     nor shares a password with us; give its owner the fingerprint that this shows: xtls identity"
                )),
                ReasonCondition::Decline => Failure::connection(format!("{full} declined the tunnel: ask its owner")),
                ReasonCondition::UnsupportedApplications => Failure::connection(format!(
                    "{full} does not take a tunnel of this kind: xtls chat talks to xtls listen, and xtls pipe to \
                     xtls pipe --listen"
                )),
                ReasonCondition::Cancel => Failure::connection(format!(
                    "{full} broke the tunnel off before the end: ask its owner, or try again"
                )),
                ReasonCondition::Busy => Failure::connection(format!("{full} is busy: try again later")),
                _ => Failure::connection(format!("{full} ended the tunnel: {reason}; try again")),
            },
            CloseReason::Fault(fault) if matches!(**fault, Fault::TieBreak) => return Self::GaveWay,
            CloseReason::Fault(fault) => fault_advice(fault, closed, &bare),
            _ => Failure::connection(format!(
                "the tunnel with {full} broke off: {}; what came last may be incomplete, try again",
                closed.reason
            )),
        };
        Self::Failed(failure.about(full))
    }
}

/// No password may be tried with this peer until then, in Unix time.
pub(crate) fn password_locked(peer: &BareJid, until: xtls::tls::UnixTime) -> Failure {
    let until = clock::rfc3339(i64::try_from(until.as_secs()).unwrap_or(i64::MAX));
    Failure::security(format!(
        "too many wrong passwords were tried with {peer}, by either side: no more are taken until {until}; compare it \
         with its owner by other means meanwhile"
    ))
    .about(peer)
}

fn fault_advice(fault: &Fault, closed: &Closed, bare: &BareJid) -> Failure {
    let full = &closed.peer;
    if let Some(failure) = authentication_advice(fault, "tunnel", full.as_str(), bare) {
        return failure;
    }
    match fault {
        Fault::Unreachable { error, .. } => {
            Failure::connection(format!("{full} cannot be reached: {error}; check the address, and that it is online"))
        }
        fault => {
            let rest = if closed.truncated { "; what came last may be incomplete" } else { "" };
            Failure::connection(format!("the tunnel with {full} broke off: {fault}{rest}; try again"))
        }
    }
}

/// What to do about a fault of security with a peer, `full` in words, in a `kind` of connection, or about a trust file that
/// does not work; `None` for others.
pub(crate) fn authentication_advice(fault: &Fault, kind: &str, full: &str, bare: &BareJid) -> Option<Failure> {
    Some(match fault {
        Fault::NotTrusted { fingerprint: Some(fingerprint) } => Failure::security(format!(
            "{full} is not verified, its certificate is {fingerprint}: compare that with its owner by other means, \
             then: xtls trust add {bare} {fingerprint}"
        )),
        Fault::NotTrusted { fingerprint: None } => Failure::security(format!(
            "{full} is not verified: get the fingerprint of its certificate from its owner, then: \
             xtls trust add {bare} FINGERPRINT"
        )),
        Fault::CertificateChanged { presented, .. } => {
            let shown = presented.map_or_else(|| "FINGERPRINT".to_owned(), |presented| presented.to_string());
            Failure::security(format!(
                "the certificate of {full} changed: the connection may be intercepted. If its owner says that {shown} is the \
                 new one: xtls trust add {bare} {shown}"
            ))
        }
        Fault::WrongPassword => Failure::security(format!(
            "{fault}: compare it with the owner of {full} by other means, then try again; after three wrong ones there \
             is a wait of an hour"
        )),
        Fault::PasswordLocked { until } => password_locked(bare, *until),
        Fault::NoCommonMethod { offered } if offered.contains(&Method::Srp) => Failure::security(format!(
            "{full} only takes a password: agree on one with its owner by other means, then: --srp-password-file FILE"
        )),
        Fault::TrustRefused => Failure::security(format!(
            "the certificate of {full} is none that was given with --trust or xtls trust add: compare the fingerprints"
        )),
        Fault::Downgraded { .. } => Failure::security(format!(
            "{fault}: somebody may have taken that out on the way, so nothing else was tried with {full}. If its owner says \
             by other means that this is meant, forget what is known of it: xtls trust remove {bare}"
        )),
        Fault::PeerLacksXtls => Failure::security(format!(
            "{full} has no XTLS, or a server hides that it has: nothing was sent; its owner can run: xtls listen"
        )),
        Fault::Store(error) => Failure::other(format!("the {kind} with {full} was not made: {error}")),
        fault if fault.is_security() => {
            Failure::security(format!("the {kind} with {full} is not safe: {fault}; the connection may be intercepted"))
        }
        _ => return None,
    })
}
