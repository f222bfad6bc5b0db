//! TLS for XTLS, sans-IO: one session type for both methods, `x509` with certificates over rustls and `srp` with a
//! password over tls-srp.
//!
//! - [`Identity`] is what an entity proves who it is with: a certificate, self-signed or issued by an authority, and its
//!   private key.
//! - [`PeerCertificate`] is what the other side presented.
//! - [`Authorities`] are those whose word is taken for whom a certificate belongs to, if any are.
//! - [`TlsConfig`] says how a session is to be made: above all how the peer is verified ([`Verification`]).
//! - [`SrpConfig`] says the same for a session with a password.
//! - [`TlsSession`] turns records into plaintext and plaintext into records, as a client or as a server. With
//!   certificates both sides always present one, and no session is ever resumed, so the peer is verified each time.
//! - [`TowardsServer`] and [`TowardsClient`] are for a client and its server instead, where the client may have no
//!   certificate and the server is known by its domain.
//! - [`client_hello_method`] tells which method a client asks for, before there is a session to read its first bytes.
//!
//! Nothing here reads a clock or a socket. Wall time comes from the `TimeProvider` and randomness from the
//! `CryptoProvider` that the caller passes in. What a peer does wrong is a [`TlsError`]; the caller's own mistakes are
//! [`WriteError`], [`ExportError`], [`IdentityError`], [`SrpCredentialsError`] and [`TlsConfigError`].
//!
//! ```
//! use std::sync::Arc;
//! use xtls_tls::{default_provider, Identity, KeyAlgorithm, TlsConfig, TlsSession, UnixTime, Verification};
//!
//! # #[derive(Debug)] struct Noon;
//! # impl rustls::time_provider::TimeProvider for Noon {
//! #     fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
//! #         Some(rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_760_000_000)))
//! #     }
//! # }
//! # let time = Arc::new(Noon);
//! let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_760_000_000));
//! let juliet = Identity::generate(&"juliet@capulet.lit".parse()?, KeyAlgorithm::EcdsaP256, now)?;
//! let romeo = Identity::generate(&"romeo@montague.lit".parse()?, KeyAlgorithm::EcdsaP256, now)?;
//! let pin = |identity: &Identity| Verification::Pinned(vec![identity.fingerprint_sha256()]);
//! let client = TlsConfig::new(romeo.clone(), default_provider(), time.clone(), pin(&juliet));
//! let server = TlsConfig::new(juliet.clone(), default_provider(), time, pin(&romeo));
//!
//! let (mut to_server, mut to_client, mut plaintext) = (Vec::new(), Vec::new(), Vec::new());
//! let mut client = TlsSession::client(&client, &mut to_server)?;
//! let mut server = TlsSession::server(&server)?;
//! while client.is_handshaking() || server.is_handshaking() {
//!     server.read(&std::mem::take(&mut to_server), &mut plaintext, &mut to_client)?;
//!     client.read(&std::mem::take(&mut to_client), &mut plaintext, &mut to_server)?;
//! }
//! client.write(b"But soft!", &mut to_server)?;
//! server.read(&to_server, &mut plaintext, &mut to_client)?;
//! assert_eq!(plaintext, b"But soft!");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With a password the two sides are made like this, and used alike:
//!
//! ```
//! use xtls_tls::{SrpConfig, SrpCredentials, TlsSession, default_provider};
//!
//! let credentials = SrpCredentials::new("romeo@montague.lit", "wherefore art thou")?;
//! let config = SrpConfig::new(credentials, default_provider());
//! let mut to_server = Vec::new();
//! let client = TlsSession::srp_client(&config, &mut to_server)?;
//! let server = TlsSession::srp_server(&config)?;
//! # assert!(client.is_handshaking() && server.is_handshaking() && !to_server.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Towards a server, with the name of its domain and the authorities that may vouch for it:
//!
//! ```
//! use std::sync::Arc;
//! use xtls_tls::{Authorities, ServerVerification, SessionCache, TlsSession, TowardsServer, default_provider};
//!
//! fn begin(roots_pem: &str, time: Arc<dyn rustls::time_provider::TimeProvider>) -> Result<(), Box<dyn std::error::Error>> {
//!     let authorities = Arc::new(Authorities::from_pem(roots_pem)?);
//!     let domain = "capulet.lit".parse()?;
//!     let verification = ServerVerification::Authorities(authorities);
//!     let mut config = TowardsServer::new(domain, default_provider(), time, verification);
//!     config.sessions = Some(SessionCache::new());
//!     let mut to_server = Vec::new();
//!     let session = TlsSession::towards_server(&config, &mut to_server)?;
//!     assert!(session.is_handshaking() && !to_server.is_empty());
//!     Ok(())
//! }
//! # #[derive(Debug)] struct Noon;
//! # impl rustls::time_provider::TimeProvider for Noon {
//! #     fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
//! #         Some(rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_760_000_000)))
//! #     }
//! # }
//! # let mut params = rcgen::CertificateParams::default();
//! # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
//! # let root = params.self_signed(&rcgen::KeyPair::generate()?)?;
//! # let root = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, root.der());
//! # let root = format!("-----BEGIN CERTIFICATE-----\n{root}\n-----END CERTIFICATE-----\n");
//! # begin(&root, Arc::new(Noon))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alert;
mod authorities;
mod certificate;
mod config;
mod domain;
mod error;
mod identity;
mod pem;
mod provider;
mod records;
mod secret;
mod session;
mod session_cache;
mod sniff;
mod srp;
mod towards;
mod verify;

pub use alert::Alert;
pub use authorities::{Authorities, AuthoritiesError, MAX_AUTHORITIES};
pub use certificate::{CertificateFault, ChainFault, MAX_CERTIFICATE, MAX_CHAIN, PeerCertificate};
pub use certificate::{KnownCertificates, MAX_KNOWN_CERTIFICATES};
pub use config::{MAX_RECORD, MIN_RECORD};
pub use config::{TlsConfig, TlsConfigError, TlsVersion, record_size_for_block};
pub use error::{ExportError, TlsError, TlsErrorKind, WriteError};
pub use identity::{Identity, IdentityError, IdentityPem, KeyAlgorithm, MAX_CHAIN_BYTES};
pub use provider::can_do;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use provider::default_provider;
pub use records::{Records, whole_records};
/// Time of day: seconds since 1970-01-01 UTC.
pub use rustls::pki_types::UnixTime;
pub use secret::Secret;
pub use session::{MAX_HANDSHAKE, TlsParameters, TlsSession};
pub use session_cache::{MAX_TICKETS, SessionCache};
pub use sniff::{ClientHelloMethod, ClientHelloWatch, client_hello_method};
pub use srp::SrpConfig;
pub use tls_srp::{Credentials as SrpCredentials, CredentialsError as SrpCredentialsError, MAX_PASSWORD, MAX_USERNAME};
pub use towards::{ClientVerification, ServerVerification, TowardsClient, TowardsServer};
pub use verify::Verification;

#[cfg(test)]
mod testing;
