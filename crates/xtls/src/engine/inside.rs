//! Sessions that are negotiated inside of an XML stream tunnel with the same peer: no server sees their candidates.
//!
//! What a session asks goes there, in both directions. Answers say nothing but the id of what they answer, and go as ever.

use xtls_stanza::{Element, Iq, jid::FullJid};

use super::{Engine, inbound::Sender};
use crate::{
    event::Disposition,
    tunnel::{Passed, TunnelCore},
};

impl Engine {
    /// The XML stream tunnel with this peer that a session can be negotiated in.
    pub(super) fn way_inside(&self, peer: &FullJid) -> Option<u64> {
        self.tunnels
            .with_peer(peer.canonical())
            .into_iter()
            .find(|number| self.tunnels.get(*number).is_some_and(TunnelCore::carries_sessions))
    }

    /// Passes on what the session of this tunnel has to say, if it is said inside of another one.
    pub(super) fn pass_inside(&mut self, number: u64) {
        while let Some(around) = self.tunnels.get(number).and_then(TunnelCore::inside_of) {
            let is_there = self.tunnels.get(around).is_some_and(TunnelCore::carries_sessions);
            let shared = &mut self.shared;
            let passed = self.tunnels.act(number, |tunnel| {
                let passed = tunnel.pass(is_there, shared);
                tunnel.settle(shared);
                passed
            });
            match passed {
                Some(Passed::Stanza(stanza)) => {
                    let sent = self.with_tunnel(around, |tunnel, shared| tunnel.send_session(&stanza, shared));
                    if sent != Some(true) {
                        self.tunnels.act(number, |tunnel| tunnel.inside_lost(&self.shared));
                    }
                }
                Some(Passed::Nothing) | None => return,
            }
        }
        self.tunnels.wake(number);
    }

    /// Takes what was said inside of tunnels about sessions.
    pub(super) fn take_inside(&mut self) {
        while let Some((around, stanza)) = self.shared.inside.pop_front() {
            self.inside = Some(around);
            self.handle_inside(around, &stanza);
            self.inside = None;
        }
    }

    fn handle_inside(&mut self, around: u64, stanza: &Element) {
        let Some(Ok(iq)) = Iq::parse(stanza) else { return };
        let Some(payload) = iq.payload else { return };
        let Some(peer) = self.tunnels.get(around).map(|tunnel| tunnel.peer().clone()) else { return };
        let from = Sender { stamped: peer.as_str(), address: peer.canonical().into() };
        // Nobody else is offered it: it is of a session of ours, or offers one.
        if let Disposition::Unclaimed(refusal) = self.handle_jingle(iq.id, &from, payload) {
            self.answers.push(&refusal.to, &refusal.id, refusal.answer);
        }
    }
}
