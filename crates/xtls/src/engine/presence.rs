//! Presence: who of an account is there, what they can do, and who has left.

use xtls_stanza::{
    Caps, Element,
    jid::{BareJid, FullJid},
    ns,
};

use super::Engine;
use crate::event::{Disposition, Event};

impl Engine {
    /// The resources of an account that have shown themselves by presence and not left since, as far as they are remembered (1024
    /// of all accounts): first those that are known to have XTLS, then those that say what they can do (XEP-0115), then the others.
    /// Which of the last two have XTLS is seen by offering them a tunnel. Our own resource is not among them.
    #[must_use]
    pub fn resources(&self, account: &BareJid) -> Vec<FullJid> {
        let mut resources = self.shared.capabilities.resources(account);
        resources.retain(|resource| *resource != self.shared.jid);
        resources
    }

    pub(super) fn handle_presence(&mut self, stanza: &Element) -> Disposition {
        let Some(from) = stanza.attribute("from") else { return Disposition::NotOurs };
        let kind = stanza.attribute("type");
        if kind.is_none() && stanza.child("decloak", ns::DECLOAK).is_some() {
            self.note_caller(from);
        }
        let mut observed =
            if self.note_capabilities(from, kind, stanza) { Disposition::Observed } else { Disposition::NotOurs };
        self.with_peer(&self.sender(from).address, |tunnel, shared| {
            observed = Disposition::Observed;
            // XEP-0166 § 6.7: a party that goes offline has left the session, unless it is heard of again.
            match kind {
                Some("unavailable") => tunnel.unavailable(shared),
                // A server writes these in the peer's name.
                Some("error") => {}
                Some(_) | None => tunnel.heard(shared),
            }
            None::<()>
        });
        observed
    }

    /// A peer asks for our presence (XEP-0276). To show it is to say that we are there, so strangers are not told of to the embedder:
    /// it cannot show itself to them by mistake.
    fn note_caller(&mut self, from: &str) {
        let Ok(peer) = FullJid::new(from) else { return };
        let bare = peer.to_bare();
        if peer != self.shared.jid
            && self.answers_offers_of(&bare)
            && self.shown.admit(self.shared.env.clock().now(), &bare)
        {
            self.shared.events.push(Event::PresenceWanted { peer });
        }
    }

    /// Takes note of who is there and of what a presence says of its sender's capabilities, and tells whether it says anything of
    /// those. One that does not changes nothing in them: servers leave out what they have said before (XEP-0115 § 8.4).
    fn note_capabilities(&mut self, from: &str, kind: Option<&str>, stanza: &Element) -> bool {
        let Ok(peer) = FullJid::new(from) else { return false };
        match kind {
            None => {}
            Some("unavailable") => {
                self.shared.capabilities.forget(&peer);
                return false;
            }
            Some(_) => return false,
        }
        let caps = stanza.child("c", ns::CAPS).and_then(Caps::parse);
        let says = caps.is_some();
        self.shared.capabilities.announce(peer, caps);
        says
    }
}
