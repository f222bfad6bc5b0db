//! How a tunnel is doing: for a progress bar, a status page, a report of what went wrong.

use core::{fmt, time::Duration};

/// How far a tunnel has come. It moves down this list, but for a redirected offer, which begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TunnelPhase {
    /// Responder: nobody has decided on the offer.
    Ringing,
    /// Initiator: the peer is asked whether it supports XTLS.
    Asking,
    /// Initiator: the offer is out.
    Offered,
    /// Your user is asked for the password.
    Password,
    /// Both have agreed; the bytestream opens, and the TLS handshake runs.
    Handshake,
    /// Your user judges the peer's certificate.
    Judging,
    /// The handshake is complete, and the peer has not shown yet that it accepts your certificate.
    Confirming,
    /// It can be used.
    Secured,
    /// It ends in order.
    Closing,
    /// It has ended; bytes that came may still be read.
    Ended,
}

/// How a tunnel is doing: [`Tunnel::stats`](crate::Tunnel::stats). Counts begin with the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelStats {
    /// How far it has come.
    pub phase: TunnelPhase,
    /// How long ago it began, as your clock has it.
    pub age: Duration,
    /// How long ago it was secured; `None` before.
    pub secured_for: Option<Duration>,
    /// Bytes of plaintext that were encrypted for the peer: of the application, and what XML streams and the engine add.
    pub sent: u64,
    /// How many of these are acknowledged. Acknowledgements come from servers and prove nothing.
    pub acked: u64,
    /// Bytes of plaintext that came from the peer.
    pub received: u64,
    /// Blocks of the bytestream that were sent, each as often as it was.
    pub blocks_sent: u64,
    /// Blocks that came.
    pub blocks_received: u64,
    /// Blocks that were sent and have no answer.
    pub blocks_in_flight: usize,
    /// How many times blocks came back and sending began again.
    pub retries: u32,
    /// The bytes a second that a server on the way lets through, as [`Event::Throttled`](crate::Event::Throttled) told last; `None` as
    /// long as nothing shows that one holds it back.
    pub throttled: Option<u64>,
    /// The bytes of stanzas that may be on their way at once, for all tunnels of the engine; `None` where the window is
    /// [fixed](crate::config::Window::Fixed).
    pub window: Option<u64>,
    /// How long a block takes to be acknowledged: the mean of all tunnels of the engine, of late. `None` before one was.
    pub round_trip: Option<Duration>,
}

impl TunnelPhase {
    /// A short name that stays the same, for metrics, logs and translations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::Asking => "asking",
            Self::Offered => "offered",
            Self::Password => "password",
            Self::Handshake => "handshake",
            Self::Judging => "judging",
            Self::Confirming => "confirming",
            Self::Secured => "secured",
            Self::Closing => "closing",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for TunnelPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
