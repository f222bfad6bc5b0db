//! How a link ends.

use xtls_stream::StreamCondition;

use super::{EndedBy, Link, LinkClosed, LinkEvent, LinkFault, LinkReason, LinkStage, LinkTimer};

impl Link {
    /// The embedder wants to end the link.
    pub(super) fn begin_close(&mut self) {
        match self.stage {
            LinkStage::Closing | LinkStage::Ended => return,
            LinkStage::Open => {}
            LinkStage::Greeting
            | LinkStage::Deciding
            | LinkStage::Password
            | LinkStage::Asking
            | LinkStage::Handshake
            | LinkStage::Judging
            | LinkStage::Restarting
            | LinkStage::Offering => {
                self.goodbye();
                return self.end(EndedBy::Local, LinkReason::Aborted);
            }
        }
        self.goodbye();
        self.stage = LinkStage::Closing;
        self.wait_for(LinkTimer::Close, self.config.timers.close);
    }

    /// The link fails: the peer is told why where the stream can carry it and has not told it already.
    pub(super) fn fail(&mut self, fault: LinkFault) {
        if self.is_over() {
            return;
        }
        self.farewell(fault.condition());
        self.end(EndedBy::Engine, LinkReason::Fault(Box::new(fault)));
    }

    /// Tells the peer that it is over, and why: a failure where it asked for TLS (RFC 6120 § 5.4.2.2, XEP-0250 § 3.3.3),
    /// else a stream error.
    pub(super) fn farewell(&mut self, condition: StreamCondition) {
        let mut text = Vec::new();
        if self.stream.refuse(&mut text).is_ok()
            || self.stream.fail(&condition.into(), &mut self.ids, &mut text).is_ok()
        {
            self.emit(&text);
        }
    }

    /// Ends the stream in the outgoing direction, where it can be.
    fn goodbye(&mut self) {
        let mut text = Vec::new();
        if self.stream.close(&mut text).is_ok() {
            self.emit(&text);
        }
    }

    /// Nothing more comes or goes but what waits to be sent.
    pub(super) fn end(&mut self, by: EndedBy, reason: LinkReason) {
        if self.is_over() {
            return;
        }
        self.stage = LinkStage::Ended;
        self.wait = None;
        self.wants_room = false;
        self.count_guess();
        self.held.clear();
        self.early = Vec::new();
        let lets_pass = self.lets_pass();
        if let Some(mut tls) = self.tls.take()
            && lets_pass
        {
            tls.close(&mut self.out);
        }
        self.forget_secret();
        self.events.push(LinkEvent::Closed(LinkClosed { peer: self.peer.clone(), by, reason }), 0);
    }
}
