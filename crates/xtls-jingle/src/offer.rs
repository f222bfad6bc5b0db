//! What is offered and answered: the only content of a session, without the envelope.

use core::fmt;

use xtls_stanza::{SecurityOffer, jid::FullJid};

use crate::{
    Action, Content, Creator, Description, IbbTransport, IbbVersion, Jingle, JingleFault, Reason, ReasonCondition,
    Security, Senders, Transport, sid,
};

/// Bytes of one block where an offer of [`IbbVersion::Tmp`] does not say: what XEP-0047 § 5 recommends.
const TMP_BLOCK_SIZE: u16 = 4096;

/// What a session-initiate says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offer {
    /// The application.
    pub description: Description,
    /// The name of the content, at most [`Content::MAX_NAME`] bytes.
    pub content_name: String,
    /// Who sends application data; an answer repeats it.
    pub senders: Senders,
    /// How the bytestream begins and ends; an answer can change it.
    pub ibb_version: IbbVersion,
    /// The sid of the bytestream.
    pub ibb_sid: String,
    /// Bytes of one block, at least 1.
    pub block_size: u16,
    /// Fingerprints and methods of the initiator. A received one may name no method.
    pub security: SecurityOffer,
}

/// What a session-accept says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acceptance {
    /// Your full JID.
    pub responder: FullJid,
    /// Bytes of one block, at least 1; what exceeds the offer is lowered to it.
    pub block_size: u16,
    /// Fingerprints and methods of the responder, with at least one method. It is written in the namespace of the offer,
    /// whatever its version says.
    pub security: SecurityOffer,
}

/// Why no session came of a session-initiate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OfferRefusal {
    /// It is answered with this fault's error.
    Fault(JingleFault),
    /// No content asks for XTLS: another Jingle implementation may want it.
    NotXtls,
    /// It is acknowledged, and then terminated with this reason (XEP-0166 § 6.3.1): see [`Jingle::terminate`] and
    /// [`Jingle::with_version`].
    Unsupported(Reason),
}

impl Offer {
    /// An offer over `ibb:1`, under the content name "xmlstream" for an XML stream and "data" for anything else.
    #[must_use]
    pub fn new(description: Description, ibb_sid: &str, block_size: u16, security: SecurityOffer) -> Self {
        let content_name = if description.is_xmlstream() { "xmlstream" } else { "data" };
        Self {
            description,
            content_name: content_name.to_owned(),
            senders: Senders::Both,
            ibb_version: IbbVersion::Ibb1,
            ibb_sid: ibb_sid.to_owned(),
            block_size,
            security,
        }
    }

    /// Reads a session-initiate.
    pub(crate) fn read(jingle: &Jingle) -> Result<Self, OfferRefusal> {
        let malformed = |what| Err(OfferRefusal::Fault(JingleFault::Malformed(what)));
        if jingle.action != Action::SessionInitiate {
            return Err(OfferRefusal::Fault(JingleFault::UnknownSession));
        }
        if jingle.contents.is_empty() {
            return malformed("session-initiate without a content");
        }
        if jingle.contents.iter().all(|content| content.xtls().is_none()) {
            return Err(OfferRefusal::NotXtls);
        }
        let [content] = jingle.contents.as_slice() else {
            return unsupported(ReasonCondition::UnsupportedApplications, "one content in a session");
        };
        let (Some(security), Some(description)) = (content.xtls(), &content.description) else {
            return malformed("a content without a description");
        };
        let ibb = match &content.transport {
            None => return malformed("a content without a transport"),
            Some(Transport::Other { .. }) => {
                return unsupported(ReasonCondition::UnsupportedTransports, "in-band bytestreams only");
            }
            Some(Transport::Ibb(ibb)) => ibb,
        };
        // § 7.3: the creator is who generated the content, and nobody else has sent anything yet.
        if content.creator != Creator::Initiator {
            return malformed("a content of the responder's in session-initiate");
        }
        let Some(content_name) = content.name.clone() else {
            return malformed("a content without a name");
        };
        let is_tmp = ibb.version == IbbVersion::Tmp;
        let ibb_sid = ibb.sid.as_ref().or_else(|| is_tmp.then_some(&jingle.sid));
        let block_size = ibb.block_size.or_else(|| is_tmp.then_some(TMP_BLOCK_SIZE));
        let (Some(ibb_sid), Some(block_size)) = (ibb_sid.cloned(), block_size) else {
            return malformed("an in-band bytestream without sid or block-size");
        };
        if !sid::is_nmtoken(&ibb_sid) {
            // XEP-0047 § 2.1. That of the session may be none.
            return malformed("an in-band bytestream whose sid is no NMTOKEN");
        }
        if ibb.in_messages {
            return unsupported(ReasonCondition::UnsupportedTransports, "data in IQ stanzas only");
        }
        IbbTransport::check_block_size(block_size).map_err(OfferRefusal::Fault)?;
        if description.is_too_large() {
            return Err(OfferRefusal::Fault(JingleFault::NotAcceptable("the description is too large")));
        }
        Ok(Self {
            description: description.clone(),
            content_name,
            senders: content.senders,
            ibb_version: ibb.version,
            ibb_sid,
            block_size,
            security: security.clone(),
        })
    }

    /// The content of a session-initiate that makes this offer.
    pub(crate) fn content(&self) -> Content {
        self.content_with(self.block_size, self.security.clone())
    }

    /// The content of a session-accept that answers this offer.
    pub(crate) fn content_with(&self, block_size: u16, security: SecurityOffer) -> Content {
        Content {
            senders: self.senders,
            description: Some(self.description.clone()),
            transport: Some(Transport::Ibb(
                IbbTransport::new(&self.ibb_sid, block_size).with_version(self.ibb_version),
            )),
            security: Security::Xtls(security),
            ..Content::new(&self.content_name)
        }
    }
}

impl Acceptance {
    /// An answer.
    #[must_use]
    pub fn new(responder: FullJid, block_size: u16, security: SecurityOffer) -> Self {
        Self { responder, block_size, security }
    }
}

fn unsupported<T>(condition: ReasonCondition, text: &str) -> Result<T, OfferRefusal> {
    Err(OfferRefusal::Unsupported(Reason::new(condition).with_text(text)))
}

impl fmt::Display for OfferRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::NotXtls => f.write_str("the session does not ask for XTLS"),
            Self::Unsupported(reason) => reason.fmt(f),
        }
    }
}

impl core::error::Error for OfferRefusal {}
