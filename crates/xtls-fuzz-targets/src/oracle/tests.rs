//! Documents that are well-formed for the most part, where random bytes seldom are: ours and the other parser say the same.

mod stream;

use proptest::prelude::*;

/// How many documents are tried: `XTLS_CASES`, or 2000.
fn cases() -> u32 {
    std::env::var("XTLS_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000)
}

/// Pieces of documents: what is put together of them is often well-formed, and else nearly so.
const PIECES: &[&str] = &[
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
fn document() -> impl Strategy<Value = String> {
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

/// The target's own assertions: both refuse, or both take it and say the same.
fn check(xml: &str) {
    crate::element::run(xml.as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p20_documents_are_read_as_by_another_parser(xml in document()) {
        check(&xml);
    }

    #[test]
    fn p20_mutated_documents_are_read_as_by_another_parser(xml in mutated()) {
        check(&xml);
    }

    #[test]
    fn p20_pieces_are_read_as_by_another_parser(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..8)) {
        check(&pieces.concat());
        check(&format!("<a xmlns:p='u'>{}</a>", pieces.concat()));
    }

    #[test]
    fn p20_tags_are_read_as_by_another_parser(inside in "[ab:='\"/<>&;# \r\nxmlns1-]{0,12}") {
        check(&format!("<a{inside}/>"));
        check(&format!("<a {inside}></a>"));
        check(&format!("<{inside}></{inside}>"));
        check(&format!("<a b='{inside}'>{inside}</a>"));
    }

    #[test]
    fn p20_characters_are_read_as_by_another_parser(text in any::<String>(), name in "\\PC{1,3}") {
        check(&format!("<a>{text}</a>"));
        check(&format!("<a b='{text}'/>"));
        check(&format!("<{name}/>"));
        check(&format!("<a {name}='1'/>"));
    }
}

/// Every character alone: as text, as a name's first and a name's second.
#[test]
fn p20_every_character_is_read_as_by_another_parser() {
    for c in (0..=0x2_0000_u32).chain(0xE_FFF0..=0xF_0010).chain(0x10_FFF0..=0x10_FFFF).filter_map(char::from_u32) {
        for xml in [format!("<a>{c}</a>"), format!("<{c}/>"), format!("<a{c}/>")] {
            let _ = crate::element::read(&xml);
        }
    }
}
