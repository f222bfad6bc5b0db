//! TCP connections with links on them.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use xtls::link::{Kind, Link, LinkEvent};
use xtls_tokio::{PromptTcp, link::LinkStream};

/// How long an end in order may take.
const FAREWELL: Duration = Duration::from_secs(4);

/// A connection with a link on it.
pub(crate) type Wire<K> = LinkStream<K, PromptTcp>;

/// Puts a link on a connection.
pub(crate) fn wire<K: Kind>(stream: TcpStream, link: Link<K>) -> Wire<K> {
    LinkStream::new(link, stream.into())
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
