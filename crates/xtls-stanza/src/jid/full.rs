//! Addresses with a resourcepart.

use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;
use core::str::FromStr;

use super::{Jid, JidError};

/// An address with a resourcepart: one connection of an account, or of a server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FullJid(Jid);

impl FullJid {
    /// Reads an address with a resourcepart.
    ///
    /// # Errors
    ///
    /// When it is no address, or has no resourcepart.
    pub fn new(text: &str) -> Result<Self, JidError> {
        Jid::new(text)?.try_into()
    }

    /// The resourcepart, in its canonical form (RFC 7622 § 3.4).
    #[must_use]
    pub fn resource(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }
}

impl TryFrom<Jid> for FullJid {
    type Error = JidError;

    fn try_from(jid: Jid) -> Result<Self, JidError> {
        if jid.is_full() { Ok(Self(jid)) } else { Err(JidError::NoResource) }
    }
}

impl FromStr for FullJid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::new(text)
    }
}

impl Deref for FullJid {
    type Target = Jid;

    fn deref(&self) -> &Jid {
        &self.0
    }
}

impl Borrow<Jid> for FullJid {
    fn borrow(&self) -> &Jid {
        &self.0
    }
}

impl From<FullJid> for Jid {
    fn from(jid: FullJid) -> Self {
        jid.0
    }
}

impl PartialEq<Jid> for FullJid {
    fn eq(&self, other: &Jid) -> bool {
        self.0 == *other
    }
}

impl PartialEq<FullJid> for Jid {
    fn eq(&self, other: &FullJid) -> bool {
        *self == other.0
    }
}

impl fmt::Display for FullJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for FullJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
