//! Whole stanzas out of the bytes of an XML stream.

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::as_conversions)]
mod tests;

use core::{fmt, mem};

use crate::{
    Element, Limits, ParseError, Scope,
    element::parser::{Parser, Piece},
    ns,
};

/// Finds the header, the stanzas and the end of an XML stream (RFC 6120 § 4) in bytes that arrive in any pieces.
///
/// ```
/// use xtls_stanza::{Limits, StreamItem, StreamReader, ns};
///
/// let mut reader = StreamReader::new(Limits::default());
/// let mut bytes: &[u8] = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
///     version='1.0'><message><body>Art thou not Ro";
/// let Some(StreamItem::Header(header)) = reader.read(&mut bytes)? else { panic!("the header is there") };
/// assert_eq!((header.ns(), header.version()), (ns::STREAM, Some("1.0")));
/// assert!(reader.read(&mut bytes)?.is_none());
///
/// let mut bytes: &[u8] = b"meo?</body></message></stream:stream>";
/// let Some(StreamItem::Stanza(message)) = reader.read(&mut bytes)? else { panic!("the message is there") };
/// assert!(message.is("message", ns::CLIENT));
/// assert!(matches!(reader.read(&mut bytes)?, Some(StreamItem::Close)));
/// # Ok::<(), xtls_stanza::ParseError>(())
/// ```
///
/// How the bytes are cut makes no difference. Each is read once, and what breaks a rule is told when it is there, in the
/// middle of a stanza too. No more is kept than what was read of one stanza of at most [`Limits::stanza_bytes`]; what comes
/// after it stays with the caller until the next call. White space between stanzas, which keeps connections alive (RFC 6120
/// § 4.6.1), is skipped and not kept.
pub struct StreamReader {
    limits: Limits,
    parser: Parser,
    /// The header was an empty element, so that the end follows without a tag of its own.
    ended: bool,
    closed: bool,
    fault: Option<ParseError>,
}

/// What a stream consists of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StreamItem {
    /// The start tag of the stream.
    Header(StreamHeader),
    /// A first-level child: a stanza, stream features, a stream error. Whether it belongs there was not looked at.
    Stanza(Element),
    /// The end tag of the stream.
    Close,
}

impl StreamItem {
    /// How many bytes it holds in memory: see [`Element::held_bytes`].
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Header(header) => header.element.held_bytes(),
            Self::Stanza(stanza) => stanza.held_bytes(),
            Self::Close => 0,
        }
    }
}

/// The start tag of a stream (RFC 6120 § 4.7). Nothing of it was checked but its form.
#[derive(Debug, Clone)]
pub struct StreamHeader {
    element: Element,
    scope: Scope,
}

impl StreamReader {
    /// Expects a stream from its very beginning.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, parser: Parser::new(limits), ended: false, closed: false, fault: None }
    }

    /// Reads on to the end of the next item and moves `input` past it. `None` means that all of `input` was used and
    /// more is needed, or that the stream has ended and what is left belongs to something else: once
    /// [`StreamItem::Close`] has been returned, nothing is taken from `input` until [`StreamReader::reset`].
    ///
    /// An XML declaration is taken once, before the header (RFC 6120 § 11.5).
    ///
    /// # Errors
    ///
    /// When the stream is not well-formed, is not UTF-8, exceeds a limit or holds what RFC 6120 § 11.1 forbids; as soon
    /// as that shows, in the middle of a stanza if need be. The offset counts from the beginning of the stream. After a
    /// fault every further call returns the same one.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<StreamItem>, ParseError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let result = self.advance(input);
        if let Err(fault) = &result {
            self.fault = Some(fault.clone());
            self.parser = Parser::new(self.limits);
        }
        result
    }

    /// Expects a new stream from its very beginning: after a restart (RFC 6120 § 4.3.3), or when a closed stream may be
    /// followed by another. What was kept of the old one is dropped, a fault included.
    pub fn reset(&mut self) {
        *self = Self::new(self.limits);
    }

    /// Bytes that are kept because the end of what they begin has not come.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.parser.buffered()
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<StreamItem>, ParseError> {
        if self.closed {
            return Ok(None);
        }
        if mem::take(&mut self.ended) {
            self.closed = true;
            return Ok(Some(StreamItem::Close));
        }
        Ok(match self.parser.read(input)? {
            Some(Piece::Header { empty }) => {
                self.ended = empty;
                let (element, scope) = self.parser.take_header()?;
                Some(StreamItem::Header(StreamHeader { element, scope }))
            }
            Some(Piece::Child) => Some(StreamItem::Stanza(self.parser.take_element())),
            Some(Piece::Close) => {
                self.closed = true;
                Some(StreamItem::Close)
            }
            None => None,
        })
    }
}

impl StreamHeader {
    /// The stream element's name without a prefix, which should be `stream`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.element.name()
    }

    /// The stream element's namespace, which should be [`ns::STREAM`] (RFC 6120 § 4.8.1).
    #[must_use]
    pub fn ns(&self) -> &str {
        self.element.ns()
    }

    /// The default namespace, as a rule that of the stanzas (RFC 6120 § 4.8.2); empty if none is declared. If it is that of
    /// the stream or none, each stanza declares its own.
    #[must_use]
    pub fn default_ns(&self) -> &str {
        self.scope.lookup("").unwrap_or_default()
    }

    /// Who sends the stream (RFC 6120 § 4.7.1).
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        self.element.attribute("from")
    }

    /// Whom it is meant for (RFC 6120 § 4.7.2).
    #[must_use]
    pub fn to(&self) -> Option<&str> {
        self.element.attribute("to")
    }

    /// The stream's identifier, given by the side that answers (RFC 6120 § 4.7.3).
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.element.attribute("id")
    }

    /// The version of XMPP (RFC 6120 § 4.7.5).
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.element.attribute("version")
    }

    /// The language of what people are meant to read (RFC 6120 § 4.7.4).
    #[must_use]
    pub fn lang(&self) -> Option<&str> {
        self.element.root().attribute_in(ns::XML, "lang")
    }

    /// The declarations in force for all that is inside the stream.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The start tag as an element without content, for attributes that have no getter here.
    #[must_use]
    pub fn element(&self) -> &Element {
        &self.element
    }
}

impl fmt::Debug for StreamReader {
    /// Without what is buffered: content belongs to the people who wrote it and not into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamReader")
            .field("buffered", &self.parser.buffered())
            .field("closed", &self.closed)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}
