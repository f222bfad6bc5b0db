//! What an engine is told once: limits, behaviour and timers.

pub use xtls_channel::{ConfigError, SecurityLimits, Timers};
use xtls_jingle::Profile;
use xtls_stanza::Limits;

use crate::flow::Flow;

/// Limits and behaviour of an [`Engine`](crate::Engine). The default suits a client on a public server.
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
    /// Tunnels and undecided offers in all, 1 to 100 000. Default 64. Offers of strangers take at most half of them, an eighth for
    /// one domain and two for one account, until the stranger is authenticated. A stranger has no pin, was never secured, and was
    /// not named with [`Engine::allow_offers`](crate::Engine::allow_offers).
    pub tunnels: usize,
    /// Bytes of a block that are offered and accepted (XEP-0047 § 2.1), a multiple of 4 from 256 to 65 535; above 32 760
    /// only if every server on the way takes stanzas of that size. Default 4096.
    pub block_size: u16,
    /// How many blocks may be on their way at once. [`Engine::set_window`](crate::Engine::set_window) changes it later.
    pub window: Window,
    /// Received plaintext bytes that wait for the application, per tunnel, before acknowledgements are withheld; in an XML
    /// stream also what the events that wait hold in memory, before nothing more of it is read. At least 1. Default 65 536.
    pub receive_buffer: usize,
    /// Bytes of TLS records that wait to be sent, per tunnel, before `write` takes no more; at least 1024. Answers to the peer
    /// are not counted; they have 64 KiB of their own. Default 262 144.
    pub send_buffer: usize,
    /// Bounds on how peers may authenticate.
    pub security: SecurityLimits,
    /// Nobody else handles Jingle or in-band bytestreams here: what the engine does not hold it refuses at once instead
    /// of saying [`Disposition::Unclaimed`](crate::Disposition::Unclaimed), and it answers requests that are malformed (RFC 6120
    /// § 8.2.3). Default off.
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
    /// Refuse a peer that does not show the negotiation hash inside of the tunnel: what it saw of the negotiation outside. Older
    /// peers have none, and neither has raw data under a description that is not the library's own. Off, a peer needs none until
    /// it has shown one. Default off.
    pub require_negotiation_hash: bool,
    /// Write your address into `from`: for components, whose server stamps nothing. Default off.
    pub stamp_from: bool,
    /// Announce SOCKS5 bytestreams (XEP-0260) and take offers of them. Whoever turns it on makes the connections that
    /// [`Event::Connect`](crate::Event::Connect) asks for. Which candidates are given away and dialled says each tunnel's
    /// [`Reach`](crate::transports::Reach). Default off.
    pub socks5: bool,
}

/// Who gets an answer to the question what we are ready for (XEP-0250 § 3.2), and may learn that we are there
/// ([`Event::PresenceWanted`](crate::Event::PresenceWanted)). The answer shows whether a certificate of who
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
    /// As many as the path holds and no more, so that what else goes over the outer stream does not wait for long: 1 to 32
    /// blocks and at most 1 MiB of stanzas, starting at 4 blocks. All tunnels of an engine share them and take turns.
    Adaptive,
    /// Always this many for each tunnel, 1 to 32. With 1, each block waits for the acknowledgement of the one before it.
    Fixed(u16),
}

impl Window {
    fn fits(self) -> bool {
        match self {
            Self::Adaptive => true,
            Self::Fixed(blocks) => (1..=Flow::MAX_BLOCKS).contains(&blocks),
        }
    }
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
            security: SecurityLimits::default(),
            sole_handler: false,
            replace_tunnels: false,
            answer_offers: AnswerOffers::default(),
            offers_password: false,
            offers_insecure: false,
            require_negotiation_hash: false,
            stamp_from: false,
            socks5: false,
        }
    }
}

impl Config {
    /// Changes the window, if it is within its bounds.
    pub(crate) fn set_window(&mut self, window: Window) -> Result<(), ConfigError> {
        if !window.fits() {
            return Err(ConfigError::new("window"));
        }
        self.window = window;
        Ok(())
    }

    /// Checks every field against its documented bounds.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let checks = [
            ("tunnels_per_peer", (1..=1024).contains(&self.tunnels_per_peer)),
            ("tunnels", (1..=100_000).contains(&self.tunnels)),
            (
                "block_size",
                self.block_size >= 256 && (self.block_size.is_multiple_of(4) || self.block_size == u16::MAX),
            ),
            ("window", self.window.fits()),
            ("receive_buffer", self.receive_buffer >= 1),
            ("send_buffer", self.send_buffer >= 1024),
        ];
        let own = checks.into_iter().find(|(_, fits)| !fits).map(|(field, _)| field);
        match own.or_else(|| self.timers.fault()).or_else(|| self.security.fault()) {
            Some(field) => Err(ConfigError::new(field)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

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
        assert_eq!(refused(|config| config.tunnels_per_peer = 1), None);
        assert_eq!(refused(|config| config.tunnels_per_peer = 1024), None);
        assert_eq!(refused(|config| config.tunnels_per_peer = 1025), Some("tunnels_per_peer"));
        assert_eq!(refused(|config| config.tunnels = 0), Some("tunnels"));
        assert_eq!(refused(|config| config.tunnels = 1), None);
        assert_eq!(refused(|config| config.tunnels = 100_000), None);
        assert_eq!(refused(|config| config.tunnels = 100_001), Some("tunnels"));
        assert_eq!(refused(|config| config.window = Window::Fixed(0)), Some("window"));
        assert_eq!(refused(|config| config.window = Window::Fixed(1)), None);
        assert_eq!(refused(|config| config.window = Window::Fixed(32)), None);
        assert_eq!(refused(|config| config.window = Window::Fixed(33)), Some("window"));
        assert_eq!(refused(|config| config.receive_buffer = 0), Some("receive_buffer"));
        assert_eq!(refused(|config| config.receive_buffer = 1), None);
        assert_eq!(refused(|config| config.send_buffer = 1023), Some("send_buffer"));
        assert_eq!(refused(|config| config.send_buffer = 1024), None);
        assert_eq!(refused(|config| config.timers.gone = Duration::ZERO), Some("timers.gone"));
        assert_eq!(refused(|config| config.security.guesses.in_a_row = 0), Some("security.guesses.in_a_row"));
        let field = refused(|config| config.security.guesses.cooldown = Duration::ZERO);
        assert_eq!(field, Some("security.guesses.cooldown"));
    }
}
