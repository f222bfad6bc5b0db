use proptest::{prelude::*, sample::select};
use xtls_stanza::{Element, IqType};

use super::*;
use crate::Whitespace;

/// What a stanza comes to, whichever way it is read.
#[derive(Debug, PartialEq)]
enum Known {
    Data { id: String, from: String, sid: String, seq: u16, block: Vec<u8> },
    Result { id: String, from: String, to: Option<String> },
}

fn recognised(xml: &str, limits: &Limits) -> Option<Known> {
    // Of the last block something is left.
    let mut block = b"what was there before".to_vec();
    Some(match PlainIq::recognise(xml.as_bytes(), limits, &mut block)? {
        PlainIq::Data { id, from, request } => known_data(id, from, &request).unwrap(),
        PlainIq::Result(iq) => known_result(&iq).unwrap(),
    })
}

/// The same by the general way.
fn parsed(xml: &str, limits: &Limits) -> Option<Known> {
    let element = Element::parse(xml, limits).ok()?;
    let iq = Iq::parse(&element)?.ok()?;
    match (iq.iq_type, iq.payload) {
        (IqType::Set, Some(payload)) => known_data(iq.id, iq.from?, &Request::parse(payload)?.ok()?),
        (IqType::Result, None) => known_result(&iq),
        _ => None,
    }
}

fn known_data(id: &str, from: &str, request: &Request<'_>) -> Option<Known> {
    let mut decoded = Vec::new();
    let (sid, seq, block) = match *request {
        Request::Block { sid, seq, block } => (sid, seq, block),
        Request::Data { sid, seq, payload } => {
            codec::decode(payload, Whitespace::Strict, u16::MAX, &mut decoded).ok()?;
            (sid, seq, &*decoded)
        }
        Request::Open { .. } | Request::Close { .. } | Request::Malformed { .. } => return None,
    };
    Some(Known::Data { id: id.into(), from: from.into(), sid: sid.into(), seq, block: block.to_vec() })
}

fn known_result(iq: &Iq<'_>) -> Option<Known> {
    Some(Known::Result { id: iq.id.into(), from: iq.from?.into(), to: iq.to.map(Into::into) })
}

const BLOCK: &str = "<iq type='set' id='b1' to='juliet@capulet.lit/balcony' from='romeo@montague.lit/orchard'>\
    <data xmlns='http://jabber.org/protocol/ibb' seq='7' sid='s'>QUJD</data></iq>";
const RESULT: &str = "<iq type='result' id='b1' to='juliet@capulet.lit/balcony' from='romeo@montague.lit/orchard'/>";

/// What a server may make of a block or of its result: in any order, with either quote, with or without what is optional.
fn written() -> impl Strategy<Value = String> {
    let attributes = |names: Vec<(&'static str, &'static str)>| {
        Just(names).prop_shuffle().prop_flat_map(|names| {
            let quotes = proptest::collection::vec(select(vec!['\'', '"']), names.len());
            quotes.prop_map(move |quotes| -> String {
                names
                    .iter()
                    .zip(quotes)
                    .map(|((name, value), quote)| format!(" {name}={quote}{value}{quote}"))
                    .collect()
            })
        })
    };
    let optional = proptest::sample::subsequence(
        vec![("to", "juliet@capulet.lit/balcony"), ("xmlns", "jabber:client"), ("xml:lang", "en")],
        0..=3,
    );
    let names = (any::<bool>(), optional).prop_map(|(is_block, optional)| {
        let own = [
            ("id", "ab>c\u{E9}"),
            ("from", "romeo@montague.lit/or chard"),
            ("type", if is_block { "set" } else { "result" }),
        ];
        (is_block, own.into_iter().chain(optional).collect::<Vec<_>>())
    });
    names.prop_flat_map(move |(is_block, names)| {
        let data = attributes(vec![("xmlns", ns::IBB), ("sid", "s:1"), ("seq", "65535")]);
        let content = (data, "([A-Za-z0-9+/]{4}){0,6}([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?")
            .prop_map(|(data, text)| format!("<data{data}>{text}</data>"));
        (attributes(names), content, any::<bool>()).prop_map(move |(iq, content, is_short)| {
            match (is_block, is_short) {
                (true, _) => format!("<iq{iq}>{content}</iq>"),
                (false, true) => format!("<iq{iq}/>"),
                (false, false) => format!("<iq{iq}></iq>"),
            }
        })
    })
}

/// A mutation: in which place, whether that is one before markup, how many characters are put out and which are put in.
type Mutation = (prop::sample::Index, bool, usize, &'static str);

fn mutated(xml: &str, mutations: &[Mutation]) -> String {
    let mut text: Vec<char> = xml.chars().collect();
    for (place, is_at_markup, out, put) in mutations {
        let is_place = |at: &usize| !is_at_markup || text.get(*at).is_none_or(|c| " <>/='\"".contains(*c));
        let places: Vec<usize> = (0..=text.len()).filter(is_place).collect();
        let at = places[place.index(places.len())];
        text.splice(at..text.len().min(at + out), put.chars());
    }
    text.into_iter().collect()
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let put = select(vec![
        "",
        "",
        "'",
        "\"",
        "<",
        ">",
        "&",
        ";",
        "=",
        "/",
        " ",
        "\n",
        "\r",
        "\t",
        "\0",
        "\u{7F}",
        "\u{85}",
        "\u{E9}",
        "\u{FFFE}",
        "\u{FFFD}",
        "\u{F900}",
        "&amp;",
        "&#65;",
        "&#0;",
        "<!-- -->",
        "<![CDATA[QUJD]]>",
        "]]>",
        "<a/>",
        "<?x?>",
        "x:",
        ":",
        " xmlns:x='urn:x'",
        " xmlns='urn:x'",
        " xmlns=''",
        " id='2'",
        " seq='1'",
        " sid='2'",
        " from=''",
        " a='1'",
        "0",
        "A",
        "</data>",
        "</iq>",
        "type='error'",
        "type='get'",
        " x:id='1'",
        "jabber:component:accept",
        "<data/>",
    ]);
    let out = select(vec![0, 0, 0, 1, 2, 3]);
    proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>(), out, put), 0..3)
}

/// Limits that are as usual, or lower in one place.
fn limits() -> impl Strategy<Value = Limits> {
    (0..14_usize, 0..14_usize).prop_map(|(which, value)| {
        let mut limits = Limits::default();
        let fields = [
            &mut limits.depth,
            &mut limits.attributes,
            &mut limits.declarations,
            &mut limits.name_bytes,
            &mut limits.value_bytes,
            &mut limits.nodes,
        ];
        fields.into_iter().enumerate().filter(|(at, _)| *at == which).for_each(|(_, field)| *field = value);
        if which == 6 {
            limits.stanza_bytes = value * 20;
        }
        limits
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn what_servers_write_is_recognised(xml in written()) {
        let limits = Limits::default();
        prop_assert!(recognised(&xml, &limits).is_some(), "{}", xml);
        prop_assert_eq!(recognised(&xml, &limits), parsed(&xml, &limits));
    }

    #[test]
    fn whatever_is_recognised_is_what_the_general_way_makes_of_it(
        xml in written(), mutations in mutations(), limits in limits(),
    ) {
        let xml = mutated(&xml, &mutations);
        if let Some(known) = recognised(&xml, &limits) {
            prop_assert_eq!(Some(known), parsed(&xml, &limits), "{}", xml);
        }
    }

    #[test]
    fn what_is_not_utf8_is_not_recognised(xml in written(), place in any::<prop::sample::Index>(), byte in 0x80..=0xFF_u8) {
        let mut xml = xml.into_bytes();
        let place = place.index(xml.len());
        xml[place] = byte;
        prop_assume!(str::from_utf8(&xml).is_err());
        prop_assert!(PlainIq::recognise(&xml, &Limits::default(), &mut Vec::new()).is_none(), "{:?}", String::from_utf8_lossy(&xml));
    }
}

#[test]
fn each_limit_holds_where_the_general_way_has_it() {
    for (xml, longest_value) in [(BLOCK, ns::IBB), (RESULT, "romeo@montague.lit/orchard")] {
        let (mut text, mut value) = (Limits::default(), Limits::default());
        (text.stanza_bytes, value.value_bytes) = (xml.len(), longest_value.len());
        assert!(recognised(xml, &text).is_some() && recognised(xml, &value).is_some());
        (text.stanza_bytes, value.value_bytes) = (xml.len() - 1, longest_value.len() - 1);
        for limits in [text, value] {
            assert!(recognised(xml, &limits).is_none() && parsed(xml, &limits).is_none());
        }
    }
}

#[test]
fn what_is_not_on_the_list_is_left_to_the_general_way() {
    for (xml, from, to) in [
        // Markup.
        (BLOCK, "<iq ", "<iq  "),
        (BLOCK, "<iq ", "<iq\n"),
        (BLOCK, "type='set'", "type = 'set'"),
        (BLOCK, "<iq ", "\n<iq "),
        (BLOCK, "</iq>", "</iq>\n"),
        (BLOCK, "</iq>", "</iq ><a/>"),
        (BLOCK, "</iq>", "</iq>x"),
        (BLOCK, "</data>", "</data>\n"),
        (BLOCK, "'><data", "'>\n<data"),
        (BLOCK, "</data>", "</data><data/>"),
        (BLOCK, "</data>", "<x/></data>"),
        (BLOCK, "QUJD", "<!-- -->QUJD"),
        (BLOCK, "QUJD", "<![CDATA[QUJD]]>"),
        (BLOCK, "QUJD", "&#81;UJD"),
        (BLOCK, "QUJD", "QU\nJD"),
        (BLOCK, "QUJD", " QUJD"),
        (BLOCK, "QUJD", "QU\u{0}JD"),
        (BLOCK, "QUJD", "QU\u{E9}JD"),
        (BLOCK, "QUJD", "]]>"),
        // No base64.
        (BLOCK, "QUJD", "QUJ"),
        (BLOCK, "QUJD", "QUJ-"),
        (BLOCK, "QUJD", "QUJ=QUJD"),
        (BLOCK, "QUJD", "QUJ="),
        (BLOCK, "QUJD", "QUI"),
        (BLOCK, "QUJD", "QR=="),
        (BLOCK, "QUJD", "Q==="),
        (BLOCK, "QUJD", "===="),
        // Values.
        (BLOCK, "id='b1'", "id='b&amp;1'"),
        (BLOCK, "id='b1'", "id='b\t1'"),
        (BLOCK, "id='b1'", "id='b\u{1}1'"),
        (BLOCK, "id='b1'", "id='b\u{FFFF}1'"),
        (BLOCK, "id='b1'", "id='b<1'"),
        (BLOCK, "id='b1'", "id=''"),
        (BLOCK, " id='b1'", ""),
        (BLOCK, "id='b1'", "id='b1' id='b2'"),
        (BLOCK, "id='b1'", "id='b1'x='b2'"),
        (BLOCK, "id='b1'", "id='b1' x='b2'"),
        (BLOCK, " from='romeo@montague.lit/orchard'", ""),
        (BLOCK, "type='set'", "type='get'"),
        (BLOCK, "seq='7'", "seq='07'"),
        (BLOCK, "seq='7'", "seq='65536'"),
        (BLOCK, "seq='7'", "seq=''"),
        (BLOCK, "sid='s'", "sid='s t'"),
        (BLOCK, "sid='s'", "sid=''"),
        // Names.
        (BLOCK, "<iq ", "<x:iq xmlns:x='jabber:client' "),
        (BLOCK, "<iq ", "<iq xmlns:x='urn:x' "),
        (BLOCK, "<iq ", "<iq xmlns='jabber:server' "),
        (BLOCK, "<iq ", "<iqs "),
        (BLOCK, "data", "close"),
        (BLOCK, " xmlns='http://jabber.org/protocol/ibb'", ""),
        (BLOCK, "protocol/ibb", "protocol/si"),
        (RESULT, "'/>", "'><query xmlns='urn:x'/></iq>"),
        (RESULT, "'/>", "'> </iq>"),
        (RESULT, "'/>", "' />"),
        (RESULT, "'/>", "'/"),
        (RESULT, "result", "error"),
        (RESULT, " type='result'", ""),
    ] {
        assert!(xml.contains(from), "{from}");
        let other = xml.replace(from, to);
        assert!(recognised(&other, &Limits::default()).is_none(), "{other}");
    }
    let long = BLOCK.replace("QUJD", &"QUJD".repeat(PlainIq::LONGEST / 4));
    assert!(recognised(&long, &Limits::default()).is_none());
    let largest = BLOCK.replace("QUJD", &"QUJD".repeat(65535 / 3));
    assert!(recognised(&largest, &Limits::default()).is_some());
    let sid = |length| BLOCK.replace("sid='s'", &format!("sid='{}'", "s".repeat(length)));
    assert!(recognised(&sid(Request::MAX_SID), &Limits::default()).is_some());
    assert!(recognised(&sid(Request::MAX_SID + 1), &Limits::default()).is_none());
}
