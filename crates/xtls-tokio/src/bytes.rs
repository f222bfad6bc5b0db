//! Raw bytes.

use core::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use std::{io, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::timeout,
};
use xtls::error::{FinishError, WriteError};

use crate::{
    Tunnel, TunnelError,
    shared::{Watch, now},
};

/// How much [`ByteTunnel::send_all`] reads at once.
const SEND_BLOCK: usize = 32 * 1024;
/// How long it is silent about progress.
const PROGRESS_TIME: Duration = Duration::from_millis(250);

/// A tunnel of raw bytes: `AsyncRead` and `AsyncWrite`. `tokio::io::split` lets two tasks have one direction each.
///
/// - **Reading** ends with 0 bytes when the peer has finished its direction, and fails with
///   [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when what came may be a part of what was sent. What is not read is not
///   acknowledged, but for [`Config::receive_buffer`](xtls::Config::receive_buffer) in the engine and as much here.
/// - **Writing** takes what the engine has room for ([`Config::send_buffer`](xtls::Config::send_buffer)). What was taken is sent,
///   whatever becomes of the future that wrote it.
/// - **Flushing** waits until everything written was handed to the outer stream.
/// - **Shutting down** ends our direction, and waits until the peer has acknowledged all of it; the other direction goes on. In TLS
///   1.2, which the password method uses, one direction cannot end alone (RFC 5246 § 7.2.1): the whole tunnel ends.
///
/// Acknowledgements come from servers: they are no receipt. See [`Tunnel::unacked`].
///
/// Dropping it breaks it off, unless it was being shut down: then it ends in order.
#[derive(Debug)]
pub struct ByteTunnel {
    pub(crate) tunnel: Tunnel,
    /// What was taken out of the engine and not read yet: what follows `read`.
    taken: Vec<u8>,
    read: usize,
}

impl ByteTunnel {
    pub(crate) fn new(tunnel: Tunnel) -> Self {
        Self { tunnel, taken: Vec::new(), read: 0 }
    }

    /// Begins the end of our direction, without waiting for it as shutting down does.
    ///
    /// # Errors
    ///
    /// When it has ended, or this TLS has one end for both directions: then nothing has changed, and
    /// [`begin_close`](Tunnel::begin_close) is for that.
    pub fn finish(&self) -> Result<(), FinishError> {
        let (id, mut state) = (self.tunnel.id(), self.tunnel.lock());
        let finished = match state.engine.tunnel(id) {
            Some(mut tunnel) => tunnel.finish(now()),
            None => Err(FinishError::Closing),
        };
        if finished.is_ok() {
            state.say_all(id);
        }
        state.settle();
        finished
    }

    /// Sends all that `reader` gives, and shuts our direction down. Gives the number of bytes.
    ///
    /// `progress` is told how many of them are acknowledged: after 32 KiB or less, each 250 ms, and at the end. Acknowledgements come from
    /// servers: that the peer has a file, it can only say itself.
    ///
    /// If this is dropped, what was read last may be lost: break the tunnel off then, by dropping it.
    ///
    /// # Errors
    ///
    /// Those of the reader, and those of the tunnel: [`TunnelError::of`] finds the latter.
    pub async fn send_all(
        &mut self,
        mut reader: impl AsyncRead + Unpin,
        mut progress: impl FnMut(u64),
    ) -> io::Result<u64> {
        let (mut block, mut written) = (vec![0; SEND_BLOCK], 0_u64);
        loop {
            let count = reader.read(&mut block).await?;
            let Some(mut rest) = block.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            while !rest.is_empty() {
                if let Ok(taken) = timeout(PROGRESS_TIME, self.write(rest)).await {
                    let taken = taken?;
                    rest = rest.get(taken..).unwrap_or_default();
                    written = written.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
                }
                progress(written.saturating_sub(self.unacked()));
            }
        }
        loop {
            match timeout(PROGRESS_TIME, self.shutdown()).await {
                Ok(done) => break done?,
                Err(_) => progress(written.saturating_sub(self.unacked())),
            }
        }
        progress(written);
        Ok(written)
    }

    /// Moves what was taken into the buffer, as far as it has room.
    fn fill(&mut self, buffer: &mut ReadBuf<'_>) {
        let rest = self.taken.get(self.read..).unwrap_or_default();
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..count).unwrap_or_default());
        self.read += count;
        if self.read >= self.taken.len() {
            self.taken.clear();
            self.read = 0;
        }
    }
}

impl AsyncRead for ByteTunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.taken.is_empty() {
            let (id, mut state) = (this.tunnel.id(), this.tunnel.lock());
            let count = state.engine.tunnel(id).map_or(0, |mut tunnel| tunnel.read(now(), &mut this.taken));
            if count > 0 {
                // The peer may go on.
                state.settle();
            } else {
                state.dispatch();
                let entry = state.entries.get(&id);
                let is_finished = entry.is_some_and(|entry| entry.finished);
                return match entry.and_then(|entry| entry.closed.as_ref()) {
                    Some(closed) if closed.truncated => {
                        Poll::Ready(Err(TunnelError::Closed(Arc::clone(closed)).into()))
                    }
                    Some(_) => Poll::Ready(Ok(())),
                    None if is_finished => Poll::Ready(Ok(())),
                    None => {
                        state.await_reader(id, cx.waker());
                        Poll::Pending
                    }
                };
            }
        }
        this.fill(buffer);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteTunnel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (id, mut state) = (self.tunnel.id(), self.tunnel.lock());
        let written = match state.engine.tunnel(id) {
            Some(mut tunnel) => tunnel.write(now(), bytes),
            None => Err(WriteError::Closing),
        };
        match written {
            Ok(0) if !bytes.is_empty() => {
                state.await_writer(id, cx.waker());
                Poll::Pending
            }
            Ok(count) => {
                state.settle();
                Poll::Ready(Ok(count))
            }
            Err(_) => Poll::Ready(Err(state.told_why_closed(id).into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tunnel.lock().poll_sent(self.tunnel.id(), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (id, mut state) = (self.tunnel.id(), self.tunnel.lock());
        state.say_all(id);
        let Some(mut tunnel) = state.engine.tunnel(id) else {
            state.dispatch();
            return Poll::Ready(state.result_of_end(id));
        };
        if tunnel.is_finish_acked() {
            return Poll::Ready(Ok(()));
        }
        if matches!(tunnel.finish(now()), Err(FinishError::NotInThisTls)) {
            tunnel.close(now());
        }
        if state.end.is_some() {
            return Poll::Ready(Err(state.why_closed(id).into()));
        }
        state.watch(id, Watch::Finished, cx.waker());
        state.settle();
        Poll::Pending
    }
}
