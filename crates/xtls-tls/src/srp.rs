//! How a session with a password is to be made (RFC 5054).

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SecureRandom};
use tls_srp::{Credentials, Random, RandomFailed};

use crate::config::{MAX_RECORD, MIN_RECORD};

/// How a session with a password is to be made. [`SrpConfig::new`] fills in the defaults; the fields can be changed after
/// that.
///
/// There is one profile: TLS 1.2 with AES-CBC, encrypt-then-MAC, the extended master secret and renegotiation_info, in
/// groups of RFC 5054 appendix A. A server uses the one of 3072 bits, a client takes those of 2048, 3072, 4096 and 8192.
/// `Debug` does not show the password.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SrpConfig {
    /// The name and the password, the same on both sides. XEP-0250 § 2.3: "both clients MUST use the bare JID of the
    /// initiator as username", so whoever uses a session in XMPP puts that in, and never what the peer says.
    pub credentials: Credentials,
    /// The randomness, and nothing else of it. See [`default_provider`](crate::default_provider).
    pub provider: Arc<CryptoProvider>,
    /// The longest record to send, in bytes on the wire with all that encryption adds. Default [`MAX_RECORD`]; values
    /// outside [`MIN_RECORD`]..=[`MAX_RECORD`] are taken as the nearest of the two. As CBC fills blocks of 16 bytes,
    /// records with data are up to 15 bytes shorter. See [`record_size_for_block`](crate::record_size_for_block).
    pub max_record: usize,
}

impl SrpConfig {
    /// A configuration with the defaults.
    #[must_use]
    pub const fn new(credentials: Credentials, provider: Arc<CryptoProvider>) -> Self {
        Self { credentials, provider, max_record: MAX_RECORD }
    }

    pub(crate) fn record_size(&self) -> usize {
        self.max_record.clamp(MIN_RECORD, MAX_RECORD)
    }

    pub(crate) fn random(&self) -> Box<dyn Random + Send + Sync> {
        Box::new(ProviderRandom(self.provider.secure_random))
    }
}

/// The random numbers of a provider, as tls-srp wants them.
struct ProviderRandom(&'static dyn SecureRandom);

impl Random for ProviderRandom {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        self.0.fill(out).map_err(|_| RandomFailed)
    }
}
