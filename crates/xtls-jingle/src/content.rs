//! One content of a session: `<content/>` (XEP-0166 § 7.3).

use xtls_stanza::{ElementRef, SecurityOffer, write};

use crate::{Description, Dialect, JingleVersion, MalformedKind, Transport};

/// A content as one message states it. Which parts it has depends on the action.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Content {
    /// Who made it. Together with the name it identifies the content.
    pub creator: Creator,
    /// Its name, at most [`Content::MAX_NAME`] bytes. XEP-0166 § 7.3 requires it; some leave it out where a session has
    /// but one content.
    pub name: Option<String>,
    /// How it is to be interpreted; absent is "session".
    pub disposition: Option<String>,
    /// Who sends application data.
    pub senders: Senders,
    /// The application.
    pub description: Option<Description>,
    /// The transport.
    pub transport: Option<Transport>,
    /// The security precondition.
    pub security: Security,
}

/// Which party made a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Creator {
    /// The initiator of the session; so is one that is not named.
    #[default]
    Initiator,
    /// The responder.
    Responder,
}

/// Which parties send application data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Senders {
    /// Both of them.
    #[default]
    Both,
    /// The initiator of the session.
    Initiator,
    /// Nobody.
    None,
    /// The responder.
    Responder,
}

/// The security precondition of a content (XEP-0166 § 9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Security {
    /// There is none.
    #[default]
    Absent,
    /// That of XTLS, in either of its namespaces.
    Xtls(SecurityOffer),
    /// That of another specification, of which the namespace is kept.
    Other {
        /// Its namespace.
        ns: String,
    },
}

impl Content {
    /// How long a name may be, in bytes.
    pub const MAX_NAME: usize = 256;

    /// A content of the initiator's with a name and nothing in it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            creator: Creator::Initiator,
            name: Some(name.to_owned()),
            disposition: None,
            senders: Senders::Both,
            description: None,
            transport: None,
            security: Security::Absent,
        }
    }

    /// Whether its disposition is "session", which is the default.
    #[must_use]
    pub fn is_session(&self) -> bool {
        self.disposition.as_deref().is_none_or(|disposition| disposition == "session")
    }

    /// The security precondition of XTLS, if it has one.
    #[must_use]
    pub fn xtls(&self) -> Option<&SecurityOffer> {
        match &self.security {
            Security::Xtls(offer) => Some(offer),
            Security::Absent | Security::Other { .. } => None,
        }
    }

    pub(crate) fn parse(element: ElementRef<'_>, dialect: &Dialect) -> Result<Self, MalformedKind> {
        let creator = match element.attribute("creator") {
            None | Some("initiator") => Creator::Initiator,
            Some("responder") => Creator::Responder,
            Some(_) => return Err(MalformedKind::Creator),
        };
        let senders = match element.attribute("senders") {
            None | Some("both") => Senders::Both,
            Some("initiator") => Senders::Initiator,
            Some("none") => Senders::None,
            Some("responder") => Senders::Responder,
            Some(_) => return Err(MalformedKind::Senders),
        };
        let name = element.attribute("name");
        if name.is_some_and(|name| name.len() > Self::MAX_NAME) {
            return Err(MalformedKind::ContentName);
        }
        let description = at_most_one(element.children().filter_map(|child| Description::parse(child, dialect)))
            .map_err(|TooMany| MalformedKind::SeveralDescriptions)?;
        let transport = at_most_one(element.children().filter_map(|child| Transport::parse(child, dialect)))
            .map_err(|TooMany| MalformedKind::SeveralTransports)?;
        Ok(Self {
            creator,
            name: name.map(str::to_owned),
            disposition: element.attribute("disposition").map(str::to_owned),
            senders,
            description,
            transport: transport.transpose()?,
            security: Security::parse(element),
        })
    }

    /// Appends the element, to stand inside `<jingle/>`.
    pub fn write(&self, out: &mut String) {
        self.write_for(out, false);
    }

    /// The same; who sends is said even if it is the default, where the action is about that (§ 7.3).
    pub(crate) fn write_for(&self, out: &mut String, says_senders: bool) {
        out.push_str("<content");
        write::attribute(out, "creator", self.creator.as_str());
        write::optional_attribute(out, "name", self.name.as_deref());
        write::optional_attribute(out, "disposition", self.disposition.as_deref());
        if says_senders || self.senders != Senders::Both {
            write::attribute(out, "senders", self.senders.as_str());
        }
        out.push('>');
        if let Some(description) = &self.description {
            description.write(out);
        }
        if let Some(transport) = &self.transport {
            transport.write(out);
        }
        match &self.security {
            Security::Absent => {}
            Security::Xtls(offer) => offer.write(out),
            Security::Other { ns } => {
                out.push_str("<security");
                write::attribute(out, "xmlns", ns);
                out.push_str("/>");
            }
        }
        out.push_str("</content>");
    }
}

impl Security {
    /// Looks among the children of a `<content/>`. The first precondition of ours counts, whatever stands beside it.
    fn parse(content: ElementRef<'_>) -> Self {
        if let Some(offer) = content.children().find_map(SecurityOffer::parse) {
            return Self::Xtls(offer);
        }
        let is_foreign = |ns: &str| !ns.is_empty() && JingleVersion::of(ns).is_none();
        let other = content.children().find(|child| child.name() == "security" && is_foreign(child.ns()));
        other.map_or(Self::Absent, |other| Self::Other { ns: other.ns().to_owned() })
    }
}

impl Creator {
    /// The value of the `creator` attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Responder => "responder",
        }
    }
}

impl Senders {
    /// The value of the `senders` attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Initiator => "initiator",
            Self::None => "none",
            Self::Responder => "responder",
        }
    }
}

struct TooMany;

fn at_most_one<T>(mut items: impl Iterator<Item = T>) -> Result<Option<T>, TooMany> {
    let first = items.next();
    if items.next().is_some() { Err(TooMany) } else { Ok(first) }
}
