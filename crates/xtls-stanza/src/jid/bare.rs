//! Addresses without a resourcepart.

use core::borrow::Borrow;
use core::fmt;
use core::net::IpAddr;
use core::ops::Deref;
use core::str::FromStr;

use super::{Jid, JidError, Span};

/// An address without a resourcepart: an account, or a server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BareJid(Jid);

/// A domainpart: the address of a server, without localpart and resourcepart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainPart(BareJid);

impl BareJid {
    /// Reads an address without a resourcepart.
    ///
    /// # Errors
    ///
    /// When it is no address, or has a resourcepart.
    pub fn new(text: &str) -> Result<Self, JidError> {
        Jid::new(text)?.try_into()
    }

    pub(super) fn of(mut jid: Jid) -> Self {
        (jid.canonical, jid.spelling) = (jid.canonical.to_bare(), jid.spelling.to_bare());
        Self(jid)
    }
}

impl DomainPart {
    /// Reads the address of a server.
    ///
    /// # Errors
    ///
    /// When it is no address, or has a localpart or a resourcepart.
    pub fn new(text: &str) -> Result<Self, JidError> {
        let jid = BareJid::new(text)?;
        if jid.local().is_some() { Err(JidError::Local) } else { Ok(Self(jid)) }
    }

    /// The name as the DNS has it, in A-labels (RFC 5890 § 2.3.2.1). None for an IP address, which the DNS has not.
    #[must_use]
    pub fn to_dns_name(&self) -> Option<String> {
        super::domain::to_dns_name(self.domain())
    }

    /// The address, if it is that of an IP host; one with a zone is of this machine alone, and none.
    #[must_use]
    pub fn to_ip_address(&self) -> Option<IpAddr> {
        let literal = self.domain().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        literal.unwrap_or_else(|| self.domain()).parse().ok()
    }

    pub(super) fn of(jid: &Jid) -> Self {
        let mut bare = jid.to_bare();
        if jid.local > 0 {
            let spelt = bare.as_str().split_once('@').map_or_else(|| bare.as_str(), |(_, domain)| domain);
            let (domain, spelt) = (bare.domain(), spelt);
            let same = domain == spelt;
            let text = if same { domain.into() } else { [domain, spelt].concat().into() };
            let canonical = Span::of(0, domain.len(), domain.len());
            let spelt_end = domain.len() + spelt.len();
            let spelling = if same { canonical } else { Span::of(domain.len(), spelt_end, spelt_end) };
            bare = BareJid(Jid { text, canonical, spelling, local: 0 });
        }
        Self(bare)
    }
}

impl TryFrom<Jid> for BareJid {
    type Error = JidError;

    fn try_from(jid: Jid) -> Result<Self, JidError> {
        if jid.is_full() { Err(JidError::Resource) } else { Ok(Self(jid)) }
    }
}

impl FromStr for BareJid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::new(text)
    }
}

impl FromStr for DomainPart {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Self, JidError> {
        Self::new(text)
    }
}

impl Deref for BareJid {
    type Target = Jid;

    fn deref(&self) -> &Jid {
        &self.0
    }
}

impl Deref for DomainPart {
    type Target = BareJid;

    fn deref(&self) -> &BareJid {
        &self.0
    }
}

impl Borrow<Jid> for BareJid {
    fn borrow(&self) -> &Jid {
        &self.0
    }
}

impl From<BareJid> for Jid {
    fn from(jid: BareJid) -> Self {
        jid.0
    }
}

impl From<DomainPart> for BareJid {
    fn from(domain: DomainPart) -> Self {
        domain.0
    }
}

impl From<DomainPart> for Jid {
    fn from(domain: DomainPart) -> Self {
        domain.0.0
    }
}

impl PartialEq<Jid> for BareJid {
    fn eq(&self, other: &Jid) -> bool {
        self.0 == *other
    }
}

impl PartialEq<BareJid> for Jid {
    fn eq(&self, other: &BareJid) -> bool {
        *self == other.0
    }
}

impl fmt::Display for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for DomainPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for DomainPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
