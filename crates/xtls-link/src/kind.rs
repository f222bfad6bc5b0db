//! What sets the three types of links apart.

use xtls_stanza::{Element, TlsOffer};
use xtls_stream::Features;

use crate::{common::Core, event::LinkEvent};

/// Which of the three types a [`Link`](crate::Link) is: [`Peer`](crate::Peer), [`Client`](crate::Client) or
/// [`Server`](crate::Server). Nobody else can be one.
#[allow(private_bounds, reason = "what a kind does is the link's own, which also seals the trait")]
pub trait Kind: Hooks {}

/// What a kind of link does at each step.
pub(crate) trait Hooks {
    /// The peer's header came.
    fn header(&mut self, core: &mut Core);

    /// Initiating: the peer's features came.
    fn features(&mut self, _: &mut Core, _: Features) {}

    /// Receiving: the peer asks for TLS.
    fn starttls(&mut self, _: &mut Core, _: Option<TlsOffer>) {}

    /// Both ends go on with TLS, by the method that was chosen.
    fn agreed(&mut self, core: &mut Core, proceed: Option<TlsOffer>);

    /// The handshake is complete and plaintext can be written.
    fn accepted(&mut self, core: &mut Core);

    /// A first-level child that is no stanza.
    fn nonza(&mut self, core: &mut Core, nonza: Element) {
        core.tell(LinkEvent::Nonza(nonza));
    }

    /// Whether the other end's user may be judging our certificate while the handshake runs.
    fn may_be_judged(&self) -> bool;

    /// Whether the peer may send stanzas, and be sent some, on a stream that is open.
    fn may_talk(&self, _: &Core) -> bool {
        true
    }

    /// Whether the peer has sent more where it had to wait.
    fn is_hasty(&self, _: &Core) -> bool {
        false
    }
}
