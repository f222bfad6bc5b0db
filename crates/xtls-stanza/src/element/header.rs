//! What stands before the stanzas of a stream: the XML declaration and the header.

use quick_xml::{Reader, events::Event};

use super::{
    Element, Scope,
    parse::{Parser, tokenizer_fault},
    tag::Scanner,
};
use crate::{Limits, ParseError, ParseErrorKind};

impl Element {
    /// Parses the start tag of a stream, whose end comes much later: an element without content, and the declarations
    /// that it puts in force. What follows the tag is not looked at.
    pub(crate) fn parse_header(tag: &str, limits: &Limits) -> Result<(Self, Scope), ParseError> {
        let scope = Scope::default();
        let mut parser = Parser::new(tag.len(), limits, &scope);
        let parsed = match Reader::from_str(tag).read_event() {
            Ok(Event::Start(start) | Event::Empty(start)) => parser.start(&start, start.name().0.len()),
            Ok(_) => Err(ParseErrorKind::NotWellFormed("no stream header")),
            Err(error) => Err(tokenizer_fault(&error)),
        };
        parsed.and_then(|()| parser.into_header()).map_err(|kind| ParseError { kind, offset: 0 })
    }
}

/// Checks an XML declaration, `<?xml` and `?>` included (XML 1.0 § 2.8): XML 1.0 in UTF-8, the only one that XMPP knows
/// (RFC 6120 §§ 11.5, 11.6).
pub(crate) fn check_xml_declaration(text: &str) -> Result<(), ParseErrorKind> {
    const FAULT: ParseErrorKind = ParseErrorKind::NotWellFormed("an XML declaration that is not one of XML 1.0");
    let inner = text.strip_prefix("<?xml").and_then(|rest| rest.strip_suffix("?>")).ok_or(FAULT)?;
    let mut scanner = Scanner::new(inner);
    if scanner.next_attribute()? != Some(("version", "1.0")) {
        return Err(FAULT);
    }
    let mut next = scanner.next_attribute()?;
    if let Some(("encoding", encoding)) = next {
        if !encoding.eq_ignore_ascii_case("utf-8") {
            return Err(ParseErrorKind::NotUtf8);
        }
        next = scanner.next_attribute()?;
    }
    if let Some(("standalone", "yes" | "no")) = next {
        next = scanner.next_attribute()?;
    }
    if next.is_none() { Ok(()) } else { Err(FAULT) }
}
