//! What went wrong, sorted by who is at fault.

use std::fmt;

use rustls::Error;
use xtls_stanza::Fingerprint;

use crate::alert::Alert;
use crate::certificate::{CertificateFault, ChainFault};
use crate::session::MAX_HANDSHAKE;
use crate::verify::PeerVerifier;

/// What TLS 1.2 must have here.
const NO_EMS: &str = "it has no extended_master_secret (RFC 7627)";

/// Why a session ended. After it the session is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    kind: TlsErrorKind,
    alert: Option<Alert>,
}

/// Why a session ended, sorted by who is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsErrorKind {
    /// The peer broke the protocol. What it did, for the log.
    PeerMisbehaved(String),
    /// The peer keeps to the protocol, but there is no common ground: version, cipher suite, extension.
    PeerIncompatible(String),
    /// What came is not TLS.
    NotTls,
    /// A record does not decrypt: it was altered on the way, or is not of this session.
    BadRecord,
    /// The peer ended the session with this alert. Before the handshake is complete, anyone on the path can do that.
    AlertReceived(Alert),
    /// The peer's certificate was refused.
    BadCertificate {
        /// The SHA-256 fingerprint of what the peer presented, if it presented anything.
        presented: Option<Fingerprint>,
        /// Why it was refused.
        fault: CertificateFault,
    },
    /// With a password: the peer does not know it, or says that we do not, or the connection is intercepted. These look alike on
    /// purpose, and nothing more can be told: not even that a peer's alert was the peer's.
    AuthenticationFailed,
    /// More than [`MAX_HANDSHAKE`] bytes came before the handshake was complete.
    HandshakeTooLong,
    /// Our own side failed: no random numbers, no time, or a bug.
    Internal(String),
}

impl TlsError {
    pub(crate) const fn new(kind: TlsErrorKind, alert: Option<Alert>) -> Self {
        Self { kind, alert }
    }

    /// What happened.
    #[must_use]
    pub const fn kind(&self) -> &TlsErrorKind {
        &self.kind
    }

    /// The alert that was sent to the peer. `None` if none was, or if it went out encrypted and cannot be told.
    #[must_use]
    pub const fn alert_sent(&self) -> Option<Alert> {
        self.alert
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.kind, f)
    }
}

impl std::error::Error for TlsError {}

impl fmt::Display for TlsErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerMisbehaved(what) => write!(f, "the peer broke the TLS protocol: {what}"),
            Self::PeerIncompatible(what) => write!(f, "the peer's TLS is not compatible: {what}"),
            Self::NotTls => f.write_str("what the peer sent is not TLS"),
            Self::BadRecord => f.write_str("a TLS record does not decrypt: it was altered on the way"),
            Self::AlertReceived(alert) => write!(f, "the peer ended TLS with the alert {alert}"),
            Self::BadCertificate { presented: Some(presented), fault } => {
                write!(f, "the peer's certificate {presented} was refused: {fault}")
            }
            Self::BadCertificate { presented: None, fault } => {
                write!(f, "the peer's certificate was refused: {fault}")
            }
            Self::AuthenticationFailed => f.write_str(
                "authentication failed: the password is not the same on both sides, or the connection is intercepted",
            ),
            Self::HandshakeTooLong => write!(f, "the TLS handshake is longer than {MAX_HANDSHAKE} bytes"),
            Self::Internal(what) => write!(f, "TLS failed on our side: {what}"),
        }
    }
}

impl TlsErrorKind {
    /// Sorts an error of rustls; what the verifier noted says more than rustls does.
    pub(crate) fn from_rustls(error: &Error, verifier: &PeerVerifier) -> Self {
        let presented = verifier.presented();
        if let Some(fault) = verifier.fault() {
            return Self::BadCertificate { presented, fault: fault.clone() };
        }
        match error {
            Error::NoCertificatesPresented => {
                Self::BadCertificate { presented, fault: CertificateFault::NoCertificate }
            }
            Error::InvalidCertificate(_) => Self::BadCertificate { presented, fault: CertificateFault::Malformed },
            Error::AlertReceived(alert) => Self::AlertReceived(Alert::new(u8::from(*alert))),
            Error::PeerIncompatible(what) => Self::PeerIncompatible(incompatible(what)),
            Error::NoApplicationProtocol => Self::PeerIncompatible("it speaks other protocols (ALPN)".to_owned()),
            Error::PeerMisbehaved(what) => Self::PeerMisbehaved(words(what)),
            Error::DecryptError => Self::BadRecord,
            Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::InvalidMessage(_)
            | Error::PeerSentOversizedRecord
            | Error::UnsupportedNameType
            | Error::InvalidEncryptedClientHello(_) => Self::PeerMisbehaved(error.to_string()),
            Error::EncryptError
            | Error::InvalidCertRevocationList(_)
            | Error::General(_)
            | Error::FailedToGetCurrentTime
            | Error::FailedToGetRandomBytes
            | Error::HandshakeNotComplete
            | Error::BadMaxFragmentSize
            | Error::InconsistentKeys(_)
            | Error::Other(_)
            | _ => Self::Internal(error.to_string()),
        }
    }

    /// Sorts an error of tls-srp. `logging_in` says that we are a client whose handshake is not complete.
    pub(crate) fn from_srp(error: tls_srp::Error, logging_in: bool) -> Self {
        use tls_srp::{AlertDescription, Error, PeerMisbehaved};
        match error {
            Error::AuthenticationFailed(_) => Self::AuthenticationFailed,
            // How a server says that the client's Finished is not the expected one (RFC 5246 § 7.2.2).
            Error::AlertReceived(AlertDescription::DecryptError) if logging_in => Self::AuthenticationFailed,
            Error::AlertReceived(alert) => Self::AlertReceived(Alert::new(u8::from(alert))),
            Error::PeerMisbehaved(PeerMisbehaved::BadRecordMac) => Self::BadRecord,
            Error::PeerMisbehaved(what) => Self::PeerMisbehaved(words(&what)),
            Error::PeerIncompatible(what) => Self::PeerIncompatible(lacks(what)),
            Error::Decode(what) => Self::PeerMisbehaved(format!("a message that cannot be parsed: {}", words(&what))),
            Error::RandomFailed | Error::Closed | _ => Self::Internal(error.to_string()),
        }
    }

    /// The alert that goes with the fault where it went out encrypted: those that cannot be any other.
    pub(crate) const fn certain_alert(&self) -> Option<Alert> {
        match self {
            Self::BadRecord => Some(Alert::BAD_RECORD_MAC),
            Self::BadCertificate { fault, .. } => match fault {
                CertificateFault::NotPinned | CertificateFault::OwnKey => Some(Alert::CERTIFICATE_UNKNOWN),
                CertificateFault::Chain(fault) => Some(match fault {
                    ChainFault::UnknownIssuer | ChainFault::SelfSigned => Alert::UNKNOWN_CA,
                    ChainFault::Expired | ChainFault::NotYetValid => Alert::CERTIFICATE_EXPIRED,
                    ChainFault::IsAuthority
                    | ChainFault::IssuedByNoAuthority
                    | ChainFault::Purpose
                    | ChainFault::NotForServers
                    | ChainFault::NotForClients
                    | ChainFault::NameConstraint
                    | ChainFault::BadSignature
                    | ChainFault::Other => Alert::CERTIFICATE_UNKNOWN,
                }),
                CertificateFault::WrongName | CertificateFault::WrongServer { .. } => Some(Alert::BAD_CERTIFICATE),
                CertificateFault::BadSignature => Some(Alert::DECRYPT_ERROR),
                CertificateFault::ChainTooLong { .. }
                | CertificateFault::TooLarge { .. }
                | CertificateFault::Malformed
                | CertificateFault::NotVersion3
                | CertificateFault::UnsupportedKey
                | CertificateFault::NotForSignatures
                | CertificateFault::UnknownExtension { .. } => Some(Alert::BAD_CERTIFICATE),
                CertificateFault::NoCertificate => Some(Alert::CERTIFICATE_REQUIRED),
            },
            Self::PeerMisbehaved(_)
            | Self::PeerIncompatible(_)
            | Self::NotTls
            | Self::AlertReceived(_)
            | Self::AuthenticationFailed
            | Self::HandshakeTooLong
            | Self::Internal(_) => None,
        }
    }
}

/// What a peer lacks for a session with certificates.
#[allow(clippy::wildcard_enum_match_arm, reason = "the enum is rustls's: what nobody meets gets one common treatment")]
fn incompatible(what: &rustls::PeerIncompatible) -> String {
    use rustls::PeerIncompatible as Lacks;
    match what {
        Lacks::ExtendedMasterSecretExtensionRequired => NO_EMS.to_owned(),
        Lacks::ServerDoesNotSupportTls12Or13
        | Lacks::ServerTlsVersionIsDisabledByOurConfig
        | Lacks::SupportedVersionsExtensionRequired
        | Lacks::Tls12NotOffered
        | Lacks::Tls12NotOfferedOrEnabled => "it has no version of TLS that is accepted here".to_owned(),
        Lacks::NoCipherSuitesInCommon => "it has no cipher suite that is accepted here".to_owned(),
        Lacks::NoKxGroupsInCommon => "it has no key exchange that is accepted here".to_owned(),
        Lacks::NoSignatureSchemesInCommon | Lacks::NoCertificateRequestSignatureSchemesInCommon => {
            "it has no kind of signature that both ends know".to_owned()
        }
        other => words(other),
    }
}

/// The name of a fault that the libraries have only for programmers, as words.
fn words(fault: &impl fmt::Debug) -> String {
    let mut words = String::new();
    for c in format!("{fault:?}").chars() {
        if c.is_ascii_uppercase() && words.ends_with(|before: char| before.is_ascii_lowercase()) {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// What a peer lacks for a session with a password.
fn lacks(what: tls_srp::PeerIncompatible) -> String {
    use tls_srp::PeerIncompatible as Lacks;
    match what {
        Lacks::ProtocolVersion => "it does not speak TLS 1.2".to_owned(),
        Lacks::CipherSuites => {
            "it offers none of the cipher suites with a password (SRP) that are spoken here".to_owned()
        }
        Lacks::ExtendedMasterSecretRequired => NO_EMS.to_owned(),
        Lacks::EncryptThenMacRequired => "it has no encrypt_then_mac (RFC 7366)".to_owned(),
        Lacks::RenegotiationInfoRequired => "it has no renegotiation_info (RFC 5746)".to_owned(),
        Lacks::Group => "its SRP group is not among those that are accepted".to_owned(),
        Lacks::Compression | _ => words(&what),
    }
}

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The handshake is not complete: nothing leaves before the peer is known.
    NotSecured,
    /// [`TlsSession::close`](crate::TlsSession::close) was called.
    Closed,
    /// The session failed.
    Failed,
    /// The keys have protected as much as they may (TLS 1.2 cannot renew them); the session was closed, and some of the
    /// plaintext may not have been sent.
    Exhausted,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSecured => "the TLS handshake is not complete",
            Self::Closed => "the TLS session was closed",
            Self::Failed => "the TLS session failed",
            Self::Exhausted => "the TLS keys are used up",
        })
    }
}

impl std::error::Error for WriteError {}

/// Why no keying material was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportError {
    /// The handshake is not complete, or the session failed. With a password also when both sides have closed: the keys
    /// are gone then.
    NotSecured,
    /// The length asked for is 0, or more than the version allows.
    BadLength,
    /// The label is one that TLS itself uses (RFC 5705 § 6).
    ReservedLabel,
    /// The context is longer than 65535 bytes.
    ContextTooLong,
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSecured => "there is no TLS session to export from",
            Self::BadLength => "keying material of this length cannot be exported",
            Self::ReservedLabel => "the label is reserved for TLS itself",
            Self::ContextTooLong => "the context is longer than 65535 bytes",
        })
    }
}

impl std::error::Error for ExportError {}

#[cfg(test)]
mod tests {
    use rustls::{PeerIncompatible, PeerMisbehaved};

    use super::*;

    #[test]
    fn what_a_library_has_for_programmers_alone_is_told_in_words() {
        assert_eq!(incompatible(&PeerIncompatible::ExtendedMasterSecretExtensionRequired), NO_EMS);
        for (what, told) in [
            (PeerIncompatible::NoCipherSuitesInCommon, "it has no cipher suite that is accepted here"),
            (PeerIncompatible::ServerDoesNotSupportTls12Or13, "it has no version of TLS that is accepted here"),
            (PeerIncompatible::NullCompressionRequired, "null compression required"),
        ] {
            assert_eq!(incompatible(&what), told);
        }
        assert_eq!(words(&PeerMisbehaved::MissingKeyShare), "missing key share");
        assert_eq!(words(&tls_srp::PeerMisbehaved::BadRecordMac), "bad record mac");
    }
}
