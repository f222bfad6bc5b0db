//! An offer that is to be made to another resource.

use xtls_jingle::{Action, Redirect, redirect_allowed};
use xtls_stanza::{
    ElementRef, StanzaError,
    jid::{FullJid, Jid},
};

use xtls_channel::Fault;

use super::{Addresses, TunnelCore};
use crate::{event::Event, shared::Shared};

/// Where an offer is to be made instead, until the engine has looked whether there is room for one more tunnel with that
/// resource.
#[derive(Debug)]
pub(super) struct Elsewhere {
    target: FullJid,
    /// What the offer was answered with.
    error: StanzaError,
}

impl TunnelCore {
    /// The offer was answered with a redirect (XEP-0166 § 6.3.2). It is followed once, and to another resource of the same
    /// account: whom to talk to is the user's decision, and trust belongs to the bare JID (§ 13.5).
    pub(super) fn redirect(&mut self, answer: Option<ElementRef<'_>>, error: &StanzaError, shared: &Shared) {
        let from = Jid::from(self.peer.clone());
        let refused = || Fault::Refused { action: Action::SessionInitiate, error: error.clone() };
        let Some(Redirect { target, .. }) = answer.and_then(Redirect::parse) else {
            return self.fail(refused(), shared);
        };
        if target.to_bare() != from.to_bare() {
            return self.fail(Fault::Redirected { to: target }, shared);
        }
        let may_follow = !self.negotiation.redirected && redirect_allowed(&from, &target);
        match FullJid::try_from(target) {
            Ok(target) if may_follow && target != shared.jid => {
                self.negotiation.elsewhere = Some(Box::new(Elsewhere { target, error: error.clone() }));
            }
            Ok(_) | Err(_) => self.fail(refused(), shared),
        }
    }

    /// The resource that the offer is to be made to instead.
    pub(crate) fn redirected_to(&self) -> Option<&FullJid> {
        self.negotiation.elsewhere.as_ref().map(|elsewhere| &elsewhere.target)
    }

    /// Follows the redirect, if there is room for one more tunnel with that resource.
    pub(crate) fn follow_redirect(&mut self, has_room: bool, shared: &mut Shared) {
        let Some(elsewhere) = self.negotiation.elsewhere.take() else { return };
        let Elsewhere { target, error } = *elsewhere;
        if has_room {
            self.follow(target, shared);
        } else {
            self.fail(Fault::Refused { action: Action::SessionInitiate, error }, shared);
        }
    }

    /// Begins anew with another resource: its features may differ, and nothing that was said to the first one counts.
    fn follow(&mut self, peer: FullJid, shared: &mut Shared) {
        self.negotiation.redirected = true;
        self.addresses = Addresses::of(&peer, shared.from());
        self.peer = peer;
        self.negotiation.session = None;
        self.stop_searching(shared);
        self.transport = None;
        self.timers.clear_all();
        shared.events.push(Event::Redirected { id: self.id, peer: self.peer.clone() });
        self.begin(shared);
    }
}
