//! What a link is told once.

use xtls_channel::{ConfigError, SecurityLimits, Setup, Timers};
use xtls_stanza::{Limits, jid::Jid};
use xtls_stream::StartTlsDialect;

/// Everything that a [`Link`](crate::Link) is made from. Between peers your address is bare or full, and the bare one of the
/// initiating end is the user name of TLS-SRP (XEP-0250 § 2.3).
pub type LinkSetup = Setup<Jid, LinkConfig>;

/// Limits and behaviour of a [`Link`](crate::Link).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LinkConfig {
    /// How long things may take. The fields that are for tunnels have no effect.
    pub timers: Timers,
    /// Bounds on how peers may authenticate.
    pub security: SecurityLimits,
    /// Bounds on every header and child of the stream, in both directions.
    pub limits: Limits,
    /// How TLS is negotiated. Receiving, [`StartTlsDialect::Xep0035`] takes both. Default:
    /// [`StartTlsDialect::Rfc6120`].
    pub dialect: StartTlsDialect,
    /// Initiating: ask for TLS even when it is not offered, since an attacker may have taken the offer away
    /// (RFC 7590 § 3.1). Off, the link fails at once. Default on.
    pub try_unoffered: bool,
    /// Bytes that wait to be sent before `send` takes no more; at least 1024. Answers to the peer are not counted; they have
    /// 64 KiB of their own. Default 262 144.
    pub send_buffer: usize,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            timers: Timers::default(),
            security: SecurityLimits::default(),
            limits: Limits::default(),
            dialect: StartTlsDialect::default(),
            try_unoffered: true,
            send_buffer: 256 * 1024,
        }
    }
}

impl LinkConfig {
    /// Checks every field against its documented bounds.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let send_buffer = (self.send_buffer < 1024).then_some("send_buffer");
        let fault = send_buffer.or_else(|| self.security.fault()).or_else(|| self.timers.fault());
        fault.map_or(Ok(()), |field| Err(ConfigError::new(field)))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

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
        assert_eq!(refused(|config| config.security.guesses.in_a_row = 0), Some("security.guesses.in_a_row"));
        assert_eq!(
            refused(|config| config.security.guesses.cooldown = Duration::ZERO),
            Some("security.guesses.cooldown")
        );
        assert_eq!(refused(|config| config.timers.answer = Duration::ZERO), Some("timers.answer"));
        assert_eq!(refused(|config| config.timers.keep_alive = None), None);
        assert_eq!(refused(|config| config.timers.keep_alive = Some(Duration::ZERO)), Some("timers.keep_alive"));
        assert_eq!(refused(|config| config.timers.silence = Some(Duration::ZERO)), Some("timers.silence"));
    }
}
