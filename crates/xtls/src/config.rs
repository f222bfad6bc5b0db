//! What an engine is told once: bounds, timers, and who it speaks for.

use core::{fmt, time::Duration};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use xtls_jingle::Profile;
use xtls_stanza::{Limits, jid::FullJid};
use xtls_tls::{Authorities, Identity, TlsVersion};

/// Whom an engine speaks for: one full JID, one certificate, one source of cryptography.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Local {
    /// The full JID that the outer stream is bound to.
    pub jid: FullJid,
    /// The own certificate and key.
    pub identity: Identity,
    /// Where TLS gets its algorithms and its randomness from.
    pub provider: Arc<CryptoProvider>,
    /// Whose word counts under [`TrustPolicy::Authorities`](crate::TrustPolicy::Authorities). Nobody's by default.
    pub authorities: Option<Arc<Authorities>>,
}

impl Local {
    /// The entity `jid` with its identity; cryptography and randomness come from aws-lc-rs.
    #[must_use]
    pub fn new(jid: FullJid, identity: Identity) -> Self {
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

/// Bounds and habits of an [`Engine`](crate::Engine). The default suits a client on a public server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// How long things may take.
    pub timers: Timers,
    /// What is offered, and what is taken, where the specifications or the clients written to them differ; the table is
    /// [`Dialect`](xtls_jingle::Dialect)'s. No profile weakens security. Default [`Profile::Tolerant`].
    pub profile: Profile,
    /// Bounds on a stanza of the outer stream.
    pub stanza_limits: Limits,
    /// Bounds on a stanza inside a tunnel.
    pub tunnel_limits: Limits,
    /// Tunnels and undecided offers with one full JID, 1 to 1024. Default 4.
    pub tunnels_per_peer: usize,
    /// Tunnels and undecided offers in all, 1 to 65 536. Default 64.
    pub tunnels: usize,
    /// Bytes of a block that are offered and accepted (XEP-0047 § 2.1), a multiple of 4 from 256 to 65 535; above 32 760
    /// only if every server on the way takes stanzas of that size. Default 4096.
    pub block_size: u16,
    /// How many blocks may be on their way at once.
    pub window: Window,
    /// Received plaintext bytes that wait for the application, per tunnel, before acknowledgements are withheld. At
    /// least 1. Default 65 536.
    pub receive_buffer: usize,
    /// Bytes of TLS records that wait to be sent, per tunnel, before `write` takes no more; at least 1024. Default
    /// 262 144.
    pub send_buffer: usize,
    /// The oldest TLS version that is accepted with certificates; with a password it is always 1.2. Default 1.2.
    pub minimum_tls: TlsVersion,
    /// Wrong passwords with one peer until no more are tried, by either side; at least 1. Default 3.
    pub password_tries: u32,
    /// How long no more are tried then; afterwards one for each time as long. Not zero. Default 1 h.
    pub password_cooldown: Duration,
    /// Nobody else handles Jingle or in-band bytestreams here: what the engine does not hold it refuses at once instead
    /// of saying [`Disposition::Unclaimed`](crate::Disposition::Unclaimed). Default off.
    pub sole_handler: bool,
    /// A peer that has an XML stream tunnel with us may put a new one in its place. Off, the new one is refused with
    /// alternative-session. Default off.
    pub replace_tunnels: bool,
    /// Who gets an answer to the question what we are ready for (XEP-0250 § 3.2): at most three a minute for each bare JID
    /// and 60 in all. Default [`AnswerOffers::Known`].
    pub answer_offers: AnswerOffers,
    /// Say in such an answer that a password may be shared (`<srp/>`), if who asks says so too. Default off.
    pub offers_password: bool,
    /// Say in such an answer that a certificate is taken that cannot be verified yet (`<insecure/>`). Default off.
    pub offers_insecure: bool,
    /// Write the own address into `from`: for components, whose server stamps nothing. Default off.
    pub stamp_from: bool,
}

/// Who gets an answer to the question what we are ready for (XEP-0250 § 3.2). The answer shows whether a certificate of who
/// asks is trusted. To everybody else it is a question like any that is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AnswerOffers {
    /// Nobody.
    Never,
    /// Those that [`Engine::allow_offers`](crate::Engine::allow_offers) names.
    Allowed,
    /// Those too, and peers that have a pin, that were secured before, or that have a tunnel with us, also one that is not
    /// secured yet; an offer of theirs that was not accepted is none.
    #[default]
    Known,
}

/// How many unacknowledged blocks may be on their way (XEP-0047 § 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Window {
    /// Adapts between 1 and 32 blocks, starting at 4.
    Adaptive,
    /// Always this many, 1 to 32. With 1, each block waits for the acknowledgement of the one before it.
    Fixed(u16),
}

/// How long things may take, each in the caller's time. None may be zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timers {
    /// From initiate to accept, and every question that waits for a person. An initiator that offers the password method
    /// cannot see whether the responder's person is asked for the password, and so waits for twice as long. Default 300 s.
    pub ring: Duration,
    /// From the first TLS byte to a finished handshake; it stands still while a person judges a certificate. An end that
    /// cannot see whether the other's person does adds `ring` behind its own part of the handshake: a responder, and in
    /// TLS 1.2 an initiator. Until the first TLS byte a responder waits for `ring`, and where the initiator's person may
    /// be asked for a password for this behind it. Default 60 s.
    pub handshake: Duration,
    /// Any IQ but data, and the peer's stream header; this one once it has confirmed us, until then `ring` longer, since its
    /// person may be judging our certificate. Default 30 s.
    pub answer: Duration,
    /// Data without an acknowledgement while the peer is alive. Default 600 s.
    pub stall: Duration,
    /// The wait before blocks that came back with a temporary delivery error are sent again (XEP-0047 § 2.2). It doubles as
    /// long as none gets through, and `stall` ends it. Default 2 s.
    pub retry: Duration,
    /// Silence until the peer is asked for a sign of life (XEP-0166 § 6.8). Default 30 s.
    pub liveness_idle: Duration,
    /// The wait for that sign. Default 30 s.
    pub liveness_answer: Duration,
    /// Silence after the peer's unavailable presence (XEP-0166 § 6.7). Default 8 s.
    pub gone: Duration,
    /// The initiator's wait for the responder's first authenticated byte. Default 3 s.
    pub confirm: Duration,
    /// An orderly end that is not answered, once all that was written before it is acknowledged. Default 5 s.
    pub close: Duration,
    /// Received data that nobody reads after the end. Default 60 s.
    pub drain: Duration,
    /// A tunnel without a stream, after one was closed in it. Default 30 s.
    pub reuse: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timers: Timers::default(),
            profile: Profile::default(),
            stanza_limits: Limits::default(),
            tunnel_limits: Limits::default(),
            tunnels_per_peer: 4,
            tunnels: 64,
            block_size: 4096,
            window: Window::Adaptive,
            receive_buffer: 64 * 1024,
            send_buffer: 256 * 1024,
            minimum_tls: TlsVersion::Tls12,
            password_tries: 3,
            password_cooldown: Duration::from_secs(60 * 60),
            sole_handler: false,
            replace_tunnels: false,
            answer_offers: AnswerOffers::default(),
            offers_password: false,
            offers_insecure: false,
            stamp_from: false,
        }
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            ring: Duration::from_secs(300),
            handshake: Duration::from_secs(60),
            answer: Duration::from_secs(30),
            stall: Duration::from_secs(600),
            retry: Duration::from_secs(2),
            liveness_idle: Duration::from_secs(30),
            liveness_answer: Duration::from_secs(30),
            gone: Duration::from_secs(8),
            confirm: Duration::from_secs(3),
            close: Duration::from_secs(5),
            drain: Duration::from_secs(60),
            reuse: Duration::from_secs(30),
        }
    }
}

/// A field of [`Config`] that has no sense: its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
}

impl Config {
    /// Checks every field against its documented bounds.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let timers = &self.timers;
        let window_fits = match self.window {
            Window::Adaptive => true,
            Window::Fixed(blocks) => (1..=32).contains(&blocks),
        };
        let checks = [
            ("tunnels_per_peer", (1..=1024).contains(&self.tunnels_per_peer)),
            ("tunnels", (1..=65_536).contains(&self.tunnels)),
            (
                "block_size",
                self.block_size >= 256 && (self.block_size.is_multiple_of(4) || self.block_size == u16::MAX),
            ),
            ("window", window_fits),
            ("receive_buffer", self.receive_buffer >= 1),
            ("send_buffer", self.send_buffer >= 1024),
            ("password_tries", self.password_tries >= 1),
            ("password_cooldown", !self.password_cooldown.is_zero()),
            ("timers.ring", !timers.ring.is_zero()),
            ("timers.handshake", !timers.handshake.is_zero()),
            ("timers.answer", !timers.answer.is_zero()),
            ("timers.stall", !timers.stall.is_zero()),
            ("timers.retry", !timers.retry.is_zero()),
            ("timers.liveness_idle", !timers.liveness_idle.is_zero()),
            ("timers.liveness_answer", !timers.liveness_answer.is_zero()),
            ("timers.gone", !timers.gone.is_zero()),
            ("timers.confirm", !timers.confirm.is_zero()),
            ("timers.close", !timers.close.is_zero()),
            ("timers.drain", !timers.drain.is_zero()),
            ("timers.reuse", !timers.reuse.is_zero()),
        ];
        match checks.into_iter().find(|(_, fits)| !fits) {
            Some((field, _)) => Err(ConfigError { field }),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`Config::{}` is outside of its documented bounds", self.field)
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> Option<&'static str> {
        let mut config = Config::default();
        change(&mut config);
        config.check().err().map(|error| error.field)
    }

    #[test]
    fn the_default_is_sound() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn each_bound_holds_at_its_limit_and_not_one_past_it() {
        for block_size in [256, 4096, 32_760, u16::MAX] {
            assert_eq!(refused(|config| config.block_size = block_size), None, "{block_size}");
        }
        for block_size in [0, 252, 255, 257, 4094, 65_534] {
            assert_eq!(refused(|config| config.block_size = block_size), Some("block_size"), "{block_size}");
        }
        assert_eq!(refused(|config| config.tunnels_per_peer = 0), Some("tunnels_per_peer"));
        assert_eq!(refused(|config| config.tunnels_per_peer = 1024), None);
        assert_eq!(refused(|config| config.tunnels_per_peer = 1025), Some("tunnels_per_peer"));
        assert_eq!(refused(|config| config.tunnels = 65_536), None);
        assert_eq!(refused(|config| config.tunnels = 65_537), Some("tunnels"));
        assert_eq!(refused(|config| config.window = Window::Fixed(0)), Some("window"));
        assert_eq!(refused(|config| config.window = Window::Fixed(32)), None);
        assert_eq!(refused(|config| config.window = Window::Fixed(33)), Some("window"));
        assert_eq!(refused(|config| config.receive_buffer = 0), Some("receive_buffer"));
        assert_eq!(refused(|config| config.send_buffer = 1023), Some("send_buffer"));
        assert_eq!(refused(|config| config.timers.gone = Duration::ZERO), Some("timers.gone"));
    }
}
