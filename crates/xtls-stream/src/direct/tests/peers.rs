//! The examples of XEP-0246, and its addresses.

use super::*;

const ROMEO: &str = "romeo@forza";
const JULIET: &str = "juliet@pronto";
const HEADER: &str = "<stream:stream
            xmlns='jabber:client'
            xmlns:stream='http://etherx.jabber.org/streams'
            from='romeo@forza'
            to='juliet@pronto'
            version='1.0'>";
const RESPONSE: &str = "<stream:stream
            xmlns='jabber:client'
            xmlns:stream='http://etherx.jabber.org/streams'
            from='juliet@pronto'
            to='romeo@forza'
            version='1.0'>";

fn peers(options: &mut StreamOptions, local: &str, peer: Option<&str>) {
    options.addressing = Addressing::Peers;
    options.local = Some(jid(local));
    options.peer = peer.map(jid);
}

fn romeo(change: impl FnOnce(&mut StreamOptions)) -> Side {
    Side::client(|options| {
        peers(options, ROMEO, Some(JULIET));
        change(options);
    })
}

/// Juliet does not know who will call.
fn juliet(change: impl FnOnce(&mut StreamOptions)) -> Side {
    Side::server(|options| {
        peers(options, JULIET, None);
        change(options);
    })
}

fn opened_juliet() -> Side {
    let mut juliet = juliet(secured);
    juliet.handle(HEADER);
    juliet.stream.send_features(&Features::default(), &mut juliet.out).unwrap();
    juliet.written();
    juliet
}

#[test]
fn xep_0246_2_to_5_the_initiators_side_of_the_examples() {
    let mut romeo = romeo(unlocked);
    assert_eq!(
        romeo.does(DirectStream::start),
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='romeo@forza' \
         to='juliet@pronto' version='1.0'>"
    );
    assert_eq!(romeo.handle(RESPONSE), ["header"]);
    let features = "<stream:features>
      <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
    </stream:features>";
    assert_eq!(romeo.handle(features), [features.split('\n').map(str::trim).collect::<String>()]);
    let message = "<message from='romeo@forza' to='juliet@pronto'><body>M&apos;lady, I would be pleased to make your \
        acquaintance.</body></message>";
    assert_eq!(
        romeo.does(|stream, out| stream.send(&element(message), out)),
        message.replace(" from='romeo@forza' to='juliet@pronto'", "")
    );
    let reply =
        "<message from='juliet@pronto' to='romeo@forza'><body>Art thou not Romeo, and a Montague?</body></message>";
    assert_eq!(romeo.handle(reply), [reply]);
    assert_eq!(romeo.does(DirectStream::close), END);
    assert_eq!(romeo.handle(END), ["closed"]);
}

#[test]
fn xep_0246_2_to_5_the_recipients_side_of_the_examples() {
    let mut juliet = juliet(unlocked);
    assert_eq!(juliet.handle(HEADER), ["header"]);
    let id = Ids::new([2; 32]).next_id();
    assert_eq!(
        juliet.written(),
        format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='juliet@pronto' \
             id='{id}' to='romeo@forza' version='1.0'>"
        )
    );
    assert_eq!(juliet.stream.peer(), Some(&jid(ROMEO)));
    assert_eq!(
        juliet.does(|stream, out| stream.send_features(&Features::default(), out)),
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
    );
    let message = "<message from='romeo@forza' to='juliet@pronto'><body>M&apos;lady</body></message>";
    assert_eq!(juliet.handle(message), [message]);
    // § 4: with or without addresses.
    assert_eq!(juliet.handle("<message><body>M&apos;lady</body></message>").len(), 1);
    assert_eq!(juliet.handle("<message/>"), ["<message from='romeo@forza' to='juliet@pronto'/>"]);
    assert_eq!(juliet.handle(END), ["closed"]);
    assert_eq!(juliet.written(), END);
}

#[test]
fn xep_0246_4_stanzas_are_held_to_the_two_ends() {
    let mut juliet = opened_juliet();
    for from in ["tybalt@forza", "romeo@forza/x", "", JULIET] {
        assert_eq!(juliet.handle(format!("<message from='{from}'/>")), [format!("impersonation {from}")]);
    }
    for to in ["nurse@pronto", "", ROMEO] {
        assert_eq!(juliet.handle(format!("<message to='{to}'/>")), [format!("misaddressed {to}")]);
    }
    let mut send = |xml: &str| juliet.stream.send(&element(xml), &mut juliet.out);
    assert_eq!(send("<message from='tybalt@forza'/>"), Err(StreamSendError::From));
    assert_eq!(send("<message to='nurse@pronto'/>"), Err(StreamSendError::To));
    assert_eq!(juliet.out, b"");
}

#[test]
fn xep_0246_2_headers_of_others_are_refused() {
    let mut known = juliet(|options| (options.secured, options.peer) = (true, Some(jid(ROMEO))));
    let (fault, written) = known.fails(HEADER.replace("romeo@", "tybalt@"));
    assert_eq!(fault, "Stream(From)");
    assert!(written.ends_with(&stream_error("invalid-from")));
    let (fault, written) = juliet(secured).fails(HEADER.replace("juliet@", "nurse@"));
    assert_eq!(fault, "Stream(To)");
    assert!(written.ends_with(&stream_error("host-unknown")));
    let mut romeo = romeo(secured);
    romeo.does(DirectStream::start);
    assert_eq!(romeo.fails(HEADER).0, "Stream(From)");
}

#[test]
fn xep_0246_2_a_header_may_leave_out_what_is_known_and_no_more() {
    let mut known = juliet(|options| (options.secured, options.peer) = (true, Some(jid(ROMEO))));
    let bare = HEADER.replace("from='romeo@forza'", "").replace("to='juliet@pronto'", "");
    assert_eq!(known.handle(&bare), ["header"]);
    for from in ["", "from=''", "from='@'"] {
        let (fault, written) = juliet(secured).fails(HEADER.replace("from='romeo@forza'", from));
        assert_eq!(fault, "Addressing");
        assert!(written.ends_with(&stream_error("improper-addressing")));
    }
}

/// What a header said in clear may have been anybody's: it is forgotten, unless TLS has confirmed it.
#[test]
fn a_name_learnt_in_clear_is_forgotten() {
    let in_tls = |confirm: Option<&str>| {
        let mut juliet = juliet(|_| {});
        juliet.handle(HEADER);
        juliet.stream.send_features(&Features::default(), &mut juliet.out).unwrap();
        juliet.handle(STARTTLS);
        juliet.stream.proceed(None, &mut juliet.out).unwrap();
        juliet.events();
        confirm.into_iter().for_each(|peer| juliet.stream.authenticated(jid(peer)));
        juliet.stream.secured(&mut juliet.out).unwrap();
        juliet.written();
        juliet
    };
    let mut juliet = in_tls(None);
    assert_eq!(juliet.stream.peer(), None);
    assert_eq!(juliet.handle(HEADER.replace("romeo@", "benvolio@")), ["header"]);
    assert_eq!(juliet.stream.peer(), Some(&jid("benvolio@forza")));
    assert_eq!(in_tls(Some(ROMEO)).handle(HEADER), ["header"]);
    assert_eq!(in_tls(Some("benvolio@forza")).fails(HEADER).0, "Stream(From)");
}
