//! The `<jingle/>` element (XEP-0166 § 7.1).

use core::fmt;

use xtls_s5b::S5bMalformed;
use xtls_stanza::{
    Condition, ElementRef, Id, Ids, Iq, IqType, SecurityOffer, StanzaError,
    jid::{FullJid, Jid},
    write,
};

use crate::{Action, Content, Dialect, JingleVersion, Reason, Receipt};

/// A `<jingle/>` element.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Jingle {
    /// Its namespace, and that of its contents and its reason.
    pub version: JingleVersion,
    /// What it asks for.
    pub action: Action,
    /// Which session, of the two entities that exchange it, it is about: at most [`MAX_SID`](crate::MAX_SID) bytes, an
    /// NMTOKEN unless [`Dialect::any_sid`] takes others.
    pub sid: String,
    /// Who is said to have initiated. Nothing rests on it: the sender of the IQ is the initiator (§ 7.1). A malformed one
    /// is left out.
    pub initiator: Option<Jid>,
    /// Who is said to have accepted; as with `initiator`.
    pub responder: Option<Jid>,
    /// At most [`Jingle::MAX_CONTENTS`] contents.
    pub contents: Vec<Content>,
    /// Why it is sent; possible with every action.
    pub reason: Option<Reason>,
    /// The first `<receipt/>`.
    pub receipt: Option<Receipt>,
    /// The first child that is neither a content nor a reason nor a receipt: what a session-info is about.
    pub payload: Option<Payload>,
}

/// The payload of a session-info: an element, of which name and namespace are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Payload {
    /// The element's name.
    pub name: String,
    /// The element's namespace.
    pub ns: String,
}

/// A `<jingle/>` element that breaks the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Malformed {
    /// Which rule.
    pub kind: MalformedKind,
    /// The action, if it is a known one.
    pub action: Option<Action>,
    /// The session, if its sid is a sound one.
    pub sid: Option<String>,
    /// Whether a content has a security precondition of XTLS. Without it, another Jingle implementation of the embedder's
    /// might be meant.
    pub has_xtls: bool,
}

/// Which rule a `<jingle/>` element breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedKind {
    /// The action is missing or none of XEP-0166 § 7.2.
    Action,
    /// The sid is missing (§ 7.1).
    NoSid,
    /// The sid has more than [`MAX_SID`](crate::MAX_SID) bytes, or is not an NMTOKEN and cannot be taken all the same
    /// ([`Dialect::any_sid`]).
    Sid,
    /// More than [`Jingle::MAX_CONTENTS`] contents.
    Contents,
    /// A creator that is neither initiator nor responder (§ 7.3).
    Creator,
    /// A content's name of more than [`Content::MAX_NAME`] bytes.
    ContentName,
    /// A `senders` that § 7.3 does not know.
    Senders,
    /// A session-initiate without a content whose disposition is "session" (§ 7.2.10).
    Disposition,
    /// Several descriptions in one content (§ 6.2).
    SeveralDescriptions,
    /// Several transports in one content (§ 6.2).
    SeveralTransports,
    /// The block-size of a bytestream is not a number from 1 to 65 535 (XEP-0047 § 2.1).
    BlockSize,
    /// The sid of a bytestream is not an NMTOKEN of at most [`MAX_SID`](crate::MAX_SID) bytes (XEP-0047 § 2.1).
    IbbSid,
    /// The `stanza` of a bytestream is neither iq nor message (XEP-0047 § 2.1).
    IbbStanza,
    /// A SOCKS5 bytestream breaks a rule of XEP-0260.
    Socks5(S5bMalformed),
    /// The proof of a receipt is not 64 hexadecimal digits.
    Receipt,
}

/// A request that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// What it asks for.
    pub action: Action,
    /// The id of the IQ, by which its answer is known.
    pub id: Id,
}

impl Jingle {
    /// How many contents an element may have.
    pub const MAX_CONTENTS: usize = 16;

    /// An element without contents.
    #[must_use]
    pub fn new(action: Action, sid: &str) -> Self {
        Self {
            version: JingleVersion::Jingle1,
            action,
            sid: sid.to_owned(),
            initiator: None,
            responder: None,
            contents: Vec::new(),
            reason: None,
            receipt: None,
            payload: None,
        }
    }

    /// A session-terminate: also for a session that is refused as soon as it was offered, for which no
    /// [`Session`](crate::Session) is ever made (XEP-0166 § 6.3.1); it is then to be written in that one's version.
    #[must_use]
    pub fn terminate(sid: &str, reason: Reason) -> Self {
        Self { reason: Some(reason), ..Self::new(Action::SessionTerminate, sid) }
    }

    /// The same in another namespace.
    #[must_use]
    pub fn with_version(self, version: JingleVersion) -> Self {
        Self { version, ..self }
    }

    pub(crate) fn with_initiator(self, initiator: &FullJid) -> Self {
        Self { initiator: Some(initiator.clone().into()), ..self }
    }

    pub(crate) fn with_responder(self, responder: FullJid) -> Self {
        Self { responder: Some(responder.into()), ..self }
    }

    pub(crate) fn with_receipt(self, receipt: Receipt) -> Self {
        Self { receipt: Some(receipt), ..self }
    }

    pub(crate) fn with_content(self, content: Content) -> Self {
        Self { contents: vec![content], ..self }
    }

    /// Reads the payload of an IQ of type set under the default [`Dialect`]. `None` when it is not a `<jingle/>` of a
    /// namespace that this reads.
    ///
    /// # Errors
    ///
    /// When it breaks a rule; it is then answered with [`Malformed::stanza_error`].
    pub fn parse(payload: ElementRef<'_>) -> Option<Result<Self, Malformed>> {
        Self::parse_with(payload, &Dialect::default())
    }

    /// The same under any dialect. `None` when it is not a `<jingle/>` of a namespace that the dialect reads.
    ///
    /// # Errors
    ///
    /// When it breaks a rule; it is then answered with [`Malformed::stanza_error`].
    pub fn parse_with(payload: ElementRef<'_>, dialect: &Dialect) -> Option<Result<Self, Malformed>> {
        let version = dialect.jingle_version(payload.ns()).filter(|_| payload.name() == "jingle")?;
        Some(Self::read(payload, version, dialect))
    }

    fn read(element: ElementRef<'_>, version: JingleVersion, dialect: &Dialect) -> Result<Self, Malformed> {
        let action = element.attribute("action").and_then(Action::parse);
        let sid = element.attribute("sid");
        let jid = |name| element.attribute(name).and_then(|jid| Jid::new(jid).ok());
        let malformed = |kind| Malformed {
            kind,
            action,
            sid: sid.filter(|sid| dialect.takes_sid(sid)).map(str::to_owned),
            has_xtls: contents(element)
                .flat_map(ElementRef::children)
                .any(|child| SecurityOffer::parse(child).is_some()),
        };
        // § 7.2: an action that is not defined MUST be answered bad-request.
        let action = action.ok_or_else(|| malformed(MalformedKind::Action))?;
        let known_sid = sid.filter(|sid| !sid.is_empty()).ok_or_else(|| malformed(MalformedKind::NoSid))?;
        if !dialect.takes_sid(known_sid) {
            return Err(malformed(MalformedKind::Sid));
        }
        if contents(element).nth(Self::MAX_CONTENTS).is_some() {
            return Err(malformed(MalformedKind::Contents));
        }
        let contents = contents(element).map(|content| Content::parse(content, dialect));
        let contents = contents.collect::<Result<Vec<_>, _>>().map_err(malformed)?;
        // § 7.2.10: otherwise the responder MUST return bad-request.
        if action == Action::SessionInitiate && !contents.is_empty() && !contents.iter().any(Content::is_session) {
            return Err(malformed(MalformedKind::Disposition));
        }
        let receipt = element.children().find(|child| Receipt::is(*child)).map(Receipt::parse).transpose();
        let receipt = receipt.map_err(|_| malformed(MalformedKind::Receipt))?;
        let is_own = |child: &ElementRef<'_>| {
            child.is("content", version.ns()) || child.is("reason", version.ns()) || Receipt::is(*child)
        };
        let payload = element.children().find(|child| !is_own(child));
        Ok(Self {
            version,
            action,
            sid: known_sid.to_owned(),
            initiator: jid("initiator"),
            responder: jid("responder"),
            contents,
            reason: element.child("reason", version.ns()).map(Reason::parse),
            receipt,
            payload: payload.map(|child| Payload { name: child.name().to_owned(), ns: child.ns().to_owned() }),
        })
    }

    /// Appends the element.
    pub fn write(&self, out: &mut String) {
        out.push_str("<jingle");
        write::attribute(out, "xmlns", self.version.ns());
        write::attribute(out, "action", self.action.as_str());
        write::optional_attribute(out, "initiator", self.initiator.as_ref().map(|jid| jid.as_str()));
        write::optional_attribute(out, "responder", self.responder.as_ref().map(|jid| jid.as_str()));
        write::attribute(out, "sid", &self.sid);
        out.push('>');
        for content in &self.contents {
            content.write_for(out, self.action == Action::ContentModify);
        }
        if let Some(reason) = &self.reason {
            reason.write(out);
        }
        if let Some(receipt) = &self.receipt {
            receipt.write(out);
        }
        if let Some(payload) = &self.payload {
            out.push('<');
            out.push_str(&payload.name);
            write::attribute(out, "xmlns", &payload.ns);
            out.push_str("/>");
        }
        out.push_str("</jingle>");
    }

    /// Appends a whole IQ of type set with this element, under the next id. `from` is for whom no server stamps.
    pub fn write_iq(&self, ids: &mut Ids, to: &str, from: Option<&str>, out: &mut String) -> Sent {
        let id = ids.next_id();
        Iq::write_start(out, IqType::Set, id.as_str(), to, from);
        self.write(out);
        out.push_str("</iq>");
        Sent { action: self.action, id }
    }
}

fn contents(jingle: ElementRef<'_>) -> impl Iterator<Item = ElementRef<'_>> {
    jingle.children().filter(move |child| child.is("content", jingle.ns()))
}

impl Malformed {
    /// The error that answers it: bad-request (XEP-0166 §§ 6.3.2, 7.2, 7.2.10), and not-acceptable for a sid that XEP-0166
    /// would allow and that is refused all the same.
    #[must_use]
    pub fn stanza_error(&self) -> StanzaError {
        let condition = match self.kind {
            MalformedKind::Sid => Condition::NotAcceptable,
            MalformedKind::Action
            | MalformedKind::NoSid
            | MalformedKind::Contents
            | MalformedKind::Creator
            | MalformedKind::ContentName
            | MalformedKind::Senders
            | MalformedKind::Disposition
            | MalformedKind::SeveralDescriptions
            | MalformedKind::SeveralTransports
            | MalformedKind::BlockSize
            | MalformedKind::IbbSid
            | MalformedKind::IbbStanza
            | MalformedKind::Socks5(_)
            | MalformedKind::Receipt => Condition::BadRequest,
        };
        StanzaError::new(condition).with_text(self.kind.as_str())
    }
}

impl MalformedKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Action => "the action is missing or unknown",
            Self::NoSid => "the sid is missing",
            Self::Sid => "the sid has more than 256 bytes or characters that it may not have",
            Self::Contents => "more than 16 contents",
            Self::Creator => "the creator of a content is neither initiator nor responder",
            Self::ContentName => "the name of a content has more than 256 bytes",
            Self::Senders => "the senders of a content are none that XEP-0166 defines",
            Self::Disposition => "no content has the disposition session",
            Self::SeveralDescriptions => "several descriptions in one content",
            Self::SeveralTransports => "several transports in one content",
            Self::BlockSize => "the block-size is not a number from 1 to 65535",
            Self::IbbSid => "the sid of the bytestream is not an NMTOKEN of at most 256 bytes",
            Self::IbbStanza => "the stanza of the bytestream is neither iq nor message",
            Self::Socks5(malformed) => malformed.as_str(),
            Self::Receipt => "the proof of the receipt is not 64 hexadecimal digits",
        }
    }
}

impl fmt::Display for MalformedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed Jingle: {}", self.kind)
    }
}

impl core::error::Error for Malformed {}
