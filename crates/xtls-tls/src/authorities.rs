//! Whose word is taken for whom a certificate belongs to.

mod path;

use std::fmt;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath, anchor_from_trusted_cert,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use xtls_stanza::Fingerprint;

use crate::certificate::{CertificateFault, ChainFault, PeerCertificate};
use crate::pem;
use path::{Believed, Constraints};

pub(crate) use path::may;

/// The most authorities that are taken: some three times as many as a platform comes with.
pub const MAX_AUTHORITIES: usize = 512;

/// Certification authorities that are trusted: the ends of every chain (RFC 5280 § 6.1.1 d).
///
/// There is at least one, and at most [`MAX_AUTHORITIES`]. Their own dates do not count: whoever gives them vouches for
/// them.
///
/// Each of them also stands for itself where a server presents it: small servers present certificates that they have made
/// themselves, and many of these say that they are an authority's. There the dates and purposes in it count.
#[derive(Clone)]
pub struct Authorities {
    anchors: Vec<TrustAnchor<'static>>,
    /// What each of the anchors may vouch for.
    constraints: Vec<Constraints>,
    subjects: Vec<String>,
    /// Each of them, authority or not.
    given: Vec<Fingerprint>,
}

impl Authorities {
    /// Authorities by their certificates in DER, each of at most [`MAX_CERTIFICATE`](crate::MAX_CERTIFICATE) bytes.
    ///
    /// # Errors
    ///
    /// [`AuthoritiesError`] names the first one that is wrong.
    pub fn from_der<D: AsRef<[u8]>>(certificates: impl IntoIterator<Item = D>) -> Result<Self, AuthoritiesError> {
        Self::of(certificates, false)
    }

    /// Authorities by their certificates in PEM; other sections of the text are left out, and byte order marks and white
    /// space before a line are skipped.
    ///
    /// # Errors
    ///
    /// [`AuthoritiesError`] names the first one that is wrong.
    pub fn from_pem(text: &str) -> Result<Self, AuthoritiesError> {
        Self::of(sections(text)?, false)
    }

    /// Authorities in PEM as with [`Authorities::from_pem`], and servers' own certificates beside them: one that does not say
    /// that it is an authority's vouches for nobody, and stands for itself where a server presents it.
    ///
    /// # Errors
    ///
    /// [`AuthoritiesError`] names the first one that is wrong.
    pub fn from_pem_with_servers(text: &str) -> Result<Self, AuthoritiesError> {
        Self::of(sections(text)?, true)
    }

    /// How many there are.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.given.len()
    }

    /// Their names, for people, as [`PeerCertificate::subject`] has them.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.subjects.iter().map(String::as_str)
    }

    fn of<D: AsRef<[u8]>>(
        certificates: impl IntoIterator<Item = D>,
        with_servers: bool,
    ) -> Result<Self, AuthoritiesError> {
        let mut authorities =
            Self { anchors: Vec::new(), constraints: Vec::new(), subjects: Vec::new(), given: Vec::new() };
        for (index, der) in certificates.into_iter().enumerate() {
            if index == MAX_AUTHORITIES {
                return Err(AuthoritiesError::TooMany);
            }
            authorities.add(der.as_ref(), index + 1, with_servers)?;
        }
        if authorities.given.is_empty() { Err(AuthoritiesError::None) } else { Ok(authorities) }
    }

    fn add(&mut self, der: &[u8], number: usize, with_servers: bool) -> Result<(), AuthoritiesError> {
        let certificate = PeerCertificate::from_der(der);
        let certificate = certificate.map_err(|fault| AuthoritiesError::Certificate { number, fault })?;
        if certificate.is_authority() {
            let malformed = |_| AuthoritiesError::Certificate { number, fault: CertificateFault::Malformed };
            let anchor = anchor_from_trusted_cert(certificate.der()).map_err(malformed)?.to_owned();
            let constraints = parsed(certificate.der()).and_then(|certificate| Constraints::of(&certificate));
            self.constraints.push(constraints.map_err(|fault| AuthoritiesError::Certificate { number, fault })?);
            self.anchors.push(anchor);
        } else if !with_servers {
            return Err(AuthoritiesError::NoAuthority { number });
        }
        self.subjects.push(certificate.subject().to_owned());
        self.given.push(certificate.fingerprint_sha256());
        Ok(())
    }

    /// Whether there is a chain from one of these to the certificate (RFC 5280 § 6), each link of which is valid now and may
    /// vouch for the names that are believed; or a server presents one of these itself.
    pub(crate) fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        algorithms: &WebPkiSupportedAlgorithms,
        purposes: Purposes,
        now: UnixTime,
    ) -> Result<(), CertificateFault> {
        let chain = |error: Error| CertificateFault::Chain(ChainFault::of(&error));
        let certificate = EndEntityCert::try_from(end_entity).map_err(|_| CertificateFault::Malformed)?;
        if purposes == Purposes::Server && self.given.contains(&Fingerprint::sha256(end_entity)) {
            return check_given_server(end_entity, now);
        }
        let believed = Believed::of(&parsed(end_entity)?);
        let check = |path: &VerifiedPath<'_>| {
            let at = self.anchors.iter().position(|anchor| core::ptr::eq(anchor, path.anchor()));
            let constraints = at.and_then(|at| self.constraints.get(at)).ok_or(Error::UnknownIssuer)?;
            believed.check(path, constraints)
        };
        certificate
            .verify_for_usage(algorithms.all, &self.anchors, others, now, purposes, None, Some(&check))
            .map(|_path| ())
            .map_err(chain)
    }
}

fn parsed<'d>(der: &'d CertificateDer<'_>) -> Result<X509Certificate<'d>, CertificateFault> {
    X509Certificate::from_der(der).map(|(_, certificate)| certificate).map_err(|_| CertificateFault::Malformed)
}

/// What counts in a server's certificate that is given itself: as in any other its dates, and what it is meant for.
fn check_given_server(der: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateFault> {
    let certificate = parsed(der)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let (from, until) = (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
    let extension = certificate.extended_key_usage().map_err(|_| CertificateFault::Malformed)?;
    let fault = if now < from {
        ChainFault::NotYetValid
    } else if now > until {
        ChainFault::Expired
    } else if extension.is_some_and(|purposes| !(purposes.value.server_auth || purposes.value.any)) {
        ChainFault::Purpose
    } else {
        return Ok(());
    };
    Err(CertificateFault::Chain(fault))
}

fn sections(text: &str) -> Result<Vec<CertificateDer<'static>>, AuthoritiesError> {
    let text = pem::readable(text);
    let sections = CertificateDer::pem_slice_iter(text.as_bytes()).take(MAX_AUTHORITIES + 1);
    sections.collect::<Result<_, _>>().map_err(|_| AuthoritiesError::Pem)
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorities").field(&self.subjects).finish()
    }
}

/// What a certificate must be meant for, if it says what it is meant for at all (RFC 5280 § 4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purposes {
    /// Either end of TLS: which of two peers is the client only depends on who began.
    Either,
    /// A TLS server.
    Server,
    /// A TLS client.
    Client,
}

impl Purposes {
    fn includes(self, purpose: &[usize]) -> bool {
        /// `id-kp-serverAuth`, `id-kp-clientAuth` and `anyExtendedKeyUsage`.
        const SERVER: &[usize] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
        const CLIENT: &[usize] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];
        const ANY: &[usize] = &[2, 5, 29, 37, 0];
        match self {
            Self::Either => [SERVER, CLIENT, ANY].contains(&purpose),
            Self::Server => [SERVER, ANY].contains(&purpose),
            Self::Client => [CLIENT, ANY].contains(&purpose),
        }
    }
}

impl ExtendedKeyUsageValidator for Purposes {
    fn validate(&self, iter: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let mut restricted = false;
        for purpose in iter {
            restricted = true;
            if self.includes(&purpose?.to_decoded_oid()) {
                return Ok(());
            }
        }
        if restricted { Err(Error::EmptyEkuExtension) } else { Ok(()) }
    }
}

/// Why there are no authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthoritiesError {
    /// No certificate was given.
    None,
    /// More than [`MAX_AUTHORITIES`] were given.
    TooMany,
    /// The text is not well-formed PEM.
    Pem,
    /// A certificate cannot be used.
    Certificate {
        /// Which one, counted from 1.
        number: usize,
        /// Why.
        fault: CertificateFault,
    },
    /// A certificate does not say that it is an authority's.
    NoAuthority {
        /// Which one, counted from 1.
        number: usize,
    },
}

impl fmt::Display for AuthoritiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no certificate found (CERTIFICATE sections in PEM)"),
            Self::TooMany => write!(f, "more than {MAX_AUTHORITIES} certificates"),
            Self::Pem => f.write_str("not well-formed PEM"),
            Self::Certificate { number, fault } => write!(f, "certificate {number} cannot be used: {fault}"),
            Self::NoAuthority { number } => {
                write!(f, "certificate {number} is not an authority's (its basic constraints do not say so)")
            }
        }
    }
}

impl std::error::Error for AuthoritiesError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Certificate { fault, .. } => Some(fault),
            Self::None | Self::TooMany | Self::Pem | Self::NoAuthority { .. } => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
