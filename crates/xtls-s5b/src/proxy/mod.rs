//! What a proxy is asked over XMPP (XEP-0065 §§ 4 and 6): where it is, and to join two connections.

mod activation;
mod discovery;

use xtls_stanza::{ElementRef, Iq, IqType, jid::Jid, ns, write};

pub use activation::{Activation, ActivationFault};
pub use discovery::Discovery;

use crate::host::{self, Host};

/// Where a proxy takes connections, and who it is in XMPP.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamHost {
    /// Whom to ask for the activation. It need not be the address that the proxy was asked at: ejabberd's has a resource.
    pub jid: Jid,
    /// Where it is.
    pub host: Host,
    /// Its port, from 1.
    pub port: u16,
}

impl StreamHost {
    /// The port of one that names none (XEP-0065 § 9.2).
    pub const DEFAULT_PORT: u16 = 1080;

    /// A proxy that is known otherwise.
    #[must_use]
    pub fn new(jid: Jid, host: Host, port: u16) -> Self {
        Self { jid, host, port }
    }

    /// Reads a `<streamhost/>`; `None` where XEP-0065 § 9.2 is not kept: without a valid address, without a host that can be one, or
    /// with a port that is none.
    #[must_use]
    pub fn parse(element: ElementRef<'_>) -> Option<Self> {
        if !element.is("streamhost", ns::BYTESTREAMS) {
            return None;
        }
        let jid = element.attribute("jid")?.parse().ok()?;
        let host = Host::new(element.attribute("host")?).ok()?;
        let port = element.attribute("port").map_or(Some(Self::DEFAULT_PORT), host::port)?;
        Some(Self { jid, host, port })
    }

    /// The first that can be read of those that a `<query/>` has (XEP-0065 § 4).
    #[must_use]
    pub fn of_query(query: ElementRef<'_>) -> Option<Self> {
        query.is("query", ns::BYTESTREAMS).then(|| query.children().find_map(Self::parse)).flatten()
    }

    /// Appends the question to a proxy where it takes connections (XEP-0065 § 4).
    pub fn write_request(out: &mut String, id: &str, to: &str, from: Option<&str>) {
        Iq::write_start(out, IqType::Get, id, to, from);
        out.push_str("<query");
        write::attribute(out, "xmlns", ns::BYTESTREAMS);
        out.push_str("/></iq>");
    }
}

/// Whether this is the answer to an IQ with that id to that address. The sender counts: ids can be guessed.
fn is_answer(iq: &Iq<'_>, id: &str, asked: &Jid) -> bool {
    iq.id == id
        && matches!(iq.iq_type, IqType::Result | IqType::Error)
        && iq.from.is_some_and(|from| from.parse::<Jid>().is_ok_and(|from| from == *asked))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
