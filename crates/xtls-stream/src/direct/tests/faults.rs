//! RFC 6120 § 4.9: what is answered with which stream error, and stream errors themselves.

use super::*;
use crate::StreamCondition;

/// A header that must be refused: the fault, and the condition that was sent, inside of a stream (§ 4.9.1.2).
#[track_caller]
fn refused(header: &str, fault: &str, condition: &str) {
    let mut server = Side::server(secured);
    let (found, written) = server.fails(header);
    assert_eq!(found, fault, "{header}");
    assert!(written.starts_with("<stream:stream xmlns='jabber:client' "), "{written}");
    assert!(written.contains(" from='im.example.com' id='"), "{written}");
    assert!(written.ends_with(&format!(" version='1.0' xml:lang='en'>{}", stream_error(condition))), "{written}");
}

#[test]
fn rfc_6120_4_9_3_6_another_to_is_host_unknown() {
    for to in ["example.com", "juliet@im.example.com", "im.example.com/x"] {
        refused(&CLIENT_HEADER.replace("to='im.example.com'", &format!("to='{to}'")), "Stream(To)", "host-unknown");
    }
}

#[test]
fn rfc_6120_4_9_3_7_a_missing_or_malformed_to_is_improper_addressing() {
    for to in ["", "to=''", "to='@'", "to='a@'"] {
        refused(&CLIENT_HEADER.replace("to='im.example.com'", to), "Addressing", "improper-addressing");
    }
}

#[test]
fn rfc_6120_4_9_3_10_other_namespaces_are_invalid() {
    for header in [
        CLIENT_HEADER.replace("jabber:client", "jabber:server"),
        CLIENT_HEADER.replace("http://etherx.jabber.org/streams", "http://wrong.namespace.example.org/"),
        CLIENT_HEADER.replace("<stream:stream", "<stream:x"),
        "<message/>".to_owned(),
    ] {
        refused(&header, "Stream(Namespace)", "invalid-namespace");
    }
}

#[test]
fn rfc_6120_4_8_2_where_no_content_namespace_is_declared_stanzas_declare_their_own() {
    const PREFIX_FREE: &str = "<stream xmlns='http://etherx.jabber.org/streams'";
    for begin in [PREFIX_FREE, "<s:stream xmlns:s='http://etherx.jabber.org/streams'"] {
        let message = "<message xmlns='jabber:client' from='juliet@im.example.com/x'><body>foo</body></message>";
        let mut server = Side::server(secured);
        assert_eq!(server.handle(format!("{begin} to='im.example.com' version='1.0'>")), ["header"], "{begin}");
        server.written();
        server.does(|stream, out| stream.send_features(&Features::default(), out));
        assert_eq!(server.handle(message), [message.replace(" xmlns='jabber:client'", "")]);

        let mut client = Side::client(secured);
        client.does(DirectStream::start);
        assert_eq!(client.handle(format!("{begin} from='im.example.com' id='1' version='1.0'>")), ["header"]);
        assert_eq!(client.handle("<features xmlns='http://etherx.jabber.org/streams'/>").len(), 1);
        assert_eq!(client.handle(message), [message.replace(" xmlns='jabber:client'", "")]);
        client.fails("<message/>");
    }
}

#[test]
fn rfc_6120_4_9_3_25_other_versions_are_unsupported() {
    for version in ["", "version='0.9'", "version='x'"] {
        refused(&CLIENT_HEADER.replace("version='1.0'", version), "Stream(Version)", "unsupported-version");
    }
    // § 4.7.5: a later one is answered with 1.0.
    let mut server = Side::server(secured);
    assert_eq!(server.handle(CLIENT_HEADER.replace("1.0", "11.2")), ["header"]);
    assert!(server.written().ends_with(" version='1.0' xml:lang='en'>"));
    for version in ["", "version='1.1'", "version='2.0'"] {
        let header = SERVER_HEADER.replace("version='1.0'", version);
        for child in [NO_FEATURES, TLS_REQUIRED, "<message/>", PROCEED, "<stream:other/>", "<auth xmlns='urn:x'/>", END]
        {
            let mut client = started(&header);
            let (fault, written) = client.fails(child);
            assert_eq!((fault.as_str(), written), ("Stream(Version)", stream_error("unsupported-version")), "{child}");
        }
        let mut client = started(&header);
        client.stream.handle_end(&mut client.ids, &mut client.out);
        assert_eq!(client.events(), ["Stream(Version)"]);
    }
}

/// § 4.9.1.2: who does not serve the initiating entity may answer by nothing but the error.
#[test]
fn rfc_6120_4_9_1_2_the_error_after_a_header_of_another_version_is_what_is_told() {
    for version in ["", "version='0.9'", "version='2.0'"] {
        let mut client = started(&SERVER_HEADER.replace("version='1.0'", version));
        let error = "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
        let (fault, written) = client.fails(error);
        assert!(fault.starts_with("Reported(StreamError { condition: HostUnknown"), "{fault}");
        assert_eq!(written, END);
    }
    // A stream that begins anew is judged by its own header.
    let mut client = Side::opened_client(NO_FEATURES, secured);
    client.does(DirectStream::restart);
    assert!(client.handle(SERVER_HEADER.replace("version='1.0'", "")).is_empty());
    assert_eq!(client.fails(NO_FEATURES).0, "Stream(Version)");
}

/// An initiating end that was answered with this header and has nothing to tell yet.
fn started(header: &str) -> Side {
    let mut client = Side::client(secured);
    client.does(DirectStream::start);
    assert!(client.handle(header).is_empty());
    client
}

#[test]
fn rfc_6120_4_9_3_what_xml_does_wrong() {
    for (xml, condition) in [
        // It shows by the bytes that make it so.
        ("<message><body>No closing tag!</m", "not-well-formed"),
        ("<message><body a='1' a='2'>", "not-well-formed"),
        ("<message><body a='<", "not-well-formed"),
        ("<message><body>& ", "not-well-formed"),
        ("<message><body>&lol;", "restricted-xml"),
        ("<message><x:body>", "bad-namespace-prefix"),
        ("<message><!--<subject/>--></message>", "restricted-xml"),
        ("<?pi?>", "restricted-xml"),
        ("<iq><x:y/></iq>", "bad-namespace-prefix"),
        (CLIENT_HEADER, "not-well-formed"),
        ("<stream:x/>", "unsupported-stanza-type"),
        ("<body/>", "unsupported-stanza-type"),
        ("<message xmlns=''/>", "unsupported-stanza-type"),
        // § 4.8.3.
        ("<message xmlns='jabber:server'/>", "invalid-namespace"),
        ("x", "not-well-formed"),
    ] {
        for mut side in [Side::opened_client(NO_FEATURES, secured), Side::opened_server(secured)] {
            assert_eq!(side.fails(xml).1, stream_error(condition), "{xml}");
        }
    }
    let (_, written) = Side::opened_server(secured).fails(b"<message>\xFF</message>");
    assert_eq!(written, stream_error("unsupported-encoding"));
    // Features are not the initiating entity's to send.
    let (fault, _) = Side::opened_server(secured).fails(NO_FEATURES);
    assert_eq!(fault, "Stream(UnsupportedStanza)");
}

#[test]
fn rfc_6120_4_9_3_14_limits_are_policy_violations_at_the_bound_and_one_past_it() {
    let message = |bytes: usize| format!("<message>{}</message>", "x".repeat(bytes - "<message></message>".len()));
    for mut side in [
        Side::opened_client(NO_FEATURES, |options| (options.secured, options.limits.stanza_bytes) = (true, 1000)),
        Side::opened_server(|options| (options.secured, options.limits.stanza_bytes) = (true, 1000)),
    ] {
        assert_eq!(side.handle(message(1000)).len(), 1);
        assert_eq!(side.does(|stream, out| stream.send(&element(&message(1000)), out)).len(), 1000);
        let sent = side.stream.send(&element(&message(1001)), &mut side.out);
        assert_eq!((sent, side.out.len()), (Err(StreamSendError::TooLarge), 0));
        assert_eq!(side.fails(message(1001)).1, stream_error("policy-violation"));
    }
    // A header is bounded likewise.
    let mut server = Side::server(|options| options.limits.stanza_bytes = 100);
    assert!(server.fails(CLIENT_HEADER).1.ends_with(&stream_error("policy-violation")));
}

#[test]
fn waiting_events_are_bounded() {
    let mut server = Side::opened_server(secured);
    let stanzas = "<message/>".repeat(100);
    let used = server.stream.handle_bytes(stanzas.as_bytes(), &mut server.ids, &mut server.out);
    assert_eq!(used, "<message/>".len() * DirectStream::MAX_EVENTS);
    assert_eq!(server.stream.handle_bytes(b"<message/>", &mut server.ids, &mut server.out), 0);
    assert_eq!(server.events().len(), DirectStream::MAX_EVENTS);
    assert_eq!(server.handle("<message/>").len(), 1);
}

/// § 4.9.3: every condition reads back as it is written, with text (§ 4.9.2) and an application's element (§ 4.9.4).
#[test]
fn rfc_6120_4_9_3_all_conditions_read_and_write() {
    assert_eq!(StreamCondition::ALL.len(), 25);
    for &condition in StreamCondition::ALL {
        assert_eq!(StreamCondition::parse(condition.name()), Some(condition));
        let mut error = StreamError::new(condition);
        error.text = Some("Some special application diagnostic information!".to_owned());
        error.lang = Some("en".to_owned());
        error.application = Some(element("<escape-your-data xmlns='http://example.org/ns'/>"));
        error.other_host =
            (condition == StreamCondition::SeeOtherHost).then(|| "[2001:41D0:1:A49b::1]:9222".to_owned());

        let mut client = Side::opened_client(NO_FEATURES, secured);
        let mut server = Side::opened_server(secured);
        server.stream.fail(&error, &mut server.ids, &mut server.out).unwrap();
        let used = client.stream.handle_bytes(&server.out, &mut client.ids, &mut client.out);
        assert_eq!(used, server.out.len());
        let Some(DirectEvent::Failed(fault)) = client.stream.poll_event() else { panic!("an error was sent") };
        assert_eq!((fault.condition(), fault.is_security()), (None, false));
        assert_eq!(fault, DirectFault::Reported(Box::new(error)));
        assert_eq!(client.written(), END);
        assert!(server.handle(END).is_empty());
    }
}

#[test]
fn rfc_6120_4_9_3_21_what_is_unknown_is_undefined_condition() {
    for content in ["", "<of-my-own xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", "<conflict xmlns='urn:x'/>"] {
        let xml = format!("<error xmlns='http://etherx.jabber.org/streams'>{content}</error>");
        let error = StreamError::parse(element(&xml).root()).unwrap();
        assert_eq!(error.condition, StreamCondition::UndefinedCondition, "{content}");
    }
    assert_eq!(StreamError::parse(element("<error xmlns='jabber:client'/>").root()), None);
}

#[test]
fn a_stream_error_is_shown_with_where_to_go_and_what_the_peer_says() {
    let mut error = StreamError::new(StreamCondition::SeeOtherHost);
    assert_eq!(error.to_string(), "see-other-host");
    error.other_host = Some("[2001:41D0:1:A49b::1]:9222".to_owned());
    error.text = Some("We have\nmoved\u{1b}[2J".to_owned());
    assert_eq!(error.to_string(), "see-other-host [2001:41D0:1:A49b::1]:9222 (We have\\nmoved\\u{1b}[2J)");
    error.other_host = None;
    for (length, shown) in [(255, 255), (256, 256), (257, 256)] {
        error.text = Some("é".repeat(length));
        assert_eq!(error.to_string(), format!("see-other-host ({})", "é".repeat(shown)));
    }
}

/// Row P26: XEP-0138 is not ours to offer or to take. It is passed to the caller like anything else that is no stanza, and
/// has no effect on the stream: what follows is read as it stands.
#[test]
fn p26_compression_is_neither_offered_nor_taken() {
    const COMPRESS: &str = "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>";
    const OFFER: &str = "<stream:features><compression xmlns='http://jabber.org/features/compress'><method>zlib</method>\
        </compression></stream:features>";
    let mut server = Side::opened_server(secured);
    assert_eq!(server.does(DirectStream::restart), "");
    server.handle(CLIENT_HEADER);
    server.written();
    assert_eq!(server.does(|stream, out| stream.send_features(&Features::default(), out)), NO_FEATURES);
    assert_eq!(server.handle(COMPRESS), [COMPRESS]);
    assert_eq!((server.written(), server.handle("<message/>")), (String::new(), vec!["<message/>".to_owned()]));

    let mut client = Side::opened_client(OFFER, secured);
    assert_eq!(client.written(), "");
    assert_eq!(client.handle("<message/>"), ["<message/>"]);
}

/// § 4.9.1.2.
#[test]
fn rfc_6120_4_9_1_2_an_error_before_the_header_stands_inside_of_a_stream() {
    let mut server = Side::server(secured);
    server.stream.fail(&StreamCondition::SystemShutdown.into(), &mut server.ids, &mut server.out).unwrap();
    let written = server.written();
    assert!(written.starts_with("<stream:stream ") && written.ends_with(&stream_error("system-shutdown")));
    let again = server.stream.fail(&StreamCondition::Reset.into(), &mut server.ids, &mut server.out);
    assert_eq!((again, server.out.len()), (Err(CommandError::Stage), 0));
}
