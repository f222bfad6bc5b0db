//! A tunnel that is on its way.

use core::{
    future::poll_fn,
    ops::Deref,
    task::{Context, Poll},
};
use std::sync::Arc;

use xtls::Security;

use crate::{CallError, Tunnel, shared::Entry};

/// A tunnel that was offered, or whose offer was accepted, and that cannot be used yet.
///
/// One that is dropped is called off; [`Tunnel::begin_close`] and [`Tunnel::abort`] do that with a word to the peer.
#[derive(Debug)]
#[must_use = "an attempt that is dropped is called off"]
pub struct Opening {
    tunnel: Tunnel,
}

impl Opening {
    pub(crate) fn new(tunnel: Tunnel) -> Self {
        Self { tunnel }
    }

    /// Waits until the peer is authenticated. An XML stream has still to be opened then.
    ///
    /// # Errors
    ///
    /// When the attempt ends before.
    pub async fn secured(&self) -> Result<Arc<Security>, CallError> {
        poll_fn(|cx| self.poll_secured(cx)).await
    }

    /// Waits until it can be used. If this is dropped the attempt is called off.
    ///
    /// # Errors
    ///
    /// When the attempt ends before.
    pub async fn opened(self) -> Result<Tunnel, CallError> {
        poll_fn(|cx| self.poll_opened(cx)).await?;
        Ok(self.tunnel)
    }

    /// The same as [`secured`](Self::secured) for those who poll. One task waits for one of the two.
    pub fn poll_secured(&self, cx: &Context<'_>) -> Poll<Result<Arc<Security>, CallError>> {
        self.poll(cx, |entry| entry.security.clone())
    }

    /// Whether [`opened`](Self::opened) would not wait, for those who poll.
    pub fn poll_opened(&self, cx: &Context<'_>) -> Poll<Result<(), CallError>> {
        self.poll(cx, |entry| entry.opened.then_some(()))
    }

    /// The tunnel, if it can be used.
    ///
    /// # Errors
    ///
    /// The attempt itself, if it cannot.
    pub fn into_tunnel(self) -> Result<Tunnel, Self> {
        let is_open = self.tunnel.lock().entries.get(&self.tunnel.id()).is_some_and(|entry| entry.opened);
        if is_open { Ok(self.tunnel) } else { Err(self) }
    }

    fn poll<T>(&self, cx: &Context<'_>, look: impl FnOnce(&Entry) -> Option<T>) -> Poll<Result<T, CallError>> {
        let (id, mut state) = (self.tunnel.id(), self.tunnel.lock());
        state.dispatch();
        let Some(entry) = state.entries.get(&id) else { return Poll::Pending };
        match (look(entry), &entry.closed) {
            (Some(found), _) => Poll::Ready(Ok(found)),
            (None, Some(closed)) => Poll::Ready(Err(CallError::Closed(Arc::clone(closed)))),
            (None, None) => {
                state.await_reader(id, cx.waker());
                Poll::Pending
            }
        }
    }
}

impl Deref for Opening {
    type Target = Tunnel;

    fn deref(&self) -> &Tunnel {
        &self.tunnel
    }
}
