//! What can go wrong with a link.

use core::fmt;

use xtls_stream::{DirectFault, StartTlsFault, StreamCondition, StreamFault};

use super::{LinkStage, LinkTimer};
use crate::fault::{Blame, Fault};

/// What went wrong with a link.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LinkFault {
    /// What came first was no XML stream: the peer speaks something else on this port.
    NotXmpp {
        /// What it looks like, such as `TLS` or `HTTP`, where the first bytes tell.
        looks_like: Option<&'static str>,
    },
    /// TLS is required and the peer does not offer it, or somebody in between has taken the offer away.
    NoTls,
    /// The negotiation of TLS was refused or tampered with.
    StartTls(StartTlsFault),
    /// The peer could not be authenticated, by the same rules as in a tunnel, or TLS failed.
    Authentication(Box<Fault>),
    /// The header names this end itself as its sender.
    OwnAddress,
    /// The peer ended the link behind the handshake, without a word: it has not accepted us, it may be.
    NotAccepted,
    /// A client sent a stanza before it was authenticated, or more while that was being decided.
    NotAuthenticated,
    /// A client tried SASL EXTERNAL more often than [`ClientTerms::retries`](crate::ClientTerms::retries) allows.
    TooManyAttempts,
    /// The connection ended before the stream did.
    EndedEarly {
        /// How far the link had come.
        stage: LinkStage,
        /// Whether the bytes broke off, without an authenticated end: what came may be a part of what was sent.
        truncated: bool,
    },
    /// The stream failed: the peer broke its rules, or reported an error.
    Stream(DirectFault),
    /// Something took too long.
    Timeout {
        /// What was waited for.
        timer: LinkTimer,
        /// How far the link had come.
        stage: LinkStage,
    },
    /// A fault of this library.
    Internal(&'static str),
}

impl LinkFault {
    /// Who is to blame.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::NotXmpp { .. } | Self::NoTls => Blame::Incompatible,
            Self::StartTls(StartTlsFault::Refused) => Blame::Incompatible,
            Self::StartTls(_) | Self::OwnAddress | Self::Stream(_) | Self::NotAuthenticated | Self::TooManyAttempts => {
                Blame::Misbehaved
            }
            Self::Authentication(fault) => fault.blame(),
            Self::NotAccepted => Blame::Nobody,
            Self::EndedEarly { .. } => Blame::Network,
            Self::Timeout { timer: LinkTimer::Question, .. } => Blame::Nobody,
            Self::Timeout { .. } => Blame::Network,
            Self::Internal(_) => Blame::Ourselves,
        }
    }

    /// Whether somebody could not be authenticated, or may have tried to get around it.
    #[must_use]
    pub fn is_security(&self) -> bool {
        match self {
            Self::NoTls
            | Self::StartTls(_)
            | Self::OwnAddress
            | Self::NotAccepted
            | Self::NotAuthenticated
            | Self::TooManyAttempts => true,
            Self::Authentication(fault) => fault.is_security(),
            Self::Stream(fault) => fault.is_security(),
            Self::NotXmpp { .. } | Self::EndedEarly { .. } | Self::Timeout { .. } | Self::Internal(_) => false,
        }
    }

    /// What the peer is told, where the stream can still carry it and has not told it already.
    pub(super) fn condition(&self) -> StreamCondition {
        match self {
            Self::NotXmpp { .. }
            | Self::NoTls
            | Self::StartTls(_)
            | Self::Authentication(_)
            | Self::NotAccepted
            | Self::TooManyAttempts
            | Self::EndedEarly { .. }
            | Self::Stream(_) => StreamCondition::PolicyViolation,
            Self::OwnAddress => StreamCondition::InvalidFrom,
            Self::NotAuthenticated => StreamCondition::NotAuthorized,
            Self::Timeout { .. } => StreamCondition::ConnectionTimeout,
            Self::Internal(_) => StreamCondition::InternalServerError,
        }
    }

    /// Sorts a fault of the stream; `greeted` tells whether a header came before.
    pub(super) fn of_stream(
        fault: DirectFault,
        stage: LinkStage,
        greeted: bool,
        first: &[u8],
        truncated: bool,
    ) -> Self {
        match &fault {
            DirectFault::StartTls(StartTlsFault::NotOffered) => Self::NoTls,
            DirectFault::StartTls(fault) => Self::StartTls(*fault),
            DirectFault::EarlyEnd => Self::EndedEarly { stage, truncated },
            DirectFault::Stream(StreamFault::Xml(_) | StreamFault::Namespace) if !greeted => {
                Self::NotXmpp { looks_like: looks_like(first) }
            }
            DirectFault::Stream(_)
            | DirectFault::Addressing
            | DirectFault::FeaturesTwice
            | DirectFault::Unexpected
            | DirectFault::Reported(_)
            | _ => Self::Stream(fault),
        }
    }
}

impl From<Fault> for LinkFault {
    fn from(fault: Fault) -> Self {
        Self::Authentication(Box::new(fault))
    }
}

/// What protocol begins like this.
fn looks_like(first: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 9] = [
        (&[22, 3], "TLS"),
        (&[21, 3], "TLS"),
        (b"HTTP/", "HTTP"),
        (b"GET ", "HTTP"),
        (b"POST", "HTTP"),
        (b"SSH-", "SSH"),
        (b"220", "SMTP or FTP"),
        (b"* OK", "IMAP"),
        (b"+OK", "POP3"),
    ];
    KNOWN.iter().find(|(beginning, _)| first.starts_with(beginning)).map(|(_, name)| *name)
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotXmpp { looks_like: Some(name) } => {
                write!(f, "the peer speaks something else than XMPP on this port: {name}, as it seems")
            }
            Self::NotXmpp { looks_like: None } => f.write_str("the peer speaks something else than XMPP on this port"),
            Self::NoTls => {
                f.write_str("TLS is required and not offered: the peer lacks it, or the offer was taken away")
            }
            Self::StartTls(fault) => write!(f, "TLS was not negotiated: {fault}"),
            Self::Authentication(fault) => fault.fmt(f),
            Self::OwnAddress => f.write_str("the peer says that it is this very entity"),
            Self::NotAccepted => f.write_str("the peer ended the link behind the handshake: it did not accept us"),
            Self::NotAuthenticated => f.write_str("the client sent what has to wait until it is authenticated"),
            Self::TooManyAttempts => f.write_str("the client tried to authenticate too often"),
            Self::EndedEarly { stage, .. } => write!(f, "the peer closed the connection {stage}"),
            Self::Stream(fault) => write!(f, "the stream: {fault}"),
            Self::Timeout { timer, stage } => write!(f, "no {timer} in time, {stage}"),
            Self::Internal(what) => write!(f, "internal fault: {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_on_the_port_is_named_where_its_first_bytes_tell() {
        for (first, name) in [
            (b"\x16\x03\x01\x02".as_slice(), Some("TLS")),
            (b"HTTP/1.1 400 Bad Request", Some("HTTP")),
            (b"SSH-2.0-OpenSSH", Some("SSH")),
            (b"220 mail.example.com ESMTP", Some("SMTP or FTP")),
            (b"hello", None),
            (b"", None),
        ] {
            assert_eq!(looks_like(first), name);
        }
    }
}
