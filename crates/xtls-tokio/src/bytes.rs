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
use xtls::{
    GiveReceipt, Receipt, TunnelId,
    error::{FinishError, ReceiptError, WriteError},
};

use crate::{
    Tunnel, TunnelError,
    shared::{Entry, State, Watch, now},
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
/// - **Shutting down** ends our direction, and waits until all of it is acknowledged; the other direction goes on. In TLS
///   1.2, which the password method uses, one direction cannot end alone (RFC 5246 § 7.2.1): the whole tunnel ends.
/// - **The receipt.** Acknowledgements come from servers, and say nothing of what the peer's application has done. It says so itself,
///   and [`receipt`](Self::receipt) waits for that. The peer gets one from here when reading ends with 0 bytes, or, after
///   [`hold_receipt`](Self::hold_receipt), by [`give_receipt`](Self::give_receipt).
///
/// Dropping it breaks it off, unless it was being shut down: then it ends in order.
#[derive(Debug)]
pub struct ByteTunnel {
    pub(crate) tunnel: Tunnel,
    /// What was taken out of the engine and not read yet: what follows `read`.
    taken: Vec<u8>,
    read: usize,
    /// The application gives the receipt by itself.
    holds_receipt: bool,
}

impl ByteTunnel {
    pub(crate) fn new(tunnel: Tunnel) -> Self {
        let (id, mut state) = (tunnel.id(), tunnel.lock());
        if let Some(mut inner) = state.engine.tunnel(id) {
            // What is taken out of the engine is not read yet.
            inner.set_give_receipt(now(), GiveReceipt::WhenTold);
        }
        drop(state);
        Self { tunnel, taken: Vec::new(), read: 0, holds_receipt: false }
    }

    /// Waits until the peer has confirmed that its application has everything that was written, or cannot confirm it any more. The
    /// direction has to be shut down, or the tunnel closed, or it never comes.
    ///
    /// It is at once [`Receipt::Unsupported`] with a peer that gives no receipts, and [`Receipt::NotNeeded`] if nothing was written. A peer whose application does not read to the
    /// end has no receipt to give: do not wait for its word before you read what it has to say.
    pub async fn receipt(&self) -> Receipt {
        let known = self.tunnel.lock().engine.tunnel(self.tunnel.id()).map(|tunnel| tunnel.receipt());
        if let Some(none @ (Receipt::Unsupported | Receipt::NotNeeded)) = known {
            return none;
        }
        let known = |entry: &Entry| match &entry.closed {
            _ if entry.receipt => Some(Receipt::Given),
            closed => closed.as_ref().map(|closed| closed.receipt),
        };
        self.tunnel.wait_for(known).await
    }

    /// The receipt is not given when everything is read, but by [`give_receipt`](Self::give_receipt): once it is stored, say.
    pub fn hold_receipt(&mut self) {
        self.holds_receipt = true;
    }

    /// Confirms to the peer that the application has everything that it sent. A second time does nothing.
    ///
    /// # Errors
    ///
    /// When reading has not ended yet, or the peer cannot be told.
    pub fn give_receipt(&self) -> Result<(), ReceiptError> {
        if self.read < self.taken.len() {
            return Err(ReceiptError::Early);
        }
        let (id, mut state) = (self.tunnel.id(), self.tunnel.lock());
        let given = state.give_receipt(id);
        state.settle();
        given
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
    /// servers: that the peer has a file, it can only say itself, and [`receipt`](Self::receipt) waits for that.
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

impl State {
    fn give_receipt(&mut self, id: TunnelId) -> Result<(), ReceiptError> {
        self.engine.tunnel(id).map_or(Err(ReceiptError::Ended), |mut tunnel| tunnel.give_receipt(now()))
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
                    None if is_finished => {
                        if !this.holds_receipt {
                            // A peer that takes none goes without.
                            let _ = state.give_receipt(id);
                            state.settle();
                        }
                        Poll::Ready(Ok(()))
                    }
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
