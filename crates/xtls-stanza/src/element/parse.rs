//! Text to elements.

use core::fmt;

use super::{
    Element, MAX_BYTES, Scope,
    parser::{Parser, Piece},
};
use crate::{Limits, ParseError, ParseErrorKind, ns};

/// Parses stanzas that were cut out of their streams, one after the other, as [`Element::parse`] does. It keeps the memory that it
/// works in (1 KiB at most), so that a stanza costs two allocations; and none where the one before is [given
/// back](StanzaParser::reuse).
///
/// ```
/// use xtls_stanza::{Limits, StanzaParser};
///
/// let mut parser = StanzaParser::new(Limits::default());
/// let presence = parser.parse("<presence from='juliet@capulet.lit/balcony'/>")?;
/// assert_eq!(presence.attribute("from"), Some("juliet@capulet.lit/balcony"));
/// parser.reuse(presence);
/// # Ok::<(), xtls_stanza::ParseError>(())
/// ```
pub struct StanzaParser {
    limits: Limits,
    scope: Scope,
    parser: Parser,
}

impl StanzaParser {
    /// The most bytes of an element whose memory is used again.
    pub const REUSED: usize = 2048;

    /// Expects stanzas within these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, scope: Scope::new(ns::CLIENT), parser: Parser::new(limits) }
    }

    /// Parses a stanza.
    ///
    /// # Errors
    ///
    /// As for [`Element::parse`]. The next stanza is read as if there had been none.
    pub fn parse(&mut self, xml: &str) -> Result<Element, ParseError> {
        let parsed = parse_one(&mut self.parser, xml, &self.limits, &self.scope);
        if parsed.is_err() {
            // With what it holds of this one.
            self.parser = Parser::new(self.limits);
        }
        parsed
    }

    /// Takes an element that is not needed any more, and uses its memory for the next one, if that is at most
    /// [`StanzaParser::REUSED`] bytes.
    pub fn reuse(&mut self, element: Element) {
        if element.held_bytes() <= Self::REUSED {
            self.parser.reuse(element);
        }
    }

    /// How many bytes it holds in memory for the next one.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.parser.held_bytes()
    }
}

impl fmt::Debug for StanzaParser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StanzaParser").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Element {
    /// Parses one stanza that was cut out of its stream: without a declaration of its own it is in `jabber:client`, and
    /// a prefix that it does not declare itself is refused.
    ///
    /// White space around it is allowed, nothing else is. The cost is linear in the text.
    ///
    /// # Errors
    ///
    /// When the text exceeds a limit, is not one well-formed element, or holds what RFC 6120 § 11.1 forbids.
    pub fn parse(xml: &str, limits: &Limits) -> Result<Self, ParseError> {
        Self::parse_in(xml, limits, &Scope::new(ns::CLIENT))
    }

    /// Parses one element that stands where the declarations of `scope` are in force.
    ///
    /// # Errors
    ///
    /// As for [`Element::parse`].
    pub fn parse_in(xml: &str, limits: &Limits, scope: &Scope) -> Result<Self, ParseError> {
        parse_one(&mut Parser::new(*limits), xml, limits, scope)
    }
}

fn parse_one(parser: &mut Parser, xml: &str, limits: &Limits, scope: &Scope) -> Result<Element, ParseError> {
    if xml.len() > limits.stanza_bytes.min(MAX_BYTES) {
        return Err(ParseError { kind: ParseErrorKind::Limit("stanza_bytes"), offset: 0 });
    }
    parser.begin_one(scope, xml);
    let mut rest = xml.as_bytes();
    let mut found = None;
    let fault = |what, offset| Err(ParseError { kind: ParseErrorKind::NotWellFormed(what), offset });
    while let Some(piece) = parser.read(&mut rest)? {
        match piece {
            Piece::Child if found.is_none() => found = Some(parser.take_element()),
            Piece::Child | Piece::Header { .. } | Piece::Close => {
                return fault("a second root element", xml.len() - rest.len());
            }
        }
    }
    match found {
        _ if parser.buffered() > 0 => fault("an element is not closed", xml.len()),
        Some(element) => Ok(element),
        None => fault("no element", xml.len()),
    }
}
