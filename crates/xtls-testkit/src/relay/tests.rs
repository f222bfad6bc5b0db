#![allow(clippy::disallowed_methods, reason = "an arbitrary starting point")]

use super::*;

fn relay() -> (Relay, Instant) {
    let mut relay = Relay::new(Duration::from_millis(50));
    relay.set_online("a@x/1", true);
    relay.set_online("b@x/2", true);
    (relay, Instant::now())
}

#[test]
fn from_is_stamped_whatever_the_sender_wrote() {
    let (mut relay, now) = relay();
    relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'/>");
    relay.handle_stanza(now, "a@x/1", "<message from='c@x/3' to='b@x/2'><body>hi</body></message>");
    assert_eq!(relay.poll_delivery(now), None);
    let later = now + Duration::from_millis(50);
    let mut next = || relay.poll_delivery(later).map(|delivery| delivery.stanza);
    assert_eq!(next().as_deref(), Some("<message from='a@x/1' to='b@x/2'/>"));
    assert_eq!(next().as_deref(), Some("<message from='a@x/1' to='b@x/2'><body>hi</body></message>"));
    assert_eq!(next(), None);
}

#[test]
fn a_burst_goes_at_once_and_comes_back_with_time() {
    let (mut relay, now) = relay();
    relay.set_bandwidth(Some(1000));
    relay.set_burst(68);
    let mut send = |after: u64| {
        let now = now + Duration::from_millis(after);
        relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'/>");
        let at = relay.poll_timeout().expect("something is on its way");
        while relay.poll_delivery(at).is_some() {}
        at - now
    };
    // 34 bytes each once they are stamped.
    let waits = [0, 0, 0, 34, 34, 170, 170, 170].map(|after| send(after).as_millis() - 50);
    assert_eq!(waits, [0, 0, 34, 34, 68, 0, 0, 34]);
}

#[test]
fn bandwidth_delays_what_comes_behind() {
    let (mut relay, now) = relay();
    relay.set_bandwidth(Some(1000));
    relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'/>");
    // 34 bytes once it is stamped.
    assert_eq!(relay.poll_timeout(), Some(now + Duration::from_millis(50 + 34)));
    relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'/>");
    assert!(relay.poll_delivery(now + Duration::from_millis(84)).is_some());
    assert_eq!(relay.poll_timeout(), Some(now + Duration::from_millis(50 + 68)));
}

#[test]
fn a_meddling_relay_replaces_and_bounces() {
    let (mut relay, now) = relay();
    relay.keep_log();
    relay.meddle(|sent| match sent.stanza.contains("twice") {
        true => Fate::Replace(vec![sent.stanza.clone(), "<message/>".to_owned()]),
        false => Fate::Bounce(StanzaError::new(Condition::Forbidden)),
    });
    relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'><twice/></message>");
    relay.handle_stanza(now, "a@x/1", "<iq type='get' id='1' to='b@x/2'><q xmlns='n'/></iq>");
    let later = now + Duration::from_millis(100);
    let mut next = || relay.poll_delivery(later).map(|delivery| (delivery.to, delivery.stanza));
    assert_eq!(next(), Some(("b@x/2".into(), "<message from='a@x/1' to='b@x/2'><twice/></message>".into())));
    assert_eq!(next(), Some(("b@x/2".into(), "<message/>".into())));
    assert!(next().is_some_and(|(to, stanza)| to == "a@x/1" && stanza.contains("forbidden")));
    assert_eq!(next(), None);
    assert_eq!(relay.log().len(), 2);
    relay.stop_meddling();
    relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'/>");
    assert!(relay.poll_delivery(later).is_some());
}

#[test]
fn what_is_held_waits_in_order_in_both_directions() {
    let (mut relay, now) = relay();
    let message = |text: &str, to: &str| format!("<message to='{to}'><body>{text}</body></message>");
    relay.handle_stanza(now, "a@x/1", &message("1", "b@x/2"));
    relay.hold("b@x/2");
    relay.handle_stanza(now, "a@x/1", &message("2", "b@x/2"));
    relay.handle_stanza(now, "b@x/2", &message("3", "a@x/1"));
    let later = now + Duration::from_secs(100);
    assert_eq!((relay.poll_delivery(later), relay.poll_timeout()), (None, None));
    relay.release(later, "b@x/2");
    relay.handle_stanza(later, "a@x/1", &message("4", "b@x/2"));
    let delivered = core::iter::from_fn(|| relay.poll_delivery(later + Duration::from_secs(1)));
    let delivered: Vec<_> = delivered.map(|it| it.stanza).collect();
    let number = |at: usize| ["1", "2", "3", "4"].iter().find(|number| delivered[at].contains(&format!(">{number}<")));
    assert_eq!((0..delivered.len()).filter_map(number).collect::<Vec<_>>(), [&"1", &"2", &"3", &"4"]);
}

#[test]
fn an_iq_to_nobody_is_answered_and_its_answer_is_not() {
    let (mut relay, now) = relay();
    relay.handle_stanza(now, "a@x/1", "<iq type='get' id='1' to='nobody@x/9'><q xmlns='n'/></iq>");
    let bounced = relay.poll_delivery(now + Duration::from_millis(100)).expect("it comes back");
    assert_eq!(bounced.to, "a@x/1");
    assert!(bounced.stanza.contains("service-unavailable"));
    relay.handle_stanza(now, "a@x/1", "<iq type='result' id='1' to='nobody@x/9'/>");
    assert_eq!(relay.poll_timeout(), None);
}

/// What arrives within 10 s, as (connection, stanza).
fn arrivals(relay: &mut Relay, now: Instant) -> Vec<(String, String)> {
    let later = now + Duration::from_secs(10);
    core::iter::from_fn(|| relay.poll_delivery(later)).map(|delivery| (delivery.to, delivery.stanza)).collect()
}

fn pair(to: &str, stanza: &str) -> (String, String) {
    (to.to_owned(), stanza.to_owned())
}

#[test]
fn presence_is_told_to_contacts_and_to_whom_it_was_sent_and_so_is_its_end() {
    let (mut relay, now) = relay();
    for jid in ["c@y/1", "d@y/1"] {
        relay.set_online(jid, true);
    }
    relay.befriend("a@x", "c@y");
    relay.handle_stanza(now, "a@x/1", "<presence/>");
    assert_eq!(arrivals(&mut relay, now), []);
    relay.handle_stanza(now, "c@y/1", "<presence><show>away</show></presence>");
    let told = [
        pair("a@x/1", "<presence from='c@y/1' to='a@x/1'><show>away</show></presence>"),
        pair("c@y/1", "<presence from='a@x/1' to='c@y/1'/>"),
    ];
    assert_eq!(arrivals(&mut relay, now), told);
    relay.handle_stanza(now, "a@x/1", "<presence to='d@y/1'/>");
    assert_eq!(arrivals(&mut relay, now), [pair("d@y/1", "<presence from='a@x/1' to='d@y/1'/>")]);
    relay.leave(now, "a@x/1");
    let told = ["c@y/1", "d@y/1"].map(|to| pair(to, &format!("<presence type='unavailable' from='a@x/1' to='{to}'/>")));
    assert_eq!(sorted(arrivals(&mut relay, now)), sorted(told.to_vec()));
    assert!(!relay.is_online("a@x/1"));
}

fn sorted(mut all: Vec<(String, String)>) -> Vec<(String, String)> {
    // Attribute order is no order of the server's.
    for (_, stanza) in &mut all {
        let element = Element::parse(stanza, &Limits::default()).expect("a stanza");
        let attribute = |name| element.attribute(name).unwrap_or_default().to_owned();
        *stanza = [attribute("type"), attribute("from"), attribute("to")].join(" ");
    }
    all.sort();
    all
}

#[test]
fn what_is_for_an_account_goes_to_its_available_clients() {
    let (mut relay, now) = relay();
    relay.set_online("b@x/3", true);
    relay.set_online("b@x/4", true);
    relay.handle_stanza(now, "b@x/2", "<presence/>");
    relay.handle_stanza(now, "b@x/3", "<presence/>");
    arrivals(&mut relay, now);
    relay.handle_stanza(now, "a@x/1", "<message to='b@x'/>");
    relay.handle_stanza(now, "a@x/1", "<message to='b@x/gone'/>");
    let to: Vec<_> = arrivals(&mut relay, now).into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, ["b@x/2", "b@x/3", "b@x/2", "b@x/3"]);
    relay.handle_stanza(now, "a@x/1", "<message id='7' to='nobody@x'><body>hi</body></message>");
    let bounced = arrivals(&mut relay, now);
    let [(to, stanza)] = &bounced[..] else { panic!("{bounced:?}") };
    assert!(to == "a@x/1" && stanza.starts_with("<message type='error'") && stanza.contains("service-unavailable"));
    relay.handle_stanza(now, "a@x/1", "<message type='error' to='nobody@x'/>");
    assert_eq!(arrivals(&mut relay, now), []);
}

#[test]
fn what_has_no_addressee_is_for_the_server_and_panics_nothing() {
    let (mut relay, now) = relay();
    relay.handle_stanza(now, "a@x/1", "<presence type='subscribe'/>");
    relay.handle_stanza(now, "a@x/1", "<message><body>to myself</body></message>");
    relay.handle_stanza(now, "a@x/1", "<iq type='result' id='1'/>");
    relay.handle_stanza(now, "a@x/1", "<iq/>");
    relay.handle_stanza(now, "a@x/1", "<iq type='get' id='2'><query xmlns='jabber:iq:roster'/></iq>");
    let answers = arrivals(&mut relay, now);
    assert!(answers.iter().all(|(to, _)| to == "a@x/1"), "{answers:?}");
    assert!(answers.iter().any(|(_, stanza)| stanza.contains("id='2'") && stanza.contains("service-unavailable")));
}

#[test]
#[should_panic(expected = "not well-formed")]
fn what_is_not_well_formed_is_the_clients_fault() {
    let (mut relay, now) = relay();
    relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'>");
}

#[test]
fn addresses_may_have_characters_that_xml_escapes() {
    let (mut relay, now) = relay();
    relay.set_online("o'neil&co@x/<1>", true);
    relay.handle_stanza(now, "a@x/1", "<message to='o&apos;neil&amp;co@x/&lt;1&gt;'/>");
    relay.handle_stanza(now, "o'neil&co@x/<1>", "<message to='a@x/1'/>");
    let arrived = arrivals(&mut relay, now);
    assert_eq!(arrived[0].0, "o'neil&co@x/<1>");
    let answer = Element::parse(&arrived[1].1, &Limits::default()).expect("it is well-formed");
    assert_eq!(answer.attribute("from"), Some("o'neil&co@x/<1>"));
}

#[test]
fn limits_are_answered_with_policy_violation() {
    let (mut relay, now) = relay();
    relay.set_rate(Some(2));
    relay.set_stanza_limit(Some(100));
    let iq = |id: u32| format!("<iq type='get' id='{id}' to='b@x/2'><q xmlns='n'/></iq>");
    (1..=3).for_each(|id| relay.handle_stanza(now, "a@x/1", &iq(id)));
    relay.handle_stanza(
        now,
        "b@x/2",
        &format!("<iq type='set' id='9' to='a@x/1'><q xmlns='{}'/></iq>", "n".repeat(100)),
    );
    let arrived = arrivals(&mut relay, now);
    let refused = |id: &str| arrived.iter().any(|(_, it)| it.contains(id) && it.contains("policy-violation"));
    assert_eq!(arrived.len(), 4);
    assert!(refused("id='3'") && refused("id='9'") && !refused("id='1'") && !refused("id='2'"));
    // The next second is another one.
    let later = now + Duration::from_secs(1);
    relay.handle_stanza(later, "a@x/1", &iq(4));
    assert_eq!(arrivals(&mut relay, later)[0].0, "b@x/2");
}

#[test]
fn jitter_is_of_the_seed_and_keeps_the_order_of_two() {
    let times = |seed| {
        let (mut relay, now) = relay();
        relay.set_jitter(Duration::from_millis(40));
        relay.set_seed(seed);
        (0..50).for_each(|id| relay.handle_stanza(now, "a@x/1", &format!("<message id='{id}' to='b@x/2'/>")));
        let mut order = Vec::new();
        let mut times = Vec::new();
        while let Some(at) = relay.poll_timeout() {
            times.push(at - now);
            order.push(relay.poll_delivery(at).expect("it is due").stanza);
        }
        assert!(order.iter().enumerate().all(|(at, stanza)| stanza.contains(&format!("id='{at}'"))), "{order:?}");
        assert!(times.iter().all(|time| (50..=90).contains(&time.as_millis())), "{times:?}");
        times
    };
    assert_eq!(times(1), times(1));
    assert_ne!(times(1), times(2));
}

#[test]
fn a_restart_loses_all_that_is_on_its_way() {
    let (mut relay, now) = relay();
    relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'/>");
    relay.restart();
    relay.set_online("b@x/2", true);
    assert_eq!(arrivals(&mut relay, now), []);
}

/// One of each, with a stanza that it can be done to, and what it makes of that one.
const MISDEEDS: &[(&str, &str, &[&str])] = &[
    ("drop", "<message to='b@x/2'/>", &[]),
    ("duplicate", "<message to='b@x/2'/>", &["<message to='b@x/2'/>", "<message to='b@x/2'/>"]),
    ("swap", "<message to='b@x/2'/>", &["<message to='b@x/2'/>"]),
    ("delay 250", "<message to='b@x/2'/>", &["<message to='b@x/2'/>"]),
    ("flip 9", "<m to='b@x/2'><data x=''>AAAA</data></m>", &["<m to='b@x/2'><data x=''>AAIA</data></m>"]),
    ("cut 0", "<m to='b@x/2'><data x=''>AAAA</data></m>", &["<m to='b@x/2'><data x=''>AAA=</data></m>"]),
    ("garble 5", "<m to='b@x/2'><data x=''>AAAA</data></m>", &["<m to='b@x/2'><data x=''>A!AA</data></m>"]),
    (
        "split 0",
        "<m to='b@x/2'><data x=''>AAAA</data></m>",
        &["<m to='b@x/2'><data x=''>AA==</data></m>", "<m to='b@x/2'><data x=''>AAA=</data></m>"],
    ),
    ("strip-security", "<m to='b@x/2'><security xmlns='s'>x</security></m>", &["<m to='b@x/2'></m>"]),
    ("strip-method x509", "<m to='b@x/2'><method name='x509'/></m>", &["<m to='b@x/2'></m>"]),
    ("swap-method", "<m to='b@x/2'><method name='srp'/></m>", &["<m to='b@x/2'><method name='x509'/></m>"]),
    (
        "change-fingerprint",
        "<m to='b@x/2'><fingerprint a='b'>0A</fingerprint></m>",
        &["<m to='b@x/2'><fingerprint a='b'>1A</fingerprint></m>"],
    ),
    ("block-size 1", "<m to='b@x/2' block-size='4096'/>", &["<m to='b@x/2' block-size='1'/>"]),
    ("change-sid", "<m to='b@x/2' sid='s'/>", &["<m to='b@x/2' sid='xs'/>"]),
    ("replay 0", "<message to='b@x/2'/>", &["<message to='b@x/2'/>", "<message to='b@x/2'><first/></message>"]),
];

#[test]
fn each_misdeed_does_what_it_says_to_the_first_stanza_that_it_fits() {
    for (word, stanza, expected) in MISDEEDS {
        let (mut relay, now) = relay();
        relay.keep_log();
        relay.handle_stanza(now, "a@x/1", "<message to='b@x/2'><first/></message>");
        arrivals(&mut relay, now);
        let misdeed: Misdeed = word.parse().expect("a misdeed");
        assert_eq!(misdeed.to_string(), *word);
        relay.plan(misdeed.clone());
        relay.handle_stanza(now, "a@x/1", stanza);
        let arrived: Vec<_> =
            arrivals(&mut relay, now).into_iter().map(|(_, stanza)| stanza.replace(" from='a@x/1'", "")).collect();
        assert_eq!(arrived, *expected, "{word}");
        assert_eq!(relay.misdeeds(), [(now, misdeed)]);
        // It is done once.
        relay.handle_stanza(now, "a@x/1", stanza);
        assert_eq!(arrivals(&mut relay, now).len(), 1);
    }
}

#[test]
fn spoofed_and_bounced_stanzas_and_those_that_nothing_fits() {
    let (mut relay, now) = relay();
    for word in ["spoof c@y/3", "bounce item-not-found", "flip 3"] {
        relay.plan(word.parse().expect("a misdeed"));
    }
    let iq = "<iq type='get' id='1' to='b@x/2'><q xmlns='n'/></iq>";
    relay.handle_stanza(now, "a@x/1", iq);
    relay.handle_stanza(now, "a@x/1", iq);
    relay.handle_stanza(now, "a@x/1", iq);
    let arrived = arrivals(&mut relay, now);
    assert!(arrived.iter().any(|(to, stanza)| to == "b@x/2" && stanza.contains("from='c@y/3'")));
    assert!(arrived.iter().any(|(to, stanza)| to == "a@x/1" && stanza.contains("item-not-found")));
    assert!(arrived.iter().any(|(to, stanza)| to == "b@x/2" && stanza.contains("from='a@x/1'")));
    assert_eq!(relay.misdeeds().len(), 2);
    relay.repent();
    relay.handle_stanza(now, "a@x/1", "<m to='b@x/2'><data x=''>AAAA</data></m>");
    assert_eq!(relay.misdeeds().len(), 2);
    for word in ["", "drops", "flip", "flip x", "bounce nonsense"] {
        assert_eq!(word.parse::<Misdeed>(), Err(UnknownMisdeed(word.to_owned())));
    }
}
