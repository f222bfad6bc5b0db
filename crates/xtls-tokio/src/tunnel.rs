//! A tunnel in the hands of the application.

use core::ops::Deref;
use std::{
    io,
    sync::{Arc, MutexGuard},
    task::{Context, Poll, Waker},
};

use xtls::{
    Closed, Security, TunnelId,
    jid::FullJid,
    jingle::{Reason, ReasonCondition},
    transports::Path,
};

use crate::{
    ByteTunnel, TunnelError, XmlTunnel,
    shared::{Entry, Shared, State, now},
};

/// A tunnel that is secured and can be used: [`into_bytes`](Self::into_bytes) or [`into_xml`](Self::into_xml) makes a stream
/// of it.
///
/// One that is dropped without having been shut down is broken off, and the peer sees that what came may be a part
/// ([`Closed::truncated`]).
#[derive(Debug)]
#[must_use = "a tunnel that is dropped is broken off"]
pub struct Tunnel {
    shared: Shared,
    id: TunnelId,
    peer: FullJid,
    is_xml: bool,
}

impl Tunnel {
    /// The driver has it among its own already.
    pub(crate) fn new(shared: Shared, id: TunnelId, peer: FullJid, is_xml: bool) -> Self {
        Self { shared, id, peer, is_xml }
    }

    /// Its id in the engine.
    #[must_use]
    pub fn id(&self) -> TunnelId {
        self.id
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> FullJid {
        let state = self.shared.lock();
        state.entries.get(&self.id).map_or_else(|| self.peer.clone(), |entry| entry.peer.clone())
    }

    /// By what it is secured. Show it to the user (RFC 7590 § 3.6).
    #[must_use]
    pub fn security(&self) -> Option<Arc<Security>> {
        self.shared.lock().entries.get(&self.id).and_then(|entry| entry.security.clone())
    }

    /// What carries it; `None` until that is found, and after the end.
    #[must_use]
    pub fn path(&self) -> Option<Path> {
        self.shared.lock().engine.tunnel(self.id)?.path()
    }

    /// Plaintext bytes that were written and are not acknowledged: a hint. Acknowledgements come from servers and prove nothing;
    /// [`ByteTunnel::receipt`] does.
    #[must_use]
    pub fn unacked(&self) -> u64 {
        let mut state = self.shared.lock();
        match state.entries.get(&self.id).and_then(|entry| entry.closed.as_ref()) {
            Some(closed) => closed.unacked,
            None => state.engine.tunnel(self.id).map_or(0, |tunnel| tunnel.unacked()),
        }
    }

    /// Derives keying material that both ends share: see
    /// [`xtls::Tunnel::export_keying_material`]. `None` after the end too.
    #[must_use]
    pub fn export_keying_material(&self, length: usize, label: &[u8], context: Option<&[u8]>) -> Option<Vec<u8>> {
        self.shared.lock().engine.tunnel(self.id)?.export_keying_material(length, label, context)
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<Arc<Closed>> {
        self.shared.lock().entries.get(&self.id).and_then(|entry| entry.closed.clone())
    }

    /// Waits for the end. It does not come before everything that arrived was read; see [`Timers::drain`].
    ///
    /// [`Timers::drain`]: xtls::config::Timers::drain
    pub async fn closed(&self) -> Arc<Closed> {
        self.wait_for(|entry| entry.closed.clone()).await
    }

    /// The same for those who poll. Whoever reads is woken in its place, so it is for when nothing is read any more.
    pub fn poll_closed(&self, cx: &Context<'_>) -> Poll<Arc<Closed>> {
        let mut state = self.shared.lock();
        state.dispatch();
        match state.entries.get(&self.id).and_then(|entry| entry.closed.clone()) {
            Some(closed) => Poll::Ready(closed),
            None => {
                state.await_reader(self.id, cx.waker());
                Poll::Pending
            }
        }
    }

    /// Whether the peer has sent its last byte, or the stream is closed in both directions. What came before may still be unread.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.shared.lock().entries.get(&self.id).is_some_and(|entry| entry.finished)
    }

    /// Begins the end in order, of both directions; what was written still goes. [`closed`](Self::closed) waits for it: see
    /// [`xtls::Tunnel::close`]. Before it can be used this calls it off.
    pub fn begin_close(&self) {
        let mut state = self.shared.lock();
        state.say_all(self.id);
        if let Some(mut tunnel) = state.engine.tunnel(self.id) {
            tunnel.close(now());
        }
        state.settle();
    }

    /// Breaks it off, and tells the peer this. What has come can still be read, and keeps [`closed`](Self::closed) waiting.
    pub fn abort(&self, condition: ReasonCondition) {
        let mut state = self.shared.lock();
        if let Some(mut tunnel) = state.engine.tunnel(self.id) {
            tunnel.abort(now(), Reason::new(condition));
        }
        state.settle();
    }

    /// The tunnel as a stream of bytes.
    ///
    /// # Errors
    ///
    /// The tunnel itself, if it carries an XML stream.
    pub fn into_bytes(self) -> Result<ByteTunnel, Self> {
        if self.is_xml { Err(self) } else { Ok(ByteTunnel::new(self)) }
    }

    /// The tunnel as a stream of stanzas.
    ///
    /// # Errors
    ///
    /// The tunnel itself, if it carries raw bytes.
    pub fn into_xml(self) -> Result<XmlTunnel, Self> {
        if self.is_xml { Ok(XmlTunnel::new(self)) } else { Err(self) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    pub(crate) async fn wait_for<T>(&self, look: impl Fn(&Entry) -> Option<T>) -> T {
        let entry_of = |state: &State| state.entries.get(&self.id).map(|entry| Arc::clone(&entry.changed));
        let Some(changed) = entry_of(&self.shared.lock()) else { return core::future::pending().await };
        loop {
            let notified = changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let found = self.shared.lock().entries.get(&self.id).and_then(&look);
            match found {
                Some(found) => return found,
                None => notified.await,
            }
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.shared.lock().disown(self.id);
    }
}

impl Deref for ByteTunnel {
    type Target = Tunnel;

    fn deref(&self) -> &Tunnel {
        &self.tunnel
    }
}

impl Deref for XmlTunnel {
    type Target = Tunnel;

    fn deref(&self) -> &Tunnel {
        &self.tunnel
    }
}

impl State {
    /// Why nothing can be written to a tunnel that the engine does not let write.
    pub(crate) fn why_closed(&self, id: TunnelId) -> TunnelError {
        match (self.entries.get(&id).and_then(|entry| entry.closed.as_ref()), &self.end) {
            (Some(closed), _) => TunnelError::Closed(Arc::clone(closed)),
            (None, Some(end)) => TunnelError::Gone(end.clone()),
            (None, None) => TunnelError::Finished,
        }
    }

    /// The same, once everything is passed on that says so.
    pub(crate) fn told_why_closed(&mut self, id: TunnelId) -> TunnelError {
        self.dispatch();
        self.why_closed(id)
    }

    /// The application has said all that it had to say.
    pub(crate) fn say_all(&mut self, id: TunnelId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.in_order = true;
        }
    }

    pub(crate) fn await_reader(&mut self, id: TunnelId, waker: &Waker) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.reader = Some(waker.clone());
        }
    }

    pub(crate) fn await_writer(&mut self, id: TunnelId, waker: &Waker) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.writer = Some(waker.clone());
        }
    }

    /// Whether all that was written was handed to the outer stream. Once it never will be, this says why.
    pub(crate) fn poll_sent(&mut self, id: TunnelId, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let is_open = self.entries.get(&id).is_some_and(|entry| entry.closed.is_none()) && self.end.is_none();
        match self.engine.tunnel(id).filter(|_| is_open) {
            Some(tunnel) if tunnel.unsent() == 0 => Poll::Ready(Ok(())),
            Some(_) => {
                self.watch(id, crate::shared::Watch::Sent, cx.waker());
                Poll::Pending
            }
            None => {
                self.dispatch();
                Poll::Ready(self.result_of_end(id))
            }
        }
    }

    /// What a writer is told of the end: nothing, if everything was acknowledged and nobody broke it off.
    pub(crate) fn result_of_end(&self, id: TunnelId) -> io::Result<()> {
        match self.entries.get(&id).and_then(|entry| entry.closed.as_ref()) {
            Some(closed) if is_in_order(closed) => Ok(()),
            _ => Err(self.why_closed(id).into()),
        }
    }
}

/// Whether everything that was written has arrived, and the tunnel did not end because of a fault.
fn is_in_order(closed: &Closed) -> bool {
    closed.unacked == 0 && !matches!(closed.reason, xtls::CloseReason::Fault(_))
}
