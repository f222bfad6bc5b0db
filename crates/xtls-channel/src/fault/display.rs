//! What faults are called towards users.

use core::fmt;

use super::{Fault, Missing};

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
            Self::NegotiationDiffers => f.write_str("what the two ends said to one another was changed on the way"),
            Self::NegotiationMissing => f.write_str("the peer does not show what it saw of the negotiation"),
            Self::OutOfDate { fingerprint } => {
                write!(f, "the peer's certificate is outside its dates: {fingerprint}")
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
            Self::WrongPassword => f.write_str("the password is wrong, or the connection is intercepted"),
            Self::PasswordLocked { .. } => f.write_str("too many wrong passwords were tried with the peer"),
            Self::UserName => f.write_str(crate::password::NO_USER_NAME),
            Self::TrustRefused => f.write_str("the peer's certificate was not accepted"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Stream(fault) => write!(f, "the stream in the tunnel: {fault}"),
            Self::Bytestream(fault) => write!(f, "the bytestream: {fault}"),
            Self::BytestreamClosed => f.write_str("the peer closed the bytestream without ending TLS"),
            Self::NoConnection => {
                f.write_str("no connection to the peer was found, and nothing else may carry the tunnel")
            }
            Self::ConnectionLost => f.write_str("the connection to the peer broke without the end of TLS"),
            Self::NoTransport => f.write_str("the peer and this end have no transport in common"),
            Self::Jingle(fault) => write!(f, "Jingle: {fault}"),
            Self::Refused { action, error } => write!(f, "the peer refused {action}: {error}"),
            Self::Unreachable { asked, error } => write!(f, "the peer could not be asked for {asked}: {error}"),
            Self::Undelivered { error } => write!(f, "data did not get through: {error}"),
            Self::Redirected { to } => write!(f, "the offer was redirected to somebody else: {to}"),
            Self::AnotherAnswered { address } => {
                write!(f, "a server takes the address of the peer for another one: {address} answered")
            }
            Self::TieBreak => f.write_str("both ends began at once, and the peer's offer goes first"),
            Self::Timeout { timer, stage, request } => {
                write!(f, "no {timer} in time")?;
                request.map_or(Ok(()), |request| write!(f, " {request}"))?;
                stage.map_or(Ok(()), |stage| write!(f, ", {stage}"))
            }
            Self::Gone => f.write_str("the peer is gone"),
            Self::Disconnected => f.write_str("the connection to the server broke"),
            Self::Store(error) => write!(f, "the trust store failed: {error}"),
            Self::NotXmpp { looks_like: Some(name) } => {
                write!(f, "the peer does not speak XMPP on this port (looks like {name})")
            }
            Self::NotXmpp { looks_like: None } => f.write_str("the peer does not speak XMPP on this port"),
            Self::NoTls => {
                f.write_str("TLS is required and not offered: the peer lacks it, or the offer was taken away")
            }
            Self::StartTls(fault) => write!(f, "TLS was not negotiated: {fault}"),
            Self::OwnAddress => f.write_str("the peer claims our own address"),
            Self::NotAccepted => f.write_str("the peer ended the link after the handshake: it did not accept us"),
            Self::NotAuthenticated => f.write_str("the client sent what has to wait until it is authenticated"),
            Self::TooManyAttempts => f.write_str("the client tried to authenticate too often"),
            Self::EndedEarly { stage, .. } => write!(f, "the peer closed the connection {stage}"),
            Self::Link(fault) => write!(f, "the stream: {fault}"),
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
