//! What is known of a peer.

use serde::Serialize;

/// The members of the `peer` event.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Peer<'a> {
    pub(crate) jid: &'a str,
    pub(crate) pins: Vec<Pinned>,
    /// The methods by which a tunnel with it was secured and confirmed.
    pub(crate) secured_by: Vec<&'static str>,
    /// It has shown inside of a tunnel what it saw of the negotiation, and has to from then on.
    pub(crate) negotiation_hash: bool,
    /// Since the last right one.
    pub(crate) wrong_passwords: u32,
    /// Whatever was right between them, but for those forgiven.
    pub(crate) wrong_in_all: u32,
    /// When the last wrong one was, and until when none is tried; RFC 3339.
    pub(crate) last_wrong: Option<String>,
    pub(crate) locked_until: Option<String>,
    /// If the address is one of yours: wrong ones there, by strangers, but for those forgiven.
    pub(crate) wrong_by_strangers: u32,
}

/// A trusted certificate.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Pinned {
    pub(crate) fingerprint: String,
    pub(crate) learned: &'static str,
    /// RFC 3339; none where it was not written down.
    pub(crate) since: Option<String>,
}
