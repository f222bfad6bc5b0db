//! How a link is doing.

use core::time::Duration;

use xtls_channel::Stage;

/// How a link is doing: [`Link::stats`](crate::Link::stats). Bytes are those of the connection, TLS included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkStats {
    /// How far it has come.
    pub stage: Stage,
    /// How long ago it began, as your clock has it.
    pub age: Duration,
    /// How long ago the peer was heard last; `None` before it was.
    pub heard: Option<Duration>,
    /// Bytes for the connection that were polled.
    pub sent: u64,
    /// Bytes of the connection that were taken.
    pub received: u64,
    /// Bytes for the connection that wait to be polled.
    pub unsent: usize,
}
