//! Why a certificate was refused.

use std::fmt;

use webpki::Error;
use xtls_stanza::Shown;

use super::{MAX_CERTIFICATE, MAX_CHAIN};

/// Why a certificate was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It is none of those that the peer may have.
    NotPinned,
    /// The peer did not prove that it holds the key.
    BadSignature,
    /// The peer presented none.
    NoCertificate,
    /// The peer presented more than [`MAX_CHAIN`] certificates.
    ChainTooLong {
        /// How many were presented.
        certificates: usize,
    },
    /// It, or one of those after it, is longer than [`MAX_CERTIFICATE`].
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// It cannot be read.
    Malformed,
    /// It is an X.509 certificate of version 1 or 2, which cannot be used for TLS 1.3.
    NotVersion3,
    /// Its key is of a kind or a length that is not accepted.
    UnsupportedKey,
    /// It has an extension that must not be ignored and is not understood (RFC 5280 § 4.2).
    UnknownExtension {
        /// Which one: its object identifier in numbers.
        oid: String,
    },
    /// It says what its key is for, and signatures are not among it (RFC 8446 § 4.4.2.2, RFC 5246 § 7.4.2).
    NotForSignatures,
    /// It has our own key: the session would be one with ourselves.
    OwnKey,
    /// No chain of it leads to the authorities that are trusted.
    Chain(ChainFault),
    /// The authorities vouch for it, and it names others than the one that is spoken to.
    WrongName,
    /// The authorities vouch for it, and it names other servers than the one that is spoken to.
    WrongServer {
        /// Those that it names, at most 16: DNS names, services, addresses. A common name is none.
        named: Vec<String>,
    },
}

/// Why no chain of certificates leads to an authority that is trusted (RFC 5280 § 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainFault {
    /// None of the authorities issued it, or a certificate in between is missing.
    UnknownIssuer,
    /// A server vouches for itself, and nobody else does.
    SelfSigned,
    /// A certificate of the chain has expired.
    Expired,
    /// A certificate of the chain is not valid yet.
    NotYetValid,
    /// It is an authority's certificate, which is no peer's (RFC 6120 § 13.7.1.1).
    IsAuthority,
    /// A certificate of the chain was issued by one that is no authority's.
    IssuedByNoAuthority,
    /// It is meant for something else than TLS.
    Purpose,
    /// A server's is not meant for servers.
    NotForServers,
    /// A client's is not meant for clients.
    NotForClients,
    /// It names somebody that one of its issuers must not vouch for.
    NameConstraint,
    /// A certificate of the chain is not signed by its issuer, or by an algorithm that is not accepted.
    BadSignature,
    /// It breaks another rule of RFC 5280, or takes too much work to follow.
    Other,
}

impl ChainFault {
    /// Sorts what the verification says.
    #[allow(clippy::wildcard_enum_match_arm, reason = "those that have words of their own, and the rest")]
    pub(crate) const fn of(error: &Error) -> Self {
        match error {
            Error::UnknownIssuer => Self::UnknownIssuer,
            Error::CertExpired { .. } => Self::Expired,
            Error::CertNotValidYet { .. } => Self::NotYetValid,
            Error::CaUsedAsEndEntity => Self::IsAuthority,
            Error::EndEntityUsedAsCa | Error::PathLenConstraintViolated => Self::IssuedByNoAuthority,
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Self::Purpose,
            Error::NameConstraintViolation => Self::NameConstraint,
            Error::InvalidSignatureForPublicKey
            | Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Self::BadSignature,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPinned => f.write_str("it is not the certificate that this peer is known by"),
            Self::BadSignature => f.write_str("the peer did not prove that it holds the certificate's key"),
            Self::NoCertificate => f.write_str("the peer presented none"),
            Self::ChainTooLong { certificates } => {
                write!(f, "the peer presented {certificates} certificates, more than the {MAX_CHAIN} that are accepted")
            }
            Self::TooLarge { bytes } => {
                write!(f, "it has {bytes} bytes, more than the {MAX_CERTIFICATE} that are accepted")
            }
            Self::Malformed => f.write_str("it is not a readable X.509 certificate"),
            Self::NotVersion3 => f.write_str("it is not an X.509 version 3 certificate"),
            Self::UnsupportedKey => f.write_str("its key is of a kind or length that is not accepted"),
            Self::UnknownExtension { oid } => {
                write!(f, "it has a critical extension that is not understood: {}", Shown(oid))
            }
            Self::NotForSignatures => {
                f.write_str("its key is not meant for signatures (keyUsage has no digitalSignature)")
            }
            Self::OwnKey => f.write_str("it has our own key"),
            Self::Chain(fault) => fault.fmt(f),
            Self::WrongServer { named } if named.is_empty() => f.write_str("it names no server"),
            Self::WrongServer { named } => {
                f.write_str("it was issued for another server:")?;
                named
                    .iter()
                    .enumerate()
                    .try_for_each(|(index, name)| write!(f, "{} {}", if index == 0 { "" } else { "," }, Shown(name)))
            }
            Self::WrongName => f.write_str("it was issued for somebody else: it does not name the peer"),
        }
    }
}

impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownIssuer => "no authority that is trusted issued it",
            Self::SelfSigned => "nobody vouches for it: it is self-signed",
            Self::Expired => "it, or one of those that vouch for it, has expired",
            Self::NotYetValid => "it, or one of those that vouch for it, is not valid yet",
            Self::IsAuthority => "it is an authority's certificate, which is nobody's own",
            Self::IssuedByNoAuthority => "one of those that vouch for it must not do so",
            Self::Purpose => "it is meant for something else than TLS",
            Self::NotForServers => "it is not meant for servers",
            Self::NotForClients => "it is not meant for clients",
            Self::NameConstraint => "its issuer must not vouch for the names in it",
            Self::BadSignature => "a signature in its chain is not valid, or of a kind that is not accepted",
            Self::Other => "its chain breaks the rules of X.509",
        })
    }
}

impl std::error::Error for CertificateFault {}
impl std::error::Error for ChainFault {}
