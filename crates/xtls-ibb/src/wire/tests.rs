use xtls_stanza::{Condition, Element, ErrorType, Limits};

use super::*;

fn element(xml: &str) -> Element {
    Element::parse(xml, &Limits::default()).unwrap()
}

/// What an element of the IBB namespace parses to, in the words of `Debug`.
fn parsed(name: &str, attributes: &str) -> String {
    let element = element(&format!("<{name} xmlns='http://jabber.org/protocol/ibb' {attributes}/>"));
    match Request::parse(element.root()).unwrap() {
        Ok(Request::Malformed { fault, .. }) => format!("malformed {fault:?}"),
        Ok(request) => format!("{request:?}"),
        Err(fault) => format!("refused {fault:?}"),
    }
}

#[test]
fn xep_0047_2_1_the_example_of_an_open() {
    let open = parsed("open", "block-size='4096' sid='i781hf64' stanza='iq'");
    assert_eq!(open, "Open { sid: \"i781hf64\", block_size: 4096 }");
}

#[test]
fn xep_0047_2_1_block_size_is_required_and_at_most_65535() {
    assert_eq!(parsed("open", "sid='a'"), "malformed BlockSize");
    assert_eq!(parsed("open", "sid='a' block-size='65535'"), "Open { sid: \"a\", block_size: 65535 }");
    assert_eq!(parsed("open", "sid='a' block-size='1'"), "Open { sid: \"a\", block_size: 1 }");
}

#[test]
fn m25_a_block_size_that_is_no_number_is_a_bad_request() {
    for wrong in [
        "0",
        "65536",
        "99999999999999999999",
        "-1",
        "-0",
        "+1",
        "01",
        "00",
        "4096.0",
        "4e3",
        "0x1000",
        " 4096",
        "4096 ",
        "",
        "\u{664}\u{660}",
        "many",
    ] {
        assert_eq!(parsed("open", &format!("sid='a' block-size='{wrong}'")), "malformed BlockSize", "{wrong:?}");
    }
    assert_eq!(BytestreamFault::BlockSize.to_stanza_error().condition, Condition::BadRequest);
}

#[test]
fn xep_0047_2_1_sid_is_required_and_an_nmtoken() {
    for name in ["open", "data", "close"] {
        let numbers = "block-size='1' seq='0'";
        assert_eq!(parsed(name, numbers), "refused Sid");
        for wrong in ["", " ", "a b", "a/b", "a@b", "&lt;", "a\u{D7}b", "&#10;"] {
            assert_eq!(parsed(name, &format!("{numbers} sid='{wrong}'")), "refused Sid", "{wrong:?}");
        }
        for right in ["a", "0", "-", ".", ":", "_", "a\u{B7}\u{E9}", "\u{10000}"] {
            assert!(parsed(name, &format!("{numbers} sid='{right}'")).contains(" sid: "), "{right:?}");
        }
    }
    let error = BytestreamFault::Sid.to_stanza_error();
    assert_eq!((error.condition, error.error_type), (Condition::BadRequest, ErrorType::Modify));
}

#[test]
fn a_sid_has_at_most_256_bytes() {
    let sid = |length: usize| parsed("close", &format!("sid='{}'", "x".repeat(length)));
    assert!(sid(Request::MAX_SID).starts_with("Close"));
    assert_eq!(sid(Request::MAX_SID + 1), "refused Sid");
}

#[test]
fn xep_0047_2_1_stanza_is_optional_and_iq_by_default() {
    assert!(parsed("open", "sid='a' block-size='1'").starts_with("Open"));
    assert!(parsed("open", "sid='a' block-size='1' stanza='iq'").starts_with("Open"));
    assert_eq!(parsed("open", "sid='a' block-size='1' stanza='presence'"), "malformed StanzaKind");
}

#[test]
fn xep_0047_4_data_in_messages_is_refused() {
    assert_eq!(parsed("open", "sid='a' block-size='1' stanza='message'"), "malformed MessageStanzas");
    let error = BytestreamFault::MessageStanzas.to_stanza_error();
    assert_eq!((error.condition, error.error_type), (Condition::FeatureNotImplemented, ErrorType::Cancel));
}

#[test]
fn p06_a_seq_that_is_no_number_is_malformed() {
    for right in ["0", "1", "9", "10", "65535"] {
        assert!(parsed("data", &format!("sid='a' seq='{right}'")).contains(&format!("seq: {right},")));
    }
    for wrong in ["", "+1", "-0", "-1", "00", "01", "65536", "65537", "4294967296", "1.0", " 1", "1 ", "x", "0x1"] {
        assert_eq!(parsed("data", &format!("sid='a' seq='{wrong}'")), "malformed Seq", "{wrong:?}");
    }
    assert_eq!(parsed("data", "sid='a'"), "malformed Seq");
}

#[test]
fn attributes_and_children_that_are_not_known_are_ignored() {
    let open = element(
        "<open xmlns='http://jabber.org/protocol/ibb' sid='a' block-size='9' x:sid='b' new='1' xmlns:x='urn:x'>\
         <x:more/></open>",
    );
    assert!(matches!(Request::parse(open.root()), Some(Ok(Request::Open { sid: "a", block_size: 9 }))));
}

#[test]
fn other_elements_and_namespaces() {
    assert_eq!(parsed("stream", "sid='a'"), "refused UnknownElement");
    assert_eq!(BytestreamFault::UnknownElement.to_stanza_error().condition, Condition::FeatureNotImplemented);
    assert!(Request::parse(element("<open xmlns='urn:x' sid='a' block-size='1'/>").root()).is_none());
    assert!(Request::parse(element("<open sid='a' block-size='1'/>").root()).is_none());
}

#[test]
fn what_is_written_reads_back() {
    let mut out = String::new();
    write_open(&mut out, "a", 32760);
    assert_eq!(out, "<open xmlns='http://jabber.org/protocol/ibb' block-size='32760' sid='a' stanza='iq'/>");
    out.clear();
    write_close(&mut out, "a");
    assert_eq!(out, "<close xmlns='http://jabber.org/protocol/ibb' sid='a'/>");
    out.clear();
    write_data(&mut out, "a", 65535, b"any carnal pleas");
    assert_eq!(out, "<data xmlns='http://jabber.org/protocol/ibb' seq='65535' sid='a'>YW55IGNhcm5hbCBwbGVhcw==</data>");
    let data = element(&out);
    let Some(Ok(Request::Data { sid: "a", seq: 65535, payload })) = Request::parse(data.root()) else { panic!() };
    assert_eq!(payload.single(), Some(&b"YW55IGNhcm5hbCBwbGVhcw=="[..]));
}

#[test]
fn debug_does_not_show_the_payload() {
    assert_eq!(format!("{:?}", Payload::from("QUJD")), "Payload(4 characters)");
}
