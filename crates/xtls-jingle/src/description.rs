//! What a content is for: `<description/>` (XEP-0166 § 6.2), and that of XEP-0247 in particular.

use core::fmt;
use std::sync::Arc;

use xtls_stanza::{Element, ElementRef, ns, write};

use crate::{Dialect, JingleVersion};

/// An application: an XML stream (XEP-0247), or any other, of which the element is kept.
///
/// `xmlstream:0` and `xmlstream:1` are one application under two names (the draft's § 7 uses the second), and so are the
/// older ones that a [`Dialect`] may read; an answer has the name of the offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    XmlStream(&'static str),
    Other(Arc<Element>),
}

/// Why an element is not a description that can be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescriptionError {
    /// The element is not called `description`, or has no namespace or that of Jingle itself (XEP-0166 § 16.1).
    Name,
    /// It has more than [`Description::MAX_BYTES`] bytes.
    TooLarge,
}

impl Description {
    /// How long a description other than that of an XML stream may be, in bytes of text: 16 384.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// An XML stream in the namespace that is emitted, `urn:xmpp:jingle:apps:xmlstream:0`.
    #[must_use]
    pub fn xmlstream() -> Self {
        Self(Kind::XmlStream(ns::XMLSTREAM_0))
    }

    /// Any application, described by a `<description/>` element in a namespace of its own.
    ///
    /// # Errors
    ///
    /// When the element is no description, or too large.
    pub fn new(element: &Element) -> Result<Self, DescriptionError> {
        let description = Self::parse(element.root(), &Dialect::STRICT).ok_or(DescriptionError::Name)?;
        if description.is_too_large() {
            return Err(DescriptionError::TooLarge);
        }
        Ok(description)
    }

    /// Reads a child of `<content/>`; `None` when it is something else.
    pub(crate) fn parse(element: ElementRef<'_>, dialect: &Dialect) -> Option<Self> {
        if element.name() != "description" || element.ns().is_empty() || JingleVersion::of(element.ns()).is_some() {
            return None;
        }
        let stream = dialect.xmlstream(element.ns());
        Some(Self(stream.map_or_else(|| Kind::Other(Arc::new(element.to_element())), Kind::XmlStream)))
    }

    pub(crate) fn is_too_large(&self) -> bool {
        match &self.0 {
            Kind::XmlStream(_) => false,
            Kind::Other(element) => !element.root().fits(ns::JINGLE, Self::MAX_BYTES),
        }
    }

    /// Its namespace, which tells the application.
    #[must_use]
    pub fn ns(&self) -> &str {
        match &self.0 {
            Kind::XmlStream(ns) => ns,
            Kind::Other(element) => element.ns(),
        }
    }

    /// Whether it is an XML stream, of whichever namespace.
    #[must_use]
    pub fn is_xmlstream(&self) -> bool {
        matches!(self.0, Kind::XmlStream(_))
    }

    /// The element, for an application other than an XML stream.
    #[must_use]
    pub fn element(&self) -> Option<&Element> {
        match &self.0 {
            Kind::XmlStream(_) => None,
            Kind::Other(element) => Some(element),
        }
    }

    /// Whether both are of the same application, whatever their parameters.
    #[must_use]
    pub fn is_same_application(&self, other: &Self) -> bool {
        self.is_xmlstream() && other.is_xmlstream() || self.ns() == other.ns()
    }

    /// Appends the element, to stand inside `<jingle/>`.
    pub fn write(&self, out: &mut String) {
        match &self.0 {
            Kind::XmlStream(ns) => {
                out.push_str("<description");
                write::attribute(out, "xmlns", ns);
                out.push_str("/>");
            }
            Kind::Other(element) => element.root().write_xml(out, ns::JINGLE),
        }
    }
}

impl fmt::Display for DescriptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("not a <description/> element in a namespace of its own"),
            Self::TooLarge => write!(f, "a description of more than {} bytes", Description::MAX_BYTES),
        }
    }
}

impl core::error::Error for DescriptionError {}
