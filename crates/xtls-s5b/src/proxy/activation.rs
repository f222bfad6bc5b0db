//! The request that has a proxy join the two connections (XEP-0065 § 6.3.5).

use core::fmt;

use xtls_stanza::{Condition, Id, Ids, Iq, IqType, StanzaError, jid::Jid, ns, write};

use super::is_answer;

/// A request for activation that waits for its answer. Until that has come, nothing may be sent over the connection.
#[derive(Debug, Clone)]
pub struct Activation {
    id: Id,
    proxy: Jid,
}

/// Why a proxy did not activate a bytestream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActivationFault {
    /// item-not-found: it knows of no connection for this bytestream; or it is not ours.
    Unknown,
    /// not-allowed: one of the two ends is not connected.
    NotConnected,
    /// not-authorized: the name of the bytestream does not fit.
    NotAuthorized,
    /// forbidden: it does not serve us.
    Forbidden,
    /// Another error.
    Other(StanzaError),
}

impl Activation {
    /// Appends the request: to the [`jid`](super::StreamHost::jid) of the proxy, to join the connections that this end, the requester,
    /// and the target have made with this sid. `from` is for who is not stamped by a server.
    pub fn request(out: &mut String, ids: &mut Ids, proxy: &Jid, sid: &str, target: &Jid, from: Option<&str>) -> Self {
        let id = ids.next_id();
        Iq::write_start(out, IqType::Set, id.as_str(), proxy.as_str(), from);
        out.push_str("<query");
        write::attribute(out, "xmlns", ns::BYTESTREAMS);
        write::attribute(out, "sid", sid);
        out.push_str("><activate>");
        // As it is spelt, which is how it is in the DST.ADDR.
        write::text(out, target.as_str());
        out.push_str("</activate></query></iq>");
        Self { id, proxy: proxy.clone() }
    }

    /// The id of the request.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// What this IQ says to it; `None` where it is not the proxy's answer.
    #[must_use]
    pub fn answer(&self, iq: &Iq<'_>) -> Option<Result<(), ActivationFault>> {
        if !is_answer(iq, self.id.as_str(), &self.proxy) {
            return None;
        }
        Some(match iq.error() {
            None => Ok(()),
            Some(error) => Err(ActivationFault::of(error)),
        })
    }
}

impl ActivationFault {
    /// The conditions of XEP-0065 § 6.3.5, and that of § 4 for who may not use the proxy.
    fn of(error: StanzaError) -> Self {
        if error.condition == Condition::ItemNotFound {
            Self::Unknown
        } else if error.condition == Condition::NotAllowed {
            Self::NotConnected
        } else if error.condition == Condition::NotAuthorized {
            Self::NotAuthorized
        } else if error.condition == Condition::Forbidden {
            Self::Forbidden
        } else {
            Self::Other(error)
        }
    }
}

impl fmt::Display for ActivationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the proxy does not know this bytestream (item-not-found)"),
            Self::NotConnected => f.write_str("one of the two ends is not connected to the proxy (not-allowed)"),
            Self::NotAuthorized => f.write_str("the proxy takes the bytestream for another one's (not-authorized)"),
            Self::Forbidden => f.write_str("the proxy does not serve this account (forbidden)"),
            Self::Other(error) => write!(f, "the proxy did not activate the bytestream: {error}"),
        }
    }
}

impl core::error::Error for ActivationFault {}
