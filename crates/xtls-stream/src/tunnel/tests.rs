mod negotiation;
mod table;

use proptest::prelude::*;
use xtls_stanza::ParseErrorKind;

use super::*;

const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";
const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    from='romeo@montague.lit/orchard' to='juliet@capulet.lit/balcony' version='1.0'>";
const END: &str = "</stream:stream>";

/// One end, and what it writes.
struct Side {
    stream: TunnelStream,
    ids: Ids,
    out: Vec<u8>,
}

impl Side {
    fn new(role: StreamRole, local: &str, peer: &str, seed: u8) -> Self {
        let stream =
            TunnelStream::new(role, FullJid::new(local).unwrap(), FullJid::new(peer).unwrap(), Limits::default());
        Self { stream, ids: Ids::new([seed; 32]), out: Vec::new() }
    }

    fn romeo() -> Self {
        Self::new(StreamRole::Initiator, ROMEO, JULIET, 1)
    }

    fn juliet() -> Self {
        Self::new(StreamRole::Responder, JULIET, ROMEO, 2)
    }

    /// Passes bytes in, all of which must be used, and returns the events.
    fn handle(&mut self, bytes: impl AsRef<[u8]>) -> Vec<StreamEvent> {
        let bytes = bytes.as_ref();
        assert_eq!(self.stream.handle_bytes(bytes, &mut self.ids, &mut self.out), bytes.len());
        self.events()
    }

    /// Passes bytes in until no more are taken, and throws the events away. How many.
    fn handle_some(&mut self, text: &str) -> usize {
        let used = self.stream.handle_bytes(text.as_bytes(), &mut self.ids, &mut self.out);
        self.events();
        used
    }

    fn events(&mut self) -> Vec<StreamEvent> {
        core::iter::from_fn(|| self.stream.poll_event()).collect()
    }

    fn open(&mut self) {
        self.stream.open(&mut self.out).unwrap();
    }

    fn close(&mut self) {
        self.stream.close(&mut self.out).unwrap();
    }

    fn send(&mut self, xml: &str) -> Result<(), StreamSendError> {
        self.stream.send(&element(xml), &mut self.out)
    }

    fn written(&mut self) -> String {
        String::from_utf8(core::mem::take(&mut self.out)).unwrap()
    }
}

fn element(xml: &str) -> Element {
    Element::parse(xml, &Limits::default()).unwrap()
}

fn show(events: &[StreamEvent]) -> Vec<String> {
    events
        .iter()
        .map(|event| {
            if let StreamEvent::Stanza(stanza) = event { stanza.to_xml("jabber:client") } else { format!("{event:?}") }
        })
        .collect()
}

/// Carries bytes both ways until nobody writes any; the events of both.
fn exchange(a: &mut Side, b: &mut Side) -> (Vec<String>, Vec<String>) {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        of_b.extend(b.handle(a.written()));
        of_a.extend(a.handle(b.written()));
    }
    assert!(a.out.is_empty() && b.out.is_empty());
    (show(&of_a), show(&of_b))
}

fn pair() -> (Side, Side) {
    let (mut romeo, mut juliet) = (Side::romeo(), Side::juliet());
    romeo.open();
    let (of_romeo, of_juliet) = exchange(&mut romeo, &mut juliet);
    assert_eq!((of_romeo, of_juliet), (vec!["Opened".to_owned()], vec!["Opened".to_owned()]));
    (romeo, juliet)
}

/// A responder with an open stream whose other end is written by hand.
fn opened() -> Side {
    let mut juliet = Side::juliet();
    assert_eq!(show(&juliet.handle(HEADER)), ["Opened"]);
    juliet.written();
    juliet
}

fn delivered(events: &[StreamEvent]) -> &Element {
    match events {
        [StreamEvent::Stanza(stanza)] => stanza,
        other => panic!("{other:?}"),
    }
}

fn fault(events: &[StreamEvent]) -> &StreamFault {
    match events {
        [.., StreamEvent::Failed(fault)] => fault,
        other => panic!("{other:?}"),
    }
}

/// Passes bytes that must make the stream fail: the fault, and what was written.
fn fail(side: &mut Side, bytes: impl AsRef<[u8]>) -> (StreamFault, String) {
    let events = side.handle(bytes);
    let fault = fault(&events).clone();
    assert!(side.stream.is_failed() && !side.stream.is_open());
    (fault, side.written())
}

fn stream_error(condition: &str) -> String {
    format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
}

/// draft-meyer § 4, XEP-0246 § 2.
#[test]
fn headers_carry_full_jids_version_and_in_the_answer_an_id() {
    let (mut romeo, mut juliet) = (Side::romeo(), Side::juliet());
    romeo.open();
    let header = romeo.written();
    assert_eq!(header, HEADER);
    juliet.handle(header);
    let id = Ids::new([2; 32]).next_id();
    assert_eq!(
        juliet.written(),
        format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='{JULIET}' \
             id='{id}' to='{ROMEO}' version='1.0'><stream:features/>"
        )
    );
}

/// wire: the initiator does not wait for features.
#[test]
fn the_initiator_is_open_with_the_header_alone() {
    let mut romeo = Side::romeo();
    romeo.open();
    assert_eq!(romeo.send("<iq/>"), Err(StreamSendError::NotOpen));
    let answer = HEADER.replace("from=", "x=").replace("to=", "from=").replace("x=", "to=");
    assert_eq!(show(&romeo.handle(&answer)), ["Opened"]);
    romeo.send("<iq/>").unwrap();
    // Features, whatever they offer, and a stanza right behind them.
    let rest = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features><message/>";
    assert_eq!(show(&romeo.handle(rest)), [format!("<message from='{JULIET}' to='{ROMEO}'/>")]);
}

/// draft-meyer § 4, the exchange of its examples.
#[test]
fn stanzas_go_both_ways_and_bear_the_authenticated_addresses() {
    let (mut romeo, mut juliet) = pair();
    romeo.send("<message><body>M&apos;lady</body></message>").unwrap();
    assert_eq!(romeo.out, b"<message><body>M&apos;lady</body></message>");
    juliet.send("<message type='chat'><body>Art thou not Romeo?</body></message>").unwrap();
    let (of_romeo, of_juliet) = exchange(&mut romeo, &mut juliet);
    assert_eq!(of_juliet, [format!("<message from='{ROMEO}' to='{JULIET}'><body>M&apos;lady</body></message>")]);
    assert_eq!(
        of_romeo,
        [format!("<message type='chat' from='{JULIET}' to='{ROMEO}'><body>Art thou not Romeo?</body></message>")]
    );
}

/// XEP-0246 § 4.
#[test]
fn addresses_of_the_ends_are_left_out_and_others_refused() {
    let (mut romeo, _) = pair();
    for (sent, written) in [
        (format!("<iq from='{ROMEO}' to='{JULIET}' id='1'><a/></iq>"), "<iq id='1'><a/></iq>"),
        (format!("<iq to='{JULIET}'/>"), "<iq/>"),
        ("<iq to='JULIET@Capulet.lit/balcony'/>".to_owned(), "<iq/>"),
        (
            "<iq from='romeo@montague.lit' to='juliet@capulet.lit'/>".to_owned(),
            "<iq from='romeo@montague.lit' to='juliet@capulet.lit'/>",
        ),
        ("<presence xmlns='jabber:client'><x xmlns='u'/></presence>".to_owned(), "<presence><x xmlns='u'/></presence>"),
    ] {
        romeo.send(&sent).unwrap();
        assert_eq!(romeo.written(), written, "{sent}");
    }
    for from in [JULIET, "romeo@montague.lit/garden", "montague.lit", "", "@", "tybalt@capulet.lit"] {
        assert_eq!(romeo.send(&format!("<message from='{from}'/>")), Err(StreamSendError::From), "{from}");
    }
    for to in [ROMEO, "juliet@capulet.lit/chamber", "capulet.lit", "", "@", "nurse@capulet.lit"] {
        assert_eq!(romeo.send(&format!("<message to='{to}'/>")), Err(StreamSendError::To), "{to}");
    }
    assert_eq!(romeo.out, b"");
}

/// RFC 6120 § 8.
#[test]
fn only_stanzas_are_sent() {
    let (mut romeo, _) = pair();
    for xml in [
        "<message xmlns=''/>",
        "<features xmlns='http://etherx.jabber.org/streams'/>",
        "<body/>",
        "<Message/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
    ] {
        assert_eq!(romeo.send(xml), Err(StreamSendError::NotAStanza), "{xml}");
    }
    assert_eq!(romeo.out, b"");
}

#[test]
fn p21_what_is_sent_is_as_long_as_the_limit_and_no_longer() {
    let limits = {
        let mut limits = Limits::default();
        limits.stanza_bytes = 1000;
        limits
    };
    let mut side = Side::juliet();
    side.stream =
        TunnelStream::new(StreamRole::Responder, side.stream.local().clone(), side.stream.peer().clone(), limits);
    side.handle(HEADER);
    side.written();
    let message = |bytes: usize| format!("<message>{}</message>", "x".repeat(bytes - "<message></message>".len()));
    side.send(&message(1000)).unwrap();
    assert_eq!(side.written().len(), 1000);
    assert_eq!(side.send(&message(1001)), Err(StreamSendError::TooLarge));
    assert_eq!(side.out, b"");
    // The same bound holds for what comes in.
    assert_eq!(show(&side.handle(message(1000))).len(), 1);
    let (fault, written) = fail(&mut side, message(1001));
    assert_eq!(fault, StreamFault::Xml(ParseErrorKind::Limit("stanza_bytes")));
    assert_eq!(written, stream_error("policy-violation"));
}

/// XEP-0246 § 5, draft-meyer § 4: the stream ends and the tunnel may carry another, opened by either end.
#[test]
fn a_stream_closes_in_both_directions_and_another_may_follow() {
    let (mut romeo, mut juliet) = pair();
    assert!(!romeo.stream.is_idle());
    for round in 0..4 {
        let (closer, other) = if round % 2 == 0 { (&mut romeo, &mut juliet) } else { (&mut juliet, &mut romeo) };
        closer.close();
        assert_eq!(closer.out, END.as_bytes());
        assert_eq!(closer.stream.close(&mut Vec::new()), Err(CloseError::NotOpen));
        assert_eq!(closer.stream.open(&mut Vec::new()), Err(OpenError::AlreadyOpen));
        assert_eq!(closer.send("<iq/>"), Err(StreamSendError::NotOpen));
        assert_eq!(exchange(closer, other), (vec!["Closed".to_owned()], vec!["Closed".to_owned()]));
        assert!(closer.stream.is_idle() && other.stream.is_idle());
        assert_eq!(other.stream.close(&mut Vec::new()), Err(CloseError::NotOpen));
        closer.open();
        assert_eq!(exchange(closer, other), (vec!["Opened".to_owned()], vec!["Opened".to_owned()]));
        other.send("<message/>").unwrap();
        assert_eq!(exchange(other, closer).1.len(), 1);
    }
}

#[test]
fn both_may_close_at_once() {
    let (mut romeo, mut juliet) = pair();
    romeo.close();
    juliet.close();
    assert_eq!(exchange(&mut romeo, &mut juliet), (vec!["Closed".to_owned()], vec!["Closed".to_owned()]));
}

#[test]
fn both_may_open_the_next_stream_at_once() {
    let (mut romeo, mut juliet) = pair();
    romeo.close();
    exchange(&mut romeo, &mut juliet);
    romeo.open();
    juliet.open();
    let (of_romeo, of_juliet) = (juliet.written(), romeo.written());
    assert_eq!(show(&romeo.handle(of_romeo)), ["Opened"]);
    assert_eq!(show(&juliet.handle(of_juliet)), ["Opened"]);
    assert!(romeo.out.is_empty() && juliet.out.is_empty());
}

/// RFC 6120 § 4.4: who has closed still processes what the other sends before it closes too.
#[test]
fn stanzas_that_cross_the_end_are_delivered() {
    let (mut romeo, mut juliet) = pair();
    romeo.close();
    juliet.send("<message/>").unwrap();
    let sent = juliet.written();
    delivered(&romeo.handle(sent));
    assert_eq!(exchange(&mut romeo, &mut juliet), (vec!["Closed".to_owned()], vec!["Closed".to_owned()]));
}

#[test]
fn a_stream_may_be_closed_before_it_is_answered() {
    let (mut romeo, mut juliet) = (Side::romeo(), Side::juliet());
    romeo.open();
    romeo.close();
    assert_eq!(
        exchange(&mut romeo, &mut juliet),
        (vec!["Closed".to_owned()], vec!["Opened".to_owned(), "Closed".to_owned()])
    );
    assert!(romeo.stream.is_idle() && juliet.stream.is_idle());
}

#[test]
fn a_whole_stream_may_come_at_once_and_then_another() {
    let mut juliet = Side::juliet();
    let events = juliet.handle(format!("{HEADER}<message/>{END}\n<?xml version='1.0'?>{HEADER}<iq/>{END}"));
    assert_eq!(events.len(), 6);
    assert_eq!(juliet.written().matches(END).count(), 2);
}

/// draft-meyer § 4.
#[test]
fn the_first_stream_is_the_initiators() {
    let mut juliet = Side::juliet();
    assert_eq!(juliet.stream.open(&mut juliet.out), Err(OpenError::NotInitiator));
    assert_eq!(juliet.stream.close(&mut juliet.out), Err(CloseError::NotOpen));
    let mut romeo = Side::romeo();
    romeo.open();
    assert_eq!(romeo.stream.open(&mut Vec::new()), Err(OpenError::AlreadyOpen));
    assert!(juliet.out.is_empty());
}

/// XEP-0246 uses bare JIDs where XEP-0247 uses full ones; no address says nothing that the tunnel does not know.
#[test]
fn header_tolerance() {
    for header in [
        HEADER.replace(" to='juliet@capulet.lit/balcony'", ""),
        HEADER.replace(" from='romeo@montague.lit/orchard'", ""),
        HEADER.replace("/orchard", "").replace("/balcony", ""),
        HEADER.replace("romeo@montague.lit", "Romeo@MONTAGUE.lit"),
        HEADER.replace("1.0", "1.1"),
        HEADER.replace("1.0", "01.00"),
        HEADER.replace("1.0", "2.0"),
        HEADER.replace("xmlns:stream", "xmlns:s").replace("<stream:", "<s:"),
        format!("<?xml version='1.0' encoding='UTF-8'?>\n{HEADER}"),
        format!(" \r\n{HEADER} \n"),
    ] {
        let mut juliet = Side::juliet();
        assert_eq!(show(&juliet.handle(&header)), ["Opened"], "{header}");
        assert!(juliet.written().ends_with("version='1.0'><stream:features/>"));
    }
}

/// RFC 6120 § 4.6.1.
#[test]
fn white_space_is_a_keepalive_before_inside_and_after() {
    let mut juliet = Side::juliet();
    assert!(juliet.handle(" \n").is_empty());
    assert!(juliet.stream.is_idle());
    assert_eq!(juliet.handle(format!("{HEADER}  \r\n\t")).len(), 1);
    assert!(juliet.handle("   ").is_empty());
    assert_eq!(juliet.handle(format!("  <iq/> {END} ")).len(), 2);
    assert!(juliet.handle(" ").is_empty());
    assert!(juliet.stream.is_idle());
}

#[test]
fn p20_restricted_xml_is_answered_restricted_xml_and_ends_the_stream() {
    for xml in
        ["<!DOCTYPE a>", "<!ENTITY a 'b'>", "<?pi?>", "<!---->", "<iq>&lol;</iq>", "<iq><!--", "<?xml version='1.0'?>"]
    {
        let (fault, written) = fail(&mut opened(), xml);
        assert!(matches!(fault, StreamFault::Xml(ParseErrorKind::Restricted(_))), "{xml}");
        assert_eq!(written, stream_error("restricted-xml"), "{xml}");
    }
    let (_, written) = fail(&mut opened(), "<iq>\u{0}</iq>");
    assert_eq!(written, stream_error("not-well-formed"));
    let (_, written) = fail(&mut opened(), "<iq><p:a/></iq>");
    assert_eq!(written, stream_error("bad-namespace-prefix"));
    let (_, written) = fail(&mut Side::juliet(), "<?xml version='1.0' encoding='UTF-16'?>");
    assert!(written.ends_with(&stream_error("unsupported-encoding")));
    // CDATA is text.
    let mut juliet = opened();
    assert_eq!(delivered(&juliet.handle("<message><![CDATA[<&]]></message>")).text(), "<&");
}

#[test]
fn p21_limits_are_answered_policy_violation() {
    let declarations: String = (0..100).map(|n| format!(" xmlns:a{n}='u'")).collect();
    for (begin, unit, count, end) in [
        ("<iq>", "x", 10_000_000, ""),
        ("", "<iq>", 10_000, ""),
        ("<iq", " a='1'", 100_000, ""),
        ("<iq", &declarations, 1, ""),
        ("<iq ", "a", 1_000_000, ""),
        ("<iq a='", "a", 1_000_000, ""),
        ("<iq>", "<a/>", 20_000, "</iq>"),
    ] {
        let (fault, written) = fail(&mut opened(), format!("{begin}{}{end}", unit.repeat(count)));
        assert!(matches!(fault, StreamFault::Xml(ParseErrorKind::Limit(_))), "{begin}{unit} {fault:?}");
        assert_eq!(written, stream_error("policy-violation"), "{begin}{unit}");
    }
}

#[test]
fn p22_what_is_not_utf_8_is_refused_and_split_characters_are_put_together() {
    let (fault, written) = fail(&mut opened(), b"<message>\xED\xA0\x80</message>");
    assert_eq!(fault, StreamFault::Xml(ParseErrorKind::NotUtf8));
    assert_eq!(written, stream_error("unsupported-encoding"));
    let mut juliet = opened();
    let events: Vec<_> = "<message>€𝄞</message>".as_bytes().chunks(1).flat_map(|byte| juliet.handle(byte)).collect();
    assert_eq!(delivered(&events).text(), "€𝄞");
}

#[test]
fn p23_a_header_from_somebody_else_is_refused_invalid_from() {
    for from in
        ["romeo@montague.lit/garden", "montague.lit", "tybalt@capulet.lit/x", JULIET, "", "@/", "romeo@montague.net"]
    {
        let mut juliet = Side::juliet();
        let (fault, written) = fail(&mut juliet, HEADER.replace("'romeo@montague.lit/orchard'", &format!("'{from}'")));
        assert_eq!(fault, StreamFault::From, "{from}");
        assert!(fault.is_security());
        // RFC 6120 § 4.9.1.2: the error stands inside a stream.
        assert!(written.starts_with("<stream:stream xmlns='jabber:client'"), "{written}");
        assert!(written.ends_with(&format!("to='{ROMEO}' version='1.0'>{}", stream_error("invalid-from"))));
    }
}

#[test]
fn p23_a_header_to_somebody_else_is_refused_host_unknown() {
    for to in ["juliet@capulet.lit/chamber", "capulet.lit", ROMEO, "", "@/"] {
        let mut juliet = Side::juliet();
        let (fault, written) = fail(&mut juliet, HEADER.replace("'juliet@capulet.lit/balcony'", &format!("'{to}'")));
        assert_eq!(fault, StreamFault::To, "{to}");
        assert!(fault.is_security());
        assert!(written.ends_with(&stream_error("host-unknown")));
    }
}

#[test]
fn p23_an_answer_with_other_addresses_is_refused() {
    let mut romeo = Side::romeo();
    romeo.open();
    romeo.written();
    // The very header that it sent comes back.
    let (fault, written) = fail(&mut romeo, HEADER);
    assert_eq!(fault, StreamFault::From);
    assert_eq!(written, stream_error("invalid-from"));
}

#[test]
fn p23_a_second_header_is_refused() {
    let (fault, written) = fail(&mut opened(), HEADER);
    assert!(matches!(fault, StreamFault::Xml(ParseErrorKind::NotWellFormed(_))));
    assert_eq!(written, stream_error("not-well-formed"));
    let (fault, written) = fail(&mut opened(), "<s:stream xmlns:s='http://etherx.jabber.org/streams'/>");
    assert_eq!(fault, StreamFault::UnsupportedStanza);
    assert_eq!(written, stream_error("unsupported-stanza-type"));
}

/// RFC 6120 § 4.7.5: no version is 0.9.
#[test]
fn p23_a_missing_or_other_version_is_refused() {
    for version in [
        "",
        " version=''",
        " version='0.9'",
        " version='1'",
        " version='1.'",
        " version='.0'",
        " version='-1.0'",
        " version='+1.0'",
        " version='1.0.0'",
        " version='1.x'",
        " version='99999999999.0'",
    ] {
        let (fault, written) = fail(&mut Side::juliet(), HEADER.replace(" version='1.0'", version));
        assert_eq!(fault, StreamFault::Version, "{version}");
        assert!(written.ends_with(&stream_error("unsupported-version")));
    }
    // An answer says no more than what was asked for.
    for version in ["1.1", "2.0", "0.9"] {
        let mut romeo = Side::romeo();
        romeo.open();
        let answer =
            format!("<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' version='{version}'>");
        assert_eq!(fail(&mut romeo, answer).0, StreamFault::Version, "{version}");
    }
}

#[test]
fn p23_a_stanza_before_the_header_is_refused() {
    for stanza in ["<message/>", "<message xmlns='jabber:client'><body/></message>", "<iq>"] {
        let (fault, written) = fail(&mut Side::juliet(), stanza);
        assert_eq!(fault, StreamFault::Namespace);
        assert!(written.ends_with(&stream_error("invalid-namespace")), "{stanza}");
    }
}

/// RFC 6120 § 4.8.
#[test]
fn p23_other_namespaces_are_refused() {
    for header in [
        HEADER.replace("http://etherx.jabber.org/streams", "http://etherx.jabber.org/stream"),
        HEADER.replace("jabber:client", "jabber:server"),
        HEADER.replace("<stream:stream", "<stream:flow"),
        HEADER.replace("<stream:stream", "<stream"),
        "<flow xmlns='http://etherx.jabber.org/streams' version='1.0'>".to_owned(),
    ] {
        let (fault, written) = fail(&mut Side::juliet(), &header);
        assert_eq!(fault, StreamFault::Namespace, "{header}");
        assert!(written.ends_with(&stream_error("invalid-namespace")));
    }
}

/// The two other ways to begin a stream: no default namespace, or that of the stream itself.
const WITHOUT_CONTENT_NAMESPACE: [(&str, &str); 2] = [
    ("<s:stream xmlns:s='http://etherx.jabber.org/streams' version='1.0'>", "</s:stream>"),
    ("<stream xmlns='http://etherx.jabber.org/streams' version='1.0'>", "</stream>"),
];

#[test]
fn rfc_6120_4_8_2_where_no_content_namespace_is_declared_stanzas_declare_their_own() {
    for (header, end) in WITHOUT_CONTENT_NAMESPACE {
        let mut juliet = Side::juliet();
        assert_eq!(show(&juliet.handle(header)), ["Opened"], "{header}");
        // The answer declares the namespace, which is the same.
        assert!(juliet.written().starts_with("<stream:stream xmlns='jabber:client'"));
        let events = juliet.handle("<message xmlns='jabber:client'><body>foo</body></message>");
        assert!(matches!(&events[..], [StreamEvent::Stanza(stanza)]
            if stanza.is("message", ns::CLIENT) && stanza.child("body", ns::CLIENT).is_some()));
        assert_eq!(show(&juliet.handle(end)), ["Closed"]);
        assert_eq!(juliet.written(), END);

        // At the other end too.
        let mut romeo = Side::romeo();
        romeo.open();
        assert_eq!(show(&romeo.handle(header)), ["Opened"]);
        assert!(romeo.handle("<features xmlns='http://etherx.jabber.org/streams'/>").is_empty());
        assert_eq!(romeo.handle("<iq xmlns='jabber:client' type='get' id='1'><x xmlns='u'/></iq>").len(), 1);

        // What declares none is no stanza.
        let mut juliet = Side::juliet();
        juliet.handle(header);
        assert_eq!(fail(&mut juliet, "<message/>").0, StreamFault::UnsupportedStanza, "{header}");
    }
}

#[test]
fn rfc_6120_4_8_3_stanzas_of_a_content_namespace_that_is_not_supported_are_invalid_namespace() {
    for child in ["<message xmlns='jabber:server'/>", "<iq xmlns='jabber:server' type='get' id='1'/>"] {
        let (fault, written) = fail(&mut opened(), child);
        assert_eq!((fault, written), (StreamFault::Namespace, stream_error("invalid-namespace")));
    }
}

/// RFC 6120 § 4.9.3.13. What the outer level waits for may never come.
#[test]
fn p22_what_is_not_well_formed_ends_the_stream_when_it_is_there() {
    for (bytes, condition) in [
        ("<message><body>x</m", "not-well-formed"),
        ("<message><body a='1' a='2'>", "not-well-formed"),
        ("<message><body a='<", "not-well-formed"),
        ("<message><body>&; ", "not-well-formed"),
        ("<message><body>&lol;", "restricted-xml"),
        ("<message><p:body>", "bad-namespace-prefix"),
    ] {
        let (fault, written) = fail(&mut opened(), bytes);
        assert!(matches!(fault, StreamFault::Xml(_)), "{bytes}: {fault:?}");
        assert_eq!(written, stream_error(condition), "{bytes}");
    }
}

#[test]
fn p24_a_stanza_from_a_third_jid_is_dropped_and_reported() {
    let mut juliet = opened();
    for from in
        ["tybalt@capulet.lit/x", "romeo@montague.lit/garden", "montague.lit", JULIET, "juliet@capulet.lit", "", "@"]
    {
        for stanza in [
            format!("<message from='{from}'><body>a</body></message>"),
            format!("<iq type='set' id='1' from='{from}'><q xmlns='u'/></iq>"),
            format!("<presence from='{from}'/>"),
        ] {
            let events = juliet.handle(stanza);
            assert!(matches!(&events[..], [StreamEvent::Impersonation { claimed }] if claimed == from), "{from}");
        }
    }
    assert!(juliet.out.is_empty());
    // The stream goes on.
    assert_eq!(delivered(&juliet.handle("<message/>")).attribute("from"), Some(ROMEO));
}

#[test]
fn p24_the_peers_own_addresses_are_kept_in_prepared_form() {
    let mut juliet = opened();
    for (from, to, expected) in [
        ("romeo@montague.lit/orchard", "juliet@capulet.lit/balcony", (ROMEO, JULIET)),
        ("romeo@montague.lit", "juliet@capulet.lit", ("romeo@montague.lit", "juliet@capulet.lit")),
        ("ROMEO@Montague.LIT/orchard", "Juliet@capulet.lit", (ROMEO, "juliet@capulet.lit")),
    ] {
        let events = juliet.handle(format!("<iq id='1' from='{from}' to='{to}'><a/></iq>"));
        let stanza = delivered(&events);
        assert_eq!((stanza.attribute("from"), stanza.attribute("to")), (Some(expected.0), Some(expected.1)));
        assert_eq!((stanza.attribute("id"), stanza.children().count()), (Some("1"), 1));
    }
    // A prefixed attribute is something else and stamps nothing.
    let events = juliet.handle("<message xmlns:x='u' x:from='tybalt@capulet.lit'/>");
    assert_eq!(delivered(&events).attribute("from"), Some(ROMEO));
}

#[test]
fn p24_a_stanza_to_a_third_jid_is_dropped_and_reported() {
    let mut juliet = opened();
    for to in ["nurse@capulet.lit", "juliet@capulet.lit/chamber", "capulet.lit", ROMEO, ""] {
        let events = juliet.handle(format!("<message to='{to}'/>"));
        assert!(matches!(&events[..], [StreamEvent::Misaddressed { claimed }] if claimed == to), "{to}");
    }
}

/// RFC 6120 § 4.9.3.24.
#[test]
fn other_children_of_the_stream_are_refused() {
    for child in [
        "<body/>",
        "<message xmlns=''/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        // Features come from the side that answers, which is this one.
        "<stream:features/>",
    ] {
        let (fault, written) = fail(&mut opened(), child);
        assert_eq!(fault, StreamFault::UnsupportedStanza, "{child}");
        assert_eq!(written, stream_error("unsupported-stanza-type"));
    }
}

/// Row P26: XEP-0138 is offered to nobody, and taken from nobody; a bomb would be a first-level child like any other.
#[test]
fn p26_compression_is_neither_offered_nor_taken() {
    const COMPRESS: &str = "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>";
    let mut juliet = Side::juliet();
    juliet.handle(HEADER);
    assert!(juliet.written().ends_with("<stream:features/>"), "nothing is offered");
    let (fault, written) = fail(&mut juliet, COMPRESS);
    assert_eq!((fault, written), (StreamFault::UnsupportedStanza, stream_error("unsupported-stanza-type")));
    // Nor is it asked for where it is offered.
    let mut romeo = Side::romeo();
    romeo.open();
    romeo.written();
    let answer = HEADER.replace("from=", "x=").replace("to=", "from=").replace("x=", "to=");
    let offer = "<stream:features><compression xmlns='http://jabber.org/features/compress'><method>zlib</method>\
        </compression></stream:features>";
    assert_eq!(show(&romeo.handle(answer + offer)), ["Opened"]);
    assert_eq!(romeo.written(), "");
    let compressed = "<compressed xmlns='http://jabber.org/protocol/compress'/>";
    assert_eq!(fail(&mut romeo, compressed).0, StreamFault::UnsupportedStanza);
}

/// RFC 6120 § 4.9.1.1.
#[test]
fn a_reported_stream_error_is_told_and_closes_the_stream() {
    for (error, expected_condition, expected_text) in [
        ("<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>", "conflict", None),
        (
            "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>too much</text>\
             <policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><x xmlns='u'/>",
            "policy-violation",
            Some("too much".to_owned()),
        ),
        ("", "undefined-condition", None),
        ("<conflict/>", "undefined-condition", None),
    ] {
        let mut juliet = opened();
        let (fault, written) = fail(&mut juliet, format!("<stream:error>{error}</stream:error>{END}"));
        let expected = StreamFault::Reported { condition: expected_condition.to_owned(), text: expected_text };
        assert_eq!(fault, expected);
        assert_eq!((fault.condition(), fault.is_security()), (None, false));
        assert_eq!(written, END);
    }
}

#[test]
fn two_ends_agree_on_a_fault() {
    let (mut romeo, mut juliet) = pair();
    romeo.out.extend_from_slice(b"<!--");
    let (of_romeo, of_juliet) = exchange(&mut romeo, &mut juliet);
    assert_eq!(of_juliet, ["Failed(Xml(Restricted(\"a comment\")))"]);
    assert_eq!(of_romeo, ["Failed(Reported { condition: \"restricted-xml\", text: None })"]);
}

#[test]
fn after_a_failure_nothing_is_read_written_or_kept() {
    let mut juliet = opened();
    juliet.handle("<message><body>unfinished");
    fail(&mut juliet, "<!--");
    assert!(juliet.handle(format!("--></body></message><message/>{END}{HEADER}")).is_empty());
    assert_eq!(juliet.stream.reader.buffered(), 0);
    assert_eq!(juliet.stream.open(&mut juliet.out), Err(OpenError::Failed));
    assert_eq!(juliet.stream.close(&mut juliet.out), Err(CloseError::NotOpen));
    assert_eq!(juliet.send("<message/>"), Err(StreamSendError::NotOpen));
    assert!(juliet.out.is_empty() && !juliet.stream.is_idle());
}

#[test]
fn a_fault_after_our_end_writes_nothing_more() {
    let (mut romeo, _) = pair();
    romeo.close();
    romeo.written();
    let (fault, written) = fail(&mut romeo, "<!--");
    assert!(matches!(fault, StreamFault::Xml(_)));
    assert_eq!(written, "");
}

#[test]
fn waiting_events_are_bounded_in_number() {
    let mut juliet = opened();
    let stanza = "<message/>";
    let text = stanza.repeat(100);
    let mut input = text.as_bytes();
    let mut count = 0;
    while !input.is_empty() {
        let used = juliet.stream.handle_bytes(input, &mut juliet.ids, &mut juliet.out);
        assert!(juliet.stream.events.len() <= TunnelStream::MAX_EVENTS);
        assert_eq!(used, (stanza.len() * TunnelStream::MAX_EVENTS).min(input.len()));
        // Without polling there is no progress.
        assert_eq!(juliet.stream.handle_bytes(b"<message/>", &mut juliet.ids, &mut juliet.out) > 0, used < 320);
        input = &input[used..];
        count += juliet.events().len();
    }
    assert_eq!(count, 101);
}

#[test]
fn waiting_events_are_bounded_in_what_they_hold() {
    let mut juliet = opened();
    let stanza = format!("<message>{}</message>", "x".repeat(100_000));
    let text = stanza.repeat(10);
    let used = juliet.stream.handle_bytes(text.as_bytes(), &mut juliet.ids, &mut juliet.out);
    // Two do not fill the bound of 262 144, three do.
    assert_eq!(used, 3 * stanza.len());
    assert_eq!(juliet.events().len(), 3);
    assert_eq!(juliet.stream.events.bytes(), 0);
    // What holds much in memory counts for that: each of these elements has 4 bytes as text and a row of the table.
    let wide = format!("<message>{}</message>", "<a/>".repeat(4000));
    let held = element(&wide).held_bytes();
    assert!(held > 4 * wide.len());
    assert_eq!(juliet.handle_some(&wide.repeat(10)) / wide.len(), (256 * 1024_usize).div_ceil(held));
    // Where the bytes come one at a time they count as well.
    let mut used = 0;
    for byte in text.as_bytes().chunks(1) {
        used += juliet.stream.handle_bytes(byte, &mut juliet.ids, &mut juliet.out);
    }
    assert_eq!(used, 3 * stanza.len());
}

#[test]
fn is_idle_tells_whether_an_end_here_cuts_anything_off() {
    let mut juliet = Side::juliet();
    assert!(juliet.stream.is_idle());
    juliet.handle(&HEADER[..20]);
    assert!(!juliet.stream.is_idle());
    juliet.handle(&HEADER[20..]);
    assert!(!juliet.stream.is_idle());
    juliet.handle(END);
    assert!(juliet.stream.is_idle());
}

#[test]
fn stanza_content_is_not_in_debug_output() {
    let mut juliet = opened();
    let events = juliet.handle("<message><body>secret</body></message>");
    assert!(!format!("{events:?} {:?}", juliet.stream).contains("secret"));
    let _ = juliet.stream.handle_bytes(b"<message><body>secret</body>", &mut juliet.ids, &mut juliet.out);
    assert!(juliet.stream.reader.buffered() > 0);
    for secret in ["secret", "115, 101, 99"] {
        assert!(!format!("{:?}", juliet.stream).contains(secret));
    }
}

const FRAGMENTS: &[&str] = &[
    HEADER,
    END,
    "<message/>",
    "<message from='romeo@montague.lit'><body>€𝄞</body></message>",
    "<message from='tybalt@capulet.lit'/>",
    "<iq to='nurse@capulet.lit'/>",
    "<stream:features/>",
    "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    "<iq><![CDATA[</iq>]]></iq>",
    "<presence",
    "/>",
    "<!--",
    " \n",
    "x",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p22_every_split_gives_the_same_events_and_the_same_answers(
        first in any::<bool>(),
        fragments in prop::collection::vec(prop::sample::select(FRAGMENTS), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..16),
    ) {
        let text = format!("{}{}", if first { HEADER } else { "" }, fragments.concat());
        let bytes = text.as_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();

        let mut whole = Side::juliet();
        let expected = show(&whole.handle(bytes));
        let mut pieces = Side::juliet();
        let mut events = Vec::new();
        let mut begin = 0;
        for end in cuts {
            events.extend(pieces.handle(&bytes[begin..end]));
            begin = end;
        }
        prop_assert_eq!(show(&events), expected);
        prop_assert_eq!(pieces.written(), whole.written());
    }

    /// What one end sends is what the other receives.
    #[test]
    fn a_stanza_arrives_as_it_was_sent(text in any::<String>(), value in any::<String>()) {
        let stanza = Element::builder("message", "jabber:client")
            .attribute("id", &value)
            .open("body", "jabber:client")
            .text(&text)
            .build();
        if let Ok(mut stanza) = stanza {
            let (mut romeo, mut juliet) = pair();
            romeo.stream.send(&stanza, &mut romeo.out).unwrap();
            let sent = romeo.written();
            let events = juliet.handle(sent);
            stanza.set_attribute("from", ROMEO).unwrap();
            stanza.set_attribute("to", JULIET).unwrap();
            prop_assert_eq!(delivered(&events), &stanza);
        }
    }

    #[test]
    fn bytes_of_any_kind_neither_panic_nor_pile_up(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut juliet = opened();
        let _ = juliet.stream.handle_bytes(&bytes, &mut juliet.ids, &mut juliet.out);
        prop_assert!(juliet.stream.reader.buffered() <= bytes.len());
    }
}
