//! What an engine or a link is made from.

use core::fmt;

use xtls_stanza::{Ids, jid::Jid};
use xtls_tls::{TlsVersion, UnixTime};

use crate::{
    Instant,
    clock::Clock,
    environment::{Environment, Local, SecurityLimits},
    error::ConfigError,
    store::TrustStore,
};

/// Everything that an engine or a link is made from: `J` is the type of its address, `C` its configuration.
#[derive(Debug)]
#[non_exhaustive]
pub struct Setup<J, C> {
    /// Who you are.
    pub local: Local<J>,
    /// The memory of peers.
    pub store: Box<dyn TrustStore>,
    /// Where identifiers come from: 32 bytes from the operating system, or fixed ones where a run is to be replayed.
    pub seed: [u8; 32],
    /// The time of day when the engine or link is made, for the validity of certificates.
    pub time: UnixTime,
    /// Limits and behaviour.
    pub config: C,
}

/// Why no engine or link was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// A field of the configuration is out of range.
    Config(ConfigError),
    /// The cryptography provider can do neither TLS 1.2 nor 1.3: it has no cipher suites or no key exchange.
    Provider,
    /// The cryptography provider cannot do the TLS that [`SecurityLimits::minimum_tls`] demands.
    MinimumTls(TlsVersion),
}

impl<J, C: Default> Setup<J, C> {
    /// A setup with the default configuration.
    #[must_use]
    pub fn new(local: Local<J>, store: Box<dyn TrustStore>, seed: [u8; 32], time: UnixTime) -> Self {
        Self { local, store, seed, time, config: C::default() }
    }
}

impl<J, C> Setup<J, C> {
    /// The same with another configuration.
    #[must_use]
    pub fn with_config(self, config: C) -> Self {
        Self { config, ..self }
    }
}

impl Environment {
    /// What the channels of an engine or a link share; with its address, and where its identifiers come from.
    ///
    /// # Errors
    ///
    /// [`SetupError::Provider`] and [`SetupError::MinimumTls`].
    pub fn open<J: Clone + Into<Jid>, C>(
        setup: Setup<J, C>,
        limits: SecurityLimits,
        now: Instant,
    ) -> Result<(J, Self, Ids, C), SetupError> {
        let Setup { local, store, seed, time, config } = setup;
        if !local.has_tls(TlsVersion::Tls12) {
            return Err(SetupError::Provider);
        }
        if !local.has_tls(limits.minimum_tls) {
            return Err(SetupError::MinimumTls(limits.minimum_tls));
        }
        let (jid, env) = Self::new(local, limits, store, Clock::new(now, time));
        Ok((jid, env, Ids::new(seed), config))
    }
}

impl From<ConfigError> for SetupError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl SetupError {
    xtls_stanza::names! {
        /// A short and stable name, for logs and other languages. `Display` has words for users.
        self: &Self {
            Self::Config(_) => "config",
            Self::Provider => "provider",
            Self::MinimumTls(_) => "minimum-tls",
        }
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Provider => f.write_str("the cryptography provider cannot do TLS 1.2 or 1.3 here"),
            Self::MinimumTls(minimum) => {
                write!(f, "the cryptography provider cannot do {minimum}, which `security.minimum_tls` demands")
            }
        }
    }
}

impl core::error::Error for SetupError {}
