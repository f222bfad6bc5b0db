//! TCP without waiting.

use core::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::io::{self, IoSlice};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A TCP connection that waits for nothing (feature `net`): what is written is sent at once (`TCP_NODELAY`), and what is read is
/// acknowledged at once (`TCP_QUICKACK`, where the system has it).
///
/// Without the first, each round trip of a tunnel waits for acknowledgements that the other end delays; without the second, a server
/// that has Nagle's algorithm on waits for ours. Either is 40 ms, where a round trip may take one.
#[derive(Debug)]
pub struct PromptTcp(TcpStream);

impl PromptTcp {
    /// The connection as it was before.
    #[must_use]
    pub fn into_inner(self) -> TcpStream {
        self.0
    }

    /// The connection, for its addresses and options.
    #[must_use]
    pub const fn get_ref(&self) -> &TcpStream {
        &self.0
    }
}

impl From<TcpStream> for PromptTcp {
    fn from(stream: TcpStream) -> Self {
        // If that cannot be had, it comes a little later.
        let _ = stream.set_nodelay(true);
        Self(stream)
    }
}

impl AsyncRead for PromptTcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.0).poll_read(cx, buffer));
        // It does not last: the kernel goes back to delaying them.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _ = self.0.set_quickack(true);
        Poll::Ready(read)
    }
}

impl AsyncWrite for PromptTcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
