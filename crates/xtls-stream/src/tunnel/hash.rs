//! What the ends said to one another outside of the tunnel, compared inside (docs/wire.md § 5).

use core::mem;

use xtls_stanza::{Element, ElementRef, Fingerprint, ns};

use super::{Outgoing, TunnelStream};
use crate::{StreamEvent, StreamFault, write};

/// Our hash, and whether the peer's is due.
#[derive(Debug)]
pub(super) struct Hash {
    own: [u8; 32],
    is_required: bool,
    /// The next child of the stream has to be the peer's, or shows that the peer has none.
    is_due: bool,
}

impl Hash {
    pub(super) fn new(own: [u8; 32], is_required: bool) -> Self {
        Self { own, is_required, is_due: false }
    }

    pub(super) fn own(&self) -> &[u8; 32] {
        &self.own
    }

    /// A header has come, after which a hash may.
    pub(super) fn expect(&mut self, may_come: bool) {
        self.is_due = may_come || self.is_required;
    }

    /// The stream has ended; the next one has its own.
    pub(super) fn expect_no_more(&mut self) {
        self.is_due = false;
    }

    /// Whether this is the same hash.
    fn is_shown_by(&self, element: ElementRef<'_>) -> bool {
        Fingerprint::parse(Some("sha-256"), &element.text()).is_ok_and(|shown| shown.digest() == self.own)
    }
}

impl TunnelStream {
    /// Whether the peer answers our header and has not shown its hash: nothing but that comes or goes before.
    pub(super) fn awaits_hash(&self) -> bool {
        !self.answered && self.hash.as_ref().is_some_and(|hash| hash.is_due)
    }

    /// Looks at the first child of a stream; tells whether there is nothing more to it.
    pub(super) fn check_hash(&mut self, child: &Element, out: &mut Vec<u8>) -> Result<bool, StreamFault> {
        let Some(hash) = &mut self.hash else { return Ok(false) };
        if !mem::take(&mut hash.is_due) {
            return Ok(false);
        }
        let is_hash = |element: &ElementRef<'_>| element.is("hash", ns::NEGOTIATION_1);
        let shown = if self.answered {
            Some(child.root()).filter(is_hash)
        } else {
            Some(child.root())
                .filter(|child| child.is("features", ns::STREAM))
                .and_then(|it| it.children().find(is_hash))
        };
        let Some(shown) = shown else {
            // Who answers has said in its header that it has one, or has to have one.
            let may_miss = self.answered && !hash.is_required;
            return if may_miss { Ok(false) } else { Err(StreamFault::NegotiationMissing) };
        };
        let is_same = hash.is_shown_by(shown);
        if !self.answered && self.outgoing == Outgoing::Open {
            // Also where it is another one: so the peer sees that for itself.
            write::negotiation_hash(&hash.own, out);
        }
        if !is_same {
            return Err(StreamFault::NegotiationDiffers);
        }
        self.events.push(StreamEvent::NegotiationMatches, 0);
        if !self.answered {
            self.tell_opened();
        }
        Ok(true)
    }
}
