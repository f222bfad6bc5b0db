//! Where a peer can be reached: `<candidate/>` (XEP-0260 § 2.2).

use xtls_stanza::{ElementRef, jid::Jid, write};

use crate::{Host, S5bMalformed, proxy::StreamHost};

/// A place to connect to (XEP-0260 § 2.2). One that was read is not to be believed: whoever dials it checks the addresses that it
/// stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// By what the two ends know it: at most [`Candidate::MAX_CID`] bytes.
    pub cid: String,
    /// Where it is.
    pub host: Host,
    /// The port, never 0.
    pub port: u16,
    /// Whose SOCKS5 server it is: of a proxy its address, else that of the peer.
    pub jid: Jid,
    /// The higher, the better.
    pub priority: u32,
    /// How it leads to the peer.
    pub kind: CandidateType,
}

/// How a candidate leads to the peer (XEP-0260 § 2.2, "Defined Types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CandidateType {
    /// Through a SOCKS5 relay.
    Proxy,
    /// Through a tunnelling protocol such as Teredo.
    Tunnel,
    /// Through a port that a router was asked to map.
    Assisted,
    /// Straight to an interface of the peer.
    Direct,
}

impl Candidate {
    /// How many candidates of a peer are kept: those with the highest priorities.
    pub const MAX: usize = 8;
    /// The longest cid, in bytes.
    pub const MAX_CID: usize = 256;

    /// One of your own. `None` for a cid that is empty or too long, and for port 0.
    #[must_use]
    pub fn new(cid: &str, host: Host, port: u16, jid: Jid, priority: u32, kind: CandidateType) -> Option<Self> {
        let is_sound = !cid.is_empty() && cid.len() <= Self::MAX_CID && port > 0;
        is_sound.then(|| Self { cid: cid.to_owned(), host, port, jid, priority, kind })
    }

    /// Reads one. `None` if it says what the schema allows and nobody can dial: a port that is none, a host with spaces or control
    /// characters, an address that is no JID, a type of another time.
    ///
    /// XEP-0260 § 9: cid, host, jid and priority are required.
    pub(crate) fn parse(element: ElementRef<'_>) -> Result<Option<Self>, S5bMalformed> {
        let required = |name| element.attribute(name).filter(|value| !value.is_empty());
        let (Some(cid), Some(host), Some(jid), Some(priority)) =
            (required("cid"), required("host"), required("jid"), required("priority"))
        else {
            return Err(S5bMalformed::Candidate);
        };
        if cid.len() > Self::MAX_CID {
            return Err(S5bMalformed::Cid);
        }
        let priority = number(priority).ok_or(S5bMalformed::Priority)?;
        let port = match element.attribute("port") {
            Some(port) => number(port).ok_or(S5bMalformed::Port)?,
            None => u64::from(StreamHost::DEFAULT_PORT),
        };
        if port == 0 {
            // § 9: a positive integer.
            return Err(S5bMalformed::Port);
        }
        let kind = match element.attribute("type") {
            None => Some(CandidateType::Direct),
            Some(name) => CandidateType::ALL.iter().copied().find(|kind| kind.as_str() == name),
        };
        let (Ok(port), Ok(host), Ok(jid), Some(kind)) = (u16::try_from(port), Host::new(host), Jid::new(jid), kind)
        else {
            return Ok(None);
        };
        let priority = u32::try_from(priority).unwrap_or(u32::MAX);
        Ok(Some(Self { cid: cid.to_owned(), host, port, jid, priority, kind }))
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("<candidate");
        write::attribute(out, "cid", &self.cid);
        write::attribute(out, "host", self.host.as_str());
        write::attribute(out, "jid", self.jid.as_str());
        write::attribute(out, "port", &self.port.to_string());
        write::attribute(out, "priority", &self.priority.to_string());
        write::attribute(out, "type", self.kind.as_str());
        out.push_str("/>");
    }
}

/// Digits and nothing else. What is too large stands for the largest: no more than the order counts.
fn number(value: &str) -> Option<u64> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| value.parse().unwrap_or(u64::MAX))
}

impl CandidateType {
    /// All of them, the least preferred first.
    pub const ALL: &'static [Self] = &[Self::Proxy, Self::Tunnel, Self::Assisted, Self::Direct];

    /// The value of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Tunnel => "tunnel",
            Self::Assisted => "assisted",
            Self::Direct => "direct",
        }
    }

    /// The priority of a candidate of this type (XEP-0260 § 2.2): `2^16 * type preference + local preference`.
    #[must_use]
    pub fn priority(self, local_preference: u16) -> u32 {
        let preference = match self {
            Self::Proxy => 10,
            Self::Tunnel => 110,
            Self::Assisted => 120,
            Self::Direct => 126,
        };
        (preference << 16) + u32::from(local_preference)
    }
}
