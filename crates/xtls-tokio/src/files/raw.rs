//! The tunnel that the bytes of one file go by.

use core::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use xtls::TunnelId;
use xtls_files::{FileId, Files};

use crate::{ByteTunnel, Opening, Tunnel, shared::now};

/// How much is moved at once.
const PIECE: usize = 64 * 1024;
/// How long the peer has to say why a tunnel has broken.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The tunnel of one session.
pub(super) struct Raw {
    pub(super) sid: String,
    pub(super) state: RawState,
}

pub(super) enum RawState {
    /// The peer will open it.
    Expected,
    Opening(Opening),
    Open(Box<RawTunnel>),
    /// It has broken. Until then the peer may say why, which it does in the stream.
    Broken(std::time::Instant),
}

/// One that is open, and what is on its way into it.
pub(super) struct RawTunnel {
    pub(super) tunnel: ByteTunnel,
    out: Vec<u8>,
    written: usize,
    piece: Box<[u8]>,
    /// The peer has sent its last byte, or it has broken.
    is_over: bool,
    /// Our last byte is in `out`: our direction is to end after it.
    finishes: bool,
}

/// What has become of a tunnel.
pub(super) enum Progress {
    /// Nothing, until it wakes.
    None,
    /// Something has moved.
    Moved,
    /// It is as it should be, and open.
    Opened,
    /// It cannot be had, has broken, or is not the one that is meant.
    Failed,
}

/// What stands for a tunnel's other end: its certificate.
pub(super) fn certificate(tunnel: &Tunnel) -> Option<Vec<u8>> {
    let security = tunnel.security()?;
    let certificate = security.certificate.as_ref()?;
    Some(certificate.der().to_vec())
}

impl Raw {
    /// Which tunnel it is, if there is one yet.
    pub(super) fn tunnel(&self) -> Option<TunnelId> {
        match &self.state {
            RawState::Opening(opening) => Some(opening.id()),
            RawState::Open(open) => Some(open.tunnel.id()),
            RawState::Expected | RawState::Broken(_) => None,
        }
    }

    /// Bytes that it was given and has still to send.
    pub(super) fn pending(&self) -> u64 {
        let RawState::Open(open) = &self.state else { return 0 };
        let waiting = open.out.len().saturating_sub(open.written);
        open.tunnel.unacked().saturating_add(u64::try_from(waiting).unwrap_or(u64::MAX))
    }

    /// Moves what can be moved for the session. `peer` is the certificate that the other end must have.
    pub(super) fn poll(
        &mut self,
        id: FileId,
        peer: Option<&[u8]>,
        files: &mut Files,
        cx: &mut Context<'_>,
    ) -> Progress {
        match &mut self.state {
            RawState::Expected => Progress::None,
            RawState::Broken(until) if now() < *until => Progress::None,
            RawState::Broken(_) => Progress::Failed,
            RawState::Opening(opening) => match opening.poll_opened(cx) {
                Poll::Pending => Progress::None,
                Poll::Ready(Err(_)) => Progress::Failed,
                Poll::Ready(Ok(())) => self.opened(peer),
            },
            RawState::Open(open) => match open.poll(id, files, cx) {
                Progress::Failed => {
                    self.state = RawState::Broken(now() + LAST_WORDS);
                    Progress::Moved
                }
                progress @ (Progress::None | Progress::Moved | Progress::Opened) => progress,
            },
        }
    }

    /// A tunnel that is open is used if its other end is that of the XML stream.
    fn opened(&mut self, peer: Option<&[u8]>) -> Progress {
        let RawState::Opening(opening) = core::mem::replace(&mut self.state, RawState::Expected) else {
            return Progress::None;
        };
        let is_same = peer.is_some() && certificate(&opening).as_deref() == peer;
        match opening.into_tunnel().map(Tunnel::into_bytes) {
            Ok(Ok(tunnel)) if is_same => {
                self.state = RawState::Open(Box::new(RawTunnel::new(tunnel)));
                Progress::Opened
            }
            // What is dropped is broken off.
            _ => Progress::Failed,
        }
    }
}

impl RawTunnel {
    fn new(tunnel: ByteTunnel) -> Self {
        let piece = vec![0; PIECE].into();
        Self { tunnel, out: Vec::new(), written: 0, piece, is_over: false, finishes: false }
    }

    /// The session has given its last byte.
    pub(super) fn finish(&mut self) {
        self.finishes = true;
    }

    fn poll(&mut self, id: FileId, files: &mut Files, cx: &mut Context<'_>) -> Progress {
        let sent = self.poll_send(id, files, cx);
        if matches!(sent, Progress::Failed) {
            return sent;
        }
        let received = self.poll_receive(id, files, cx);
        if matches!(received, Progress::None) { sent } else { received }
    }

    fn poll_send(&mut self, id: FileId, files: &mut Files, cx: &mut Context<'_>) -> Progress {
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
            if files.poll_tunnel(now(), id, &mut self.out) == 0 {
                if core::mem::take(&mut self.finishes) {
                    // In TLS 1.2 one direction cannot end alone; the peer ends both then, when it has everything.
                    let _ = self.tunnel.finish();
                }
                return Progress::None;
            }
        }
        let rest = self.out.get(self.written..).unwrap_or_default();
        match Pin::new(&mut self.tunnel).poll_write(cx, rest) {
            Poll::Pending => Progress::None,
            Poll::Ready(Ok(count)) => {
                self.written += count;
                Progress::Moved
            }
            Poll::Ready(Err(_)) => Progress::Failed,
        }
    }

    fn poll_receive(&mut self, id: FileId, files: &mut Files, cx: &mut Context<'_>) -> Progress {
        let room = files.tunnel_room(id).min(PIECE);
        if self.is_over || room == 0 {
            return Progress::None;
        }
        let mut buffer = ReadBuf::new(self.piece.get_mut(..room).unwrap_or_default());
        match Pin::new(&mut self.tunnel).poll_read(cx, &mut buffer) {
            Poll::Pending => Progress::None,
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                self.is_over = true;
                self.tunnel.begin_close();
                // A session that has ended meanwhile is told of as well.
                let _ = files.tunnel_finished(now(), id);
                Progress::Moved
            }
            Poll::Ready(Ok(())) => {
                let _ = files.handle_tunnel_bytes(now(), id, buffer.filled());
                Progress::Moved
            }
            Poll::Ready(Err(_)) => {
                self.is_over = true;
                Progress::Failed
            }
        }
    }
}
