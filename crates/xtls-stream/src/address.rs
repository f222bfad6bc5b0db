//! The two ends of a stream, and addresses held against them.

use core::borrow::Borrow;

use xtls_stanza::jid::{BareJid, FullJid, Jid};

/// One end: of a tunnel, as it was authenticated and always a full JID; or of a direct stream, which may be any JID
/// (XEP-0174's have no resource).
#[derive(Debug, Clone)]
pub(crate) struct End<J = FullJid> {
    jid: J,
    bare: BareJid,
}

/// What an address says about an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// Nothing: there is no address.
    Nothing,
    /// It is the end's JID.
    Full,
    /// It is the end's bare JID.
    Bare,
    /// It is somebody else's, or no JID at all.
    Other(&'a str),
}

impl<J: Borrow<Jid>> End<J> {
    pub(crate) fn new(jid: J) -> Self {
        let bare = jid.borrow().to_bare();
        Self { jid, bare }
    }

    /// As it is spelt.
    pub(crate) fn full(&self) -> &str {
        self.jid.borrow().as_str()
    }

    /// The same without its resourcepart.
    pub(crate) fn bare(&self) -> &str {
        self.bare.as_str()
    }

    pub(crate) fn jid(&self) -> &J {
        &self.jid
    }

    /// Compares as addresses compare, by their canonical forms (RFC 7622 § 3).
    pub(crate) fn named<'a>(&self, address: Option<&'a str>) -> Named<'a> {
        let Some(address) = address else { return Named::Nothing };
        if address == self.full() {
            return Named::Full;
        }
        match Jid::new(address) {
            Ok(jid) if jid == *self.jid.borrow() => Named::Full,
            Ok(jid) if jid == *self.bare => Named::Bare,
            Ok(_) | Err(_) => Named::Other(address),
        }
    }
}
