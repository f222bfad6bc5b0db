use super::*;
use crate::{StreamItem, StreamReader};

fn with(change: impl Fn(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// At the limit it is accepted, one past it refused, under the name of the limit.
fn assert_bound(limits: &Limits, name: &'static str, xml: impl Fn(usize) -> String, bound: usize) {
    assert!(Element::parse(&xml(bound), limits).is_ok(), "{name} at the limit");
    let fault = Element::parse(&xml(bound + 1), limits).expect_err(name);
    assert_eq!(fault.kind, ParseErrorKind::Limit(name));
}

fn nested(depth: usize) -> String {
    format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth))
}

#[test]
fn p21_stanza_bytes_at_the_limit_and_one_past_it() {
    assert_bound(&Limits::default(), "stanza_bytes", |n| format!("<a>{}</a>", "x".repeat(n - 7)), 256 * 1024);
    assert_bound(&with(|l| l.stanza_bytes = 10), "stanza_bytes", |n| format!("<a>{}</a>", "x".repeat(n - 7)), 10);
}

#[test]
fn p21_depth_at_the_limit_and_one_past_it() {
    assert_bound(&Limits::default(), "depth", nested, 64);
    assert_bound(&with(|l| l.depth = 1), "depth", nested, 1);
    assert_bound(
        &with(|l| l.depth = 3),
        "depth",
        |n| format!("{}<a/>{}", "<a>".repeat(n - 1), "</a>".repeat(n - 1)),
        3,
    );
    // Depth, not number.
    assert!(parse(&format!("<a>{}</a>", "<b></b>".repeat(1000))).is_ok());
}

#[test]
fn p21_attributes_at_the_limit_and_one_past_it() {
    let attributes = |n| format!("<a{}/>", (0..n).map(|i| format!(" b{i}=''")).collect::<String>());
    let declarations = |n| format!("<a{}/>", (0..n).map(|i| format!(" xmlns:b{i}='u'")).collect::<String>());
    let both = |n: usize| format!("<a{} b='' c=''/>", (2..n).map(|i| format!(" xmlns:b{i}='u'")).collect::<String>());
    assert_bound(&Limits::default(), "attributes", attributes, 64);
    assert_bound(&Limits::default(), "attributes", declarations, 64);
    assert_bound(&Limits::default(), "attributes", both, 64);
    assert_bound(&with(|l| l.attributes = 0), "attributes", attributes, 0);
}

#[test]
fn p21_declarations_at_the_limit_and_one_past_it() {
    let xml = |n: usize| {
        let tags: String = (0..n).map(|i| format!("<a xmlns:b{i}='u'>")).collect();
        format!("{tags}{}", "</a>".repeat(n))
    };
    assert_bound(&with(|l| l.depth = 1000), "declarations", xml, 128);
    assert_bound(&with(|l| l.declarations = 3), "declarations", xml, 3);
    // Those of the surroundings are not counted, nor are those no longer in force.
    let mut scope = Scope::new("u");
    scope.declare("p", "v").unwrap();
    let limits = with(|l| l.declarations = 1);
    let siblings = format!("<a>{}</a>", "<p:b xmlns:q='w'/>".repeat(100));
    assert!(Element::parse_in(&siblings, &limits, &scope).is_ok());
}

#[test]
fn p21_name_bytes_at_the_limit_and_one_past_it() {
    let limits = Limits::default();
    assert_bound(&limits, "name_bytes", |n| format!("<{}/>", "a".repeat(n)), 1024);
    assert_bound(&limits, "name_bytes", |n| format!("<a {}=''/>", "b".repeat(n)), 1024);
    assert_bound(&limits, "name_bytes", |n| format!("<a xmlns:{}='u'/>", "b".repeat(n - 6)), 1024);
    assert_bound(&limits, "name_bytes", |n| format!("<p:{} xmlns:p='u'/>", "b".repeat(n - 2)), 1024);
    assert_bound(&limits, "name_bytes", |n| format!("<{}{}/>", "ä".repeat(500), "a".repeat(n - 1000)), 1024);
}

#[test]
fn p21_value_bytes_at_the_limit_and_one_past_it() {
    let limits = Limits::default();
    assert_bound(&limits, "value_bytes", |n| format!("<a b='{}'/>", "x".repeat(n)), 16 * 1024);
    assert_bound(&limits, "value_bytes", |n| format!("<a xmlns='{}'/>", "x".repeat(n)), 16 * 1024);
    // After references are resolved.
    assert_bound(&limits, "value_bytes", |n| format!("<a b='{}'/>", "&amp;".repeat(n)), 16 * 1024);
}

#[test]
fn p21_nodes_at_the_limit_and_one_past_it() {
    let limits = Limits::default();
    assert_bound(&limits, "nodes", |n| format!("<a>{}</a>", "<b/>".repeat(n - 1)), 16 * 1024);
    assert_bound(
        &with(|l| l.nodes = 5),
        "nodes",
        |n| format!("<a>{}</a>", "<b c=''/>".repeat(2) + &"<b/>".repeat(n - 5)),
        5,
    );
    assert_bound(&with(|l| l.nodes = 5), "nodes", |n| format!("<a>t<b/>t{}</a>", "<b/>".repeat(n - 4)), 5);
    // A text in many pieces is one.
    let pieces = format!("<a>{}</a>", "&amp;x<![CDATA[y]]>".repeat(1000));
    assert!(Element::parse(&pieces, &with(|l| l.nodes = 2)).is_ok());
}

/// Memory grows with the text and no faster: twice the text takes twice the memory, give or take the doubling of tables.
#[test]
fn p21_memory_is_linear_in_the_text() {
    let limits = with(|l| {
        l.stanza_bytes = 1 << 30;
        l.nodes = 1 << 20;
        l.attributes = 1 << 10;
    });
    type Shape = fn(usize) -> String;
    let shapes: [(&str, Shape); 7] = [
        ("elements", |n| format!("<a>{}</a>", "<b/>".repeat(n))),
        ("text", |n| format!("<a>{}</a>", "x".repeat(n))),
        ("references", |n| format!("<a>{}</a>", "&amp;".repeat(n))),
        ("CDATA", |n| format!("<a>{}</a>", "<![CDATA[x]]>".repeat(n))),
        ("prefixes", |n| format!("<a xmlns:p='{}'>{}</a>", "u".repeat(1000), "<p:b/>".repeat(n))),
        ("xml prefixes", |n| format!("<a>{}</a>", "<xml:b/>".repeat(n))),
        ("declarations", |n| format!("<a>{}</a>", "<b xmlns='u'/>".repeat(n))),
    ];
    for (name, shape) in shapes {
        let bytes = |n| {
            let xml = shape(n);
            let mut measured = None;
            let info = allocation_counter::measure(|| measured = Some(Element::parse(&xml, &limits).is_ok()));
            assert_eq!(measured, Some(true), "{name}");
            (info.bytes_max, xml.len())
        };
        let (small, _) = bytes(10_000);
        let (large, length) = bytes(20_000);
        assert!(large * 2 <= small * 5, "{name}: {small} then {large}");
        // A row of the table is 28 bytes and the shortest element has 4; the table doubles when it is full.
        assert!(large <= u64::try_from(length).unwrap() * 32, "{name}: {large} for {length}");
    }
}

/// Twice the input is at most two and a half times the work, however it is cut: counted in bytes that are allocated, since what
/// is read again or copied again shows there.
#[test]
fn p21_work_is_linear_in_the_text_however_it_is_cut() {
    let limits = with(|l| {
        l.stanza_bytes = 1 << 30;
        l.nodes = 1 << 20;
        l.value_bytes = 1 << 20;
        l.name_bytes = 1 << 20;
    });
    type Shape = fn(usize) -> String;
    let shapes: [(&str, Shape); 9] = [
        ("elements", |n| format!("<a>{}</a>", "<b/>".repeat(n))),
        ("nested", |n| format!("<a>{}</a>", format!("{}{}", "<b>".repeat(50), "</b>".repeat(50)).repeat(n / 100))),
        ("attributes", |n| format!("<a>{}</a>", "<b c='1' d='2'/>".repeat(n / 4))),
        ("text", |n| format!("<a>{}</a>", "x".repeat(4 * n))),
        ("characters", |n| format!("<a>{}</a>", "\u{20AC}".repeat(n))),
        ("references", |n| format!("<a>{}</a>", "&amp;".repeat(n))),
        ("CDATA", |n| format!("<a>{}</a>", "<![CDATA[x]]]>".repeat(n / 4))),
        ("value", |n| format!("<a b='{}'/>", "x&lt;\n".repeat(n))),
        ("name", |n| format!("<a><{}/></a>", "b".repeat(4 * n))),
    ];
    for (name, shape) in shapes {
        for piece in [1, 100, usize::MAX] {
            let work = |n| {
                let xml = format!("<s>{}", shape(n));
                let mut reader = StreamReader::new(limits);
                let mut read = 0;
                let info = allocation_counter::measure(|| {
                    for mut piece in xml.as_bytes().chunks(piece) {
                        while let Some(item) = reader.read(&mut piece).unwrap() {
                            read += usize::from(matches!(item, StreamItem::Stanza(_)));
                        }
                    }
                });
                assert_eq!(read, 1, "{name}");
                info.bytes_total
            };
            let (one, two) = (work(20_000), work(40_000));
            assert!(two * 2 <= one * 5, "{name} in pieces of {piece}: {one} then {two}");
        }
    }
}

/// The innermost of the declarations in force is looked for with each name, so the most work that a stanza can cause is
/// its names times `declarations`: 2 million comparisons for the default limits, not 16 384 times 4096.
#[test]
fn p21_declarations_times_names_is_bounded() {
    let tag = |level: usize| format!("<a{}>", (0..63).map(|i| format!(" xmlns:p{level}-{i}='u'")).collect::<String>());
    let xml = format!("{}{}{}", (0..3).map(tag).collect::<String>(), "<b/>".repeat(10_000), "</a>".repeat(3));
    assert_eq!(refused(&xml), ParseErrorKind::Limit("declarations"));
}

/// performance: a data IQ costs a handful of allocations, however long it is.
#[test]
fn a_data_iq_costs_few_allocations() {
    let xml = format!(
        "<iq from='romeo@montague.lit/orchard' id='kr91n475' to='juliet@capulet.lit/balcony' type='set'>\
         <data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='i781hf64'>{}</data></iq>",
        "A".repeat(5460)
    );
    assert!(xml.len() > 5600);
    let limits = Limits::default();
    let mut element = None;
    let info = allocation_counter::measure(|| element = Some(Element::parse(&xml, &limits)));
    let element = element.unwrap().unwrap();
    assert_eq!(element.child("data", ns::IBB).and_then(|data| data.single_text()).map(str::len), Some(5460));
    assert!(info.count_total <= ALLOCATIONS, "{} allocations", info.count_total);
    assert!(info.bytes_total <= 8192, "{} bytes", info.bytes_total);

    // Reading it costs none.
    let info = allocation_counter::measure(|| {
        let data = element.child("data", ns::IBB).expect("it is there");
        assert_eq!(data.attribute("sid"), Some("i781hf64"));
        assert!(data.single_text().is_some());
    });
    assert_eq!(info.count_total, 0);
}

/// Text, table, open elements, declarations and names as they were written; the list and the one string of the scope.
const ALLOCATIONS: u64 = 7;

/// A namespace that is declared once and used by thousands of elements is text in none of them.
fn bomb(elements: usize, ns: usize) -> Element {
    let xml = format!("<a xmlns:p='{}'>{}</a>", "u".repeat(ns), "<p:b p:c='1'/>".repeat(elements));
    let limits = Limits { stanza_bytes: 1 << 20, ..Limits::default() };
    Element::parse(&xml, &limits).unwrap()
}

/// Rows P21 and M: what a stranger sends must not cost a multiple of itself when it is copied.
#[test]
fn p21_a_copy_holds_no_more_than_its_original_however_long_its_namespaces_are() {
    for (elements, ns) in [(8000, 16_000), (2030, 8160), (1, 16_000)] {
        let original = bomb(elements, ns);
        let received = ns + elements * "<p:b p:c='1'/>".len();
        let mut copy = None;
        let info = allocation_counter::measure(|| copy = Some(original.root().to_element()));
        let copy = copy.unwrap();
        assert_eq!(copy, original);
        // A row of the table is 28 bytes, there are two for 14 bytes of text, and the table doubles when it is full.
        let most = received * 16;
        assert!(copy.held_bytes() <= most, "{} of {received}", copy.held_bytes());
        assert!(info.bytes_max <= u64::try_from(most).unwrap(), "{} for {received}", info.bytes_max);
        // As a child of another, too.
        let within = Element::builder("x", "y").child(original.root()).build().unwrap();
        assert!(within.held_bytes() <= most && within.root().children().next() == Some(original.root()));
    }
}

#[test]
fn p21_whether_an_element_fits_is_told_without_writing_it_all() {
    let small = Element::parse("<a xmlns='u'><b/>text</a>", &Limits::default()).unwrap();
    let written = small.to_xml("").len();
    assert!(small.root().fits("", written) && !small.root().fits("", written - 1));

    let bomb = bomb(8000, 16_000);
    let info = allocation_counter::measure(|| assert!(!bomb.root().fits("", 16 * 1024)));
    // The bound, one element beyond it, and the doubling of a buffer.
    assert!(info.bytes_max <= 128 * 1024, "{}", info.bytes_max);
}

#[test]
fn a_parser_keeps_the_memory_of_small_elements_and_of_no_others() {
    let mut parser = StanzaParser::new(Limits::default());
    let mut held_after = |length: usize| {
        let text = "a".repeat(length);
        let element = parser.parse(&format!("<message><body>{text}</body></message>")).unwrap();
        let (held, without) = (element.held_bytes(), parser.held_bytes());
        parser.reuse(element);
        let kept = parser.held_bytes() - without;
        (held, kept, without)
    };
    let largest = (0..StanzaParser::REUSED).rev().find(|length| held_after(*length).0 <= StanzaParser::REUSED).unwrap();
    let (held, kept, without) = held_after(largest);
    assert!(held == kept && held > StanzaParser::REUSED - 8, "{held}, {kept}");
    assert!(without <= 1024, "{without}");
    let (held, kept, without) = held_after(largest + 1);
    assert!(held > StanzaParser::REUSED && kept == 0 && without <= 1024, "{held}, {kept}, {without}");
    // Many names and declarations are open at once in the middle of it.
    let deep = "<a xmlns:b='c'>".repeat(30) + &"</a>".repeat(30);
    parser.parse(&deep).unwrap();
    assert!(parser.held_bytes() <= 1024, "{}", parser.held_bytes());
    parser.parse(&deep[..deep.len() - 1]).unwrap_err();
    assert_eq!(parser.held_bytes(), 0, "nothing of one with a fault");
}
