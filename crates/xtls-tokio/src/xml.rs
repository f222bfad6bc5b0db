//! An XML stream.

use core::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};
use std::io;

use futures::{Sink, Stream};
use xtls::{Element, error::SendError};

use crate::{Tunnel, TunnelError, shared::now};

/// A tunnel with an XML stream: a `Stream` and a `Sink` of stanzas. `StreamExt::split` lets two tasks have one direction each.
///
/// - **Receiving** ends when the stream is closed, and with [`TunnelError::Closed`] before that when what came may be a part of
///   what was sent. The stanzas that wait are bounded by [`Config::receive_buffer`](xtls::Config::receive_buffer); beyond that
///   the peer waits. An IQ among them is yours to answer.
/// - **Sending** waits for room ([`Config::send_buffer`](xtls::Config::send_buffer)). [`TunnelError::Unsendable`] says that a
///   stanza cannot be sent, and leaves the tunnel as it was.
/// - **Flushing** waits until everything sent was handed to the outer stream.
/// - **Closing** ends the stream and the tunnel in order, and waits for that.
///
/// Dropping it breaks it off, unless it was being closed or the peer has closed it: then it ends in order.
#[derive(Debug)]
pub struct XmlTunnel {
    pub(crate) tunnel: Tunnel,
    /// A stanza that there was no room for.
    kept: Option<Element>,
    /// The end was told.
    is_over: bool,
}

impl XmlTunnel {
    pub(crate) fn new(tunnel: Tunnel) -> Self {
        Self { tunnel, kept: None, is_over: false }
    }

    /// Sends what was kept.
    fn poll_kept(&mut self, cx: &Context<'_>) -> Poll<Result<(), TunnelError>> {
        let Some(stanza) = self.kept.take() else { return Poll::Ready(Ok(())) };
        match self.send_now(&stanza, Some(cx.waker())) {
            Err(SendError::Full) => {
                self.kept = Some(stanza);
                Poll::Pending
            }
            sent => Poll::Ready(self.told(sent)),
        }
    }

    /// Sends a stanza, if there is room. This waker is woken once there is.
    fn send_now(&self, stanza: &Element, waker: Option<&Waker>) -> Result<(), SendError> {
        let mut state = self.tunnel.lock();
        let sent = match state.engine.tunnel(self.tunnel.id()) {
            Some(mut tunnel) => tunnel.send(now(), stanza),
            None => Err(SendError::Closing),
        };
        match (&sent, waker) {
            (Ok(()), _) => state.settle(),
            (Err(SendError::Full), Some(waker)) => state.await_writer(self.tunnel.id(), waker),
            _ => {}
        }
        sent
    }

    fn told(&self, sent: Result<(), SendError>) -> Result<(), TunnelError> {
        let is_over = |error| matches!(error, SendError::Closing | SendError::NoStream | SendError::NotSecured);
        sent.map_err(|error| {
            if is_over(error) {
                self.tunnel.lock().told_why_closed(self.tunnel.id())
            } else {
                TunnelError::Unsendable(error)
            }
        })
    }
}

impl Stream for XmlTunnel {
    type Item = Result<Element, TunnelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        let id = this.tunnel.id();
        let mut state = this.tunnel.lock();
        state.dispatch();
        let entry = state.entries.get_mut(&id);
        if let Some((stanza, held)) = entry.and_then(|entry| entry.stanzas.pop_front()) {
            if let Some(held) = held {
                state.engine.release(held);
                state.settle();
            }
            return Poll::Ready(Some(Ok(stanza)));
        }
        let Some(entry) = state.entries.get(&id) else { return Poll::Ready(None) };
        let (is_finished, closed) = (entry.finished, entry.closed.clone());
        if closed.is_none() && !is_finished {
            state.await_reader(id, cx.waker());
            return Poll::Pending;
        }
        if is_finished {
            // Nothing is left to be said.
            state.say_all(id);
        }
        drop(state);
        this.is_over = true;
        Poll::Ready(closed.filter(|closed| closed.truncated).map(|closed| Err(TunnelError::Closed(closed))))
    }
}

impl Sink<Element> for XmlTunnel {
    type Error = TunnelError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TunnelError>> {
        self.poll_kept(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, stanza: Element) -> Result<(), TunnelError> {
        match self.send_now(&stanza, None) {
            Err(SendError::Full) => {
                self.kept = Some(stanza);
                Ok(())
            }
            sent => self.told(sent),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TunnelError>> {
        ready!(self.poll_kept(cx))?;
        let flushed = ready!(self.tunnel.lock().poll_sent(self.tunnel.id(), cx));
        Poll::Ready(flushed.map_err(|error| inner(&error)))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TunnelError>> {
        ready!(self.poll_kept(cx))?;
        let (id, mut state) = (self.tunnel.id(), self.tunnel.lock());
        state.say_all(id);
        let goes_on = state.end.is_none();
        if let Some(mut tunnel) = state.engine.tunnel(id).filter(|_| goes_on) {
            tunnel.close(now());
            state.await_writer(id, cx.waker());
            state.settle();
            return Poll::Pending;
        }
        state.dispatch();
        Poll::Ready(state.result_of_end(id).map_err(|error| inner(&error)))
    }
}

/// The error of a tunnel that was wrapped for tokio.
fn inner(error: &io::Error) -> TunnelError {
    TunnelError::of(error).cloned().unwrap_or(TunnelError::Finished)
}
