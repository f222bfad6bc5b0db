//! The examples of XEP-0035, and its edges.

use super::*;

const C: &str = "<stream:stream xmlns='jabber:client'
                      xmlns:stream='http://etherx.jabber.org/streams'
                      xmlns:tls='http://www.ietf.org/rfc/rfc2595.txt'
                      to='jabber.org'>";
const S: &str = "<stream:stream xmlns='jabber:client'
                      xmlns:stream='http://etherx.jabber.org/streams'
                      xmlns:tls='http://www.ietf.org/rfc/rfc2595.txt'
                      id='12345678'>";
const S_WITHOUT: &str = "<stream:stream xmlns='jabber:client'
                      xmlns:stream='http://etherx.jabber.org/streams'
                      id='12345678'>";
const C_INSIDE: &str = "<stream:stream xmlns='jabber:client'
                      xmlns:stream='http://etherx.jabber.org/streams'
                      to='jabber.org'>";
const ASK: &str = "<tls:starttls/>";
const OFFERED: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";

fn client(change: impl FnOnce(&mut StreamOptions)) -> Side {
    let mut client = Side::client(|options| {
        options.peer = Some(jid("jabber.org"));
        xep_0035(options);
        change(options);
    });
    client.stream.start(&mut client.out).unwrap();
    client
}

fn server(change: impl FnOnce(&mut StreamOptions)) -> Side {
    Side::server(|options| {
        options.local = Some(jid("jabber.org"));
        xep_0035(options);
        change(options);
    })
}

fn one_line(xml: &str) -> String {
    xml.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn answer(xml: &str) -> String {
    one_line(xml).replace("12345678", Ids::new([2; 32]).next_id().as_str())
}

#[test]
fn xep_0035_2_the_clients_side() {
    let mut client = client(|_| {});
    assert_eq!(client.written(), one_line(C));
    assert_eq!(client.handle(S), ["header", OFFERED]);
    assert!(client.stream.wants_tls());
    assert_eq!(client.does(|stream, out| stream.start_tls(None, out)), ASK);
    assert_eq!(client.handle(END), ["tls "]);
    assert_eq!(client.does(DirectStream::secured), one_line(C_INSIDE));
    assert_eq!(client.handle(S_WITHOUT), ["header", NO_FEATURES]);
    assert!(client.stream.is_open());
    let query = "<iq type='get' id='1'><query xmlns='jabber:iq:auth'/></iq>";
    assert_eq!(client.does(|stream, out| stream.send(&element(query), out)), query);
    assert_eq!(client.handle(END), ["closed"]);
    assert_eq!(client.written(), END);
}

#[test]
fn xep_0035_2_the_servers_side() {
    let mut server = server(|_| {});
    assert_eq!(server.handle(C), ["header"]);
    assert_eq!(server.written(), answer(S));
    // There are none to send.
    assert_eq!(server.does(|stream, out| stream.send_features(&Features::default(), out)), "");
    assert_eq!(server.handle(ASK), ["requested "]);
    assert_eq!(server.does(|stream, out| stream.proceed(None, out)), END);
    assert_eq!(server.events(), ["tls "]);
    server.does(DirectStream::secured);
    assert_eq!(server.handle(C_INSIDE), ["header"]);
    let mut ids = Ids::new([2; 32]);
    ids.next_id();
    assert_eq!(server.written(), one_line(S_WITHOUT).replace("12345678", ids.next_id().as_str()));
    let query = "<iq type='get' id='1'><query xmlns='jabber:iq:auth'/></iq>";
    assert_eq!(server.handle(query), [query]);
}

#[test]
fn xep_0035_2_2_a_server_that_does_not_support_it() {
    // Nobody would understand the question, so it is not asked.
    let mut client_of_old = client(|_| {});
    client_of_old.written();
    assert_eq!(client_of_old.fails(S_WITHOUT), ("StartTls(NotOffered)".to_owned(), stream_error("policy-violation")));
    let mut client_of_old = client(unlocked);
    assert_eq!(client_of_old.handle(S_WITHOUT), ["header", NO_FEATURES]);
    assert!(client_of_old.stream.is_open() && !client_of_old.stream.wants_tls());

    let mut server = server(|options| options.tls = TlsPolicy::Never);
    assert_eq!(server.handle(C), ["header"]);
    assert_eq!(server.written(), answer(S_WITHOUT));
    assert_eq!(server.fails(ASK).0, "StartTls(AskedUnoffered)");
}

#[test]
fn xep_0035_2_2_a_client_that_does_not_ask_for_it() {
    let mut required = server(|_| {});
    assert_eq!(required.handle(C_INSIDE), ["header", "StartTls(NotOffered)"]);
    assert!(required.written().ends_with(&stream_error("policy-violation")));
    let mut server = server(unlocked);
    assert_eq!(server.handle(C_INSIDE), ["header"]);
    assert_eq!(server.written(), answer(S_WITHOUT));
    assert_eq!(server.handle("<message/>"), ["<message/>"]);
}

/// § 2.3: what is secured is not secured again.
#[test]
fn xep_0035_2_3_tls_is_neither_announced_nor_taken_twice() {
    let mut client = client(secured);
    assert_eq!(client.written(), one_line(C_INSIDE));
    assert_eq!(client.fails(S), ("StartTls(OfferedAgain)".to_owned(), stream_error("policy-violation")));
    let mut server = server(secured);
    assert_eq!(server.handle(C), ["header"]);
    assert_eq!(server.written(), answer(S_WITHOUT));
    assert_eq!(server.fails(ASK), ("StartTls(AskedAgain)".to_owned(), stream_error("policy-violation")));
}

#[test]
fn xep_0035_2_3_a_refusal_is_an_error_since_the_end_alone_is_a_yes() {
    let mut server = server(|_| {});
    server.handle(format!("{}{ASK}", C));
    server.written();
    let refusal = server.does(DirectStream::refuse);
    assert_eq!(refusal, stream_error("policy-violation"));
    let mut client = client(|_| {});
    client.handle(S);
    client.stream.start_tls(None, &mut client.out).unwrap();
    let (fault, _) = client.fails(refusal);
    assert!(fault.starts_with("Reported(StreamError { condition: PolicyViolation"), "{fault}");
}

#[test]
fn xep_0035_2_3_bytes_behind_the_boundary_are_thrown_away_and_refused() {
    let mut client = client(|_| {});
    client.handle(S);
    client.stream.start_tls(None, &mut client.out).unwrap();
    client.written();
    assert_eq!(client.fails(format!("{END}{S_WITHOUT}")), ("StartTls(Injection)".to_owned(), String::new()));
    let mut server = server(|_| {});
    assert_eq!(server.handle(format!("{C}{ASK}<message/>")), ["header", "StartTls(Injection)"]);
    assert!(server.written().ends_with(&stream_error("policy-violation")));
}

/// The prefix is the sender's to choose; another dialect's words mean nothing.
#[test]
fn xep_0035_2_2_any_prefix_announces_it() {
    let mut server_of_old = server(|_| {});
    server_of_old.handle(C.replace("xmlns:tls", "xmlns:t"));
    assert_eq!(server_of_old.handle("<t:starttls/>"), ["requested "]);
    let mut client = client(|_| {});
    client.handle(S);
    client.stream.start_tls(None, &mut client.out).unwrap();
    assert_eq!(client.fails(PROCEED).0, "Unexpected");
}

/// Off unless asked for; where it is on, RFC 6120 is spoken with whoever has a version.
#[test]
fn the_old_dialect_is_spoken_where_it_was_asked_for_alone() {
    let mut modern = Side::server(|options| options.local = Some(jid("jabber.org")));
    assert_eq!(modern.fails(C).0, "Stream(Version)");
    let mut both = Side::server(xep_0035);
    assert_eq!(both.handle(CLIENT_HEADER), ["header"]);
    assert!(both.written().ends_with(" version='1.0' xml:lang='en'>"));
    assert_eq!(both.does(|stream, out| stream.send_features(&Features::default(), out)), TLS_REQUIRED);
    assert_eq!(both.handle(STARTTLS), ["requested "]);
    assert_eq!(both.does(|stream, out| stream.proceed(None, out)), PROCEED);
}
