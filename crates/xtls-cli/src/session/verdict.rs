//! How a tunnel ended, and what the user can do about it.

use xtls::link::StartTlsFault;
use xtls::tls::{Alert, CertificateFault, ChainFault, TlsErrorKind};
use xtls::trust::{Fingerprint, Method};
use xtls::{CloseReason, Closed, EndedBy, Fault, jingle::ReasonCondition, xml::Condition};
use xtls_stanza::jid::{BareJid, FullJid};

use xtls_stanza::StanzaError;

use crate::clock;
use crate::exit::Failure;

/// How a link is refused that asks for TLS (RFC 6120 § 5.4.2.2).
pub(crate) const STARTTLS_FAILURE: &str = "when it was asked for TLS";

/// This end, as its peers know it.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) jid: BareJid,
    pub(crate) fingerprint: Fingerprint,
    /// A password is shared with peers.
    pub(crate) has_password: bool,
}

/// How a tunnel ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// In order.
    Done,
    /// Ours gave way to an offer of the peer, which comes next.
    GaveWay,
    /// With the connection to the server, which has the last word: see [`Session::lost`](super::Session::lost).
    Disconnected,
    /// Not in order.
    Failed(Failure),
}

impl Verdict {
    /// Whether a tunnel of this end ended well, and else what to do.
    pub(crate) fn of(closed: &Closed, own: &Own) -> Self {
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
                ReasonCondition::SecurityError => own.refused_by("tunnel", full.as_str(), "with security-error"),
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
            CloseReason::Fault(fault) if matches!(**fault, Fault::Disconnected) => return Self::Disconnected,
            CloseReason::Fault(fault) => fault_advice(fault, closed, &bare, own),
            _ => Failure::connection(format!(
                "the tunnel with {full} broke off: {}; what came last may be incomplete, try again",
                closed.reason
            )),
        };
        Self::Failed(failure.about(full))
    }
}

impl Own {
    /// A peer does not take us in a `kind` of connection; it said so in this way.
    pub(crate) fn refused_by(&self, kind: &str, peer: &str, how: &str) -> Failure {
        let Self { jid, fingerprint, has_password } = self;
        let password = if *has_password {
            "; it shares no password with us, or takes none for now, as for an hour after three wrong ones"
        } else {
            ""
        };
        Failure::security(format!(
            "{peer} refused the {kind} {how}: it does not trust our certificate, which may be a new one{password}. Its owner can \
             compare the fingerprint with you by other means, then: xtls trust add {jid} {fingerprint}"
        ))
    }
}

/// No password may be tried with this peer until then, in Unix time.
pub(crate) fn password_locked(peer: &BareJid, until: xtls::tls::UnixTime) -> Failure {
    let until = clock::date(until);
    Failure::security(format!(
        "too many wrong passwords were tried with {peer}, by either side: no more are taken until {until}; compare it \
         with its owner by other means meanwhile"
    ))
    .about(peer)
}

fn fault_advice(fault: &Fault, closed: &Closed, bare: &BareJid, own: &Own) -> Failure {
    let full = &closed.peer;
    if let Some(failure) = authentication_advice(fault, "tunnel", full.as_str(), bare, own) {
        return failure;
    }
    match fault {
        Fault::Unreachable { error, .. } => unreachable_server(full, error).unwrap_or_else(|| {
            Failure::connection(format!("{full} cannot be reached: {error}; check the address, and that it is online"))
        }),
        fault => {
            let rest = if closed.truncated { "; what came last may be incomplete" } else { "" };
            Failure::connection(format!("the tunnel with {full} broke off: {fault}{rest}; try again"))
        }
    }
}

/// Says that our server cannot get through to the peer's, if that is what this error means (RFC 6120 §§ 8.3.3.16, 8.3.3.17).
pub(crate) fn unreachable_server(peer: &FullJid, error: &StanzaError) -> Option<Failure> {
    if !matches!(error.condition, Condition::RemoteServerNotFound | Condition::RemoteServerTimeout) {
        return None;
    }
    let domain = peer.domain();
    let failure = Failure::connection(format!(
        "{peer} cannot be reached: our server finds no way to the server of {domain} ({error}); check the domain, and else \
         its owner can check that the SRV record of _xmpp-server._tcp.{domain} names a server that runs"
    ));
    Some(failure.about(peer))
}

/// What to do about a fault of security with a peer, `full` in words, in a `kind` of connection, or about a trust file that
/// does not work; `None` for others.
pub(crate) fn authentication_advice(
    fault: &Fault,
    kind: &str,
    full: &str,
    bare: &BareJid,
    own: &Own,
) -> Option<Failure> {
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
                "the certificate of {full} changed: it is none that is trusted, but {shown}; the connection may be intercepted. If its \
                 owner says by other means that this is the new one: xtls trust add {bare} {shown} --replace"
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
        Fault::UserName => Failure::security(format!(
            "{fault}, so that {full} cannot be verified by one: get the fingerprint of its certificate from its owner, then: xtls \
             trust add {bare} FINGERPRINT"
        )),
        Fault::Downgraded { .. } => Failure::security(format!(
            "{fault}: somebody may have taken that out on the way, so nothing else was tried with {full}. If its owner says \
             by other means that this is meant, forget what is known of it: xtls trust remove {bare}"
        )),
        Fault::NegotiationDiffers => Failure::security(format!(
            "{fault}: {full} saw another offer or answer than this end, and a server on the way may have altered it; nothing that \
             came was taken"
        )),
        Fault::NegotiationMissing => Failure::security(format!(
            "{fault}, and did before: it may run an older xtls, or somebody may have taken that out on the way. If its owner says \
             by other means that this is meant, forget what is known of it: xtls trust remove {bare}"
        )),
        Fault::PeerLacksXtls => Failure::security(format!(
            "{full} has no XTLS, or a server hides that it has: nothing was sent; its owner can run: xtls listen"
        )),
        Fault::Store(error) => Failure::other(format!("the {kind} with {full} was not made: {error}")),
        Fault::NoCommonMethod { .. } => Failure::security(format!(
            "{full} has nothing to prove by who it is that is taken here: {fault}; give the same --srp-password-file at both \
             ends, or trust its certificate"
        )),
        Fault::OutOfDate { fingerprint } => Failure::security(format!(
            "the certificate of {full} is outside its dates: its owner needs a new one. If you have compared this one by \
             other means: xtls trust add {bare} {fingerprint}"
        )),
        Fault::StartTls(StartTlsFault::Refused) => own.refused_by(kind, full, STARTTLS_FAILURE),
        Fault::AnotherAnswered { address } => crate::reach::another(full, address),
        Fault::Tls(error) => tls_advice(error.kind(), kind, full, own),
        fault if fault.is_security() => insecure(kind, full, fault, true),
        _ => return None,
    })
}

/// What to do about a fault of TLS. Somebody in between is named where the fault shows one, and not where the two ends just do
/// not go together.
fn tls_advice(error: &TlsErrorKind, kind: &str, full: &str, own: &Own) -> Failure {
    match error {
        TlsErrorKind::AlertReceived(alert) if is_about_us(*alert) => {
            own.refused_by(kind, full, &format!("with the TLS alert {alert}"))
        }
        TlsErrorKind::AlertReceived(alert) if alert.name() == "protocol_version" => Failure::security(format!(
            "the {kind} with {full} could not be secured: it has no version of TLS that is needed here; its owner can update it"
        )),
        error if !shows_interference(error) => Failure::security(format!(
            "the {kind} with {full} could not be secured: {error}; its TLS and ours do not go together: its owner can update it"
        )),
        TlsErrorKind::BadCertificate { fault, .. } => insecure(kind, full, error, is_anothers(fault)),
        TlsErrorKind::Internal(_) => Failure::other(format!("the {kind} with {full} was not made: {error}")),
        _ => insecure(kind, full, error, true),
    }
}

/// Whether a fault of TLS is one that somebody in between would bring about, and not just two ends that do not go together.
pub(crate) const fn shows_interference(error: &TlsErrorKind) -> bool {
    !matches!(error, TlsErrorKind::PeerIncompatible(_) | TlsErrorKind::AlertReceived(_))
}

/// Whether the alert says that the other end does not take our certificate (RFC 8446 § 6.2).
fn is_about_us(alert: Alert) -> bool {
    matches!(
        alert.name(),
        "bad_certificate"
            | "unsupported_certificate"
            | "certificate_revoked"
            | "certificate_expired"
            | "certificate_unknown"
            | "unknown_ca"
            | "access_denied"
            | "certificate_required"
    )
}

/// Whether a certificate that was refused may be somebody else's, and not just one that does not work.
fn is_anothers(fault: &CertificateFault) -> bool {
    match fault {
        CertificateFault::NotPinned
        | CertificateFault::BadSignature
        | CertificateFault::WrongName
        | CertificateFault::WrongServer { .. } => true,
        CertificateFault::Chain(fault) => matches!(
            fault,
            ChainFault::UnknownIssuer | ChainFault::SelfSigned | ChainFault::NameConstraint | ChainFault::BadSignature
        ),
        _ => false,
    }
}

fn insecure(kind: &str, full: &str, fault: &dyn std::fmt::Display, intercepted: bool) -> Failure {
    let rest = if intercepted { "the connection may be intercepted" } else { "ask its owner for one that works" };
    Failure::security(format!("the {kind} with {full} is not safe: {fault}; {rest}"))
}

#[cfg(test)]
#[path = "verdict/tests.rs"]
mod tests;
