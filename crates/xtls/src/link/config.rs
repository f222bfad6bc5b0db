//! What a link is told once.

use core::{fmt, time::Duration};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use xtls_stanza::{Limits, Method, jid::Jid};
use xtls_stream::StartTlsDialect;
use xtls_tls::{Authorities, Identity, TlsVersion};

use crate::{
    config::ConfigError,
    password::Password,
    trust::{TrustPolicy, TrustStore},
};

/// Whom a link speaks for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LinkLocal {
    /// The own address, bare or full. Between peers the bare one of the initiating end is the user name of TLS-SRP (XEP-0250
    /// § 2.3).
    pub jid: Jid,
    /// The own certificate and key.
    pub identity: Identity,
    /// Where TLS gets its algorithms and its randomness from.
    pub provider: Arc<CryptoProvider>,
    /// Whose word counts under [`TrustPolicy::Authorities`]. Nobody's by default.
    pub authorities: Option<Arc<Authorities>>,
}

/// Everything that a [`Link`](crate::Link) is made from.
#[derive(Debug)]
#[non_exhaustive]
pub struct LinkSetup {
    /// Who we are.
    pub local: LinkLocal,
    /// The memory of peers.
    pub store: Box<dyn TrustStore>,
    /// Where the identifiers of streams come from: 32 bytes from the operating system.
    pub seed: [u8; 32],
    /// Wall time at the moment that the link is made, since 1970-01-01 UTC.
    pub unix_time: Duration,
    /// Bounds and habits.
    pub config: LinkConfig,
}

/// Bounds and habits of a [`Link`](crate::Link).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LinkConfig {
    /// How long things may take.
    pub timers: LinkTimers,
    /// Bounds on every header and child of the stream, in both directions.
    pub limits: Limits,
    /// How TLS is negotiated. Receiving, [`StartTlsDialect::Xep0035`] takes both. Default:
    /// [`StartTlsDialect::Rfc6120`].
    pub dialect: StartTlsDialect,
    /// Initiating: ask for TLS even when it is not offered, since somebody in between may have taken the offer away
    /// (draft-ietf-uta-xmpp-04 § 3.1). Off, the link fails at once. Default on.
    pub try_unoffered: bool,
    /// The oldest TLS version that is accepted with certificates; with a password it is always 1.2. Default 1.2.
    pub minimum_tls: TlsVersion,
    /// Bytes that wait to be sent before `send` takes no more; at least 1024. Default 262 144.
    pub send_buffer: usize,
    /// Wrong passwords with one peer until no more are tried, by either side; at least 1. Default 3.
    pub password_tries: u32,
    /// How long no more are tried then; afterwards one for each time as long. Not zero. Default 1 h.
    pub password_cooldown: Duration,
}

/// How long things may take, each in the caller's time. None may be zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkTimers {
    /// Each step of the peer's until the link is open: a header, features, the question for TLS and the answer to it. Where
    /// the peer's person may be asked something first, `question` is added. Default 30 s.
    pub step: Duration,
    /// Every question to this end's person: whether to take the link, for a password, about a certificate. Default 300 s.
    pub question: Duration,
    /// From the agreement on TLS to the end of the handshake; it stands still while a person judges a certificate. An
    /// end that cannot see whether the other end's person does adds `question` behind its own part of the handshake: the
    /// receiving one, and in TLS 1.2 the one that initiates between peers. Default 60 s.
    pub handshake: Duration,
    /// An end that is not answered. Default 5 s.
    pub close: Duration,
    /// Nothing was sent on an open link for so long: white space is (RFC 6120 § 4.6.1). `None` sends none. Default 60 s.
    pub keep_alive: Option<Duration>,
    /// Nothing came over an open link for so long: the peer is taken for gone (RFC 6120 § 4.6). Only for peers that are
    /// known to send white space, as this library does. Default `None`: as long as the connection stands.
    pub silence: Option<Duration>,
}

/// Under which conditions a link between peers is made: whom to believe.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LinkTerms {
    /// The TLS methods that are allowed. Default X.509 alone. Which of them is taken follows from what is known: a pinned
    /// certificate, then a password, then what the trust policy makes of an unknown certificate.
    pub methods: Vec<Method>,
    /// The password that is shared with the peer, if it is known already. Without one, and with [`Method::Srp`] among the
    /// methods, [`LinkEvent::PasswordRequired`](crate::LinkEvent::PasswordRequired) asks for it where it is needed.
    pub password: Option<Password>,
    /// What makes a certificate acceptable. [`TrustPolicy::LeapOfFaith`] takes no leap where the password method is allowed
    /// too, unless somebody has answered that there is no password.
    pub trust: TrustPolicy,
}

impl LinkLocal {
    /// The entity `jid` with its identity; cryptography and randomness come from aws-lc-rs.
    #[must_use]
    pub fn new(jid: Jid, identity: Identity) -> Self {
        Self { jid, identity, provider: xtls_tls::default_provider(), authorities: None }
    }

    /// The same with these authorities for the certificates of peers.
    #[must_use]
    pub fn with_authorities(self, authorities: Arc<Authorities>) -> Self {
        Self { authorities: Some(authorities), ..self }
    }

    /// The same with another provider.
    #[must_use]
    pub fn with_provider(self, provider: Arc<CryptoProvider>) -> Self {
        Self { provider, ..self }
    }
}

impl LinkSetup {
    /// A setup with the default configuration.
    #[must_use]
    pub fn new(local: LinkLocal, store: Box<dyn TrustStore>, seed: [u8; 32], unix_time: Duration) -> Self {
        Self { local, store, seed, unix_time, config: LinkConfig::default() }
    }

    /// The same with another configuration.
    #[must_use]
    pub fn with_config(self, config: LinkConfig) -> Self {
        Self { config, ..self }
    }
}

impl LinkTerms {
    /// Certificates alone, trusted by this policy.
    #[must_use]
    pub fn new(trust: TrustPolicy) -> Self {
        Self { methods: vec![Method::X509], password: None, trust }
    }

    /// The same with the password method allowed too, and this password for it.
    #[must_use]
    pub fn with_password(self, password: Password) -> Self {
        Self { password: Some(password), ..self.asking_password() }
    }

    /// The same with the password method allowed too; the password is asked for where it is needed.
    #[must_use]
    pub fn asking_password(mut self) -> Self {
        if !self.methods.contains(&Method::Srp) {
            self.methods.push(Method::Srp);
        }
        self
    }
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            timers: LinkTimers::default(),
            limits: Limits::default(),
            dialect: StartTlsDialect::default(),
            try_unoffered: true,
            minimum_tls: TlsVersion::Tls12,
            send_buffer: 256 * 1024,
            password_tries: 3,
            password_cooldown: Duration::from_secs(60 * 60),
        }
    }
}

impl Default for LinkTimers {
    fn default() -> Self {
        Self {
            step: Duration::from_secs(30),
            question: Duration::from_secs(300),
            handshake: Duration::from_secs(60),
            close: Duration::from_secs(5),
            keep_alive: Some(Duration::from_secs(60)),
            silence: None,
        }
    }
}

impl LinkConfig {
    /// Checks every field against its documented bounds.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let timers = &self.timers;
        let is_set = |timer: Option<Duration>| timer.is_none_or(|timer| !timer.is_zero());
        let checks = [
            ("send_buffer", self.send_buffer >= 1024),
            ("password_tries", self.password_tries >= 1),
            ("password_cooldown", !self.password_cooldown.is_zero()),
            ("timers.step", !timers.step.is_zero()),
            ("timers.question", !timers.question.is_zero()),
            ("timers.handshake", !timers.handshake.is_zero()),
            ("timers.close", !timers.close.is_zero()),
            ("timers.keep_alive", is_set(timers.keep_alive)),
            ("timers.silence", is_set(timers.silence)),
        ];
        match checks.into_iter().find(|(_, fits)| !fits) {
            Some((field, _)) => Err(ConfigError { field }),
            None => Ok(()),
        }
    }
}

/// What a link waits for, with a limit in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LinkTimer {
    /// The peer's next step.
    Step,
    /// This end's person.
    Question,
    /// The end of the TLS handshake.
    Handshake,
    /// The peer's part in an orderly end.
    Close,
    /// The moment for white space.
    KeepAlive,
    /// Any sign of life.
    Silence,
}

impl fmt::Display for LinkTimer {
    /// What was waited for, as in "no … in time".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Step => "answer",
            Self::Question => "decision",
            Self::Handshake => "end of the TLS handshake",
            Self::Close => "answer to the end",
            Self::KeepAlive | Self::Silence => "sign of life",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut LinkConfig)) -> Option<&'static str> {
        let mut config = LinkConfig::default();
        change(&mut config);
        config.check().err().map(|error| error.field)
    }

    #[test]
    fn each_bound_holds_at_its_limit_and_not_one_past_it() {
        assert_eq!(refused(|_| {}), None);
        assert_eq!(refused(|config| config.send_buffer = 1024), None);
        assert_eq!(refused(|config| config.send_buffer = 1023), Some("send_buffer"));
        assert_eq!(refused(|config| config.password_tries = 0), Some("password_tries"));
        assert_eq!(refused(|config| config.password_cooldown = Duration::ZERO), Some("password_cooldown"));
        assert_eq!(refused(|config| config.timers.step = Duration::ZERO), Some("timers.step"));
        assert_eq!(refused(|config| config.timers.keep_alive = None), None);
        assert_eq!(refused(|config| config.timers.keep_alive = Some(Duration::ZERO)), Some("timers.keep_alive"));
        assert_eq!(refused(|config| config.timers.silence = Some(Duration::ZERO)), Some("timers.silence"));
    }
}
