//! The examples of RFC 6120 §§ 4, 6 and 9, as far as they concern streams.

use super::*;
use crate::StreamCondition;

const MECHANISMS: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms>\
    </stream:features>";
const BIND: &str = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>";
const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj1qdWxpZXQscj1vTXNUQUF\
    3QUFBQU1BQUFBTlAwVEFBQUFBQUJQVTBBQQ==</auth>";
const CHALLENGE: &str = "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>cj1vTXNUQUF3QUFBQU1BQUFBTlAwVEFBQUFBQUJQVT\
    BBQWUxMjQ2OTViLTY5YTktNGRlNi05YzMwLWI1MWIzODA4YzU5ZSxzPU5qaGtZVE0wTURndE5HWTBaaTAwTmpkbUxUa3hNbVV0TkRsbU5UTm1ORE5rT\
    URNeixpPTQwOTY=</challenge>";
const RESPONSE: &str = "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>Yz1iaXdzLHI9b01zVEFBd0FBQUFNQUFBQU5QMFRBQUFBQUF\
    CUFUwQUFlMTI0Njk1Yi02OWE5LTRkZTYtOWMzMC1iNTFiMzgwOGM1OWUscD1VQTU3dE0vU3ZwQVRCa0gyRlhzMFdEWHZKWXc9</response>";
const SUCCESS: &str =
    "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>dj1wTk5ERlZFUXh1WHhDb1NFaVc4R0VaKzFSU289</success>";

#[test]
fn rfc_6120_9_1_the_client_of_a_whole_session() {
    let mut client = Side::client(|options| options.lang = Some("en".to_owned()));
    // § 9.1.1, steps 1 to 5. The example tells who the client is in clear; § 4.7.1 advises against it.
    assert_eq!(
        client.does(DirectStream::start),
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='im.example.com' \
         version='1.0' xml:lang='en'>"
    );
    assert_eq!(client.handle(SERVER_HEADER), ["header"]);
    assert_eq!(client.handle(TLS_REQUIRED), [TLS_REQUIRED]);
    assert!(client.stream.wants_tls() && !client.stream.is_open());
    assert_eq!(client.does(|stream, out| stream.start_tls(None, out)), STARTTLS);
    assert_eq!(client.handle(PROCEED), ["tls "]);
    // § 9.1.1, step 7, and § 9.1.2, step 8.
    assert_eq!(
        client.does(DirectStream::secured),
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
         from='juliet@im.example.com' to='im.example.com' version='1.0' xml:lang='en'>"
    );
    assert_eq!(client.handle(format!("{SERVER_HEADER}{MECHANISMS}")), ["header", MECHANISMS]);
    assert!(client.stream.is_secured() && client.stream.is_open() && !client.stream.wants_tls());
    // § 9.1.2, steps 9 to 12.
    assert_eq!(client.does(|stream, out| stream.send_nonza(&element(AUTH), out)), AUTH);
    assert_eq!(client.handle(CHALLENGE), [CHALLENGE]);
    assert_eq!(client.does(|stream, out| stream.send_nonza(&element(RESPONSE), out)), RESPONSE);
    assert_eq!(client.handle(SUCCESS), [SUCCESS]);
    assert!(client.does(DirectStream::restart).starts_with("<stream:stream "));
    assert_eq!(client.handle(format!("{SERVER_HEADER}{BIND}")), ["header", BIND]);
    // § 9.1.3: addresses are left alone.
    let bind = "<iq id='yhc13a95' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource>\
        </bind></iq>";
    assert_eq!(client.does(|stream, out| stream.send(&element(bind), out)), bind);
    let result = "<iq id='yhc13a95' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
        <jid>juliet@im.example.com/balcony</jid></bind></iq>";
    assert_eq!(client.handle(result), [result]);
    // § 9.1.4.
    let question = "<message from='juliet@im.example.com/balcony' id='ju2ba41c' to='romeo@example.net' type='chat' \
        xml:lang='en'><body>Art thou not Romeo, and a Montague?</body></message>";
    assert_eq!(client.does(|stream, out| stream.send(&element(question), out)), question);
    let message = "<message from='romeo@example.net/orchard' id='ju2ba41c' to='juliet@im.example.com/balcony' type='chat' \
        xml:lang='en'><body>Neither, fair saint, if either thee dislike.</body></message>";
    assert_eq!(client.handle(message), [message]);
    // § 9.1.5.
    assert_eq!(client.does(DirectStream::close), END);
    assert_eq!(client.handle(END), ["closed"]);
    assert!(client.stream.is_over());
    assert_eq!(client.written(), "");
}

#[test]
fn rfc_6120_9_1_the_server_of_a_whole_session() {
    let mut server = Side::server(|options| options.lang = Some("en".to_owned()));
    let mut ids = Ids::new([2; 32]);
    let mut header = || {
        format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='im.example.com' \
             id='{}' to='juliet@im.example.com' version='1.0' xml:lang='en'>",
            ids.next_id()
        )
    };
    assert_eq!(server.handle(CLIENT_HEADER), ["header"]);
    assert_eq!(server.written(), header());
    let sent = server.does(|stream, out| stream.send_features(&Features::default(), out));
    assert_eq!(sent, TLS_REQUIRED);
    assert_eq!(server.handle(STARTTLS), ["requested "]);
    assert_eq!(server.does(|stream, out| stream.proceed(None, out)), PROCEED);
    assert_eq!(server.events(), ["tls "]);
    assert_eq!(server.does(DirectStream::secured), "");
    // Every stream has another identifier.
    assert_eq!(server.handle(CLIENT_HEADER), ["header"]);
    assert_eq!(server.written(), header());
    let features = Features::new(["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"].map(str::to_owned), Vec::new());
    assert_eq!(server.does(|stream, out| stream.send_features(&features, out)), MECHANISMS);
    assert_eq!(server.handle(AUTH), [AUTH]);
    assert_eq!(server.does(|stream, out| stream.send_nonza(&element(CHALLENGE), out)), CHALLENGE);
    assert_eq!(server.handle(RESPONSE), [RESPONSE]);
    assert_eq!(server.does(|stream, out| stream.send_nonza(&element(SUCCESS), out)), SUCCESS);
    assert_eq!(server.does(DirectStream::restart), "");
    server.stream.authenticated(jid(CLIENT));
    assert_eq!(server.handle(CLIENT_HEADER), ["header"]);
    assert_eq!(server.written(), header());
    let features = Features::new([], vec![element("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>")]);
    assert_eq!(server.does(|stream, out| stream.send_features(&features, out)), BIND);
    let bind = "<iq id='yhc13a95' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource>\
        </bind></iq>";
    assert_eq!(server.handle(bind), [bind]);
    assert_eq!(server.handle(END), ["closed"]);
    assert_eq!(server.written(), END);
}

/// Who was authenticated stays the same in the streams that follow (§ 4.9.3.9).
#[test]
fn rfc_6120_4_9_3_9_another_from_than_the_authenticated_one_is_invalid() {
    let mut server = Side::opened_server(secured);
    server.does(DirectStream::restart);
    server.stream.authenticated(jid(CLIENT));
    let (fault, written) = server.fails(CLIENT_HEADER.replace("juliet@", "romeo@"));
    assert_eq!(fault, "Stream(From)");
    assert!(written.ends_with(&stream_error("invalid-from")));
}

/// § 4.3.2: features of every kind, some empty and some mandatory.
#[test]
fn rfc_6120_4_3_features_read_and_write() {
    for xml in [
        NO_FEATURES,
        TLS_REQUIRED,
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><mechanisms \
         xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms><bind \
         xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'><optional/></sm></stream:features>",
    ] {
        let parsed = element(&xml.replacen("features", "features xmlns:stream='http://etherx.jabber.org/streams'", 1));
        let features = Features::parse(parsed.root()).unwrap();
        let mut text = String::new();
        features.write(&mut text);
        assert_eq!(text, xml);
    }
    assert_eq!(Features::parse(element("<features xmlns='jabber:client'/>").root()), None);
}

/// § 4.6.1.
#[test]
fn rfc_6120_4_6_1_white_space_keeps_alive_and_is_nothing() {
    for side in [&mut Side::opened_client(NO_FEATURES, secured), &mut Side::opened_server(secured)] {
        assert_eq!(side.does(DirectStream::keep_alive), " ");
        assert!(side.handle(" \n\t ").is_empty());
        assert_eq!(side.handle(" <message/> "), ["<message/>"]);
    }
}

/// § 4.4: what is under way when a stream is closed still arrives.
#[test]
fn rfc_6120_4_4_stanzas_that_cross_the_end_are_delivered() {
    let mut client = Side::opened_client(NO_FEATURES, secured);
    assert_eq!(client.does(DirectStream::close), END);
    assert_eq!(client.handle("<message/>"), ["<message/>"]);
    assert_eq!(client.handle(NO_FEATURES), [""; 0]);
    assert_eq!(client.handle(END), ["closed"]);
    assert_eq!(client.written(), "");
    // The connection's end is as good.
    let mut client = Side::opened_client(NO_FEATURES, secured);
    client.does(DirectStream::close);
    client.stream.handle_end(&mut client.ids, &mut client.out);
    assert_eq!(client.events(), ["closed"]);
}

#[test]
fn rfc_6120_4_4_an_end_of_the_connection_alone_is_no_end() {
    let mut client = Side::opened_client(NO_FEATURES, secured);
    client.stream.handle_end(&mut client.ids, &mut client.out);
    assert_eq!(client.events(), ["EarlyEnd"]);
    assert_eq!(client.written(), END);
    client.stream.handle_end(&mut client.ids, &mut client.out);
    assert!(client.events().is_empty() && client.out.is_empty());
    // Before anything came, nothing has to be said.
    let mut server = Side::server(secured);
    server.stream.handle_end(&mut server.ids, &mut server.out);
    assert_eq!((server.events(), server.written()), (vec!["EarlyEnd".to_owned()], String::new()));
}

/// § 4.7: what the header says is told.
#[test]
fn rfc_6120_4_7_the_header_is_told() {
    let mut client = Side::client(secured);
    client.does(DirectStream::start);
    assert_eq!(
        client.stream.handle_bytes(SERVER_HEADER.as_bytes(), &mut client.ids, &mut client.out),
        SERVER_HEADER.len()
    );
    let Some(DirectEvent::Header(header)) = client.stream.poll_event() else { panic!("a header came") };
    assert_eq!(header.from(), Some("im.example.com"));
    assert_eq!(header.to(), Some("juliet@im.example.com"));
    assert_eq!(header.id(), Some("t7AMCin9zjMNwQKDnplntZPIDEI="));
    assert_eq!((header.version(), header.lang()), (Some("1.0"), Some("en")));
}

/// § 4.7.1: a receiving entity may answer under another of its names; what that means is for TLS to say.
#[test]
fn rfc_6120_4_7_1_a_server_may_answer_under_another_name() {
    let mut client = Side::client(secured);
    client.does(DirectStream::start);
    assert_eq!(client.handle(SERVER_HEADER.replace("from='im.", "from='")), ["header"]);
}

#[test]
fn rfc_6120_4_7_2_the_answer_goes_to_whom_the_header_came_from_and_to_nobody_without_one() {
    let mut server = Side::server(secured);
    assert_eq!(server.handle(CLIENT_HEADER), ["header"]);
    assert!(server.written().contains(" to='juliet@im.example.com' "));
    let mut server = Side::server(secured);
    assert_eq!(server.handle(CLIENT_HEADER.replace("from='juliet@im.example.com' ", "")), ["header"]);
    assert!(!server.written().contains(" to="));
}

#[test]
fn rfc_6120_4_7_3_an_id_in_the_initial_header_is_ignored() {
    let mut server = Side::server(secured);
    assert_eq!(server.handle(CLIENT_HEADER.replace(" to=", " id='mine' to=")), ["header"]);
    let written = server.written();
    assert!(written.contains(" id='") && !written.contains("mine"), "{written}");
}

#[test]
fn rfc_6120_4_7_4_the_answer_has_a_language() {
    for (lang, expected) in [(None, "en"), (Some("de-CH"), "de-CH")] {
        let mut server = Side::server(|options| options.lang = lang.map(str::to_owned));
        assert_eq!(server.handle(CLIENT_HEADER), ["header"]);
        assert!(server.written().ends_with(&format!(" xml:lang='{expected}'>")));
    }
    // An initial header need not have one, nor has one of XEP-0246.
    assert!(!Side::client(secured).does(DirectStream::start).contains("lang"));
}

/// A server of many domains gives none; the answer comes from the one that was asked for.
#[test]
fn rfc_6120_4_7_2_a_server_without_a_name_answers_under_the_one_it_was_called_by() {
    let mut server = Side::server(|options| options.local = None);
    assert_eq!(server.handle(CLIENT_HEADER.replace("to='im.example.com'", "to='a.lit'")), ["header"]);
    assert!(server.written().contains(" from='a.lit' "));
    let ids = &mut server.ids;
    server.stream.fail(&StreamCondition::HostUnknown.into(), ids, &mut server.out).unwrap();
    assert_eq!(server.written(), stream_error("host-unknown"));
    assert!(server.stream.is_over());
}

/// They come before anybody is authenticated, and each is a copy of its own.
#[test]
fn p21_of_the_other_features_64_kib_are_kept_whatever_namespaces_they_share() {
    let features = |others: &str| {
        let xml = format!(
            "<features xmlns='http://etherx.jabber.org/streams' xmlns:p='{}'>{others}</features>",
            "u".repeat(9000)
        );
        Features::parse(element(&xml).root()).unwrap()
    };
    let held = |features: &Features| features.others.iter().map(Element::held_bytes).sum::<usize>();
    let few = features("<p:a/><p:b/><p:c/>");
    assert_eq!(few.others.len(), 3);
    let many = features(&"<p:a/>".repeat(4000));
    assert!(held(&many) <= Features::MAX_OTHERS && many.others.len() > 3, "{} in {}", held(&many), many.others.len());
    // What negotiates is never left out.
    let last = features(&format!("{}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<p:a/>".repeat(4000)));
    assert!(last.starttls.is_some());
}
