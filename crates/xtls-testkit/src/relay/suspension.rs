//! Streams that are away for a while (XEP-0198), and servers that start again.

use std::time::Instant;

use super::{Delivery, Relay};

/// What waits for a stream that is away.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// What it sent itself.
    pub(super) sent: Vec<String>,
    /// What is for it.
    pub(super) received: Vec<Delivery>,
}

impl Relay {
    /// The stream of a connection is away (XEP-0198): what is for it waits here, and what it sends waits with it.
    pub fn hold(&mut self, jid: &str) {
        self.held.entry(jid.to_owned()).or_default();
    }

    /// The stream is resumed: everything that waited goes on its way, in order.
    pub fn release(&mut self, now: Instant, jid: &str) {
        let Some(Held { sent, received }) = self.held.remove(jid) else { return };
        received.into_iter().for_each(|delivery| self.schedule(now, delivery));
        sent.iter().for_each(|stanza| self.handle_stanza(now, jid, stanza));
    }

    /// The server stops and starts again: nobody is online, nobody is told, and all that was on its way is lost.
    pub fn restart(&mut self) {
        self.online.clear();
        self.held.clear();
        self.on_the_way.clear();
    }
}
