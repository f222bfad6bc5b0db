//! RFC 6120 § 5.

use super::*;

fn asked() -> Side {
    let mut client = Side::opened_client(TLS_REQUIRED, |_| {});
    client.does(|stream, out| stream.start_tls(None, out));
    client
}

fn requested() -> Side {
    let mut server = Side::opened_server(|_| {});
    assert_eq!(server.handle(STARTTLS), ["requested "]);
    server
}

/// § 5.4.2.2.
#[test]
fn rfc_6120_5_4_2_2_a_refusal_ends_the_stream_on_both_sides() {
    let mut client = asked();
    assert_eq!(client.fails(format!("{FAILURE}{END}")), ("StartTls(Refused)".to_owned(), END.to_owned()));
    assert_eq!(client.stream.secured(&mut client.out), Err(CommandError::Stage));

    let mut server = requested();
    assert_eq!(server.does(DirectStream::refuse), format!("{FAILURE}{END}"));
    assert_eq!(server.handle(format!("{STARTTLS}{END}")), ["closed"]);
    assert_eq!(server.written(), "");
}

/// The attack that CVE-2011-0411 is about.
#[test]
fn bytes_behind_proceed_are_thrown_away_and_refused() {
    for injected in [" ", "x", "\u{16}\u{3}\u{1}", "<message/>", NO_FEATURES, END, SERVER_HEADER] {
        // In one piece, the caller never hears of TLS.
        let mut client = asked();
        assert_eq!(client.handle(format!("{PROCEED}{injected}")), ["StartTls(Injection)"], "{injected}");
        // Nothing is said in clear either: the peer waits for TLS.
        assert_eq!(client.written(), "");
        assert_eq!(client.stream.secured(&mut client.out), Err(CommandError::Stage));
        // In another piece that is passed to the stream instead of TLS.
        let mut client = asked();
        assert_eq!(client.handle(PROCEED), ["tls "]);
        assert_eq!(client.fails(injected), ("StartTls(Injection)".to_owned(), String::new()));
    }
}

#[test]
fn bytes_behind_starttls_are_thrown_away_and_refused() {
    for injected in [" ", "x", "<message/>", STARTTLS, END, CLIENT_HEADER] {
        let mut server = Side::opened_server(|_| {});
        let events = server.handle(format!("{STARTTLS}{injected}"));
        assert_eq!(events, ["StartTls(Injection)"], "{injected}");
        assert_eq!(server.written(), format!("{FAILURE}{END}"));
        let proceeded = server.stream.proceed(None, &mut server.out);
        assert_eq!((proceeded, server.out.len()), (Err(CommandError::Stage), 0));
        // The same before the answer, in another piece; and behind it, if the stream gets what is TLS's.
        assert_eq!(requested().fails(injected).1, format!("{FAILURE}{END}"));
        let mut server = requested();
        server.does(|stream, out| stream.proceed(None, out));
        assert_eq!(server.fails(injected), ("StartTls(Injection)".to_owned(), String::new()));
        assert_eq!(server.stream.secured(&mut server.out), Err(CommandError::Stage));
    }
}

/// A full queue of events does not let bytes through to TLS.
#[test]
fn bytes_behind_the_boundary_are_seen_though_events_wait() {
    let mut server = Side::opened_server(unlocked);
    let text = format!("{}{STARTTLS}x", "<message/>".repeat(DirectStream::MAX_EVENTS - 1));
    assert_eq!(server.handle(text).last().map(String::as_str), Some("StartTls(Injection)"));
}

/// § 5.4.3.3, step 5: features inside of TLS "MUST NOT include the STARTTLS feature".
#[test]
fn rfc_6120_5_4_3_3_tls_is_neither_offered_nor_taken_twice() {
    let mut client = Side::client(secured);
    client.does(DirectStream::start);
    client.handle(SERVER_HEADER);
    assert_eq!(client.fails(TLS_REQUIRED), ("StartTls(OfferedAgain)".to_owned(), stream_error("policy-violation")));

    let mut client = Side::opened_client(NO_FEATURES, secured);
    assert!(!client.stream.wants_tls());
    assert_eq!(client.stream.start_tls(None, &mut client.out), Err(CommandError::NoTls));

    let mut server = Side::opened_server(secured);
    assert_eq!(server.fails(STARTTLS), ("StartTls(AskedAgain)".to_owned(), format!("{FAILURE}{END}")));

    let mut server = Side::server(secured);
    server.handle(CLIENT_HEADER);
    server.written();
    let sent = server.stream.send_features(&Features::tls(None), &mut server.out);
    assert_eq!((sent, server.out.len()), (Err(StreamSendError::Reserved), 0));
    assert_eq!(server.does(|stream, out| stream.send_features(&Features::default(), out)), NO_FEATURES);
}

/// RFC 7590 § 3.1.
#[test]
fn rfc_7590_3_1_tls_is_tried_even_where_it_is_not_offered() {
    let mut client = Side::opened_client(NO_FEATURES, |_| {});
    assert!(client.stream.wants_tls());
    assert_eq!(client.does(|stream, out| stream.start_tls(None, out)), STARTTLS);
    assert_eq!(client.handle(PROCEED), ["tls "]);
    // It need not be.
    let mut client = Side::client(|options| options.try_unoffered = false);
    client.does(DirectStream::start);
    client.handle(SERVER_HEADER);
    assert_eq!(client.fails(NO_FEATURES), ("StartTls(NotOffered)".to_owned(), stream_error("policy-violation")));
    // `<required/>` or not, it is this end's policy that counts.
    let mut client = Side::opened_client(&TLS_REQUIRED.replace("<required/>", ""), |_| {});
    assert!(client.stream.wants_tls());
    assert_eq!(
        client.stream.send(&element("<message xmlns='jabber:client'/>"), &mut client.out),
        Err(StreamSendError::TlsRequired)
    );
}

#[test]
fn where_tls_is_only_an_offer_it_is_not_asked_for_unoffered() {
    let mut client = Side::opened_client(NO_FEATURES, unlocked);
    assert!(!client.stream.wants_tls() && client.stream.is_open());
    assert_eq!(client.stream.start_tls(None, &mut client.out), Err(CommandError::NoTls));
    let client = Side::opened_client(&TLS_REQUIRED.replace("<required/>", ""), unlocked);
    assert!(client.stream.wants_tls() && client.stream.is_open());
    // The peer's word counts too (§ 5.3.1).
    let mut client = Side::opened_client(TLS_REQUIRED, unlocked);
    assert!(client.stream.wants_tls() && !client.stream.is_open());
    assert_eq!(client.does(|stream, out| stream.start_tls(None, out)), STARTTLS);
    let mut client = Side::opened_client(TLS_REQUIRED, |options| options.tls = TlsPolicy::Never);
    assert!(!client.stream.wants_tls() && !client.stream.is_open());
    assert_eq!(client.stream.start_tls(None, &mut client.out), Err(CommandError::NoTls));
}

#[test]
fn a_server_that_never_does_tls_offers_none_and_refuses_to_be_asked() {
    let mut server = Side::server(|options| options.tls = TlsPolicy::Never);
    server.handle(CLIENT_HEADER);
    server.written();
    assert_eq!(server.does(|stream, out| stream.send_features(&Features::default(), out)), NO_FEATURES);
    assert_eq!(server.fails(STARTTLS), ("StartTls(AskedUnoffered)".to_owned(), format!("{FAILURE}{END}")));
}

/// § 5.3.1: nothing else goes in clear.
#[test]
fn rfc_6120_5_3_1_nothing_else_goes_in_clear_where_tls_is_required() {
    let mechanisms = Features::new(["PLAIN".to_owned()], Vec::new());
    let mut server = Side::server(|_| {});
    server.handle(CLIENT_HEADER);
    server.written();
    assert_eq!(server.stream.send_features(&mechanisms, &mut server.out), Err(StreamSendError::TlsRequired));
    let others = Features::new([], vec![element("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>")]);
    assert_eq!(server.stream.send_features(&others, &mut server.out), Err(StreamSendError::TlsRequired));
    server.does(|stream, out| stream.send_features(&Features::default(), out));
    for side in [&mut server, &mut Side::opened_client(TLS_REQUIRED, |_| {})] {
        let stanza = element("<message xmlns='jabber:client'/>");
        assert_eq!(side.stream.send(&stanza, &mut side.out), Err(StreamSendError::TlsRequired));
        let nonza = element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        assert_eq!(side.stream.send_nonza(&nonza, &mut side.out), Err(StreamSendError::TlsRequired));
        assert_eq!(side.stream.restart(&mut side.out), Err(CommandError::TlsRequired));
        assert_eq!(side.out, b"");
        for content in ["<message/>", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGE=</auth>"] {
            let mut side = if side.stream.is_initiating() {
                Side::opened_client(TLS_REQUIRED, |_| {})
            } else {
                Side::opened_server(|_| {})
            };
            assert_eq!(side.fails(content), ("StartTls(InClear)".to_owned(), stream_error("policy-violation")));
        }
    }
}

/// Where TLS is an offer, everything may stand beside it.
#[test]
fn features_stand_beside_tls_where_it_is_not_required() {
    let mut server = Side::server(unlocked);
    server.handle(CLIENT_HEADER);
    server.written();
    let features = Features::new(["PLAIN".to_owned()], Vec::new());
    let sent = server.does(|stream, out| stream.send_features(&features, out));
    assert_eq!(
        sent,
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><mechanisms \
         xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
    );
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    assert_eq!(server.handle(auth), [auth]);
    // Features are sent once.
    assert_eq!(server.stream.send_features(&features, &mut server.out), Err(StreamSendError::NotOpen));
    assert_eq!(server.handle(STARTTLS), ["requested "]);
}

/// What was known of the stream in clear is gone with it (§ 5.4.3.3).
#[test]
fn rfc_6120_5_4_3_3_the_stream_begins_anew_inside_of_tls() {
    let mut client = Side::opened_client(TLS_REQUIRED, unlocked);
    client.does(|stream, out| stream.start_tls(None, out));
    client.handle(PROCEED);
    client.does(DirectStream::secured);
    assert_eq!(client.stream.stage(), DirectStage::Header);
    assert_eq!(client.handle(format!("<?xml version='1.0'?>{SERVER_HEADER}{NO_FEATURES}")), ["header", NO_FEATURES]);
    // That the peer required TLS no longer holds anything up.
    assert!(client.stream.is_open());
    client.does(|stream, out| stream.send(&element("<message xmlns='jabber:client'/>"), out));
}

#[test]
fn features_come_once_and_before_anything_else() {
    let (fault, written) = Side::opened_client(NO_FEATURES, secured).fails(NO_FEATURES);
    assert_eq!((fault.as_str(), written), ("FeaturesTwice", stream_error("policy-violation")));
    for early in ["<message/>", "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", PROCEED, FAILURE, STARTTLS] {
        let mut client = Side::client(secured);
        client.does(DirectStream::start);
        client.handle(SERVER_HEADER);
        assert_eq!(client.fails(early), ("Unexpected".to_owned(), stream_error("policy-violation")), "{early}");
    }
}

#[test]
fn the_stream_does_not_end_before_tls() {
    for client in [&mut asked(), &mut Side::opened_client(TLS_REQUIRED, |_| {})] {
        assert_eq!(client.fails(END), ("EarlyEnd".to_owned(), END.to_owned()));
    }
    assert_eq!(Side::opened_server(|_| {}).fails(END), ("EarlyEnd".to_owned(), END.to_owned()));
    // An empty header brings its end along.
    let mut client = Side::client(secured);
    client.does(DirectStream::start);
    assert_eq!(client.fails(SERVER_HEADER.replace('>', "/>")).0, "EarlyEnd");
}
