//! What is offered and answered: the only content of a session, without the envelope.

use core::fmt;

use xtls_s5b::{Candidate, DstAddr, S5bPayload};
use xtls_stanza::{SecurityOffer, jid::FullJid};

use crate::{
    Action, Content, Creator, Description, IbbTransport, IbbVersion, InBand, Jingle, JingleFault, Reason,
    ReasonCondition, Security, Senders, SessionTransport, Transport, sid,
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
    /// What is to carry the data.
    pub transport: SessionTransport,
    /// Fingerprints and methods of the initiator. A received one may name no method.
    pub security: SecurityOffer,
    /// The initiator gives receipts, and takes them.
    pub receipts: bool,
}

/// What a session-accept says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acceptance {
    /// Your full JID.
    pub responder: FullJid,
    /// Bytes of one block, at least 1; what exceeds the offer is lowered to it. It means nothing for a SOCKS5 bytestream.
    pub block_size: u16,
    /// For a SOCKS5 bytestream: where you can be reached. It means nothing for an in-band one.
    pub candidates: Vec<Candidate>,
    /// The DST.ADDR for the proxies among the candidates (XEP-0260 § 2.2).
    pub dst_addr: Option<DstAddr>,
    /// Fingerprints and methods of the responder, with at least one method. It is written in the namespace of the offer,
    /// whatever its version says.
    pub security: SecurityOffer,
    /// The responder gives receipts, and takes them. It is said only if the offer says it too.
    pub receipts: bool,
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
        Self::over(SessionTransport::InBand(InBand::new(ibb_sid, block_size)), description, security)
    }

    /// The same over this transport.
    #[must_use]
    pub fn over(transport: SessionTransport, description: Description, security: SecurityOffer) -> Self {
        let content_name = if description.is_xmlstream() { "xmlstream" } else { "data" };
        let content_name = content_name.to_owned();
        Self { description, content_name, senders: Senders::Both, transport, security, receipts: false }
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
        let Some(transport) = &content.transport else {
            return malformed("a content without a transport");
        };
        if matches!(transport, Transport::Other { .. }) {
            return unsupported(ReasonCondition::UnsupportedTransports, "bytestreams only, in band or by SOCKS5");
        }
        // § 7.3: the creator is who generated the content, and nobody else has sent anything yet.
        if content.creator != Creator::Initiator {
            return malformed("a content of the responder's in session-initiate");
        }
        let Some(content_name) = content.name.clone() else {
            return malformed("a content without a name");
        };
        let transport = SessionTransport::offered(transport, &jingle.sid)?;
        if description.is_too_large() {
            return Err(OfferRefusal::Fault(JingleFault::NotAcceptable("the description is too large")));
        }
        Ok(Self {
            description: description.clone(),
            content_name,
            senders: content.senders,
            transport,
            security: security.clone(),
            receipts: jingle.receipt.is_some(),
        })
    }

    /// The content of a session-initiate that makes this offer.
    pub(crate) fn content(&self) -> Content {
        self.content_with(self.transport.transport(), self.security.clone())
    }

    /// The content of a session-accept that answers this offer.
    pub(crate) fn content_with(&self, transport: Transport, security: SecurityOffer) -> Content {
        Content {
            senders: self.senders,
            description: Some(self.description.clone()),
            transport: Some(transport),
            security: Security::Xtls(security),
            ..Content::new(&self.content_name)
        }
    }
}

impl Acceptance {
    /// An answer.
    #[must_use]
    pub fn new(responder: FullJid, block_size: u16, security: SecurityOffer) -> Self {
        Self { responder, block_size, candidates: Vec::new(), dst_addr: None, security, receipts: false }
    }
}

impl SessionTransport {
    /// Reads what is offered in a session of this sid, or in place of what was.
    pub(crate) fn offered(transport: &Transport, session_sid: &str) -> Result<Self, OfferRefusal> {
        let malformed = |what| Err(OfferRefusal::Fault(JingleFault::Malformed(what)));
        let ibb = match transport {
            Transport::Other { .. } => {
                return unsupported(ReasonCondition::UnsupportedTransports, "bytestreams only, in band or by SOCKS5");
            }
            Transport::S5b(socks5) if matches!(socks5.payload, S5bPayload::Candidates(_)) => {
                return Ok(Self::Socks5(socks5.clone()));
            }
            Transport::S5b(_) => return malformed("an answer to candidates instead of candidates"),
            Transport::Ibb(ibb) => ibb,
        };
        let is_tmp = ibb.version == IbbVersion::Tmp;
        let sid = ibb.sid.as_deref().or_else(|| is_tmp.then_some(session_sid));
        let block_size = ibb.block_size.or_else(|| is_tmp.then_some(TMP_BLOCK_SIZE));
        let (Some(sid), Some(block_size)) = (sid, block_size) else {
            return malformed("an in-band bytestream without sid or block-size");
        };
        if !sid::is_nmtoken(sid) {
            // XEP-0047 § 2.1. That of the session may be none.
            return malformed("an in-band bytestream whose sid is no NMTOKEN");
        }
        if ibb.in_messages {
            return unsupported(ReasonCondition::UnsupportedTransports, "data in IQ stanzas only");
        }
        IbbTransport::check_block_size(block_size).map_err(OfferRefusal::Fault)?;
        Ok(Self::InBand(InBand { version: ibb.version, sid: sid.to_owned(), block_size }))
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
