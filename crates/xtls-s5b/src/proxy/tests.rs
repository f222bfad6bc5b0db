use xtls_stanza::{Element, Ids, Limits};

use super::*;

fn element(xml: &str) -> Element {
    Element::parse(xml, &Limits::default()).unwrap()
}

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

fn host(jid: &str, host: &str, port: &str) -> Option<StreamHost> {
    let xml = format!("<streamhost xmlns='{}' jid='{jid}' host='{host}' port='{port}'/>", ns::BYTESTREAMS);
    StreamHost::parse(element(&xml).root())
}

fn is_one(xml: &str, id: &str) -> bool {
    is_answer(&Iq::parse(&element(xml)).unwrap().unwrap(), id, &jid("streamer.example.com"))
}

#[test]
fn xep_0065_4_the_question_for_the_address_of_the_example() {
    let mut out = String::new();
    StreamHost::write_request(&mut out, "uj2c15z9", "streamer.example.com", Some("requester@example.com/foo"));
    let example = "<iq from='requester@example.com/foo' id='uj2c15z9' to='streamer.example.com' type='get'>\
                   <query xmlns='http://jabber.org/protocol/bytestreams'/></iq>";
    assert_eq!(element(&out), element(example));
}

#[test]
fn xep_0065_4_the_answer_of_the_example_is_read() {
    let query = element(
        "<query xmlns='http://jabber.org/protocol/bytestreams'>\
         <streamhost host='24.24.24.1' jid='streamer.example.com' port='7625'/></query>",
    );
    let expected = StreamHost::new(jid("streamer.example.com"), Host::new("24.24.24.1").unwrap(), 7625);
    assert_eq!(StreamHost::of_query(query.root()), Some(expected));
}

#[test]
fn xep_0065_9_2_a_streamhost_has_a_valid_address_a_host_and_a_port() {
    let read = host("proxy.example/8f3a", "2001:db8::7", "1").unwrap();
    assert_eq!((read.jid.as_str(), read.host.as_str(), read.port), ("proxy.example/8f3a", "2001:db8::7", 1));
    assert_eq!(host("a@b/c", "proxy.example", "65535").unwrap().port, 65535);
    for port in ["0", "65536", "", "x", "-1", "1080 "] {
        assert_eq!(host("proxy.example", "proxy.example", port), None, "{port}");
    }
    for wrong in ["", "a b", "x&#9;y", "[::1]", "http://x", &"a".repeat(256)] {
        assert_eq!(host("proxy.example", wrong, "1"), None, "{wrong}");
    }
    for wrong in ["", "@", "a@", "a b@c"] {
        assert_eq!(host(wrong, "proxy.example", "1"), None, "{wrong}");
    }
    let without = |attributes: &str| {
        StreamHost::parse(element(&format!("<streamhost xmlns='{}' {attributes}/>", ns::BYTESTREAMS)).root())
    };
    assert_eq!(without("jid='p.example' host='p.example'").unwrap().port, 1080);
    assert_eq!(without("jid='p.example' port='1'"), None);
    assert_eq!(without("host='p.example' port='1'"), None);
    assert_eq!(StreamHost::parse(element("<streamhost jid='p.example' host='h' port='1'/>").root()), None);
}

#[test]
fn xep_0065_9_1_the_first_streamhost_that_can_be_read_is_taken() {
    let query = |children: &str| {
        StreamHost::of_query(element(&format!("<query xmlns='{}'>{children}</query>", ns::BYTESTREAMS)).root())
    };
    assert_eq!(query(""), None);
    let second = query(
        "<other/><streamhost jid='p.example' host='p.example' port='0'/><streamhost jid='q.example' host='h' port='2'/>",
    );
    assert_eq!(second.unwrap().port, 2);
    assert_eq!(StreamHost::of_query(element("<query xmlns='urn:x'/>").root()), None);
}

#[test]
fn xep_0065_example_23_the_activation_is_asked_for() {
    let mut out = String::new();
    let mut ids = Ids::new([1; 32]);
    let proxy = jid("streamer.example.com");
    let target = jid("target@example.org/bar");
    let _ = Activation::request(&mut out, &mut ids, &proxy, "vxf9n471bn46", &target, None);
    let id = Ids::new([1; 32]).next_id();
    let example = format!(
        "<iq id='{id}' to='streamer.example.com' type='set'>\
         <query xmlns='http://jabber.org/protocol/bytestreams' sid='vxf9n471bn46'>\
         <activate>target@example.org/bar</activate></query></iq>"
    );
    assert_eq!(element(&out), element(&example));
}

#[test]
fn xep_0065_6_3_5_the_answer_to_an_activation_is_the_proxys_and_nobody_elses() {
    let mut ids = Ids::new([1; 32]);
    let id = Ids::new([1; 32]).next_id();
    let proxy = jid("proxy.example/8f3a");
    let activation = Activation::request(&mut String::new(), &mut ids, &proxy, "sid", &jid("a@b/c"), None);
    let answer = |xml: &str| activation.answer(&Iq::parse(&element(xml)).unwrap().unwrap());
    assert_eq!(answer(&format!("<iq type='result' id='{id}' from='proxy.example/8f3a'/>")), Some(Ok(())));
    for from in ["", "from='proxy.example'", "from='proxy.example/other'", "from='a@b/c'", "from='@'"] {
        assert_eq!(answer(&format!("<iq type='result' id='{id}' {from}/>")), None, "{from}");
    }
    assert_eq!(answer("<iq type='result' id='other' from='proxy.example/8f3a'/>"), None);
    for kind in ["set", "get"] {
        assert_eq!(answer(&format!("<iq type='{kind}' id='{id}' from='proxy.example/8f3a'><x/></iq>")), None);
    }
}

#[test]
fn xep_0065_6_3_5_each_error_of_an_activation_has_its_name() {
    let mut ids = Ids::new([1; 32]);
    let id = Ids::new([1; 32]).next_id();
    let activation =
        Activation::request(&mut String::new(), &mut ids, &jid("proxy.example"), "sid", &jid("a@b/c"), None);
    let fault = |condition: &str| {
        let xml = format!(
            "<iq type='error' id='{id}' from='proxy.example'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        );
        activation.answer(&Iq::parse(&element(&xml)).unwrap().unwrap()).unwrap().unwrap_err()
    };
    assert_eq!(fault("item-not-found"), ActivationFault::Unknown);
    assert_eq!(fault("not-allowed"), ActivationFault::NotConnected);
    assert_eq!(fault("not-authorized"), ActivationFault::NotAuthorized);
    assert_eq!(fault("forbidden"), ActivationFault::Forbidden);
    let other = fault("internal-server-error");
    assert!(matches!(other, ActivationFault::Other(_)));
    assert_eq!(other.to_string(), "the proxy did not activate the bytestream: internal-server-error (cancel)");
}

#[test]
fn an_answer_is_known_by_id_sender_and_type() {
    assert!(is_one("<iq type='result' id='1' from='streamer.example.com'/>", "1"));
    assert!(is_one("<iq type='result' id='1' from='STREAMER.example.com'/>", "1"));
    assert!(!is_one("<iq type='result' id='1' from='streamer.example.com'/>", "2"));
    assert!(!is_one("<iq type='result' id='1'/>", "1"));
    assert!(!is_one("<iq type='set' id='1' from='streamer.example.com'><x/></iq>", "1"));
}

/// A search with the stanzas around it.
struct Search {
    discovery: Discovery,
    ids: Ids,
}

impl Search {
    fn new(discovery: Discovery) -> Self {
        Self { discovery, ids: Ids::new([9; 32]) }
    }

    /// The questions that are to be sent now: to whom, about what, and the id.
    fn asks(&mut self) -> Vec<(String, String, String)> {
        let mut questions = Vec::new();
        let mut out = String::new();
        while self.discovery.poll(&mut self.ids, None, &mut out) {
            let stanza = element(&out);
            let iq = Iq::parse(&stanza).unwrap().unwrap();
            assert_eq!((iq.iq_type, iq.from), (IqType::Get, None));
            let about = iq.payload.unwrap().ns().rsplit('/').next().unwrap().to_owned();
            questions.push((iq.to.unwrap().to_owned(), about, iq.id.to_owned()));
            out.clear();
        }
        questions
    }

    fn answers(&mut self, from: &str, id: &str, payload: &str) -> bool {
        self.takes(&format!("<iq type='result' id='{id}' from='{from}'>{payload}</iq>"))
    }

    fn takes(&mut self, xml: &str) -> bool {
        self.discovery.handle_iq(&Iq::parse(&element(xml)).unwrap().unwrap())
    }

    /// One that knows these items, and has its questions about them.
    fn with_items(items: &str) -> (Self, Vec<(String, String, String)>) {
        let mut search = Self::new(Discovery::of_server(jid("example.com")));
        let asked = search.asks();
        assert_eq!((asked.len(), asked[0].0.as_str(), asked[0].1.as_str()), (1, "example.com", "disco#items"));
        assert!(search.answers(
            "example.com",
            &asked[0].2,
            &format!("<query xmlns='{}'>{items}</query>", ns::DISCO_ITEMS)
        ));
        let asked = search.asks();
        (search, asked)
    }
}

const PROXY: &str = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='proxy' type='bytestreams'/>\
                     <feature var='http://jabber.org/protocol/bytestreams'/></query>";
const ROOMS: &str = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='conference' type='text'/>\
                     <feature var='http://jabber.org/protocol/bytestreams'/></query>";
const ADDRESS: &str = "<query xmlns='http://jabber.org/protocol/bytestreams'>\
                       <streamhost jid='streamer.example.com' host='24.24.24.1' port='7625'/></query>";

#[test]
fn xep_0065_4_proxies_are_found_by_items_identity_and_address() {
    let (mut search, asked) = Search::with_items(
        "<item jid='chatrooms.example.com' name='Chatroom Service'/><item jid='streamer.example.com'/>",
    );
    let about: Vec<_> = asked.iter().map(|(to, about, _)| (to.as_str(), about.as_str())).collect();
    assert_eq!(about, [("chatrooms.example.com", "disco#info"), ("streamer.example.com", "disco#info")]);
    // The feature alone makes no proxy: clients have it as well.
    assert!(search.answers("chatrooms.example.com", &asked[0].2, ROOMS));
    assert!(search.asks().is_empty());
    assert!(search.answers("streamer.example.com", &asked[1].2, PROXY));
    let asked = search.asks();
    assert_eq!((asked.len(), asked[0].0.as_str(), asked[0].1.as_str()), (1, "streamer.example.com", "bytestreams"));
    assert!(!search.discovery.is_done());
    assert!(search.answers("streamer.example.com", &asked[0].2, ADDRESS));
    assert!(search.discovery.is_done());
    let expected = StreamHost::new(jid("streamer.example.com"), Host::new("24.24.24.1").unwrap(), 7625);
    assert_eq!(search.discovery.proxies(), [expected]);
}

#[test]
fn a_proxy_that_is_known_is_asked_for_its_address_alone() {
    let mut search = Search::new(Discovery::of_proxy(jid("streamer.example.com")));
    let asked = search.asks();
    assert_eq!((asked.len(), asked[0].1.as_str()), (1, "bytestreams"));
    assert!(search.answers("streamer.example.com", &asked[0].2, ADDRESS));
    assert!(search.discovery.is_done());
    assert_eq!(search.discovery.proxies().len(), 1);
}

#[test]
fn what_is_a_part_of_somebody_what_is_no_address_and_what_was_named_before_is_not_asked() {
    let (_, asked) = Search::with_items(
        "<item jid='a.example' node='n'/><item/><item jid='@'/><item jid='b.example'/><item jid='B.example'/>\
         <item xmlns='urn:x' jid='c.example'/>",
    );
    let to: Vec<_> = asked.into_iter().map(|(to, ..)| to).collect();
    assert_eq!(to, ["b.example"]);
}

#[test]
fn s5b_thirty_two_items_are_asked_and_not_one_more() {
    for (items, questions) in [(32, 32), (33, 32)] {
        let items: String = (0..items).map(|number| format!("<item jid='{number}.example'/>")).collect();
        assert_eq!(Search::with_items(&items).1.len(), questions);
    }
}

#[test]
fn s5b_four_proxies_are_found_and_not_one_more() {
    let items: String = (0..6).map(|number| format!("<item jid='{number}.example'/>")).collect();
    let (mut search, asked) = Search::with_items(&items);
    for (to, _, id) in &asked[..5] {
        assert!(search.answers(to, id, PROXY));
    }
    let addresses = search.asks();
    assert_eq!(addresses.len(), 5);
    for (number, (to, _, id)) in addresses.iter().enumerate() {
        assert_eq!(search.discovery.is_done(), number >= 4);
        assert!(search.answers(to, id, &ADDRESS.replace("7625", &format!("{}", number + 1))));
    }
    let ports: Vec<_> = search.discovery.proxies().iter().map(|proxy| proxy.port).collect();
    assert_eq!(ports, [1, 2, 3, 4]);
    // What was asked is still the search's own, and leads to nothing more.
    assert!(search.answers("5.example", &asked[5].2, PROXY));
    assert!(search.asks().is_empty());
}

#[test]
fn the_same_place_is_found_once() {
    let (mut search, asked) = Search::with_items("<item jid='a.example'/><item jid='b.example'/>");
    for (to, _, id) in &asked {
        search.answers(to, id, PROXY);
    }
    for (to, _, id) in &search.asks() {
        search.answers(to, id, ADDRESS);
    }
    assert_eq!(search.discovery.proxies().len(), 1);
    assert!(search.discovery.is_done());
}

/// Each step of a search against all that can come: whether it is taken, what is asked next, and whether the search is done.
#[test]
fn s5b_every_iq_at_every_step_of_a_search() {
    let items = "<query xmlns='http://jabber.org/protocol/disco#items'><item jid='next.example'/></query>";
    let error = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    const IGNORED: (bool, &str, bool) = (false, "", false);
    const NOTHING: (bool, &str, bool) = (true, "", true);
    let steps = [
        ("items", [(true, "disco#info", false), NOTHING, NOTHING, NOTHING, NOTHING]),
        ("info", [NOTHING, (true, "bytestreams", false), NOTHING, NOTHING, NOTHING]),
        ("address", [NOTHING, NOTHING, NOTHING, (true, "", true), NOTHING]),
    ];
    for (step, expected) in steps {
        let make = || {
            let mut search = Search::new(Discovery::of_server(jid("streamer.example.com")));
            let mut asked = search.asks();
            for answer in match step {
                "items" => &[][..],
                "info" => &[
                    "<query xmlns='http://jabber.org/protocol/disco#items'><item jid='streamer.example.com'/></query>",
                ],
                _ => &[
                    "<query xmlns='http://jabber.org/protocol/disco#items'><item jid='streamer.example.com'/></query>",
                    PROXY,
                ],
            } {
                assert!(search.answers("streamer.example.com", &asked[0].2, answer));
                asked = search.asks();
            }
            (search, asked.remove(0).2)
        };
        let outcome = |search: &mut Search, taken: bool| {
            let asked = search.asks();
            let next = asked.first().map_or(String::new(), |(_, about, _)| about.clone());
            (taken, next, search.discovery.is_done())
        };
        for (payload, expected) in [items, PROXY, ROOMS, ADDRESS, ""].into_iter().zip(expected) {
            let (mut search, id) = make();
            let taken = search.answers("streamer.example.com", &id, payload);
            let (taken, next, is_done) = outcome(&mut search, taken);
            assert_eq!((taken, next.as_str(), is_done), expected, "{step} × {payload}");
            let found = usize::from(step == "address" && payload == ADDRESS);
            assert_eq!(search.discovery.proxies().len(), found, "{step} × {payload}");
        }
        let (mut search, id) = make();
        let taken = search.takes(&format!("<iq type='error' id='{id}' from='streamer.example.com'>{error}</iq>"));
        assert_eq!(outcome(&mut search, taken), (true, String::new(), true), "{step} × error");
        let (mut search, id) = make();
        for stanza in [
            format!("<iq type='result' id='{id}' from='mallory@example.com/x'>{PROXY}</iq>"),
            format!("<iq type='result' id='{id}'>{ADDRESS}</iq>"),
            format!("<iq type='result' id='x{id}' from='streamer.example.com'>{ADDRESS}</iq>"),
            format!("<iq type='set' id='{id}' from='streamer.example.com'>{ADDRESS}</iq>"),
            format!("<iq type='get' id='{id}' from='streamer.example.com'>{ADDRESS}</iq>"),
        ] {
            let taken = search.takes(&stanza);
            let (taken, next, is_done) = outcome(&mut search, taken);
            assert_eq!((taken, next.as_str(), is_done), IGNORED, "{step} × {stanza}");
        }
    }
}

#[test]
fn an_answer_counts_once() {
    let (mut search, asked) = Search::with_items("<item jid='streamer.example.com'/>");
    assert!(search.answers("streamer.example.com", &asked[0].2, PROXY));
    assert!(!search.answers("streamer.example.com", &asked[0].2, PROXY));
    assert_eq!(search.asks().len(), 1);
}
