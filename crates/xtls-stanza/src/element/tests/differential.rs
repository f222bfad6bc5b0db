//! The same documents given to `rxml`, a parser of the same subset of XML that shares no code with ours.

use proptest::prelude::*;
use rxml::Parse as _;

use super::*;

/// What a parser tells about a document, in the order of the document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Start { ns: String, name: String, attributes: Vec<(String, String, String)> },
    Text(String),
    End,
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

fn ours(xml: &str) -> Result<Vec<Said>, ParseError> {
    let element = Element::parse_in(xml, &Limits::default(), &Scope::default())?;
    let mut said = Vec::new();
    say_element(&mut said, element.root());
    Ok(said)
}

fn theirs(xml: &str) -> Option<Vec<Said>> {
    let (said, Heard { whole, declaration }) = theirs_of_bytes(xml.as_bytes());
    // A declaration is theirs to take; in a stanza there is none.
    (whole && !declaration).then_some(said)
}

/// What else the other parser found.
pub(crate) struct Heard {
    /// The bytes are one whole document.
    pub(crate) whole: bool,
    /// It has an XML declaration.
    pub(crate) declaration: bool,
}

/// What the other parser tells until the end of the bytes, or until it refuses them.
pub(crate) fn theirs_of_bytes(xml: &[u8]) -> (Vec<Said>, Heard) {
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

/// It does not let a name begin with these (XML 1.0 § 2.3), so what holds one cannot be compared.
pub(crate) fn it_knows_all_characters(xml: &[u8]) -> bool {
    !String::from_utf8_lossy(xml).contains(|c| matches!(c, '\u{FDF0}'..='\u{FFFD}'))
}

/// How many documents are tried: `XTLS_CASES`, or 2000.
pub(crate) fn cases() -> u32 {
    std::env::var("XTLS_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000)
}

/// Pieces of documents: what is put together of them is often well-formed, and else nearly so.
pub(crate) const PIECES: &[&str] = &[
    "<a>",
    "</a>",
    "<a/>",
    "<b c='d'>",
    "</b>",
    "<p:a>",
    "</p:a>",
    "<p:a/>",
    "<a xmlns='u'>",
    "<a xmlns=''>",
    "<a xmlns:p='u'>",
    "<a xmlns:p='v' p:c='1'/>",
    "<a xmlns:p='' />",
    "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
    "<a xml:lang='en'/>",
    "<xml:a/>",
    "<xmlns:a/>",
    "<a xmlns:xml='u'/>",
    "<a xmlns:xmlns='u'/>",
    "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
    "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
    "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
    "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
    "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
    "<a xmlns:p='u' xmlns:p='v'/>",
    "<a xmlns='u' xmlns='v'/>",
    "<a xmlns:p='v'><p:b xmlns:p='u'/></a>",
    "<a b='1' b='2'/>",
    "<a b='1'c='2'/>",
    "<a b=1/>",
    "<a b/>",
    "<a b='<'/>",
    "<a b='&lt;>\r\n\t &#10;'/>",
    "<a b = \"'\" />",
    "<1/>",
    "<a:b:c/>",
    "<:a/>",
    "<a:/>",
    "< a/>",
    "</ a>",
    "</a >",
    "</a b>",
    "text",
    " ",
    "\r\n",
    "\r",
    "\n",
    "\t",
    "&lt;",
    "&amp;",
    "&gt;",
    "&quot;",
    "&apos;",
    "&#65;",
    "&#x41;",
    "&#13;",
    "&#0;",
    "&#1;",
    "&#xD800;",
    "&#x110000;",
    "&#xFFFE;",
    "&#+65;",
    "&#x;",
    "&#;",
    "&nbsp;",
    "&",
    "&;",
    "& amp;",
    "]]>",
    "]]",
    "]",
    ">",
    "<![CDATA[",
    "<![CDATA[]]>",
    "<![CDATA[<&\r]]>",
    "<!-- -->",
    "<!--",
    "<?pi?>",
    "<?xml version='1.0'?>",
    "<!DOCTYPE a>",
    "\u{FEFF}",
    "\u{0}",
    "\u{1}",
    "\u{FFFE}",
    "\u{FFFF}",
    "\u{85}",
    "€",
    "𝄞",
    "ä",
    "<ä/>",
    "<a\u{B7}/>",
    "<\u{B7}a/>",
    "<a\u{D7}/>",
    "'",
    "\"",
    "=",
    "/",
    "<",
];

/// Well-formed for the most part: elements around more of the same.
pub(crate) fn document() -> impl Strategy<Value = String> {
    let name = prop::sample::select(&["a", "b", "p:a", "q:b", "ä", "a-1", "xml:a"][..]);
    let attribute = prop::sample::select(
        &[
            "",
            " b='1'",
            " p:b='2'",
            " q:b=\"3\"",
            " xml:lang='de'",
            " xmlns='u'",
            " xmlns=''",
            " xmlns:p='v'",
            " xmlns:q='v'",
            "\r\nc\t=\n'&#10;&amp;\r\n<'",
            " d='&quot;]]>'",
            " e='&lt;'",
            " f='ä€'",
        ][..],
    );
    let leaf = prop::sample::select(PIECES).prop_map(str::to_owned);
    let body = leaf.prop_recursive(4, 20, 4, move |inner| {
        let attributes = prop::collection::vec(attribute.clone(), 0..3);
        (name.clone(), attributes, prop::collection::vec(inner, 0..4)).prop_map(|(name, attributes, content)| {
            let attributes = attributes.concat();
            format!("<{name}{attributes}>{}</{name}>", content.concat())
        })
    });
    body.prop_map(|body| format!("<root xmlns:p='u' xmlns:q='w'>{body}</root>"))
}

/// A document with up to three pieces put in, taken out or put in the place of a character.
fn mutated() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0..3_usize, prop::sample::select(PIECES));
    (document(), prop::collection::vec(change, 0..3)).prop_map(|(document, changes)| {
        let mut chars: Vec<String> = document.chars().map(String::from).collect();
        for (at, kind, piece) in changes {
            let at = at.index(chars.len());
            match kind {
                0 => chars.insert(at, piece.to_owned()),
                1 => chars[at] = piece.to_owned(),
                _ => chars[at].clear(),
            }
        }
        chars.concat()
    })
}

/// Both refuse, or both take it and say the same: but where `rxml` 0.14 departs from the specification.
fn compare(xml: &str) -> Result<(), TestCaseError> {
    match (ours(xml), theirs(xml)) {
        (Ok(ours), Some(theirs)) => prop_assert_eq!(ours, theirs, "{:?}", xml),
        (Err(_), None) => {}
        (Ok(_), None) if !it_knows_all_characters(xml.as_bytes()) => {}
        (Ok(_), None) => prop_assert!(false, "only ours takes {:?}", xml),
        (Err(fault), Some(_)) if DEPARTURES.contains(&fault.kind) || fault.kind == OUTSIDE => {}
        (Err(fault), Some(_)) => prop_assert!(false, "only ours refuses {:?}: {}", xml, fault),
    }
    Ok(())
}

/// What it takes and the specifications do not: a default namespace declared twice (XML 1.0 § 3.1), and the namespace of
/// `xmlns` declared (Namespaces in XML § 3).
pub(crate) const DEPARTURES: [ParseErrorKind; 2] = [
    ParseErrorKind::NotWellFormed("an attribute given twice"),
    ParseErrorKind::NotWellFormed("the namespace of `xmlns` is bound to a prefix"),
];
/// It takes references to white space around the root element (XML 1.0 § 2.1).
const OUTSIDE: ParseErrorKind = ParseErrorKind::NotWellFormed("text outside of a stanza");

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p20_documents_are_read_as_by_another_parser(xml in document()) {
        compare(&xml)?;
    }

    #[test]
    fn p20_mutated_documents_are_read_as_by_another_parser(xml in mutated()) {
        compare(&xml)?;
    }

    #[test]
    fn p20_pieces_are_read_as_by_another_parser(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..8)) {
        compare(&pieces.concat())?;
        compare(&format!("<a xmlns:p='u'>{}</a>", pieces.concat()))?;
    }

    #[test]
    fn p20_tags_are_read_as_by_another_parser(inside in "[ab:='\"/<>&;# \r\nxmlns1-]{0,12}") {
        compare(&format!("<a{inside}/>"))?;
        compare(&format!("<a {inside}></a>"))?;
        compare(&format!("<{inside}></{inside}>"))?;
        compare(&format!("<a b='{inside}'>{inside}</a>"))?;
    }

    #[test]
    fn p20_characters_are_read_as_by_another_parser(text in any::<String>(), name in "\\PC{1,3}") {
        compare(&format!("<a>{text}</a>"))?;
        compare(&format!("<a b='{text}'/>"))?;
        compare(&format!("<{name}/>"))?;
        compare(&format!("<a {name}='1'/>"))?;
    }
}

/// Every character alone: as text, as a name's first and a name's second.
#[test]
fn p20_every_character_is_read_as_by_another_parser() {
    for c in (0..=0x2_0000_u32).chain(0xE_FFF0..=0xF_0010).chain(0x10_FFF0..=0x10_FFFF).filter_map(char::from_u32) {
        for xml in [format!("<a>{c}</a>"), format!("<{c}/>"), format!("<a{c}/>")] {
            compare(&xml).unwrap_or_else(|fault| panic!("U+{:04X}: {fault}", u32::from(c)));
        }
    }
}
