//! What the tests of this crate share: a clock that stands still, pairs, and a way to let them talk.

#![allow(clippy::unwrap_used)]

pub(crate) mod ca;
pub(crate) mod forger;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection, SignatureScheme, SupportedCipherSuite,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::verify::{PeerVerifier, Rule};
use crate::{
    CertificateFault, Identity, KeyAlgorithm, SrpConfig, SrpCredentials, TlsConfig, TlsError, TlsErrorKind, TlsSession,
    Verification, default_provider,
};

/// A time of day, so many seconds after 1970.
pub(crate) fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// 2025-10-09.
pub(crate) const NOW: u64 = 1_760_000_000;

#[derive(Debug)]
pub(crate) struct Noon;

impl TimeProvider for Noon {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(NOW)))
    }
}

pub(crate) fn romeo() -> Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    let make = || Identity::generate(&"romeo@montague.lit".parse().unwrap(), KeyAlgorithm::EcdsaP256, at(NOW)).unwrap();
    IDENTITY.get_or_init(make).clone()
}

pub(crate) fn juliet() -> Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    let make = || Identity::generate(&"juliet@capulet.lit".parse().unwrap(), KeyAlgorithm::EcdsaP256, at(NOW)).unwrap();
    IDENTITY.get_or_init(make).clone()
}

pub(crate) fn mallory() -> Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    let make =
        || Identity::generate(&"mallory@example.org".parse().unwrap(), KeyAlgorithm::EcdsaP256, at(NOW)).unwrap();
    IDENTITY.get_or_init(make).clone()
}

pub(crate) fn pin(identity: &Identity) -> Verification {
    Verification::Pinned(vec![identity.fingerprint_sha256()])
}

pub(crate) fn config(identity: &Identity, verification: Verification) -> TlsConfig {
    TlsConfig::new(identity.clone(), default_provider(), Arc::new(Noon), verification)
}

/// Romeo, who knows Juliet.
pub(crate) fn romeo_config() -> TlsConfig {
    config(&romeo(), pin(&juliet()))
}

/// Juliet, who knows Romeo.
pub(crate) fn juliet_config() -> TlsConfig {
    config(&juliet(), pin(&romeo()))
}

/// The same for a session of TLS 1.2.
pub(crate) fn tls12_alone(mut config: TlsConfig) -> TlsConfig {
    let mut provider = (*config.provider).clone();
    provider.cipher_suites.retain(|suite| matches!(suite, SupportedCipherSuite::Tls12(_)));
    config.provider = Arc::new(provider);
    config
}

/// What both know: Romeo's name, as he is the initiator, and a word.
pub(crate) fn srp_config(password: &str) -> SrpConfig {
    SrpConfig::new(SrpCredentials::new("romeo@montague.lit", password).unwrap(), default_provider())
}

/// The lengths of the records in `bytes`, headers included.
pub(crate) fn record_lengths(bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut rest = bytes;
    while let [_, 3, _, high, low, ..] = rest {
        let length = crate::records::HEADER + usize::from(u16::from_be_bytes([*high, *low]));
        lengths.push(length);
        rest = rest.get(length..).unwrap();
    }
    assert!(rest.is_empty(), "whole records");
    lengths
}

/// A client and a server and what is on its way between them.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) client: TlsSession,
    pub(crate) server: TlsSession,
    pub(crate) to_client: Vec<u8>,
    pub(crate) to_server: Vec<u8>,
    pub(crate) client_plaintext: Vec<u8>,
    pub(crate) server_plaintext: Vec<u8>,
    /// The flights as they were sent: from the client first, then by turns.
    pub(crate) flights: Vec<Vec<u8>>,
}

impl Pair {
    pub(crate) fn new(client: &TlsConfig, server: &TlsConfig) -> Self {
        let mut to_server = Vec::new();
        let client = TlsSession::client(client, &mut to_server).unwrap();
        Self::of(client, TlsSession::server(server).unwrap(), to_server)
    }

    /// With a password.
    pub(crate) fn srp(client: &SrpConfig, server: &SrpConfig) -> Self {
        let mut to_server = Vec::new();
        let client = TlsSession::srp_client(client, &mut to_server).unwrap();
        Self::of(client, TlsSession::srp_server(server).unwrap(), to_server)
    }

    /// The client's first flight is on its way.
    pub(crate) fn of(client: TlsSession, server: TlsSession, to_server: Vec<u8>) -> Self {
        Self {
            client,
            server,
            to_client: Vec::new(),
            to_server,
            client_plaintext: Vec::new(),
            server_plaintext: Vec::new(),
            flights: Vec::new(),
        }
    }

    /// Delivers what is on its way until nothing is, or until one side fails.
    pub(crate) fn settle(&mut self) -> Result<(), TlsError> {
        while !self.to_server.is_empty() || !self.to_client.is_empty() {
            let flight = std::mem::take(&mut self.to_server);
            if !flight.is_empty() {
                self.flights.push(flight.clone());
            }
            self.server.read(&flight, &mut self.server_plaintext, &mut self.to_client)?;
            let flight = std::mem::take(&mut self.to_client);
            if !flight.is_empty() {
                self.flights.push(flight.clone());
            }
            self.client.read(&flight, &mut self.client_plaintext, &mut self.to_server)?;
        }
        Ok(())
    }

    pub(crate) fn connected(client: &TlsConfig, server: &TlsConfig) -> Self {
        let mut pair = Self::new(client, server);
        pair.settle().unwrap();
        assert!(pair.client.handshake_complete() && pair.server.handshake_complete());
        pair
    }
}

/// What a man in the middle may do that our own sessions never do: any chain with any key, or none.
#[derive(Debug)]
pub(crate) struct Presents(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Presents {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

impl ResolvesServerCert for Presents {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}

impl Presents {
    pub(crate) fn chain(chain: Vec<CertificateDer<'static>>, key: &Identity) -> Arc<Self> {
        Arc::new(Self(Some(Arc::new(CertifiedKey::new(chain, Arc::clone(&key.certified().key))))))
    }

    pub(crate) fn key(certificate: CertificateDer<'static>, key: &PrivateKeyDer<'_>) -> Arc<Self> {
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(key).unwrap();
        Arc::new(Self(Some(Arc::new(CertifiedKey::new(vec![certificate], key)))))
    }

    pub(crate) fn key_chain(chain: Vec<CertificateDer<'static>>, key: &rcgen::KeyPair) -> Arc<Self> {
        let key = PrivateKeyDer::try_from(key.serialized_der().to_vec()).unwrap();
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Arc::new(Self(Some(Arc::new(CertifiedKey::new(chain, key)))))
    }

    pub(crate) fn nothing() -> Arc<Self> {
        Arc::new(Self(None))
    }

    pub(crate) fn versions() -> [&'static [&'static rustls::SupportedProtocolVersion]; 2] {
        static TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
        static TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
        [TLS13, TLS12]
    }

    /// A rustls client that takes any server.
    pub(crate) fn client(self: &Arc<Self>, versions: &[&'static rustls::SupportedProtocolVersion]) -> Connection {
        let any = PeerVerifier::new(
            Rule::Peer(Verification::Deferred),
            None,
            default_provider().signature_verification_algorithms,
        );
        let mut config = ClientConfig::builder_with_details(default_provider(), Arc::new(Noon))
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(any)
            .with_client_cert_resolver(self.clone());
        config.require_ems = true;
        config.enable_secret_extraction = true;
        ClientConnection::new(Arc::new(config), "xtls.invalid".try_into().unwrap()).unwrap().into()
    }

    /// A rustls server that takes any client.
    pub(crate) fn server(self: &Arc<Self>, versions: &[&'static rustls::SupportedProtocolVersion]) -> Connection {
        let any = PeerVerifier::new(
            Rule::Peer(Verification::Deferred),
            None,
            default_provider().signature_verification_algorithms,
        );
        let mut config = ServerConfig::builder_with_details(default_provider(), Arc::new(Noon))
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(any)
            .with_cert_resolver(self.clone());
        config.require_ems = true;
        config.enable_secret_extraction = true;
        ServerConnection::new(Arc::new(config)).unwrap().into()
    }
}

/// Why a client with this configuration refuses whoever presents that.
pub(crate) fn refused_by(config: &TlsConfig, attacker: &Arc<Presents>) -> CertificateFault {
    let (mut out, mut answer, mut plaintext) = (Vec::new(), Vec::new(), Vec::new());
    let mut session = TlsSession::client(config, &mut out).unwrap();
    let mut server = attacker.server(&[&rustls::version::TLS13]);
    server.read_tls(&mut &out[..]).unwrap();
    server.process_new_packets().unwrap();
    while server.wants_write() {
        server.write_tls(&mut answer).unwrap();
    }
    let error = session.read(&answer, &mut plaintext, &mut out).unwrap_err();
    let TlsErrorKind::BadCertificate { fault, .. } = error.kind() else { panic!("{error}") };
    fault.clone()
}
