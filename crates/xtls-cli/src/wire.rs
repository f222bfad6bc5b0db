//! TCP connections with links on them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use xtls::link::{Kind, Link, LinkEvent};
use xtls_tokio::link::LinkStream;

/// How long an end in order may take.
const FAREWELL: Duration = Duration::from_secs(4);

/// A connection with a link on it.
pub(crate) type Wire<K> = LinkStream<K, Tcp>;

/// A TCP connection that waits for nothing: a line is to be seen when it is typed.
#[derive(Debug)]
pub(crate) struct Tcp(TcpStream);

/// Puts a link on a connection.
pub(crate) fn wire<K: Kind>(stream: TcpStream, link: Link<K>) -> Wire<K> {
    // If that cannot be had, it comes a little later.
    let _ = stream.set_nodelay(true);
    LinkStream::new(link, Tcp(stream))
}

/// The next event of the link. Dropping this loses nothing. After [`LinkEvent::Closed`] it never comes back.
pub(crate) async fn event<K: Kind>(wire: &mut Wire<K>) -> LinkEvent
where
    Link<K>: Unpin,
{
    match wire.next().await {
        Some(event) => event,
        None => std::future::pending().await,
    }
}

/// Ends the link in order, if it has not ended, and then the connection. A peer that takes its time for that is left alone.
pub(crate) async fn end<K: Kind>(mut wire: Wire<K>)
where
    Link<K>: Unpin,
{
    let _ = tokio::time::timeout(FAREWELL, wire.close()).await;
}

impl AsyncRead for Tcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.0).poll_read(cx, buffer));
        // A server that waits for this before it writes more, as Nagle's algorithm has it, would wait for 40 ms. It does not last.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _ = self.0.set_quickack(true);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
