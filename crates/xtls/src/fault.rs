//! What can go wrong with a tunnel, and what follows from it.
//!
//! [`Fault::row`] is the one place that decides what a fault means on the wire. The answer to the very request that was
//! at fault is given by the layer that refused it (an in-band bytestream's error, a Jingle error), as is the TLS alert
//! (`xtls-tls`) and the stream error (`xtls-stream`); the table adds how the session ends.

use core::fmt;

use xtls_ibb::BytestreamFault;
use xtls_jingle::{Action, JingleFault, ReasonCondition};
use xtls_stanza::{Fingerprint, Method, StanzaError, jid::Jid};
use xtls_stream::StreamFault;
use xtls_tls::{CertificateFault, TlsError, TlsErrorKind};

use crate::timer::Timer;

/// What went wrong with a tunnel.
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
    /// The certificate is outside of its dates, and nobody is there to judge that.
    OutOfDate {
        /// What was presented.
        fingerprint: Fingerprint,
    },
    /// The peer announced another certificate than it presented: somebody in between changed the announcement, or the
    /// peer is mistaken.
    FingerprintMismatch {
        /// What was announced.
        announced: Fingerprint,
        /// What was presented.
        presented: Fingerprint,
    },
    /// The password is wrong, or somebody is in between: the two cannot be told apart.
    WrongPassword,
    /// Too many wrong passwords were tried with the peer.
    PasswordLocked {
        /// Until when, in Unix time.
        until: u64,
    },
    /// A person said no to the certificate, or did not say anything in time.
    TrustRefused,
    /// TLS failed.
    Tls(TlsError),
    /// The XML stream in the tunnel failed.
    Stream(StreamFault),
    /// The peer broke a rule of in-band bytestreams.
    Bytestream(BytestreamFault),
    /// The peer closed the bytestream without ending TLS first.
    BytestreamClosed,
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
    /// Both ends began at once and the peer's offer goes first (XEP-0166 § 7.2.16). It comes as an offer of its own.
    TieBreak,
    /// Something took too long.
    Timeout(Timer),
    /// The peer is gone: it went offline or gives no sign of life.
    Gone,
    /// The outer connection broke.
    Disconnected,
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
    /// Nobody: a person decided, or an offer gave way.
    Nobody,
    /// This library.
    Ourselves,
}

/// What a fault means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) blame: Blame,
    /// Why the session is terminated; `None` when there is no session any more that the peer knows of, or nobody to tell.
    pub(crate) reason: Option<ReasonCondition>,
    /// Whether somebody could not be authenticated, or tried to get around that.
    pub(crate) security: bool,
    /// Whether what waits to be sent may still go: it ends with the alert or the stream error that tells the peer why.
    pub(crate) farewell: bool,
}

impl Fault {
    /// Who is to blame.
    #[must_use]
    pub fn blame(&self) -> Blame {
        self.row().blame
    }

    /// Whether somebody could not be authenticated, or tried to get around it.
    #[must_use]
    pub fn is_security(&self) -> bool {
        self.row().security
    }

    /// The table.
    pub(crate) fn row(&self) -> Row {
        use Blame::{Incompatible, Misbehaved, Network, Nobody, Ourselves};
        use ReasonCondition::{
            ConnectivityError, FailedTransport, GeneralError, Gone, IncompatibleParameters, SecurityError, Timeout,
        };
        let row = |blame, reason, security, farewell| Row { blame, reason, security, farewell };
        match self {
            // draft-meyer-xmpp-e2e-encryption-02 § 6: whoever cannot verify the peer, or gets an invalid TLS message,
            // MUST terminate the session at once with security-error.
            Self::PeerLacksXtls | Self::NoCommonMethod { .. } => row(Incompatible, Some(SecurityError), true, false),
            // Draft § 8.3: what was left out on the way must not lead to less than there was before.
            Self::Downgraded { .. } => row(Misbehaved, Some(SecurityError), true, false),
            Self::NotTrusted { .. } | Self::OutOfDate { .. } | Self::TrustRefused | Self::PasswordLocked { .. } => {
                row(Nobody, Some(SecurityError), true, false)
            }
            Self::CertificateChanged { .. } => row(Misbehaved, Some(SecurityError), true, true),
            Self::FingerprintMismatch { .. } => row(Misbehaved, Some(SecurityError), true, false),
            Self::Tls(_) | Self::WrongPassword => row(Misbehaved, Some(SecurityError), true, true),
            Self::Stream(fault) if fault.is_security() => row(Misbehaved, Some(SecurityError), true, true),
            Self::Stream(_) => row(Misbehaved, Some(GeneralError), false, true),
            // XEP-0047 § 2.2: the bytestream is closed, and with it the session has no transport.
            Self::Bytestream(_) => row(Misbehaved, Some(FailedTransport), false, true),
            Self::BytestreamClosed => row(Misbehaved, Some(FailedTransport), false, false),
            Self::Jingle(_) => row(Misbehaved, Some(IncompatibleParameters), false, false),
            Self::Refused { .. } => row(Incompatible, Some(GeneralError), false, false),
            Self::Unreachable { .. } => row(Network, None, false, false),
            Self::Undelivered { .. } => row(Network, Some(ConnectivityError), false, true),
            Self::Redirected { .. } => row(Misbehaved, None, true, false),
            Self::TieBreak => row(Nobody, None, false, false),
            Self::Timeout(_) => row(Network, Some(Timeout), false, false),
            Self::Gone => row(Network, Some(Gone), false, false),
            Self::Disconnected => row(Network, None, false, false),
            Self::Internal(_) => row(Ourselves, Some(GeneralError), false, false),
        }
    }

    /// Sorts a TLS fault: a certificate that is not the expected one deserves words of its own.
    pub(crate) fn of_tls(error: TlsError, pinned: Vec<Fingerprint>) -> Self {
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
            Self::CertificateChanged { presented, pinned }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerLacksXtls => f.write_str("the peer does not support XTLS, or somebody hides that it does"),
            Self::NoCommonMethod { offered } if offered.is_empty() => {
                f.write_str("the peer offers no method to authenticate by")
            }
            Self::NoCommonMethod { offered } => {
                write!(f, "the peer only offers")?;
                offered.iter().try_for_each(|method| write!(f, " {method}"))
            }
            Self::Downgraded { missing } => write!(f, "the peer was secured before, and now {missing}"),
            Self::OutOfDate { fingerprint } => {
                write!(f, "the peer's certificate is outside of its dates: {fingerprint}")
            }
            Self::NotTrusted { fingerprint: Some(fingerprint) } => {
                write!(f, "the peer's certificate is not trusted: {fingerprint}")
            }
            Self::NotTrusted { fingerprint: None } => f.write_str("the peer is not trusted and showed no certificate"),
            Self::CertificateChanged { presented, pinned } => {
                f.write_str("the peer's certificate changed:")?;
                pinned.iter().try_for_each(|pin| write!(f, " was {pin},"))?;
                match presented {
                    Some(presented) => write!(f, " is {presented}"),
                    None => f.write_str(" is none"),
                }
            }
            Self::FingerprintMismatch { announced, presented } => {
                write!(f, "the peer announced the certificate {announced} and presented {presented}")
            }
            Self::WrongPassword => f.write_str("the password is wrong, or somebody is in between"),
            Self::PasswordLocked { .. } => f.write_str("too many wrong passwords were tried with the peer"),
            Self::TrustRefused => f.write_str("the peer's certificate was not accepted"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Stream(fault) => write!(f, "the stream in the tunnel: {fault}"),
            Self::Bytestream(fault) => write!(f, "the bytestream: {fault}"),
            Self::BytestreamClosed => f.write_str("the peer closed the bytestream without ending TLS"),
            Self::Jingle(fault) => write!(f, "Jingle: {fault}"),
            Self::Refused { action, error } => write!(f, "the peer refused {action}: {error}"),
            Self::Unreachable { asked, error } => write!(f, "the peer could not be asked for {asked}: {error}"),
            Self::Undelivered { error } => write!(f, "data did not get through: {error}"),
            Self::Redirected { to } => write!(f, "the offer was redirected to somebody else: {to}"),
            Self::TieBreak => f.write_str("both ends began at once, and the peer's offer goes first"),
            Self::Timeout(timer) => write!(f, "no {timer} in time"),
            Self::Gone => f.write_str("the peer is gone"),
            Self::Disconnected => f.write_str("the connection to the server broke"),
            Self::Internal(what) => write!(f, "internal fault: {what}"),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Support => f.write_str("its features do not tell of XTLS"),
            Self::Security => f.write_str("it answers without <security/>"),
            Self::Methods(methods) => {
                f.write_str("it speaks none of the methods it was secured by:")?;
                methods.iter().try_for_each(|method| write!(f, " {method}"))
            }
            Self::Proof => f.write_str("nothing vouches for it but its own word"),
        }
    }
}
