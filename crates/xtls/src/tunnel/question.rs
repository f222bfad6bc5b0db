//! Does the peer have XTLS at all? (draft-meyer-xmpp-e2e-encryption-02 § 7, XEP-0115)

use xtls_stanza::{Caps, DiscoInfo, ElementRef, Id, StanzaError};

use xtls_channel::{Fault, Missing, Timer};

use super::{Phase, TunnelCore};
use crate::{
    engine::watch,
    {capabilities::Supports, shared::Shared},
};

/// What the peer is asked before it is offered anything.
#[derive(Debug, Default)]
pub(super) struct Question {
    /// The id of the query that is out.
    id: Option<Id>,
    /// The peer is asked for what it announced by this.
    announced: Option<Caps>,
}

impl Question {
    pub(super) fn is(&self, id: &str) -> bool {
        self.id.is_some_and(|own| own.as_str() == id)
    }

    /// The id under which an answer is due.
    pub(super) fn unanswered(&self) -> Option<Id> {
        self.id
    }
}

impl TunnelCore {
    /// Draft § 7: an initiator SHOULD first determine whether the responder supports this. What is known already need not be
    /// asked; who lies about it gets an offer it cannot take.
    pub(super) fn check_support(&mut self, shared: &mut Shared) {
        let announced = shared.capabilities.announced(&self.peer);
        if let Some(supports) = announced.as_ref().and_then(|caps| shared.capabilities.supports(caps)) {
            return self.offer(Some(supports), shared);
        }
        self.ask(announced, shared);
    }

    fn ask(&mut self, announced: Option<Caps>, shared: &Shared) {
        self.phase = Phase::Asking;
        self.negotiation.question = Question { id: None, announced };
        self.set(Timer::Answer, shared.config.timers.answer, shared);
    }

    pub(super) fn poll_query(&mut self, shared: &mut Shared, out: &mut String) -> bool {
        if self.phase != Phase::Asking || self.negotiation.question.id.is_some() {
            return false;
        }
        let id = shared.ids.next_id();
        let node = self.negotiation.question.announced.as_ref().map(Caps::disco_node);
        DiscoInfo::write_request(out, id.as_str(), self.to(), shared.from(), node.as_deref());
        self.negotiation.question.id = Some(id);
        watch::sent("disco#info");
        true
    }

    /// The peer told its features, or that it would not.
    pub(super) fn support_told(
        &mut self,
        payload: Option<ElementRef<'_>>,
        error: Option<&StanzaError>,
        shared: &mut Shared,
    ) {
        let Question { announced, .. } = core::mem::take(&mut self.negotiation.question);
        self.timers.clear(Timer::Answer);
        if self.phase != Phase::Asking {
            return;
        }
        if let Some(error) = error {
            if announced.is_some() {
                // What it announced may be out of date, or somebody else's invention.
                return self.ask(None, shared);
            }
            return self.fail(Fault::Unreachable { asked: "its features", error: error.clone() }, shared);
        }
        let info = payload.and_then(DiscoInfo::parse).and_then(Result::ok);
        let Some(info) = info else {
            // An answer that is none does not say that something is missing.
            return self.fail(Fault::PeerLacksXtls, shared);
        };
        let Some(supports) = Supports::of(&info) else {
            return self.fail(self.lacks_xtls(Missing::Support), shared);
        };
        if let Some(announced) = announced {
            shared.capabilities.learn(&announced, &info);
        }
        self.offer(Some(supports), shared);
    }
}
