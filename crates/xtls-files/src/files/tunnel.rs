//! Bytes that go by a tunnel of their own.

use xtls_stanza::Instant;

use super::Files;
use crate::{FileError, FileId};

impl Files {
    /// The tunnel for the bytes is there, and is the peer's.
    ///
    /// # Errors
    ///
    /// When none is waited for.
    pub fn tunnel_opened(&mut self, now: Instant, id: FileId) -> Result<(), FileError> {
        self.command(now, id, |session, _| session.tunnel_opened())
    }

    /// The tunnel cannot be opened, or was lost.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn tunnel_failed(&mut self, now: Instant, id: FileId) -> Result<(), FileError> {
        self.command(now, id, |session, shared| session.tunnel_over(false, now, shared))
    }

    /// The peer has closed the tunnel in order, and everything that it sent was given to
    /// [`handle_tunnel_bytes`](Self::handle_tunnel_bytes).
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn tunnel_finished(&mut self, now: Instant, id: FileId) -> Result<(), FileError> {
        self.command(now, id, |session, shared| session.tunnel_over(true, now, shared))
    }

    /// How many bytes of the tunnel can be given to [`handle_tunnel_bytes`](Self::handle_tunnel_bytes) now. With 0 it is not to be
    /// read from.
    #[must_use]
    pub fn tunnel_room(&self, id: FileId) -> usize {
        self.sessions.get(&id).map_or(0, |session| session.tunnel_room(&self.shared))
    }

    /// Bytes that came by the tunnel.
    ///
    /// # Errors
    ///
    /// When it is not open.
    pub fn handle_tunnel_bytes(&mut self, now: Instant, id: FileId, bytes: &[u8]) -> Result<(), FileError> {
        self.command(now, id, |session, shared| session.take_tunnel_bytes(bytes, now, shared))
    }

    /// Appends what is to be sent by the tunnel, and tells how much that is. After the last byte comes [`FileEvent::CloseTunnel`](crate::FileEvent::CloseTunnel).
    pub fn poll_tunnel(&mut self, now: Instant, id: FileId, out: &mut Vec<u8>) -> usize {
        self.command(now, id, |session, _| Ok(session.poll_tunnel(out))).unwrap_or_default()
    }
}
