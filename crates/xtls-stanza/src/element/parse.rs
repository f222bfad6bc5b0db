//! Text to elements.

use super::{
    Element, MAX_BYTES, Scope,
    parser::{Parser, Piece},
};
use crate::{Limits, ParseError, ParseErrorKind, ns};

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
        if xml.len() > limits.stanza_bytes.min(MAX_BYTES) {
            return Err(ParseError { kind: ParseErrorKind::Limit("stanza_bytes"), offset: 0 });
        }
        let mut parser = Parser::of_one(*limits, scope, xml.len());
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
}
