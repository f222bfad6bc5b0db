//! An outer stream in memory: two clients without a server between them, for tests and examples.

use core::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::io;

use futures::{Stream as _, channel::mpsc};
use xtls::jid::FullJid;

use crate::{OuterStream, Received};

/// One end of a pair: what one sends, the other receives. When one is dropped, the other one ends in order.
///
/// As a server does, it says in every stanza who it is from, unless that is said already, as it is by an engine with
/// [`Config::stamp_from`](xtls::Config::stamp_from).
#[derive(Debug)]
pub struct MemoryStream {
    sender: mpsc::Sender<String>,
    receiver: mpsc::Receiver<String>,
    /// What says who is at this end, as an attribute.
    from: String,
}

/// The ends of two clients with these addresses, each with room for so many stanzas that the other one has not received, and one more.
#[must_use]
pub fn pair(one: &FullJid, other: &FullJid, stanzas: usize) -> (MemoryStream, MemoryStream) {
    let (there, from_there) = mpsc::channel(stanzas);
    let (back, from_back) = mpsc::channel(stanzas);
    (
        MemoryStream { sender: there, receiver: from_back, from: attribute(one) },
        MemoryStream { sender: back, receiver: from_there, from: attribute(other) },
    )
}

fn attribute(jid: &FullJid) -> String {
    let mut attribute = " from='".to_owned();
    for character in jid.as_str().chars() {
        match character {
            '&' => attribute.push_str("&amp;"),
            '<' => attribute.push_str("&lt;"),
            '\'' => attribute.push_str("&apos;"),
            other => attribute.push(other),
        }
    }
    attribute.push('\'');
    attribute
}

impl OuterStream for MemoryStream {
    type Stanza = String;

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Received<String>> {
        let next = ready!(Pin::new(&mut self.receiver).poll_next(cx));
        Poll::Ready(next.map_or(Received::Ended, Received::Stanza))
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.sender.poll_ready(cx).map_err(gone)
    }

    fn start_send(&mut self, mut stanza: String) -> io::Result<()> {
        let head = stanza.split_once('>').map_or("", |(head, _)| head);
        if !head.contains(" from=")
            && let Some(name_end) = stanza.find([' ', '/', '>'])
        {
            stanza.insert_str(name_end, &self.from);
        }
        self.sender.start_send(stanza).map_err(gone)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn gone(error: mpsc::SendError) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}
