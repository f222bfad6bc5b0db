//! What can go wrong in a tunnel or a link, and what follows from it.
//!
//! [`Fault::row`] is the one place that decides what a fault means on the wire. The answer to the very request that was
//! at fault is given by the layer that refused it (an in-band bytestream's error, a Jingle error), as is the TLS alert
//! (`xtls-tls`) and the stream error inside a tunnel (`xtls-stream`); the table adds how a session or a link ends.

mod display;

use xtls_ibb::BytestreamFault;
use xtls_jingle::{Action, JingleFault, ReasonCondition};
use xtls_stanza::{Fingerprint, Method, StanzaError, jid::Jid};
use xtls_stream::{DirectFault, StartTlsFault, StreamCondition, StreamFault};
use xtls_tls::{CertificateFault, TlsError, TlsErrorKind, UnixTime};

use crate::{
    stage::{Stage, Unanswered},
    store::StoreError,
    timer::Timer,
};

/// What went wrong with a tunnel or a link.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fault {
    /// The peer offers or answers without `<security/>`, or does not tell of XTLS in its features.
    PeerLacksXtls,
    /// The peer's methods and ours have none in common.
    NoCommonMethod {
        /// Those of the peer that are known; empty for an empty `<security/>`.
        offered: Vec<Method>,
    },
    /// The peer was secured before, and what it was secured by is missing now: it has been taken out on the way, or the
    /// peer has lost it (draft § 8.3). Nothing weaker was tried.
    Downgraded {
        /// What is missing.
        missing: Missing,
    },
    /// The peer saw another negotiation than this end: inside of the tunnel, the hashes of it differ. Somebody between the two has
    /// changed what they offered or answered.
    NegotiationDiffers,
    /// The peer does not show what it saw of the negotiation, although it did before, or although
    /// `Config::require_negotiation_hash` is on.
    NegotiationMissing,
    /// The policy wants a certificate that is trusted, and the peer has none.
    NotTrusted {
        /// The certificate it announced or presented, if any.
        fingerprint: Option<Fingerprint>,
    },
    /// The peer presented another certificate than the ones it is known by.
    CertificateChanged {
        /// What it presented.
        presented: Option<Fingerprint>,
        /// What it is known by.
        pinned: Vec<Fingerprint>,
    },
    /// The certificate is outside its dates, and no user is there to judge that.
    OutOfDate {
        /// What was presented.
        fingerprint: Fingerprint,
    },
    /// The peer announced another certificate than it presented: the announcement was changed on the way, or the
    /// peer is mistaken.
    FingerprintMismatch {
        /// What was announced.
        announced: Fingerprint,
        /// What was presented.
        presented: Fingerprint,
    },
    /// The password is wrong, or the connection is intercepted: the two cannot be told apart.
    WrongPassword,
    /// Too many wrong passwords were tried with the peer.
    PasswordLocked {
        /// Until when.
        until: UnixTime,
    },
    /// There is a password, and nothing else to go by, and the initiator's address cannot be the user name that goes with it:
    /// it has more than 255 bytes, or characters that SASLprep (RFC 4013) refuses, such as those newer than Unicode 3.2.
    UserName,
    /// The user said no to the certificate, or did not say anything in time.
    TrustRefused,
    /// TLS failed.
    Tls(TlsError),
    /// The XML stream in the tunnel failed.
    Stream(StreamFault),
    /// The peer broke a rule of in-band bytestreams.
    Bytestream(BytestreamFault),
    /// The peer closed the bytestream without ending TLS first.
    BytestreamClosed,
    /// No connection was found, and nothing else may carry the tunnel.
    NoConnection,
    /// The connection that carried the tunnel ended before TLS did.
    ConnectionLost,
    /// What is offered, or announced by the peer, is none of the transports that may carry the tunnel.
    NoTransport,
    /// The peer broke a rule of Jingle.
    Jingle(JingleFault),
    /// The peer, or a server in its name, refused a request of the session.
    Refused {
        /// Which one.
        action: Action,
        /// The error that came back.
        error: StanzaError,
    },
    /// Asking the peer for something brought an error.
    Unreachable {
        /// What it was asked for.
        asked: &'static str,
        /// The error that came back.
        error: StanzaError,
    },
    /// A block, or the opening of the bytestream, came back.
    Undelivered {
        /// The error that came back.
        error: StanzaError,
    },
    /// The peer, or a server in its name, wants the offer to be made to somebody else (XEP-0166 § 13.5). Whom to talk to is
    /// not theirs to say.
    Redirected {
        /// To whom.
        to: Jid,
    },
    /// A request to the peer was answered by this address, for which a server takes the peer's: one that prepares addresses by
    /// RFC 6122 takes `straße.example` for `strasse.example`, which is another owner's. What was said went there.
    AnotherAnswered {
        /// Who answered.
        address: Jid,
    },
    /// Both ends began at once and the peer's offer goes first (XEP-0166 § 7.2.16). It comes as an offer of its own.
    TieBreak,
    /// Something took too long.
    Timeout {
        /// What was waited for.
        timer: Timer,
        /// How far a link had come; none for a tunnel.
        stage: Option<Stage>,
        /// To which request of a tunnel no answer came ([`Timer::Answer`]).
        request: Option<Unanswered>,
    },
    /// The peer is gone: it went offline or gives no sign of life.
    Gone,
    /// The outer connection broke.
    Disconnected,
    /// What is known of the peer could not be read, or a guess at the password could not be counted.
    Store(StoreError),
    /// What came first over a link was no XML stream: the peer speaks another protocol on this port.
    NotXmpp {
        /// What it looks like, such as `TLS` or `HTTP`, where the first bytes tell.
        looks_like: Option<&'static str>,
    },
    /// TLS is required on a link and the peer does not offer it, or an attacker has taken the offer away.
    NoTls,
    /// The negotiation of TLS on a link was refused or tampered with.
    StartTls(StartTlsFault),
    /// The header names our own address as its sender.
    OwnAddress,
    /// The peer ended the link after the handshake, without a word: it may not have accepted us.
    NotAccepted,
    /// A client sent a stanza before it was authenticated, or more while that was being decided.
    NotAuthenticated,
    /// A client tried SASL EXTERNAL more often than it may.
    TooManyAttempts,
    /// The connection under a link ended before the stream did.
    EndedEarly {
        /// How far the link had come.
        stage: Stage,
        /// Whether the bytes broke off, without an authenticated end: what came may be a part of what was sent.
        truncated: bool,
    },
    /// The stream of a link failed: the peer broke its rules, or reported an error.
    Link(DirectFault),
    /// A fault of this library.
    Internal(&'static str),
}

/// What a peer has lost since it was secured.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// Its features do not tell of XTLS any more.
    Support,
    /// Its answer has no `<security/>`.
    Security,
    /// None of these methods, which it was secured by, is in its offer or its answer.
    Methods(Vec<Method>),
    /// An authority has vouched for it, or a password was shared with it, and now nothing would but its own word.
    Proof,
}

/// Who is to blame for a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blame {
    /// The peer, or a server in its name, misbehaved or could not prove who it is.
    Misbehaved,
    /// The peer cannot do what is needed.
    Incompatible,
    /// The network, or somebody's patience.
    Network,
    /// Nobody: the user decided, or an offer gave way.
    Nobody,
    /// This end: its trust store, or this library.
    Ourselves,
}

/// What a fault means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// Who is to blame.
    pub blame: Blame,
    /// Why the session of a tunnel is terminated; `None` when there is no session any more that the peer knows of, or nobody
    /// to tell.
    pub reason: Option<ReasonCondition>,
    /// What the peer of a link is told, where the stream can still carry it and has not told it already.
    pub condition: StreamCondition,
    /// Whether authentication failed, or an attacker may have tried to get around it.
    pub security: bool,
    /// Whether what waits to be sent in a tunnel may still go: it ends with the alert or the stream error that tells the peer
    /// why.
    pub farewell: bool,
}

/// What a fault means, by the table.
#[must_use]
pub fn row(fault: &Fault) -> Row {
    fault.row()
}

impl From<StoreError> for Box<Fault> {
    fn from(error: StoreError) -> Self {
        Self::new(Fault::Store(error))
    }
}

impl Blame {
    xtls_stanza::names! {
        /// A short and stable name, for logs.
        self: Self {
            Self::Misbehaved => "misbehaved",
            Self::Incompatible => "incompatible",
            Self::Network => "network",
            Self::Nobody => "nobody",
            Self::Ourselves => "ourselves",
        }
    }
}

impl Fault {
    xtls_stanza::names! {
        /// A short and stable name, for logs: that of the variant. `Display` has words for users.
        self: &Self {
            Self::PeerLacksXtls => "peer-lacks-xtls",
            Self::NoCommonMethod { .. } => "no-common-method",
            Self::Downgraded { .. } => "downgraded",
            Self::NegotiationDiffers => "negotiation-differs",
            Self::NegotiationMissing => "negotiation-missing",
            Self::NotTrusted { .. } => "not-trusted",
            Self::CertificateChanged { .. } => "certificate-changed",
            Self::OutOfDate { .. } => "out-of-date",
            Self::FingerprintMismatch { .. } => "fingerprint-mismatch",
            Self::WrongPassword => "wrong-password",
            Self::PasswordLocked { .. } => "password-locked",
            Self::UserName => "user-name",
            Self::TrustRefused => "trust-refused",
            Self::Tls(_) => "tls",
            Self::Stream(_) => "stream",
            Self::Bytestream(_) => "bytestream",
            Self::BytestreamClosed => "bytestream-closed",
            Self::NoConnection => "no-connection",
            Self::ConnectionLost => "connection-lost",
            Self::NoTransport => "no-transport",
            Self::Jingle(_) => "jingle",
            Self::Refused { .. } => "refused",
            Self::Unreachable { .. } => "unreachable",
            Self::Undelivered { .. } => "undelivered",
            Self::Redirected { .. } => "redirected",
            Self::AnotherAnswered { .. } => "another-answered",
            Self::TieBreak => "tie-break",
            Self::Timeout { .. } => "timeout",
            Self::Gone => "gone",
            Self::Disconnected => "disconnected",
            Self::Store(_) => "store",
            Self::NotXmpp { .. } => "not-xmpp",
            Self::NoTls => "no-tls",
            Self::StartTls(_) => "starttls",
            Self::OwnAddress => "own-address",
            Self::NotAccepted => "not-accepted",
            Self::NotAuthenticated => "not-authenticated",
            Self::TooManyAttempts => "too-many-attempts",
            Self::EndedEarly { .. } => "ended-early",
            Self::Link(_) => "link",
            Self::Internal(_) => "internal",
        }
    }

    /// Who is to blame.
    #[must_use]
    pub fn blame(&self) -> Blame {
        self.row().blame
    }

    /// Whether authentication failed, or an attacker may have tried to get around it.
    #[must_use]
    pub fn is_security(&self) -> bool {
        self.row().security
    }

    /// The table.
    fn row(&self) -> Row {
        use Blame::{Incompatible, Misbehaved, Network, Nobody, Ourselves};
        use ReasonCondition::{
            ConnectivityError, FailedTransport, GeneralError, Gone, IncompatibleParameters, SecurityError, Timeout,
            UnsupportedTransports,
        };
        use StreamCondition::{
            ConnectionTimeout, InternalServerError, InvalidFrom, NotAuthorized, PolicyViolation as Policy,
        };
        let row = |blame, reason, condition, security, farewell| Row { blame, reason, condition, security, farewell };
        match self {
            // draft-meyer-xmpp-e2e-encryption-02 § 6: whoever cannot verify the peer, or gets an invalid TLS message,
            // MUST terminate the session at once with security-error.
            Self::PeerLacksXtls | Self::NoCommonMethod { .. } | Self::UserName => {
                row(Incompatible, Some(SecurityError), Policy, true, false)
            }
            // Draft § 8.3: what was left out on the way must not lead to less than there was before.
            Self::Downgraded { .. } => row(Misbehaved, Some(SecurityError), Policy, true, false),
            // What the two said to one another inside still goes, so that the peer sees for itself.
            Self::NegotiationDiffers | Self::NegotiationMissing => {
                row(Misbehaved, Some(SecurityError), Policy, true, true)
            }
            Self::NotTrusted { .. } | Self::OutOfDate { .. } | Self::TrustRefused | Self::PasswordLocked { .. } => {
                row(Nobody, Some(SecurityError), Policy, true, false)
            }
            Self::CertificateChanged { .. } => row(Misbehaved, Some(SecurityError), Policy, true, true),
            Self::FingerprintMismatch { .. } => row(Misbehaved, Some(SecurityError), Policy, true, false),
            Self::Tls(_) | Self::WrongPassword => row(Misbehaved, Some(SecurityError), Policy, true, true),
            Self::Stream(fault) if fault.is_security() => row(Misbehaved, Some(SecurityError), Policy, true, true),
            Self::Stream(_) => row(Misbehaved, Some(GeneralError), Policy, false, true),
            // XEP-0047 § 2.2: the bytestream is closed, and with it the session has no transport.
            Self::Bytestream(_) => row(Misbehaved, Some(FailedTransport), Policy, false, true),
            Self::BytestreamClosed => row(Misbehaved, Some(FailedTransport), Policy, false, false),
            // XEP-0260 § 3.
            Self::NoConnection | Self::ConnectionLost => row(Network, Some(ConnectivityError), Policy, false, false),
            // XEP-0166 § 7.4.
            Self::NoTransport => row(Incompatible, Some(UnsupportedTransports), Policy, false, false),
            Self::Jingle(_) => row(Misbehaved, Some(IncompatibleParameters), Policy, false, false),
            Self::Refused { .. } => row(Incompatible, Some(GeneralError), Policy, false, false),
            Self::Unreachable { .. } => row(Network, None, Policy, false, false),
            Self::Undelivered { .. } => row(Network, Some(ConnectivityError), Policy, false, true),
            Self::Redirected { .. } => row(Misbehaved, None, Policy, true, false),
            Self::AnotherAnswered { .. } => row(Incompatible, None, Policy, true, false),
            Self::TieBreak => row(Nobody, None, Policy, false, false),
            Self::Timeout { timer: Timer::Question, stage: Some(_), .. } => {
                row(Nobody, Some(Timeout), ConnectionTimeout, false, false)
            }
            Self::Timeout { .. } => row(Network, Some(Timeout), ConnectionTimeout, false, false),
            Self::Gone => row(Network, Some(Gone), Policy, false, false),
            Self::Disconnected => row(Network, None, Policy, false, false),
            // RFC 6120 § 5.4.2.2, XEP-0250 § 3.3.3.
            Self::NotXmpp { .. } => row(Incompatible, None, Policy, false, false),
            Self::NoTls | Self::StartTls(StartTlsFault::Refused) => row(Incompatible, None, Policy, true, false),
            Self::StartTls(_) | Self::TooManyAttempts => row(Misbehaved, None, Policy, true, false),
            Self::OwnAddress => row(Misbehaved, None, InvalidFrom, true, false),
            Self::NotAccepted => row(Nobody, None, Policy, true, false),
            // RFC 6120 § 4.9.3.12.
            Self::NotAuthenticated => row(Misbehaved, None, NotAuthorized, true, false),
            Self::EndedEarly { .. } => row(Network, None, Policy, false, false),
            Self::Link(fault) => row(Misbehaved, None, Policy, fault.is_security(), false),
            Self::Store(_) | Self::Internal(_) => row(Ourselves, Some(GeneralError), InternalServerError, false, false),
        }
    }

    /// Sorts a TLS fault: a certificate that is not the expected one deserves words of its own.
    #[must_use]
    pub fn of_tls(error: TlsError, pinned: &[Fingerprint]) -> Self {
        if *error.kind() == TlsErrorKind::AuthenticationFailed {
            return Self::WrongPassword;
        }
        let TlsErrorKind::BadCertificate { presented, fault: CertificateFault::NotPinned } = error.kind() else {
            return Self::Tls(error);
        };
        let presented = *presented;
        if pinned.is_empty() {
            Self::NotTrusted { fingerprint: presented }
        } else {
            Self::CertificateChanged { presented, pinned: pinned.to_vec() }
        }
    }

    /// A tunnel waited for too long.
    #[must_use]
    pub fn timeout(timer: Timer) -> Self {
        Self::Timeout { timer, stage: None, request: None }
    }

    /// A tunnel waited for too long for an answer to this.
    #[must_use]
    pub fn unanswered(request: Unanswered) -> Self {
        Self::Timeout { timer: Timer::Answer, stage: None, request: Some(request) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use xtls_stanza::Condition;
    use xtls_tls::{SrpConfig, SrpCredentials, TlsSession, default_provider};

    use super::*;

    fn tls_error() -> TlsError {
        let credentials = SrpCredentials::new("romeo@montague.lit", "a rose").unwrap();
        let mut session = TlsSession::srp_server(&SrpConfig::new(credentials, default_provider())).unwrap();
        session.read(b"no TLS", &mut Vec::new(), &mut Vec::new()).unwrap_err()
    }

    #[test]
    fn each_fault_and_each_blame_has_a_name_of_its_own() {
        let fingerprint = Fingerprint::sha256(b"certificate");
        let error = StanzaError::from(Condition::ItemNotFound);
        let faults = [
            Fault::PeerLacksXtls,
            Fault::NoCommonMethod { offered: Vec::new() },
            Fault::Downgraded { missing: Missing::Proof },
            Fault::NegotiationDiffers,
            Fault::NegotiationMissing,
            Fault::NotTrusted { fingerprint: None },
            Fault::CertificateChanged { presented: None, pinned: Vec::new() },
            Fault::OutOfDate { fingerprint },
            Fault::FingerprintMismatch { announced: fingerprint, presented: fingerprint },
            Fault::WrongPassword,
            Fault::PasswordLocked { until: UnixTime::since_unix_epoch(core::time::Duration::ZERO) },
            Fault::UserName,
            Fault::TrustRefused,
            Fault::Tls(tls_error()),
            Fault::Stream(StreamFault::Version),
            Fault::Bytestream(BytestreamFault::NotOpen),
            Fault::BytestreamClosed,
            Fault::NoConnection,
            Fault::ConnectionLost,
            Fault::NoTransport,
            Fault::Jingle(JingleFault::UnknownSession),
            Fault::Refused { action: Action::SessionInitiate, error: error.clone() },
            Fault::Unreachable { asked: "its features", error: error.clone() },
            Fault::Undelivered { error },
            Fault::Redirected { to: "juliet@capulet.lit".parse().unwrap() },
            Fault::AnotherAnswered { address: "juliet@strasse.example".parse().unwrap() },
            Fault::TieBreak,
            Fault::timeout(Timer::Question),
            Fault::Gone,
            Fault::Disconnected,
            Fault::Store(StoreError::new("the disk is full")),
            Fault::NotXmpp { looks_like: None },
            Fault::NoTls,
            Fault::StartTls(StartTlsFault::Refused),
            Fault::OwnAddress,
            Fault::NotAccepted,
            Fault::NotAuthenticated,
            Fault::TooManyAttempts,
            Fault::EndedEarly { stage: Stage::Greeting, truncated: true },
            Fault::Link(DirectFault::Unexpected),
            Fault::Internal("nothing"),
        ];
        let names: BTreeSet<_> = faults.iter().map(Fault::as_str).collect();
        assert_eq!(names.len(), faults.len());
        let blames = [Blame::Misbehaved, Blame::Incompatible, Blame::Network, Blame::Nobody, Blame::Ourselves];
        assert_eq!(blames.map(Blame::as_str).into_iter().collect::<BTreeSet<_>>().len(), blames.len());
        assert_eq!(faults.iter().map(|fault| fault.blame().as_str()).collect::<BTreeSet<_>>().len(), blames.len());
    }
}
