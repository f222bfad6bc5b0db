//! Tests that look at every stanza, and say what becomes of it.

use std::time::Instant;

use xtls_stanza::StanzaError;

use super::Relay;

/// What a server that meddles makes of a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It goes its way.
    Pass,
    /// These go in its place, to the same addressee and in this order: none if it is lost, two if it is doubled.
    Replace(Vec<String>),
    /// It comes back to its sender with this error, in the addressee's name.
    Bounce(StanzaError),
}

pub(super) struct Meddler(pub(super) Box<dyn FnMut(&Passed) -> Fate>);

/// A stanza at its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The connection that gets it.
    pub to: String,
    /// The stanza, `from` stamped.
    pub stanza: String,
}

/// A stanza that went through the relay, as its log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passed {
    /// When it was sent.
    pub at: Instant,
    /// Who sent it.
    pub from: String,
    /// Whom it is for.
    pub to: String,
    /// The stanza, `from` stamped.
    pub stanza: String,
}

impl Relay {
    /// Lets somebody meddle with every stanza from now on, in the place of whoever did so before. The log keeps what was
    /// sent.
    pub fn meddle(&mut self, meddler: impl FnMut(&Passed) -> Fate + 'static) {
        self.meddler = Some(Meddler(Box::new(meddler)));
    }

    /// From now on nobody meddles.
    pub fn stop_meddling(&mut self) {
        self.meddler = None;
    }
}
