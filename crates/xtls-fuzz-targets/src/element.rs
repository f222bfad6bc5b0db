//! Elements: text to tree and back, beside another parser.

use xtls_stanza::{Element, ElementRef, Limits, ParseError, ParseErrorKind, Scope, StanzaParser, ns};

use crate::oracle::{COMPARED, is_departure, it_knows_all_of, other_parser, say_element};

/// Reads the input as one element and holds what was read against what is written of it.
pub fn run(data: &[u8]) {
    let Ok(xml) = core::str::from_utf8(data) else { return };
    check_parser(xml);
    match read(xml) {
        Ok(element) => {
            check_bounds(&element, xml);
            check_written(&element);
            check_changes(&element);
        }
        Err(fault) => assert!(fault.offset <= xml.len(), "the fault is in the text: {fault}"),
    }
}

/// What ours makes of it, and both parsers refuse, or both take it and say the same.
pub(crate) fn read(xml: &str) -> Result<Element, ParseError> {
    let parsed = Element::parse_in(xml, &Limits::default(), &Scope::default());
    if xml.len() <= COMPARED {
        compare(xml, parsed.as_ref().map_err(|fault| fault.kind));
    }
    parsed
}

fn compare(xml: &str, ours: Result<&Element, ParseErrorKind>) {
    let (theirs, heard) = other_parser(xml.as_bytes());
    // A declaration is theirs to take; in a stanza there is none.
    match (ours, heard.whole && !heard.declaration) {
        (Ok(element), true) => {
            let mut said = Vec::new();
            say_element(&mut said, element.root());
            assert_eq!(said, theirs);
        }
        (Ok(_), false) => assert!(!it_knows_all_of(xml.as_bytes()), "only ours takes it"),
        (Err(kind), true) => assert!(is_departure(kind), "only ours refuses it: {kind}"),
        (Err(_), false) => {}
    }
}

/// A parser that has read something else, with a fault or without, reads like a new one.
fn check_parser(xml: &str) {
    let parsed = Element::parse(xml, &Limits::default());
    let mut parser = StanzaParser::new(Limits::default());
    let half = xml.get(..xml.len() / 2).unwrap_or_default();
    for before in [half, xml, xml] {
        if let Ok(element) = parser.parse(before) {
            parser.reuse(element);
        }
        assert_eq!(parser.parse(xml), parsed);
    }
}

/// What is held is bounded by what was read.
fn check_bounds(element: &Element, xml: &str) {
    let limits = Limits::default();
    let (mut nodes, mut deepest) = (0, 0);
    visit(element.root(), 1, &mut |child, depth| {
        deepest = deepest.max(depth);
        nodes += 1 + child.attributes().count();
        assert!(child.attributes().count() <= limits.attributes && child.name().len() <= limits.name_bytes);
        assert!(child.attributes().all(|attribute| attribute.value.len() <= limits.value_bytes));
    });
    assert!(nodes <= limits.nodes && deepest <= limits.depth, "{nodes} nodes, {deepest} deep");
    // The shortest element is four bytes of text, and a row of the table has 28; tables grow by doubling.
    assert!(element.held_bytes() <= 16 * xml.len() + 1024, "{} of {}", element.held_bytes(), xml.len());
}

/// What is written is read as the same, in any surroundings, and written again it is the same text.
fn check_written(element: &Element) {
    for context in ["", ns::CLIENT] {
        let written = element.to_xml(context);
        let again =
            Element::parse_in(&written, &generous(), &Scope::new(context)).expect("what is written can be read");
        assert_eq!(again, *element);
        assert_eq!(again.to_xml(context), written);
        assert!(element.root().fits(context, written.len()) && !element.root().fits(context, written.len() - 1));
    }
    assert_eq!(element.root().to_element(), *element);
    for child in element.children() {
        assert_eq!(child.to_element().root(), child);
    }
}

/// An attribute that is set is there, one that is removed is not, and nothing else changes.
fn check_changes(element: &Element) {
    let mut changed = element.clone();
    let value = element.text();
    let value = value.get(..16).unwrap_or(&value);
    changed.set_attribute("to", value).expect("a name and a text that XML can carry");
    assert_eq!(changed.attribute("to"), Some(value));
    assert!(changed.children().eq(element.children()) && changed.text() == element.text());
    match element.attribute("to") {
        Some(before) => changed.set_attribute("to", before).expect("it was there"),
        None => assert!(changed.remove_attribute("to") && changed.attribute("to").is_none()),
    }
    assert_eq!(changed, *element);
}

fn visit<'a>(element: ElementRef<'a>, depth: usize, see: &mut impl FnMut(ElementRef<'a>, usize)) {
    see(element, depth);
    element.children().for_each(|child| visit(child, depth + 1, see));
}

/// For what is written of something that kept to the limits: it may be longer, as each namespace is written where it changes.
fn generous() -> Limits {
    let mut limits = Limits::default();
    limits.stanza_bytes = 1 << 28;
    limits.attributes = 1 << 10;
    limits.declarations = 1 << 16;
    limits
}
