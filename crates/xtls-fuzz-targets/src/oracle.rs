//! What another parser of XML, which shares no code with ours, makes of the same bytes.

use rxml::Parse as _;
use xtls_stanza::{ElementRef, Node, ParseErrorKind};

/// What a parser tells about a document, in the order of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Start { ns: String, name: String, attributes: Vec<(String, String, String)> },
    Text(String),
    End,
}

/// The longest input that is compared: beyond it the other parser has bounds of its own.
pub(crate) const COMPARED: usize = 4096;

/// What the other parser takes and the specifications do not: a default namespace declared twice (XML 1.0 § 3.1), and the
/// namespace of `xmlns` declared (Namespaces in XML § 3). Our bounds are ours alone.
pub(crate) fn is_departure(kind: ParseErrorKind) -> bool {
    matches!(
        kind,
        ParseErrorKind::NotWellFormed(
            "an attribute given twice" | "the namespace of `xmlns` is bound to a prefix" | "text outside of a stanza"
        ) | ParseErrorKind::Limit(_)
    )
}

pub(crate) fn say_text(said: &mut Vec<Said>, text: &str) {
    match said.last_mut() {
        _ if text.is_empty() => {}
        Some(Said::Text(before)) => before.push_str(text),
        _ => said.push(Said::Text(text.to_owned())),
    }
}

/// Tells an element and all that is in it.
pub(crate) fn say_element(said: &mut Vec<Said>, element: ElementRef<'_>) {
    say_start(said, element);
    for node in element.nodes() {
        match node {
            Node::Element(child) => say_element(said, child),
            Node::Text(text) => say_text(said, text),
            _ => {}
        }
    }
    said.push(Said::End);
}

/// Tells an element's start tag.
pub(crate) fn say_start(said: &mut Vec<Said>, element: ElementRef<'_>) {
    let mut attributes: Vec<_> =
        element.attributes().map(|a| (a.ns.to_owned(), a.name.to_owned(), a.value.to_owned())).collect();
    attributes.sort_unstable();
    said.push(Said::Start { ns: element.ns().to_owned(), name: element.name().to_owned(), attributes });
}

/// What else the other parser found.
pub(crate) struct Heard {
    /// The bytes are one whole document.
    pub(crate) whole: bool,
    /// It has an XML declaration.
    pub(crate) declaration: bool,
}

/// What the other parser tells until the end of the bytes, or until it refuses them.
pub(crate) fn other_parser(xml: &[u8]) -> (Vec<Said>, Heard) {
    let mut bytes = Vec::with_capacity(xml.len());
    for (at, &byte) in xml.iter().enumerate() {
        match byte {
            // XML 1.0 § 2.11: as if line ends had been normalised before parsing. It does not quite do that by itself.
            b'\r' if xml.get(at + 1) == Some(&b'\n') => {}
            b'\r' => bytes.push(b'\n'),
            _ => bytes.push(byte),
        }
    }
    // It wants an XML declaration before any white space; the grammar of § 2.8 does not.
    let blank = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n')).count();
    let mut said = Vec::new();
    let mut declaration = false;
    let result = rxml::Parser::new().parse_all(&mut &bytes[blank..], true, |event| match event {
        rxml::Event::XmlDeclaration(..) => declaration = true,
        rxml::Event::StartElement(_, (ns, name), attributes) => {
            let mut attributes: Vec<_> = attributes
                .iter()
                .map(|((ns, name), value)| (ns.to_string(), name.to_string(), value.clone()))
                .collect();
            attributes.sort_unstable();
            said.push(Said::Start { ns: ns.to_string(), name: name.to_string(), attributes });
        }
        rxml::Event::Text(_, text) => say_text(&mut said, &text),
        rxml::Event::EndElement(_) => said.push(Said::End),
    });
    (said, Heard { whole: result.is_ok(), declaration })
}

/// It does not let a name begin with some characters (XML 1.0 § 2.3), and bounds the digits of a reference (§ 4.1), so what holds
/// one of these cannot be compared.
pub(crate) fn it_knows_all_of(xml: &[u8]) -> bool {
    let text = String::from_utf8_lossy(xml);
    let is_long =
        |reference: &str| reference.trim_start_matches('x').bytes().take_while(u8::is_ascii_hexdigit).count() >= 8;
    !text.contains(|c| matches!(c, '\u{FDF0}'..='\u{FFFD}')) && !text.split("&#").skip(1).any(is_long)
}

#[cfg(test)]
mod tests;
