//! How a session is to be made.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientConfig, ResolvesClientCert, Resumption};
use rustls::compress::CompressionCache;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig, StoresServerSessions};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{SignatureScheme, SupportedProtocolVersion};

use crate::certificate::KnownCertificates;
use crate::identity::Identity;
use crate::verify::{PeerVerifier, Verification};

/// The smallest whole record that can be asked for, in bytes.
pub const MIN_RECORD: usize = 64;

/// The largest whole record that can be asked for, in bytes: 16384 of plaintext (RFC 8446 § 5.1), the header, the
/// content type and the tag.
pub const MAX_RECORD: usize = 16384 + TLS13_OVERHEAD;

/// What TLS 1.3 adds to the plaintext of a record: header, content type and tag.
pub(crate) const TLS13_OVERHEAD: usize = 5 + 1 + 16;

/// What TLS 1.2 adds to the plaintext of a record: header, and with AES-GCM the nonce and the tag.
pub(crate) const TLS12_OVERHEAD: usize = 5 + 8 + 16;

static BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
static TLS13_ALONE: &[&SupportedProtocolVersion] = &[&TLS13];

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246), with ECDHE, AEAD and the extended master secret (RFC 7627) alone.
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// How a session is to be made. [`TlsConfig::new`] fills in the defaults; the fields can be changed after that.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsConfig {
    /// Who we are.
    pub identity: Identity,
    /// The cryptography, and the randomness of the handshake. See [`default_provider`](crate::default_provider).
    pub provider: Arc<CryptoProvider>,
    /// Wall time.
    pub time: Arc<dyn TimeProvider>,
    /// How the peer's certificate is judged.
    pub verification: Verification,
    /// The longest record to send, in bytes on the wire with header and tag. Default [`MAX_RECORD`]; values outside
    /// [`MIN_RECORD`]..=[`MAX_RECORD`] are taken as the nearest of the two. See [`record_size_for_block`].
    pub max_record: usize,
    /// The oldest version to accept. Default TLS 1.2; TLS 1.3 is always preferred.
    pub minimum: TlsVersion,
    /// As a server, send one session ticket after a TLS 1.3 handshake; default on. It can never be redeemed: it tells
    /// the client at once that its certificate was accepted ([`TlsSession::tickets_received`]), so switch it off while
    /// a user still has to judge that certificate.
    ///
    /// [`TlsSession::tickets_received`]: crate::TlsSession::tickets_received
    pub send_ticket: bool,
    /// Accept a peer with our own key. Default off: a session with ourselves is a reflection or a copied key.
    pub allow_own_key: bool,
    /// Certificates of peers that are not read again. Default none; sessions of clones of this configuration share them.
    pub known: KnownCertificates,
}

impl TlsConfig {
    /// A configuration with the defaults.
    #[must_use]
    pub fn new(
        identity: Identity,
        provider: Arc<CryptoProvider>,
        time: Arc<dyn TimeProvider>,
        verification: Verification,
    ) -> Self {
        Self {
            identity,
            provider,
            time,
            verification,
            max_record: MAX_RECORD,
            minimum: TlsVersion::Tls12,
            send_ticket: true,
            allow_own_key: false,
            known: KnownCertificates::new(),
        }
    }

    pub(crate) fn basics(&self) -> Basics<'_> {
        let Self { provider, time, max_record, minimum, .. } = self;
        Basics { provider, time, max_record: *max_record, minimum: *minimum }
    }

    pub(crate) fn client(
        &self,
        verifier: Arc<PeerVerifier>,
        own: Arc<OwnCertificate>,
    ) -> Result<ClientConfig, TlsConfigError> {
        let mut config = self.basics().client(verifier, own)?;
        // A JID is not a DNS name, and nothing is to be learnt from one.
        config.enable_sni = false;
        // For the one alert that `TlsSession::refuse` makes, when the session is over; the keys leave this crate in no way.
        config.enable_secret_extraction = true;
        Ok(config)
    }

    pub(crate) fn server(&self, verifier: Arc<PeerVerifier>) -> Result<ServerConfig, TlsConfigError> {
        let mut config = self.basics().server(verifier, &self.identity)?;
        config.send_tls13_tickets = usize::from(self.send_ticket);
        Ok(config)
    }
}

/// What sessions of every kind have in common: nothing that a caller can loosen is decided here.
#[derive(Clone, Copy)]
pub(crate) struct Basics<'a> {
    pub(crate) provider: &'a Arc<CryptoProvider>,
    pub(crate) time: &'a Arc<dyn TimeProvider>,
    pub(crate) max_record: usize,
    pub(crate) minimum: TlsVersion,
}

impl Basics<'_> {
    pub(crate) fn record_size(&self) -> usize {
        self.max_record.clamp(MIN_RECORD, MAX_RECORD)
    }

    /// rustls counts the header and the plaintext, not what encryption adds to it.
    fn fragment_size(&self) -> usize {
        self.record_size() - TLS13_OVERHEAD + 5
    }

    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        match self.minimum {
            TlsVersion::Tls12 => BOTH,
            TlsVersion::Tls13 => TLS13_ALONE,
        }
    }

    /// A client that resumes nothing and has no application protocol.
    pub(crate) fn client(
        &self,
        verifier: Arc<dyn ServerCertVerifier>,
        own: Arc<OwnCertificate>,
    ) -> Result<ClientConfig, TlsConfigError> {
        let builder = ClientConfig::builder_with_details(Arc::clone(self.provider), Arc::clone(self.time));
        let mut config = builder
            .with_protocol_versions(self.versions())
            .map_err(|error| TlsConfigError::Provider(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(own);
        config.max_fragment_size = Some(self.fragment_size());
        // No verifier is called in a resumed session.
        config.resumption = Resumption::disabled();
        config.require_ems = true;
        config.cert_compressors = Vec::new();
        config.cert_decompressors = Vec::new();
        config.cert_compression_cache = Arc::new(CompressionCache::Disabled);
        Ok(config)
    }

    /// A server that resumes nothing, sends no ticket and has no application protocol.
    pub(crate) fn server(
        &self,
        verifier: Arc<PeerVerifier>,
        identity: &Identity,
    ) -> Result<ServerConfig, TlsConfigError> {
        let builder = ServerConfig::builder_with_details(Arc::clone(self.provider), Arc::clone(self.time));
        let mut config = builder
            .with_protocol_versions(self.versions())
            .map_err(|error| TlsConfigError::Provider(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(OwnCertificate::of(Some(identity)));
        config.max_fragment_size = Some(self.fragment_size());
        // What is slow here does not show to the client.
        config.ignore_client_order = cfg!(target_family = "wasm");
        config.session_storage = Arc::new(NoSessions);
        config.send_tls13_tickets = 0;
        config.max_tls13_tickets = 0;
        config.require_ems = true;
        config.cert_compressors = Vec::new();
        config.cert_decompressors = Vec::new();
        config.cert_compression_cache = Arc::new(CompressionCache::Disabled);
        Ok(config)
    }
}

/// The size of records with which whole records fill a block of `block` bytes: as few of them as possible, all of one
/// size. 4096 for a block of 4096, 16380 for 32760 (two of them), 16383 for 65535 (four of them). Never less than
/// [`MIN_RECORD`]: in blocks smaller than that, records are split.
#[must_use]
pub fn record_size_for_block(block: usize) -> usize {
    let records = block.div_ceil(MAX_RECORD).max(1);
    (block / records).max(MIN_RECORD)
}

/// Why no session can be made with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// The cryptography cannot be used: it has no cipher suite for the versions, or the like.
    Provider(String),
    /// The cryptography gave no random numbers.
    NoRandom,
    /// The domain can be no server's name: [`TowardsServer::domain`](crate::TowardsServer::domain).
    Domain,
}

impl fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(what) => write!(f, "the cryptography provider cannot be used: {what}"),
            Self::NoRandom => f.write_str("no random numbers"),
            Self::Domain => f.write_str("the domain is neither a DNS name nor an IP address"),
        }
    }
}

impl std::error::Error for TlsConfigError {}

/// Presents the one certificate, whoever asks, or none.
#[derive(Debug)]
pub(crate) struct OwnCertificate {
    key: Option<Arc<CertifiedKey>>,
    /// A server has asked for it.
    requested: AtomicBool,
}

impl OwnCertificate {
    pub(crate) fn of(identity: Option<&Identity>) -> Arc<Self> {
        Arc::new(Self { key: identity.map(Identity::certified), requested: AtomicBool::new(false) })
    }

    /// A session begins, in which no server has asked yet. There is never more than one at a time.
    pub(crate) fn begin(&self) {
        self.requested.store(false, Ordering::Relaxed);
    }

    pub(crate) fn was_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for OwnCertificate {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.requested.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key.clone()
    }
}

/// Says yes, so that a ticket is sent, and gives nothing back, so that none is ever redeemed.
#[derive(Debug)]
struct NoSessions;

impl StoresServerSessions for NoSessions {
    fn put(&self, _key: Vec<u8>, _value: Vec<u8>) -> bool {
        true
    }

    fn get(&self, _key: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn take(&self, _key: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// TLS 1.2 asks this before it names a session, and needs none.
    fn can_cache(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_fill_blocks() {
        let table = [
            (4096, 4096),
            (8192, 8192),
            (16384, 16384),
            (16406, 16406),
            (16407, 8203),
            (32760, 16380),
            (32767, 16383),
            (65535, 16383),
            (1024, 1024),
            (64, 64),
            (63, 64),
            (1, 64),
            (0, 64),
        ];
        for (block, record) in table {
            assert_eq!(record_size_for_block(block), record, "block of {block}");
        }
        for block in MIN_RECORD..=65535 {
            let record = record_size_for_block(block);
            assert!((MIN_RECORD..=MAX_RECORD).contains(&record));
            assert!(block - block / record * record < 4, "{block} leaves more than a rounding empty");
        }
    }
}
