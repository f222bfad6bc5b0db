//! One verifier for both directions: is the certificate the one that was pinned, or one that an authority vouches for, and
//! does the peer hold its key?

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use subtle::{Choice, ConstantTimeEq as _};
use xtls_stanza::Fingerprint;
use xtls_stanza::jid::BareJid;

use crate::authorities::{Authorities, Purposes};
use crate::certificate::{
    CertificateFault, ChainFault, KnownCertificates, MAX_CERTIFICATE, MAX_CHAIN, PeerCertificate,
};
use crate::domain::Domain;
use crate::identity::Identity;
use crate::towards::{ClientVerification, ServerVerification};

/// How the peer's certificate is judged. In every case the peer has to present one, the handshake fails unless the peer
/// proves that it holds the key, and there is no second way if the first one says no. Certificates of authorities that the
/// peer presents after its own, at most [`MAX_CHAIN`] in all, are looked at only where authorities count.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Verification {
    /// It must be one of these. Only fingerprints that are [trustworthy](Fingerprint::is_trustworthy) count. The dates
    /// in the certificate do not: the pin outlives them ([`PeerCertificate::is_expired`] tells).
    Pinned(Vec<Fingerprint>),
    /// An authority must vouch for it, and it must name the peer (RFC 6120 § 13.7.1.4).
    ///
    /// There must be a chain to one of the authorities that follows RFC 5280, with every certificate of it valid at the
    /// time of the handshake. The peer's own must not be an authority's (§ 13.7.1.1), and if it says what it is meant for,
    /// that must be a TLS client, a TLS server, or anything: which of the two a peer is depends on who began. Limits of the
    /// authorities on DNS names bind the domains of addresses and services too, and those on other names are failed closed.
    /// One of the id-on-xmppAddr in it, of which the first 16 are looked at, must be the address as RFC 7622 normalises it; a common
    /// name or a DNS name is no address. Revocation is not checked.
    Authorities {
        /// The authorities that are trusted.
        authorities: Arc<Authorities>,
        /// Who the peer must be.
        address: BareJid,
    },
    /// Any certificate: the caller judges it after the handshake, before any plaintext passes.
    Deferred,
}

/// Whose certificate it is, and how it is judged.
#[derive(Debug)]
pub(crate) enum Rule {
    Peer(Verification),
    Server(ServerVerification, Domain),
    Client(ClientVerification),
}

impl Rule {
    const fn pins(&self) -> Option<&Vec<Fingerprint>> {
        match self {
            Self::Peer(Verification::Pinned(pins)) | Self::Server(ServerVerification::Pinned(pins), _) => Some(pins),
            Self::Peer(Verification::Authorities { .. } | Verification::Deferred)
            | Self::Server(ServerVerification::Authorities(_) | ServerVerification::Deferred, _)
            | Self::Client(_) => None,
        }
    }

    const fn authorities(&self) -> Option<(&Arc<Authorities>, Purposes)> {
        match self {
            Self::Peer(Verification::Authorities { authorities, .. }) => Some((authorities, Purposes::Either)),
            Self::Server(ServerVerification::Authorities(authorities), _) => Some((authorities, Purposes::Server)),
            Self::Client(
                ClientVerification::Authorities(authorities) | ClientVerification::AuthoritiesOrDeferred(authorities),
            ) => Some((authorities, Purposes::Client)),
            Self::Peer(Verification::Pinned(_) | Verification::Deferred)
            | Self::Server(ServerVerification::Pinned(_) | ServerVerification::Deferred, _)
            | Self::Client(ClientVerification::Deferred | ClientVerification::NotAsked) => None,
        }
    }

    /// Whether a certificate passes that no authority vouches for.
    const fn takes_unvouched(&self) -> bool {
        matches!(self, Self::Client(ClientVerification::AuthoritiesOrDeferred(_)))
    }

    /// Whether a certificate that the authorities vouch for names whom it has to name.
    fn check_name(&self, certificate: &PeerCertificate) -> Result<(), CertificateFault> {
        match self {
            Self::Peer(Verification::Authorities { address, .. }) => {
                if certificate.xmpp_addrs().contains(address) {
                    Ok(())
                } else {
                    Err(CertificateFault::WrongName)
                }
            }
            Self::Server(_, domain) => domain.check(certificate),
            // Which of the addresses in it is meant, a client says later (XEP-0178 § 2).
            Self::Peer(_) | Self::Client(_) => Ok(()),
        }
    }
}

/// Verifies one session's peer, and keeps what it was shown.
#[derive(Debug)]
pub(crate) struct PeerVerifier {
    rule: Rule,
    /// Our own key, if a peer with it is to be refused.
    own_key: Option<[u8; 32]>,
    algorithms: WebPkiSupportedAlgorithms,
    /// What need not be read again.
    known: KnownCertificates,
    presented: OnceLock<Fingerprint>,
    /// Set once an authority vouches for the certificate.
    vouched: OnceLock<()>,
    certificate: OnceLock<PeerCertificate>,
    fault: OnceLock<CertificateFault>,
}

impl PeerVerifier {
    pub(crate) fn new(rule: Rule, own: Option<&Identity>, algorithms: WebPkiSupportedAlgorithms) -> Arc<Self> {
        Self::knowing(rule, own, algorithms, KnownCertificates::new())
    }

    pub(crate) fn knowing(
        rule: Rule,
        own: Option<&Identity>,
        algorithms: WebPkiSupportedAlgorithms,
        known: KnownCertificates,
    ) -> Arc<Self> {
        Arc::new(Self {
            rule,
            own_key: own.map(|own| own.as_peer_certificate().spki_sha256()),
            algorithms,
            known,
            presented: OnceLock::new(),
            vouched: OnceLock::new(),
            certificate: OnceLock::new(),
            fault: OnceLock::new(),
        })
    }

    /// The certificate that passed. That the peer holds its key is proven once the handshake is complete.
    pub(crate) fn certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.get()
    }

    /// The SHA-256 fingerprint of the certificate that was presented, whether it passed or not.
    pub(crate) fn presented(&self) -> Option<Fingerprint> {
        self.presented.get().copied()
    }

    /// Why the peer was refused.
    pub(crate) fn fault(&self) -> Option<&CertificateFault> {
        self.fault.get()
    }

    pub(crate) fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let read = self.known.read(end_entity);
        self.presented.get_or_init(|| match &read {
            Ok(certificate) => certificate.fingerprint_sha256(),
            Err(_) => Fingerprint::sha256(end_entity),
        });
        let certificate = check_sizes(others)
            .and(read)
            .and_then(|certificate| self.check(certificate, others, now))
            .map_err(|fault| {
                let error = refusal(&fault);
                self.fault.get_or_init(|| fault);
                error
            })?;
        self.known.keep(&certificate);
        self.certificate.get_or_init(|| certificate);
        Ok(())
    }

    fn check(
        &self,
        certificate: PeerCertificate,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<PeerCertificate, CertificateFault> {
        if self.rule.pins().is_some_and(|pins| !is_pinned(pins, &certificate)) {
            return Err(CertificateFault::NotPinned);
        }
        if self.own_key.is_some_and(|own| own.ct_eq(&certificate.spki_sha256()).into()) {
            return Err(CertificateFault::OwnKey);
        }
        if !certificate.has_usable_key() {
            return Err(CertificateFault::UnsupportedKey);
        }
        certificate.check_extensions()?;
        certificate.check_key_usage()?;
        if let Some((authorities, purposes)) = self.rule.authorities() {
            let vouched = authorities
                .verify(certificate.der(), others, &self.algorithms, purposes, now)
                .map_err(|fault| in_words(fault, purposes, &certificate))
                .and_then(|()| self.rule.check_name(&certificate));
            match vouched {
                Ok(()) => *self.vouched.get_or_init(|| ()),
                Err(_) if self.rule.takes_unvouched() => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(certificate)
    }

    /// Whether the authorities vouch for the certificate that passed.
    pub(crate) fn is_vouched_for(&self) -> bool {
        self.vouched.get().is_some() && self.certificate.get().is_some()
    }

    /// Keeps why the proof of the key failed, for the report.
    fn note_signature(
        &self,
        verified: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        verified.inspect_err(|error| {
            // Anything else, such as a scheme that we never offered, is misbehaviour whatever the certificate.
            if let Error::InvalidCertificate(reason) = error {
                let unproven = matches!(
                    reason,
                    CertificateError::BadSignature
                        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
                        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
                );
                self.fault.get_or_init(|| {
                    if unproven { CertificateFault::BadSignature } else { CertificateFault::Malformed }
                });
            }
        })
    }

    fn tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.note_signature(verify_tls12_signature(message, certificate, signed, &self.algorithms))
    }

    fn tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.note_signature(verify_tls13_signature(message, certificate, signed, &self.algorithms))
    }
}

/// What can be said more plainly where it is known which end of TLS a certificate is for.
fn in_words(fault: CertificateFault, purposes: Purposes, certificate: &PeerCertificate) -> CertificateFault {
    match (fault, purposes) {
        (CertificateFault::Chain(ChainFault::Purpose), Purposes::Server) => {
            CertificateFault::Chain(ChainFault::NotForServers)
        }
        (CertificateFault::Chain(ChainFault::Purpose), Purposes::Client) => {
            CertificateFault::Chain(ChainFault::NotForClients)
        }
        // Many that servers have made themselves say that they are an authority's.
        (CertificateFault::Chain(ChainFault::UnknownIssuer | ChainFault::IsAuthority), Purposes::Server)
            if certificate.is_self_issued() =>
        {
            CertificateFault::Chain(ChainFault::SelfSigned)
        }
        (fault, Purposes::Either | Purposes::Server | Purposes::Client) => fault,
    }
}

/// The bounds of what the peer presents after its own certificate.
fn check_sizes(others: &[CertificateDer<'_>]) -> Result<(), CertificateFault> {
    if others.len() >= MAX_CHAIN {
        return Err(CertificateFault::ChainTooLong { certificates: others.len() + 1 });
    }
    match others.iter().find(|other| other.len() > MAX_CERTIFICATE) {
        Some(other) => Err(CertificateFault::TooLarge { bytes: other.len() }),
        None => Ok(()),
    }
}

/// Every pin is compared, so that the time tells nothing about which one matched.
fn is_pinned(pins: &[Fingerprint], certificate: &PeerCertificate) -> bool {
    let matches = |pin: &Fingerprint| Choice::from(u8::from(pin.is_trustworthy() & certificate.has(pin)));
    pins.iter().map(matches).fold(Choice::from(0), |any, one| any | one).into()
}

/// How rustls is told, which decides the alert: `certificate_unknown` for one that can be read but is not acceptable,
/// `bad_certificate` for the rest (RFC 8446 § 6.2).
fn refusal(fault: &CertificateFault) -> Error {
    Error::InvalidCertificate(match fault {
        CertificateFault::NotPinned | CertificateFault::OwnKey => {
            CertificateError::Other(OtherError(Arc::new(fault.clone())))
        }
        CertificateFault::Chain(fault) => chain_refusal(*fault),
        CertificateFault::WrongName | CertificateFault::WrongServer { .. } => CertificateError::NotValidForName,
        CertificateFault::BadSignature => CertificateError::BadSignature,
        CertificateFault::NoCertificate
        | CertificateFault::ChainTooLong { .. }
        | CertificateFault::TooLarge { .. }
        | CertificateFault::Malformed
        | CertificateFault::NotVersion3
        | CertificateFault::UnsupportedKey
        | CertificateFault::NotForSignatures
        | CertificateFault::UnknownExtension { .. } => CertificateError::BadEncoding,
    })
}

/// RFC 8446 § 6.2 has alerts for some of them: `unknown_ca`, `certificate_expired`; `certificate_unknown` for the rest.
fn chain_refusal(fault: ChainFault) -> CertificateError {
    match fault {
        ChainFault::UnknownIssuer | ChainFault::SelfSigned => CertificateError::UnknownIssuer,
        ChainFault::Expired => CertificateError::Expired,
        ChainFault::NotYetValid => CertificateError::NotValidYet,
        ChainFault::IsAuthority
        | ChainFault::IssuedByNoAuthority
        | ChainFault::Purpose
        | ChainFault::NotForServers
        | ChainFault::NotForClients
        | ChainFault::NameConstraint
        | ChainFault::BadSignature
        | ChainFault::Other => CertificateError::Other(OtherError(Arc::new(fault))),
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(end_entity, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    /// A client may have a password instead (XEP-0178 § 2); a peer may not.
    fn client_auth_mandatory(&self) -> bool {
        !matches!(self.rule, Rule::Client(_))
    }

    fn offer_client_auth(&self) -> bool {
        !matches!(self.rule, Rule::Client(ClientVerification::NotAsked))
    }

    /// Peers are not chosen by who issued their certificates.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(end_entity, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
