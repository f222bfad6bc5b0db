//! What records go by: blocks of an in-band bytestream, or the bytes of a connection. Nothing above it knows which.

use core::time::Duration;

use xtls_ibb::{Bytestream, BytestreamState};
use xtls_s5b::negotiation::Attempt;
use xtls_stanza::Id;

use super::{
    counts::wide,
    nudges::{Nudge, Nudges},
};
use crate::transports::Path;

/// What carries the records of a tunnel.
#[allow(clippy::large_enum_variant, reason = "nearly every tunnel has the larger one")]
pub(in crate::tunnel) enum Carrier {
    InBand(Bytestream),
    Connection(Connection),
}

/// A connection that both ends have chosen. It is the caller's: bytes for it are taken out here, and what comes by it is handed to
/// the tunnel at once.
#[derive(Debug)]
pub(in crate::tunnel) struct Connection {
    attempt: Attempt,
    path: Path,
    /// Records that the caller has not taken.
    outgoing: Vec<u8>,
    limit: usize,
    /// What pushes the last bytes out of a proxy.
    pub(in crate::tunnel) nudges: Nudges,
    /// Nothing can be sent any more.
    over: bool,
}

impl Connection {
    pub(in crate::tunnel) fn new(attempt: Attempt, path: Path, limit: usize) -> Self {
        let nudges = Nudges::new(matches!(path, Path::Proxy(_)));
        Self { attempt, path, outgoing: Vec::new(), limit, nudges, over: false }
    }

    pub(in crate::tunnel) fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// What pushes the last bytes out of a proxy, if it is time for that, and when the next one is due.
    pub(in crate::tunnel) fn nudge(&mut self) -> Option<(Nudge, Duration)> {
        if self.over { None } else { self.nudges.next(!self.outgoing.is_empty()) }
    }

    /// Whether our end has left, and a proxy may sit on it.
    pub(in crate::tunnel) fn pushes_end(&self) -> bool {
        self.nudges.pushes_end() && !self.over
    }

    /// Moves what there is to send into the caller's buffer.
    pub(in crate::tunnel) fn take(&mut self, out: &mut Vec<u8>) -> usize {
        let bytes = self.outgoing.len();
        self.nudges.left(bytes);
        if out.is_empty() && out.capacity() <= self.outgoing.capacity() {
            core::mem::swap(out, &mut self.outgoing);
        } else {
            out.append(&mut self.outgoing);
        }
        bytes
    }
}

impl Carrier {
    /// The in-band bytestream, if it is one.
    pub(in crate::tunnel) fn in_band(&mut self) -> Option<&mut Bytestream> {
        match self {
            Self::InBand(bytestream) => Some(bytestream),
            Self::Connection(_) => None,
        }
    }

    /// The connection, if it is one.
    pub(in crate::tunnel) fn connection(&mut self) -> Option<&mut Connection> {
        match self {
            Self::InBand(_) => None,
            Self::Connection(connection) => Some(connection),
        }
    }

    /// What it is to the user.
    pub(in crate::tunnel) fn path(&self) -> Path {
        match self {
            Self::InBand(_) => Path::InBand,
            Self::Connection(connection) => connection.path.clone(),
        }
    }

    pub(in crate::tunnel) fn is_connection(&self) -> bool {
        matches!(self, Self::Connection(_))
    }

    /// Where records are queued.
    pub(in crate::tunnel) fn outgoing(&mut self) -> &mut Vec<u8> {
        match self {
            Self::InBand(bytestream) => bytestream.outgoing(),
            Self::Connection(connection) => {
                if connection.over {
                    connection.outgoing.clear();
                }
                &mut connection.outgoing
            }
        }
    }

    /// Bytes that have not left.
    pub(in crate::tunnel) fn queued(&self) -> usize {
        match self {
            Self::InBand(bytestream) => bytestream.queued(),
            Self::Connection(connection) => connection.outgoing.len(),
        }
    }

    /// Room in the queue, in bytes.
    pub(in crate::tunnel) fn writable(&self) -> usize {
        match self {
            Self::InBand(bytestream) => bytestream.writable(),
            Self::Connection(connection) if connection.over => 0,
            Self::Connection(connection) => connection.limit.saturating_sub(connection.outgoing.len()),
        }
    }

    /// Bytes that nobody has acknowledged. Over a connection nobody tells: those that the caller has not taken.
    pub(in crate::tunnel) fn unacked(&self) -> u64 {
        match self {
            Self::InBand(bytestream) => bytestream.unacked(),
            Self::Connection(connection) => wide(connection.outgoing.len()),
        }
    }

    /// Blocks on their way. Over a connection, 1 while the caller has not taken all.
    pub(in crate::tunnel) fn in_flight(&self) -> usize {
        match self {
            Self::InBand(bytestream) => bytestream.in_flight(),
            Self::Connection(connection) => usize::from(!connection.outgoing.is_empty()),
        }
    }

    /// Bytes of one block; a connection has none.
    pub(in crate::tunnel) fn block_size(&self) -> Option<u16> {
        match self {
            Self::InBand(bytestream) => Some(bytestream.block_size()),
            Self::Connection(_) => None,
        }
    }

    /// Opens it, and tells whether it is open.
    pub(in crate::tunnel) fn open(&mut self) -> bool {
        match self {
            Self::InBand(bytestream) => {
                bytestream.open();
                bytestream.state() == BytestreamState::Open
            }
            Self::Connection(connection) => !connection.over,
        }
    }

    pub(in crate::tunnel) fn is_opening(&self) -> bool {
        match self {
            Self::InBand(bytestream) => bytestream.state() == BytestreamState::Opening,
            Self::Connection(_) => false,
        }
    }

    pub(in crate::tunnel) fn is_closed(&self) -> bool {
        match self {
            Self::InBand(bytestream) => bytestream.state() == BytestreamState::Closed,
            Self::Connection(connection) => connection.over,
        }
    }

    /// Ends it in order once all is delivered, and tells whether that has come to pass. A connection has no end but that of TLS:
    /// it is over once the caller has taken that.
    pub(in crate::tunnel) fn close(&mut self) -> bool {
        match self {
            Self::InBand(bytestream) => {
                bytestream.close();
                bytestream.state() == BytestreamState::Closed
            }
            Self::Connection(connection) => connection.over || connection.outgoing.is_empty(),
        }
    }

    /// Ends it at once; what was queued is lost.
    pub(in crate::tunnel) fn end(&mut self) {
        match self {
            Self::InBand(bytestream) => bytestream.end(),
            Self::Connection(connection) => {
                connection.over = true;
                connection.outgoing = Vec::new();
            }
        }
    }

    /// The outer stream is gone.
    pub(in crate::tunnel) fn abort(&mut self) {
        match self {
            Self::InBand(bytestream) => bytestream.abort(),
            Self::Connection(_) => self.end(),
        }
    }

    /// Sends again what came back.
    pub(in crate::tunnel) fn resume(&mut self) {
        if let Self::InBand(bytestream) = self {
            bytestream.resume();
        }
    }

    pub(in crate::tunnel) fn is_suspended(&self) -> bool {
        matches!(self, Self::InBand(bytestream) if bytestream.is_suspended())
    }

    pub(in crate::tunnel) fn release_memory(&mut self) {
        match self {
            Self::InBand(bytestream) => bytestream.release_memory(),
            Self::Connection(connection) => connection.outgoing.shrink_to_fit(),
        }
    }

    /// What came last leads up to this much plaintext.
    pub(in crate::tunnel) fn mark_ack(&mut self, position: u64) {
        if let Self::InBand(bytestream) = self {
            bytestream.mark_ack(position);
        }
    }

    /// Acknowledges what leads up to this much plaintext.
    pub(in crate::tunnel) fn release_acks(&mut self, position: u64) {
        if let Self::InBand(bytestream) = self {
            bytestream.release_acks(position);
        }
    }

    /// The ids of its requests that may still be answered.
    pub(in crate::tunnel) fn unanswered(&self) -> impl Iterator<Item = Id> {
        let in_band = match self {
            Self::InBand(bytestream) => Some(bytestream),
            Self::Connection(_) => None,
        };
        in_band.into_iter().flat_map(Bytestream::unanswered)
    }
}
