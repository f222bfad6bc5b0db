//! Bare rustls between two ends in memory, who know one another's certificates.

use std::sync::Arc;

use rustls::{
    CertificateError, CipherSuite, ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, Error,
    ServerConfig, ServerConnection, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{self, CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::{
        NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};

use crate::engines::Who;

/// What both ends are told: TLS 1.3, certificates of both, no tickets.
#[derive(Clone)]
pub(crate) struct Configs {
    /// The client's.
    pub(crate) client: Arc<ClientConfig>,
    /// The server's.
    pub(crate) server: Arc<ServerConfig>,
}

/// Both ends of a connection.
pub(crate) struct Ends {
    /// The client's.
    pub(crate) client: ClientConnection,
    /// The server's.
    pub(crate) server: ServerConnection,
}

/// The provider of bulk transfers: AES-128-GCM alone.
pub(crate) fn bulk_provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

/// A provider with this key exchange alone.
pub(crate) fn provider_with(kx: &'static dyn SupportedKxGroup) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { kx_groups: vec![kx], ..aws_lc_rs::default_provider() })
}

/// The name by which the client calls the server, which nobody checks.
pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::try_from("peer.example").expect("a name")
}

impl Configs {
    /// For a client and a server with these certificates.
    pub(crate) fn new([client, server]: &[Who; 2], provider: &Arc<CryptoProvider>) -> Self {
        let pinned = |who: &Who| {
            let algorithms = provider.signature_verification_algorithms;
            Arc::new(Pinned { certificate: who.identity.certificate().clone(), algorithms })
        };
        let chain = |who: &Who| vec![who.identity.certificate().clone()];
        let key = |who: &Who| {
            let pem = who.identity.to_pem();
            PrivateKeyDer::from_pem_slice(pem.key.expose().as_bytes()).expect("the key that was just made")
        };
        let mut of_client = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(pinned(server))
            .with_client_auth_cert(chain(client), key(client))
            .expect("the key fits");
        of_client.resumption = Resumption::disabled();
        let mut of_server = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has TLS 1.3")
            .with_client_cert_verifier(pinned(client))
            .with_single_cert(chain(server), key(server))
            .expect("the key fits");
        of_server.send_tls13_tickets = 0;
        of_server.session_storage = Arc::new(NoServerSessionStorage {});
        Self { client: Arc::new(of_client), server: Arc::new(of_server) }
    }

    /// The same with records of the client of at most so many bytes on the wire.
    pub(crate) fn with_records(self, most: Option<usize>) -> Self {
        let mut client = (*self.client).clone();
        client.max_fragment_size = most;
        Self { client: Arc::new(client), ..self }
    }

    /// A whole handshake.
    pub(crate) fn handshake(&self) -> Ends {
        let mut client = ClientConnection::new(Arc::clone(&self.client), server_name()).expect("a client");
        let mut server = ServerConnection::new(Arc::clone(&self.server)).expect("a server");
        let mut flight = Vec::with_capacity(8192);
        while client.is_handshaking() || server.is_handshaking() || client.wants_write() || server.wants_write() {
            flight.clear();
            while client.wants_write() {
                client.write_tls(&mut flight).expect("a vector takes it");
            }
            let mut rest = &flight[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).expect("a slice gives it");
                server.process_new_packets().expect("the client is who it is");
            }
            flight.clear();
            while server.wants_write() {
                server.write_tls(&mut flight).expect("a vector takes it");
            }
            let mut rest = &flight[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).expect("a slice gives it");
                client.process_new_packets().expect("the server is who it is");
            }
        }
        client.set_buffer_limit(None);
        Ends { client, server }
    }
}

/// Trusts one certificate and nothing else, as an engine with a pin does.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn check(&self, presented: &CertificateDer<'_>) -> Result<(), Error> {
        let same = *presented == self.certificate;
        same.then_some(()).ok_or(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use xtls::tls::KeyAlgorithm;

    use super::*;

    #[test]
    #[should_panic(expected = "the server is who it is")]
    fn another_certificate_is_refused() {
        let [romeo, juliet] = Who::both(KeyAlgorithm::Ed25519);
        let [mallory, _] = Who::both(KeyAlgorithm::Ed25519);
        let right = Configs::new(&[romeo.clone(), juliet], &bulk_provider());
        let wrong = Configs::new(&[romeo, mallory], &bulk_provider());
        let _ = Configs { client: right.client, server: wrong.server }.handshake();
    }
}
