//! The two ends of the tunnel, and addresses held against them.

use jid::{BareJid, FullJid, Jid};

/// One end of the tunnel, as it was authenticated.
#[derive(Debug, Clone)]
pub(crate) struct End {
    full: FullJid,
    bare: BareJid,
}

/// What an address says about an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// Nothing: there is no address.
    Nothing,
    /// It is the end's full JID.
    Full,
    /// It is the end's bare JID.
    Bare,
    /// It is somebody else's, or no JID at all.
    Other(&'a str),
}

impl End {
    pub(crate) fn new(full: FullJid) -> Self {
        let bare = full.to_bare();
        Self { full, bare }
    }

    pub(crate) fn full(&self) -> &str {
        self.full.as_str()
    }

    pub(crate) fn bare(&self) -> &str {
        self.bare.as_str()
    }

    pub(crate) fn jid(&self) -> &FullJid {
        &self.full
    }

    /// Compares as JIDs compare, after preparation (RFC 7622 § 3).
    pub(crate) fn named<'a>(&self, address: Option<&'a str>) -> Named<'a> {
        let Some(address) = address else { return Named::Nothing };
        if address == self.full() {
            return Named::Full;
        }
        match Jid::new(address) {
            Ok(jid) if jid.as_str() == self.full() => Named::Full,
            Ok(jid) if jid.as_str() == self.bare() => Named::Bare,
            Ok(_) | Err(_) => Named::Other(address),
        }
    }
}
