use proptest::prelude::*;

use super::*;
use crate::ParseErrorKind;

const HEADER: &str =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

/// What a reader makes of bytes that arrive in these pieces: its items as text, and the fault at the end.
fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: Limits) -> (Vec<String>, Option<ParseError>) {
    let mut reader = StreamReader::new(limits);
    let mut items = Vec::new();
    let mut left_over = Vec::new();
    for piece in pieces {
        let mut input = piece;
        loop {
            match reader.read(&mut input) {
                Ok(Some(item)) => items.push(show(&item)),
                Ok(None) => break,
                Err(fault) => return (items, Some(fault)),
            }
            assert!(reader.buffered() <= limits.stanza_bytes);
        }
        left_over.extend_from_slice(input);
    }
    if !left_over.is_empty() {
        items.push(format!("left over: {left_over:?}"));
    }
    (items, None)
}

fn show(item: &StreamItem) -> String {
    match item {
        StreamItem::Header(header) => format!("header {} {:?}", header.element().to_xml(""), header.scope()),
        StreamItem::Stanza(stanza) => stanza.to_xml("jabber:client"),
        StreamItem::Close => "close".to_owned(),
    }
}

fn read(bytes: &[u8]) -> (Vec<String>, Option<ParseError>) {
    read_pieces([bytes], Limits::default())
}

/// The items after the header and the fault of a stream that goes on like this.
fn in_stream(rest: &str) -> (Vec<String>, Option<ParseErrorKind>) {
    let (mut items, fault) = read(format!("{HEADER}{rest}").as_bytes());
    items.remove(0);
    (items, fault.map(|fault| fault.kind))
}

fn fault_of(bytes: &[u8]) -> ParseErrorKind {
    read(bytes).1.unwrap_or_else(|| panic!("{:?} was accepted", String::from_utf8_lossy(bytes))).kind
}

fn fault_in_stream(rest: &str) -> ParseErrorKind {
    fault_of(format!("{HEADER}{rest}").as_bytes())
}

fn is_restricted(kind: ParseErrorKind) -> bool {
    matches!(kind, ParseErrorKind::Restricted(_))
}

fn is_not_well_formed(kind: ParseErrorKind) -> bool {
    matches!(kind, ParseErrorKind::NotWellFormed(_))
}

#[test]
fn header_tells_addresses_version_language_and_scope() {
    let mut input: &[u8] = b"<?xml version='1.0' encoding='utf-8'?>\n<s:stream from='a@b' to='c@d/e' id='i&amp;d' \
        version='1.0' xml:lang='en' xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' xmlns:x='u'>";
    let Ok(Some(StreamItem::Header(header))) = StreamReader::new(Limits::default()).read(&mut input) else { panic!() };
    assert_eq!((header.name(), header.ns(), header.default_ns()), ("stream", ns::STREAM, "jabber:client"));
    assert_eq!((header.from(), header.to(), header.id()), (Some("a@b"), Some("c@d/e"), Some("i&d")));
    assert_eq!((header.version(), header.lang()), (Some("1.0"), Some("en")));
    assert_eq!((header.scope().lookup("x"), header.scope().lookup("y")), (Some("u"), None));
}

#[test]
fn stanzas_are_parsed_in_the_scope_of_the_header() {
    let (items, fault) = in_stream("<stream:features/><message><body>a</body></message><x xmlns='u'/>");
    assert_eq!(fault, None);
    let expected =
        ["<features xmlns='http://etherx.jabber.org/streams'/>", "<message><body>a</body></message>", "<x xmlns='u'/>"];
    assert_eq!(items, expected);
}

#[test]
fn what_one_stanza_declares_is_not_in_force_in_the_next() {
    assert_eq!(fault_in_stream("<a xmlns:p='u'><p:b/></a><p:b/>"), ParseErrorKind::UndeclaredPrefix);
}

#[test]
fn markup_characters_inside_values_and_cdata_end_nothing() {
    let (items, fault) = in_stream("<a b='/>' c=\"'>\"><![CDATA[</a>]]]]><![CDATA[>]]>x</a><b/>");
    assert_eq!(fault, None);
    assert_eq!(items, ["<a b='/&gt;' c='&apos;&gt;'>&lt;/a&gt;]]&gt;x</a>", "<b/>"]);
}

#[test]
fn rfc_6120_4_6_1_white_space_between_stanzas_is_skipped_and_not_kept() {
    let mut reader = StreamReader::new(Limits { stanza_bytes: 200, ..Limits::default() });
    let mut input = HEADER.as_bytes();
    reader.read(&mut input).unwrap();
    for _ in 0..1000 {
        let mut input: &[u8] = b" \r\n\t";
        assert!(reader.read(&mut input).unwrap().is_none());
        assert_eq!((input.len(), reader.buffered()), (0, 0));
    }
    let mut input: &[u8] = b"<a/>";
    assert!(matches!(reader.read(&mut input), Ok(Some(StreamItem::Stanza(_)))));
}

#[test]
fn rfc_6120_4_6_1_text_between_stanzas_is_a_fault() {
    for text in ["x", "&#32;", "&amp;", "<![CDATA[ ]]>", "\u{FEFF}", "\u{A0}", "]]>", "\u{0}"] {
        assert!(is_not_well_formed(fault_in_stream(&format!("<a/>{text}<b/>"))), "{text:?}");
        assert!(is_not_well_formed(fault_of(format!("{text}{HEADER}").as_bytes())), "{text:?}");
    }
}

#[test]
fn rfc_6120_11_5_the_xml_declaration_is_taken_once_and_only_before_the_header() {
    for declaration in [
        "<?xml version='1.0'?>",
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
        "<?xml\nversion = '1.0'\tencoding='utf-8' standalone='yes' ?> \r\n",
        " <?xml version='1.0' standalone='no'?>",
    ] {
        let (items, fault) = read(format!("{declaration}{HEADER}<a/>").as_bytes());
        assert_eq!((items.len(), fault), (2, None), "{declaration}");
        assert!(is_restricted(fault_of(format!("{declaration}{declaration}{HEADER}").as_bytes())), "{declaration}");
        assert!(is_restricted(fault_in_stream(declaration)), "{declaration}");
        assert!(is_restricted(fault_in_stream(&format!("<a>{declaration}</a>"))), "{declaration}");
    }
}

#[test]
fn xml_declaration_that_is_not_one_of_xml_1_0_is_refused() {
    for declaration in [
        "<?xml ?>",
        "<?xml version='1.1'?>",
        "<?xml version='1.0?>",
        "<?xml encoding='UTF-8'?>",
        "<?xml encoding='UTF-8' version='1.0'?>",
        "<?xml version='1.0'encoding='UTF-8'?>",
        "<?xml version='1.0' standalone='maybe'?>",
        "<?xml version='1.0' standalone='yes' encoding='UTF-8'?>",
        "<?xml version='1.0' other='1'?>",
        "<?xml version='1.0' version='1.0'?>",
        "<?xml version='1.0'",
        "<?xml version='1.0'><a ?>",
    ] {
        let kind = fault_of(format!("{declaration}{HEADER}").as_bytes());
        assert!(is_not_well_formed(kind), "{declaration} {kind:?}");
    }
}

/// RFC 6120 § 11.6.
#[test]
fn p20_an_encoding_other_than_utf_8_is_refused() {
    for encoding in ["UTF-16", "ISO-8859-1", "US-ASCII", "UTF-7", "utf8", ""] {
        let kind = fault_of(format!("<?xml version='1.0' encoding='{encoding}'?>{HEADER}").as_bytes());
        assert_eq!(kind.stream_condition(), "unsupported-encoding", "{encoding}");
    }
    let utf_16: Vec<u8> = "\u{FEFF}<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(fault_of(&utf_16).stream_condition(), "unsupported-encoding");
}

/// RFC 6120 § 11.1. Nothing after the first bytes is needed, so nothing is buffered for it.
#[test]
fn p20_restricted_xml_is_refused_as_soon_as_it_shows() {
    for (markup, place) in [
        ("<!-", "a comment"),
        ("<!D", "a document type"),
        ("<!E", "an entity declaration"),
        ("<?p", "a processing instruction"),
        ("<?xmlx", "a processing instruction"),
        ("<?xml-", "a processing instruction"),
    ] {
        for before in ["", HEADER, &format!("{HEADER}<a>"), &format!("{HEADER}<a><b/>text")] {
            let kind = fault_of(format!("{before}{markup}").as_bytes());
            assert_eq!(kind.stream_condition(), "restricted-xml", "{place} after {before}");
        }
    }
}

#[test]
fn p20_entity_expansion_is_refused() {
    let laughs = "<!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY lol2 '&lol;&lol;'>]>";
    assert_eq!(fault_of(format!("{laughs}{HEADER}").as_bytes()).stream_condition(), "restricted-xml");
    assert_eq!(fault_in_stream("<a>&lol2;</a>").stream_condition(), "restricted-xml");
}

#[test]
fn broken_markup_is_refused_as_soon_as_it_shows() {
    for markup in ["< ", "<>", "<1", "<=", "<<", "<a <", "<a b='<", "<a></a<", "<![x", "<!x", "<!>", "<:"] {
        assert!(is_not_well_formed(fault_in_stream(markup)), "{markup}");
        assert!(is_not_well_formed(fault_in_stream(&format!("<z>{markup}"))), "{markup}");
    }
    for markup in ["</", "<![CDATA[", "<<", "< "] {
        assert!(is_not_well_formed(fault_of(markup.as_bytes())), "{markup}");
    }
}

/// XML that breaks a rule, and how many bytes of it are enough to tell. What comes after them may never come.
#[test]
fn p22_what_is_not_well_formed_is_told_by_the_byte_that_makes_it_so() {
    for (markup, enough) in [
        // An end tag that matches no start tag, at any depth: by the first byte that differs, or by the end of the name.
        ("<message><body>x</message>", "<message><body>x</m"),
        ("<a><b></c>", "<a><b></c"),
        ("<a><b></bc>", "<a><b></bc"),
        ("<a><bc></b></a>", "<a><bc></b>"),
        ("<a><b></p:b>", "<a><b></p"),
        ("<a><b></ b>", "<a><b></ "),
        ("<a><b></b c>", "<a><b></b c"),
        ("<a></b>", "<a></b"),
        // Attributes: by the end of the tag where it takes that.
        ("<a b='1' b='2'>", "<a b='1' b='2'>"),
        ("<a><b c='1' c='2'>", "<a><b c='1' c='2'>"),
        ("<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'>", "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'>"),
        ("<a xmlns='u' xmlns='v'>", "<a xmlns='u' xmlns='v'"),
        ("<a xmlns:p=''>", "<a xmlns:p=''"),
        ("<a><p:b>", "<a><p:b>"),
        ("<a><b p:c=''>", "<a><b p:c=''>"),
        ("<a><b c='<'>", "<a><b c='<"),
        ("<a><b c=d>", "<a><b c=d"),
        ("<a><b c>", "<a><b c>"),
        ("<a><b c='1'd='2'>", "<a><b c='1'd"),
        ("<a><b / >", "<a><b / "),
        ("<a><b \u{0}>", "<a><b \u{0}"),
        ("<a><b c='\u{0}'>", "<a><b c='\u{0}"),
        ("<a><b c='&x;'>", "<a><b c='&x;"),
        ("<a><1>", "<a><1"),
        ("<a><b:c:d>", "<a><b:c:d>"),
        ("<a><b$>", "<a><b$"),
        // References.
        ("<a><b>&x;</b>", "<a><b>&x;"),
        ("<a><b>& </b>", "<a><b>& "),
        ("<a><b>&amp </b>", "<a><b>&amp "),
        ("<a><b>&</b>", "<a><b>&<"),
        ("<a><b>&1;</b>", "<a><b>&1"),
        ("<a><b>&#0;</b>", "<a><b>&#0;"),
        ("<a><b>&#xG;</b>", "<a><b>&#xG"),
        ("<a><b>&#xD800;</b>", "<a><b>&#xD800;"),
        ("<a><b>&#1x;</b>", "<a><b>&#1x"),
        // Characters.
        ("<a><b>x\u{0}y</b>", "<a><b>x\u{0}"),
        ("<a><b>x\u{FFFE}y</b>", "<a><b>x\u{FFFE}"),
        ("<a><b>x]]>y</b>", "<a><b>x]]>"),
        ("<a><b><![CDATA[\u{1}]]></b>", "<a><b><![CDATA[\u{1}"),
    ] {
        let before = &enough[..enough.len() - enough.chars().next_back().unwrap().len_utf8()];
        for piece in [1, 3, usize::MAX] {
            let of = |text: &str| read_pieces(format!("{HEADER}{text}").as_bytes().chunks(piece), Limits::default()).1;
            let fault = of(enough).unwrap_or_else(|| panic!("{enough} waits for more"));
            assert!(!matches!(fault.kind, ParseErrorKind::Limit(_) | ParseErrorKind::NotUtf8), "{enough}: {fault}");
            assert_eq!(of(before), None, "{before}");
            assert_eq!(of(markup), Some(fault), "{markup}");
        }
    }
}

/// A fault in what surrounds it is told first, however long what follows is.
#[test]
fn p22_a_fault_is_told_although_the_stanza_goes_on() {
    let mut reader = StreamReader::new(Limits::default());
    let mut input = HEADER.as_bytes();
    reader.read(&mut input).unwrap();
    let stanza = format!("<message><body>&lol;{}", "x".repeat(1 << 20));
    let fault = reader.read(&mut stanza.as_bytes()).unwrap_err();
    assert_eq!((fault.kind.stream_condition(), fault.offset), ("restricted-xml", HEADER.len() + 15));
}

/// RFC 6120 § 11.6.
#[test]
fn p22_bytes_that_are_no_utf_8_are_told_when_they_are_there() {
    for (before, bytes) in [
        ("<a><b>x", &b"\xFF"[..]),
        ("<a><b>x", b"\xC3("),
        ("<a><b>x", b"\xE2\x82<"),
        ("<a><b>x", b"\xED\xA0"),
        ("<a><b><![CDATA[x", b"\xC0"),
        ("<a><b c='", b"\x80"),
        ("<a><b", b"\xFE"),
        ("<a><b c", b"\xF5"),
        ("<a><b>&", b"\xFF"),
    ] {
        for piece in [1, 3, usize::MAX] {
            let text = [HEADER.as_bytes(), before.as_bytes(), bytes].concat();
            let (_, fault) = read_pieces(text.chunks(piece), Limits::default());
            let expected = ParseError { kind: ParseErrorKind::NotUtf8, offset: HEADER.len() + before.len() };
            assert_eq!(fault, Some(expected), "{before} {bytes:?} in pieces of {piece}");
        }
    }
}

#[test]
fn an_end_must_match_the_header() {
    for end in ["</stream:stream>", "</stream:stream \r\n\t>"] {
        assert_eq!(in_stream(end), (vec!["close".to_owned()], None), "{end}");
    }
    for end in ["</stream>", "</stream:strea>", "</stream:streams>", "</ stream:stream>", "</stream:stream a='1'>"] {
        assert!(is_not_well_formed(fault_in_stream(end)), "{end}");
    }
    // The same expanded name under another prefix is another tag (XML 1.0 § 3, element type match).
    let other = "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns:stream='http://etherx.jabber.org/streams'>";
    assert!(is_not_well_formed(fault_of(format!("{other}</stream:stream>").as_bytes())));
}

#[test]
fn a_header_that_is_an_empty_element_is_a_stream_that_ends_at_once() {
    let (items, fault) = read(b"<a/>");
    assert_eq!(
        (items.as_slice(), fault),
        (["header <a/> Scope { bindings: [] }".to_owned(), "close".to_owned()].as_slice(), None)
    );
}

#[test]
fn a_second_header_is_refused_by_its_start_tag() {
    assert_eq!(fault_in_stream(HEADER), ParseErrorKind::NotWellFormed("a second stream header"));
    assert_eq!(fault_in_stream("<a/><stream:stream>"), ParseErrorKind::NotWellFormed("a second stream header"));
    // Deeper inside, or under a name that only begins like it, it is an element like any other.
    assert_eq!(
        in_stream("<a><stream:stream/></a><stream:streams></stream:streams><stream:strea></stream:strea>").1,
        None
    );
}

#[test]
fn rfc_6120_4_4_after_the_end_nothing_is_taken_until_the_reset() {
    let text = format!("{HEADER}</stream:stream><?xml version='1.0'?>{HEADER}<a/>");
    let mut reader = StreamReader::new(Limits::default());
    let mut input = text.as_bytes();
    let mut items = Vec::new();
    while let Some(item) = reader.read(&mut input).unwrap() {
        items.push(show(&item));
    }
    assert_eq!(items.len(), 2);
    assert!(input.starts_with(b"<?xml"));
    assert!(reader.read(&mut input).unwrap().is_none());
    reader.reset();
    while let Some(item) = reader.read(&mut input).unwrap() {
        items.push(show(&item));
    }
    assert_eq!((items.len(), items.last().map(String::as_str), input.len()), (4, Some("<a/>"), 0));
}

#[test]
fn the_same_fault_is_returned_until_the_reset_and_nothing_is_kept() {
    let mut reader = StreamReader::new(Limits::default());
    let mut input: &[u8] = b"<a><b>long text";
    while reader.read(&mut input).unwrap().is_some() {}
    assert_eq!(reader.buffered(), 12);
    let fault = reader.read(&mut &b"<!-"[..]).unwrap_err();
    assert_eq!((fault.offset, reader.buffered()), (17, 0));
    assert_eq!(reader.read(&mut &b"--></b></a>"[..]).unwrap_err(), fault);
    assert_eq!(reader.read(&mut &b""[..]).unwrap_err(), fault);
    reader.reset();
    assert!(matches!(reader.read(&mut &b"<a>"[..]), Ok(Some(StreamItem::Header(_)))));
}

#[test]
fn offsets_count_from_the_beginning_of_the_stream() {
    for (stream, offset) in [
        ("x", 0),
        ("<a> <b/> x", 9),
        ("<a> <b></c>", 7),
        ("<a> <b>&x;</b>", 7),
        ("<a><b></b></x>", 10),
        ("<?xml version='2.0'?>", 0),
        (" <1", 2),
    ] {
        assert_eq!(read(stream.as_bytes()).1.unwrap().offset, offset, "{stream}");
        let bytewise = read_pieces(stream.as_bytes().chunks(1), Limits::default());
        assert_eq!(bytewise.1.unwrap().offset, offset, "{stream}");
    }
}

#[test]
fn p21_stanza_bytes_at_the_limit_and_one_past_it() {
    let stanza = format!("<a>{}</a>", "x".repeat(993));
    assert_eq!(stanza.len(), 1000);
    let text = format!("{HEADER} {stanza}\n{stanza}");
    let limits = |stanza_bytes| Limits { stanza_bytes, ..Limits::default() };
    for size in [1, 7, 999, 1000, 1001, 5000] {
        let (items, fault) = read_pieces(text.as_bytes().chunks(size), limits(1000));
        assert_eq!((items.len(), fault), (3, None), "pieces of {size}");
        let (items, fault) = read_pieces(text.as_bytes().chunks(size), limits(999));
        let expected = ParseError { kind: ParseErrorKind::Limit("stanza_bytes"), offset: HEADER.len() + 1 + 999 };
        assert_eq!((items.len(), fault), (1, Some(expected)), "pieces of {size}");
    }
    let header = limits(HEADER.len());
    assert_eq!(read_pieces([HEADER.as_bytes()], header), read(HEADER.as_bytes()));
    let (items, fault) = read_pieces([HEADER.as_bytes()], limits(HEADER.len() - 1));
    assert_eq!((items.len(), fault.unwrap().kind), (0, ParseErrorKind::Limit("stanza_bytes")));
}

#[test]
fn p21_ten_megabytes_are_refused_before_they_are_buffered() {
    for (begin, limit) in [
        ("<a>", "stanza_bytes"),
        ("<a><![CDATA[", "stanza_bytes"),
        ("<a b='", "value_bytes"),
        ("<a", "name_bytes"),
        ("<a ", "name_bytes"),
    ] {
        let mut reader = StreamReader::new(Limits::default());
        let mut input = HEADER.as_bytes();
        reader.read(&mut input).unwrap();
        let mut sent = 0;
        let mut piece = begin.as_bytes().to_vec();
        piece.resize(4096, b'x');
        let fault = loop {
            let mut input = piece.as_slice();
            match reader.read(&mut input) {
                Ok(item) => assert!(item.is_none()),
                Err(fault) => break fault,
            }
            assert!(reader.buffered() <= 256 * 1024);
            sent += piece.len();
            assert!(sent <= 256 * 1024, "{begin}");
            piece.fill(b'x');
        };
        assert_eq!(fault.kind, ParseErrorKind::Limit(limit), "{begin}");
        assert_eq!(reader.buffered(), 0);
    }
}

#[test]
fn p21_depth_is_refused_by_the_start_tag_that_exceeds_it() {
    let at_limit = format!("{}{}", "<a>".repeat(64), "</a>".repeat(64));
    assert_eq!(in_stream(&at_limit).1, None);
    let innermost_empty = format!("{}<a/>{}", "<a>".repeat(63), "</a>".repeat(63));
    assert_eq!(in_stream(&innermost_empty).1, None);
    // It does not take the end of the stanza, nor of the tag.
    let past = format!("{}<a", "<a>".repeat(64));
    assert_eq!(fault_in_stream(&past), ParseErrorKind::Limit("depth"));
    assert_eq!(fault_in_stream(&"<a>".repeat(10_000)), ParseErrorKind::Limit("depth"));
}

/// Every byte is looked at once, however the stream is cut: a reader that began again with each piece would look at
/// 10^10 bytes here, and this test would take minutes.
#[test]
fn p21_one_byte_at_a_time_costs_as_much_as_all_at_once() {
    let text = format!("{HEADER}<a b='{}'>{}</a>", "v".repeat(10_000), "<b>text</b>".repeat(12_000));
    let limits = Limits { nodes: 100_000, ..Limits::default() };
    let all = read_pieces([text.as_bytes()], limits);
    assert_eq!((all.0.len(), all.1.is_none()), (2, true));
    assert_eq!(read_pieces(text.as_bytes().chunks(1), limits), all);
}

#[test]
fn p22_invalid_utf_8_is_refused() {
    for bytes in [
        &b"\xFF"[..],
        b"\xC0\x80",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\xF8\x88\x80\x80\x80",
        b"\xE2\x82",
        b"\x80",
        b"\xC3(",
    ] {
        for (before, after) in [("<a>", "</a>"), ("<a b='", "'/>"), ("<a><![CDATA[", "]]></a>"), ("<a><b", "/></a>")] {
            let text = [HEADER.as_bytes(), before.as_bytes(), bytes, after.as_bytes()].concat();
            assert_eq!(fault_of(&text), ParseErrorKind::NotUtf8, "{before} {bytes:?}");
            let bytewise = read_pieces(text.chunks(1), Limits::default());
            assert_eq!(bytewise, read(&text));
        }
    }
    assert_eq!(fault_in_stream("<a>\u{0}</a>").stream_condition(), "not-well-formed");
}

#[test]
fn p22_a_character_cut_in_the_middle_is_put_together() {
    let text = format!("{HEADER}<a ä='€'>𝄞</a>");
    for size in 1..8 {
        let (items, fault) = read_pieces(text.as_bytes().chunks(size), Limits::default());
        assert_eq!((items[1].as_str(), fault), ("<a ä='€'>𝄞</a>", None));
    }
}

/// Pieces of streams, sound and broken.
const FRAGMENTS: &[&str] = &[
    "<?xml version='1.0'?>",
    HEADER,
    "<a/>",
    "<a>",
    "</a>",
    "<a b='c'>",
    "<a b=\"/>'\">",
    "text",
    " \r\n",
    "€𝄞",
    "&amp;",
    "&#x20AC;",
    "&lol;",
    "<![CDATA[",
    "]]>",
    "]]",
    "<message xmlns:p='u'><p:x/></message>",
    "<p:x/>",
    "</stream:stream>",
    "</stream:stream",
    "<!--",
    "<",
    ">",
    "'",
    "<?pi?>",
    "<!DOCTYPE",
    "\u{0}",
];

/// A stream made of fragments, perhaps with one byte changed, and where to cut it.
fn streams() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let fragments = prop::collection::vec(prop::sample::select(FRAGMENTS), 0..12);
    let change = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..20);
    (any::<bool>(), fragments, change, cuts).prop_map(|(with_header, fragments, change, cuts)| {
        let mut bytes = if with_header { HEADER.as_bytes().to_vec() } else { Vec::new() };
        bytes.extend_from_slice(fragments.concat().as_bytes());
        if let Some((at, value)) = change
            && !bytes.is_empty()
        {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        (bytes, cuts)
    })
}

fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let begins = core::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain(core::iter::once(bytes.len()));
    begins.zip(ends).map(|(begin, end)| &bytes[begin..end]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p22_every_split_gives_the_same((bytes, cuts) in streams(), small in any::<bool>()) {
        let limits = Limits { stanza_bytes: if small { 150 } else { 10_000 }, depth: 4, ..Limits::default() };
        let whole = read_pieces([bytes.as_slice()], limits);
        prop_assert_eq!(&read_pieces(cut(&bytes, &cuts), limits), &whole);
        prop_assert_eq!(&read_pieces(bytes.chunks(1), limits), &whole);
    }

    /// A stream of sound stanzas gives just these stanzas.
    #[test]
    fn stanzas_are_what_parsing_them_alone_gives(
        stanzas in prop::collection::vec(
            prop::sample::select(&["<a/>", "<a b='>'><c/>€</a>", "<a><![CDATA[</a>]]></a>", "<x xmlns='u'><x/></x>"][..]),
            0..10,
        ),
    ) {
        let (items, fault) = in_stream(&stanzas.join(" "));
        prop_assert_eq!(fault, None);
        let alone: Vec<_> = stanzas
            .iter()
            .map(|stanza| Element::parse(stanza, &Limits::default()).unwrap().to_xml("jabber:client"))
            .collect();
        prop_assert_eq!(items, alone);
    }
}
