//! The client's share of the outer stream.

use core::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{Sink, Stream, channel::mpsc};

use crate::{End, shared::Shared};

/// The stanzas that are not the engine's, in the order in which they came: for the rest of the client.
///
/// 32 and two more wait here. While there is no room the driver receives nothing, so take them, or drop this: then messages
/// and presence are dropped too, and requests are answered with service-unavailable. It ends with the driver.
#[derive(Debug)]
pub struct Stanzas<S> {
    receiver: mpsc::Receiver<S>,
    sender: StanzaSender<S>,
}

/// Sends the client's own stanzas over the outer stream, between those of the engine. 32 wait for each sender, and one more.
///
/// Flushing it says that they are in this queue. What is in it when the driver ends is dropped.
#[derive(Debug)]
pub struct StanzaSender<S> {
    sender: mpsc::Sender<S>,
    shared: Shared,
}

impl<S> Stanzas<S> {
    pub(crate) fn new(shared: Shared, receiver: mpsc::Receiver<S>, sender: mpsc::Sender<S>) -> Self {
        Self { receiver, sender: StanzaSender { sender, shared } }
    }

    /// What sends the client's own stanzas. It can be cloned.
    #[must_use]
    pub fn sender(&self) -> StanzaSender<S> {
        self.sender.clone()
    }
}

impl<S> Stream for Stanzas<S> {
    type Item = S;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S>> {
        Pin::new(&mut self.receiver).poll_next(cx)
    }
}

impl<S> Clone for StanzaSender<S> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), shared: self.shared.clone() }
    }
}

impl<S> StanzaSender<S> {
    fn end(&self) -> End {
        self.shared.lock().end.clone().unwrap_or(End::Dropped)
    }
}

impl<S> Sink<S> for StanzaSender<S> {
    type Error = End;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let ready = ready!(self.sender.poll_ready(cx));
        Poll::Ready(ready.map_err(|_| self.end()))
    }

    fn start_send(mut self: Pin<&mut Self>, stanza: S) -> Result<(), End> {
        self.sender.start_send(stanza).map_err(|_| self.end())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), End>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.sender.disconnect();
        Poll::Ready(Ok(()))
    }
}
