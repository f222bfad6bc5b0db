//! Extension probing (XEP-0250 § 3.2): who is answered, how often, and by what.
use crate::common::{JULIET, MALLORY, MILLI, ROMEO, SECOND, condition, element, password, sent, xml};
use xtls::{
    Disposition, Event, Fault,
    config::AnswerOffers,
    error::{Missing, ProbeError},
    event::ProbeFault,
    jingle::KeyName,
    trust::{Fingerprint, Guess, GuessCount, GuessLimits, Method, Pin},
};
use xtls::{TrustPolicy, TunnelOptions, event::ProbeId, jid::BareJid, jingle::TlsOffer};
use xtls_stanza::{Iq, IqType, ns};
use xtls_testkit::{EntityId, EntityOptions, World};

fn bare(jid: &str) -> BareJid {
    jid.parse::<xtls_stanza::jid::FullJid>().unwrap().to_bare()
}

/// The question of somebody at `from`, as a test writes it.
fn query(from: &str, id: &str, inner: &str) -> String {
    format!("<iq type='get' from='{from}' to='{JULIET}' id='{id}'><offer xmlns='{}'>{inner}</offer></iq>", ns::C2C_TLS)
}

fn keyinfo(name: &str) -> String {
    format!("<keyinfo xmlns='{}'><name>{name}</name></keyinfo>", ns::PUBKEY_TMP)
}

/// What Juliet makes of a question: her offer, the condition of an error, or nothing, which is to say that it is left to the
/// embedder.
fn answer(world: &mut World, juliet: EntityId, from: &str, inner: &str) -> Option<Result<TlsOffer, String>> {
    let before = sent(world, JULIET, from).len();
    match world.deliver(juliet, &query(from, "q1", inner)) {
        Disposition::NotOurs => {
            world.run();
            assert_eq!(sent(world, JULIET, from).len(), before, "nothing is said to who is not answered");
            return None;
        }
        disposition => assert!(matches!(disposition, Disposition::Consumed), "{disposition:?}"),
    }
    world.run();
    let mut answers = sent(world, JULIET, from).split_off(before);
    answers.retain(|stanza| element(stanza).attribute("id") == Some("q1"));
    assert_eq!(answers.len(), 1, "{answers:?}");
    let stanza = element(&answers[0]);
    assert_eq!((stanza.attribute("id"), stanza.attribute("to")), (Some("q1"), Some(from)));
    if let Some(condition) = condition(&answers[0]) {
        return Some(Err(condition));
    }
    assert_eq!(stanza.attribute("type"), Some("result"));
    let offer = stanza.child("offer", ns::C2C_TLS).and_then(TlsOffer::parse);
    Some(offer.ok_or_else(|| "no offer".to_owned()))
}

/// Juliet alone, and Romeo's place, which a test plays.
fn juliet(change: impl FnOnce(&mut EntityOptions)) -> (World, EntityId) {
    let mut options = EntityOptions::seeded(2);
    change(&mut options);
    let mut world = World::default();
    world.relay.keep_log();
    let juliet = world.add(JULIET, options);
    world.relay.set_online(ROMEO, true);
    world.relay.set_online(MALLORY, true);
    (world, juliet)
}

fn romeos_key() -> Fingerprint {
    Fingerprint::sha256(b"Romeo's certificate")
}

fn pin_romeo(world: &World, juliet: EntityId) {
    world.with_store(juliet, |store| store.pin(&bare(ROMEO), Pin::manual(romeos_key())));
}

fn own_keys(world: &World, id: EntityId) -> Vec<KeyName> {
    let certificate = world.identity(id).certificate().clone();
    vec![KeyName::from(&Fingerprint::sha1(&certificate)), KeyName::from(&Fingerprint::sha256(&certificate))]
}

fn probe(world: &mut World, id: EntityId, peer: &str, options: &TunnelOptions) -> ProbeId {
    let peer = peer.parse().unwrap();
    world.with(id, |engine, now| engine.probe(now, peer, options)).unwrap()
}

fn probed(world: &mut World, id: EntityId) -> (ProbeId, String, Result<TlsOffer, Box<ProbeFault>>) {
    let events = world.take_events(id);
    let [Event::Probed { id, peer, result }] = &*events else { panic!("one answer: {events:?}") };
    (*id, peer.to_string(), result.clone())
}

#[test]
fn two_who_trust_one_another_learn_it_and_a_certificate_would_be_chosen() {
    let (mut world, romeo, juliet) = World::pair(70);
    let options = xml(TrustPolicy::Pinned);
    let asked = probe(&mut world, romeo, JULIET, &options);
    world.run();
    let (id, peer, result) = probed(&mut world, romeo);
    assert_eq!((id, peer.as_str()), (asked, JULIET));
    let offer = result.unwrap();
    assert_eq!(offer.keys, own_keys(&world, juliet));
    assert!(!offer.srp && !offer.insecure);
    let peer = world.jid(juliet).clone();
    let chosen = world.with(romeo, |engine, _| engine.would_choose(&peer, &options, &offer));
    assert_eq!(chosen.unwrap(), Method::X509);
    assert!(world.take_events(juliet).is_empty(), "whoever is asked is not bothered");
}

#[test]
fn who_is_not_known_is_left_to_the_embedder_whatever_it_names() {
    let (mut world, juliet) = juliet(|options| options.config.offers_insecure = true);
    pin_romeo(&world, juliet);
    let keys = keyinfo(&romeos_key().hex());
    assert_eq!(answer(&mut world, juliet, MALLORY, &keys), None);
    assert_eq!(answer(&mut world, juliet, "mallory@verona.lit", "<srp/>"), None);
    assert_eq!(answer(&mut world, juliet, "romeo@montague.lit", &keys), None, "an account asks for nobody");
    assert!(matches!(answer(&mut world, juliet, ROMEO, &keys), Some(Ok(_))));
    // A question that would change something is none.
    let set = query(ROMEO, "q2", &keys).replace("type='get'", "type='set'");
    assert!(matches!(world.deliver(juliet, &set), Disposition::NotOurs));
}

#[test]
fn nobody_else_handling_jingle_makes_no_difference_to_who_is_not_known() {
    let (mut world, juliet) = juliet(|options| options.config.sole_handler = true);
    assert_eq!(answer(&mut world, juliet, MALLORY, "<srp/>"), None);
}

#[test]
fn never_and_allowed_and_known_are_what_they_say() {
    for (policy, known, named, neither) in [
        (AnswerOffers::Never, false, false, false),
        (AnswerOffers::Allowed, false, true, false),
        (AnswerOffers::Known, true, true, false),
    ] {
        let (mut world, juliet) = juliet(|options| options.config.answer_offers = policy);
        pin_romeo(&world, juliet);
        world.with(juliet, |engine, _| engine.allow_offers(bare(MALLORY), true));
        assert_eq!(answer(&mut world, juliet, ROMEO, "<srp/>").is_some(), known, "{policy:?}");
        assert_eq!(answer(&mut world, juliet, MALLORY, "<srp/>").is_some(), named, "{policy:?}");
        assert_eq!(answer(&mut world, juliet, "tybalt@capulet.lit/hall", "<srp/>").is_some(), neither, "{policy:?}");
        world.with(juliet, |engine, _| engine.allow_offers(bare(MALLORY), false));
        assert_eq!(answer(&mut world, juliet, MALLORY, "<srp/>"), None, "{policy:?}");
    }
}

#[test]
fn a_tunnel_makes_a_peer_known_and_an_offer_that_nobody_has_accepted_does_not() {
    let (mut world, [romeo, juliet]) = password::strangers(72);
    let peer = world.jid(juliet).clone();
    world.with(romeo, |engine, now| engine.initiate(now, peer, password::by_word())).unwrap();
    world.run();
    assert_eq!(answer(&mut world, juliet, ROMEO, "<srp/>"), None, "anybody can offer a tunnel");
    world.accept(juliet, password::by_word()).unwrap();
    assert!(matches!(answer(&mut world, juliet, ROMEO, "<srp/>"), Some(Ok(_))), "it is pending");
    world.run();
    assert!(matches!(answer(&mut world, juliet, ROMEO, "<srp/>"), Some(Ok(_))), "it is there");

    // The one who offers knows whom.
    let (mut world, [romeo, juliet]) = password::strangers(74);
    let peer = world.jid(romeo).clone();
    world.with(juliet, |engine, now| engine.initiate(now, peer, password::by_word())).unwrap();
    world.run();
    assert!(matches!(answer(&mut world, juliet, ROMEO, "<srp/>"), Some(Ok(_))));
}

#[test]
fn who_was_secured_before_is_known_without_a_pin_and_sees_no_key() {
    let (mut world, [romeo, juliet]) = password::strangers(76);
    password::meet(&mut world, [romeo, juliet], password::by_word(), password::by_word());
    password::secured(&mut world, juliet);
    world.disconnect(romeo);
    world.disconnect(juliet);
    world.relay.set_online(JULIET, true);
    world.relay.set_online(ROMEO, true);
    world.run();
    assert_eq!(world.with(juliet, |engine, _| engine.tunnels().count()), 0);
    let offer = answer(&mut world, juliet, ROMEO, &keyinfo(&romeos_key().hex())).unwrap().unwrap();
    assert!(offer.is_empty(), "{offer:?}");
}

#[test]
fn three_questions_a_minute_are_answered_and_the_fourth_waits() {
    let (mut world, juliet) = juliet(|_| ());
    pin_romeo(&world, juliet);
    world.with_store(juliet, |store| store.pin(&bare(MALLORY), Pin::manual(romeos_key())));
    let start = world.now();
    for resource in ["orchard", "street", "orchard"] {
        let from = format!("romeo@montague.lit/{resource}");
        world.relay.set_online(&from, true);
        assert!(matches!(answer(&mut world, juliet, &from, "<srp/>"), Some(Ok(_))));
        world.run_for(SECOND);
    }
    let refused = Some(Err("resource-constraint".to_owned()));
    assert_eq!(answer(&mut world, juliet, ROMEO, "<srp/>"), refused);
    assert!(sent(&world, JULIET, ROMEO).last().unwrap().contains("type='wait'"));
    assert!(matches!(answer(&mut world, juliet, MALLORY, "<srp/>"), Some(Ok(_))), "others are not held to it");
    // What is refused does not put it off.
    let passed = world.now().saturating_duration_since(start);
    world.run_for(60 * SECOND - passed - MILLI);
    assert_eq!(answer(&mut world, juliet, ROMEO, "<srp/>"), refused);
    world.run_for(MILLI);
    assert!(matches!(answer(&mut world, juliet, ROMEO, "<srp/>"), Some(Ok(_))));
    assert_eq!(answer(&mut world, juliet, ROMEO, "<srp/>"), refused);
}

#[test]
fn sixty_answers_a_minute_go_out_in_all_and_strangers_do_not_count() {
    let (mut world, juliet) = juliet(|_| ());
    let mut asked = 0;
    let mut ask = |world: &mut World, number: usize| {
        let from = format!("friend{number}@montague.lit/x");
        world.relay.set_online(&from, true);
        world.with(juliet, |engine, _| engine.allow_offers(bare(&from), true));
        asked += 1;
        answer(world, juliet, &from, "<srp/>").unwrap()
    };
    for number in 0..60 {
        assert_eq!(answer(&mut world, juliet, MALLORY, "<srp/>"), None);
        assert!(ask(&mut world, number).is_ok(), "{number}");
    }
    assert_eq!(ask(&mut world, 60), Err("resource-constraint".to_owned()));
    assert_eq!(ask(&mut world, 0), Err("resource-constraint".to_owned()));
    assert_eq!(answer(&mut world, juliet, MALLORY, "<srp/>"), None, "a stranger learns nothing of it");
    world.run_for(60 * SECOND);
    assert!(ask(&mut world, 60).is_ok());
    assert_eq!(asked, 63);
}

#[test]
fn a_key_is_shown_only_for_a_pinned_one_and_methods_only_where_both_have_them() {
    let sha256 = romeos_key();
    let own = keyinfo(&sha256.hex());
    let other = keyinfo(&Fingerprint::sha256(b"another").hex());
    let openpgp = keyinfo(&"89".repeat(20));
    // Password and unverified certificates in the configuration, the question, whether a key is shown, and what else.
    for (password, insecure, question, shows, srp, unverified) in [
        (false, false, own.clone(), true, false, false),
        (false, false, format!("{own}<srp/>"), true, false, false),
        (true, false, format!("{own}<srp/>"), true, true, false),
        (true, false, own.clone(), true, false, false),
        (true, false, format!("{other}{openpgp}<srp/>"), false, true, false),
        (false, true, other.clone(), false, false, true),
        (false, true, own.clone(), true, false, false),
        (false, true, "<srp/>".to_owned(), false, false, false),
        (false, false, "<insecure/>".to_owned(), false, false, false),
        (false, false, format!("<sas xmlns='urn:x'/>{own}<kerberos/>"), true, false, false),
        (false, false, String::new(), false, false, false),
    ] {
        let (mut world, juliet) = juliet(|options| {
            options.config.offers_password = password;
            options.config.offers_insecure = insecure;
        });
        pin_romeo(&world, juliet);
        let offer = answer(&mut world, juliet, ROMEO, &question).unwrap().unwrap();
        let keys = if shows { own_keys(&world, juliet) } else { Vec::new() };
        assert_eq!((offer.keys, offer.srp, offer.insecure), (keys, srp, unverified), "{question}");
    }
}

#[test]
fn a_pin_of_somebody_else_verifies_nothing() {
    let (mut world, juliet) = juliet(|_| ());
    pin_romeo(&world, juliet);
    world.with_store(juliet, |store| store.pin(&bare(MALLORY), Pin::manual(Fingerprint::sha256(b"Mallory's"))));
    let offer = answer(&mut world, juliet, MALLORY, &keyinfo(&romeos_key().hex())).unwrap().unwrap();
    assert!(offer.is_empty(), "{offer:?}");
}

#[test]
fn the_eighth_key_counts_and_the_ninth_does_not() {
    let (mut world, juliet) = juliet(|_| ());
    pin_romeo(&world, juliet);
    let others = |many: usize| (0..many).map(|n| keyinfo(&format!("key {n}"))).collect::<String>();
    let own = keyinfo(&romeos_key().hex());
    let seven = answer(&mut world, juliet, ROMEO, &format!("{}{own}", others(7))).unwrap().unwrap();
    assert_eq!(seven.keys.len(), 2);
    let eight = answer(&mut world, juliet, ROMEO, &format!("{}{own}", others(8))).unwrap().unwrap();
    assert!(eight.is_empty(), "{eight:?}");
}

#[test]
fn a_locked_password_is_not_offered() {
    let (mut world, juliet) = juliet(|options| options.config.offers_password = true);
    pin_romeo(&world, juliet);
    assert!(answer(&mut world, juliet, ROMEO, "<srp/>").unwrap().unwrap().srp);
    world.with_store(juliet, |store| {
        for _ in 0..3 {
            let guess = Guess::new(xtls_testkit::unix(1_767_225_600), GuessLimits::default());
            let _ = store.of(&bare(ROMEO)).begin_guess(&mut GuessCount::default(), &guess);
        }
    });
    assert!(!answer(&mut world, juliet, ROMEO, "<srp/>").unwrap().unwrap().srp);
}

/// Juliet has asked Romeo, whom the test plays; the id of her question and the question.
fn asking(options: &TunnelOptions) -> (World, EntityId, ProbeId, String, TlsOffer) {
    let (mut world, juliet) = juliet(|_| ());
    pin_romeo(&world, juliet);
    let probe = probe(&mut world, juliet, ROMEO, options);
    world.run();
    let stanzas = sent(&world, JULIET, ROMEO);
    assert_eq!(stanzas.len(), 1, "{stanzas:?}");
    let stanza = element(&stanzas[0]);
    let iq = Iq::parse(&stanza).unwrap().unwrap();
    assert_eq!(iq.iq_type, IqType::Get);
    let offer = TlsOffer::parse(iq.payload.unwrap()).unwrap();
    let id = iq.id.to_owned();
    (world, juliet, probe, id, offer)
}

fn result(from: &str, id: &str, inner: &str) -> String {
    query(from, id, inner).replace("type='get'", "type='result'")
}

#[test]
fn an_answer_counts_by_its_id_and_its_sender_and_once() {
    let (mut world, juliet, asked, id, _) = asking(&xml(TrustPolicy::Pinned));
    for stray in [
        result(MALLORY, &id, "<srp/>"),
        result("romeo@montague.lit", &id, "<srp/>"),
        result("romeo@montague.lit/street", &id, "<srp/>"),
        result(ROMEO, "other", "<srp/>"),
    ] {
        assert!(matches!(world.deliver(juliet, &stray), Disposition::NotOurs), "{stray}");
    }
    assert!(world.take_events(juliet).is_empty());
    let right = result(ROMEO, &id, &keyinfo("RomeoX509CertificateHash"));
    assert!(matches!(world.deliver(juliet, &right), Disposition::Consumed));
    world.run();
    let (told, peer, offer) = probed(&mut world, juliet);
    assert_eq!((told, peer.as_str()), (asked, ROMEO));
    assert_eq!(offer.unwrap().keys, [KeyName::new("RomeoX509CertificateHash").unwrap()]);
    assert!(matches!(world.deliver(juliet, &right), Disposition::NotOurs), "a replay answers nothing");
    world.run_for(60 * SECOND);
    assert!(world.take_events(juliet).is_empty());
}

#[test]
fn an_error_and_what_is_no_offer_and_silence_and_a_broken_connection_are_told_apart() {
    let (mut world, juliet, _, id, _) = asking(&xml(TrustPolicy::Pinned));
    let error = format!(
        "<iq type='error' from='{ROMEO}' to='{JULIET}' id='{id}'><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    );
    assert!(matches!(world.deliver(juliet, &error), Disposition::Consumed));
    world.run();
    let fault = *probed(&mut world, juliet).2.unwrap_err();
    assert!(matches!(&fault, ProbeFault::Refused(error) if error.condition.as_str() == "service-unavailable"));

    for nothing in ["", "<query xmlns='urn:x'/>"] {
        let (mut world, juliet, _, id, _) = asking(&xml(TrustPolicy::Pinned));
        let stanza = format!("<iq type='result' from='{ROMEO}' to='{JULIET}' id='{id}'>{nothing}</iq>");
        assert!(matches!(world.deliver(juliet, &stanza), Disposition::Consumed));
        world.run();
        assert_eq!(*probed(&mut world, juliet).2.unwrap_err(), ProbeFault::Malformed);
    }

    let (mut world, juliet, _, id, _) = asking(&xml(TrustPolicy::Pinned));
    let deadline = world.with(juliet, |engine, _| engine.poll_timeout()).unwrap();
    assert_eq!(deadline.timer, xtls::Timer::Answer);
    world.run_for(deadline.at - world.now() - MILLI);
    assert!(world.take_events(juliet).is_empty());
    world.run_for(MILLI);
    assert_eq!(*probed(&mut world, juliet).2.unwrap_err(), ProbeFault::Timeout);
    assert!(world.with(juliet, |engine, _| engine.poll_timeout()).is_none());
    let late = result(ROMEO, &id, "<srp/>");
    assert!(matches!(world.deliver(juliet, &late), Disposition::Consumed), "it is nobody else's");
    assert!(world.take_events(juliet).is_empty());

    let (mut world, juliet, _, _, _) = asking(&xml(TrustPolicy::Pinned));
    world.disconnect(juliet);
    world.run();
    assert_eq!(*probed(&mut world, juliet).2.unwrap_err(), ProbeFault::Disconnected);
}

#[test]
fn a_question_names_your_certificate_and_what_is_allowed() {
    let word = password::word;
    for (options, keys, srp, insecure) in [
        (xml(TrustPolicy::Pinned), true, false, false),
        (xml(TrustPolicy::Ask), true, false, true),
        (xml(TrustPolicy::LeapOfFaith), true, false, false),
        (xml(TrustPolicy::Pinned).with_password(word()), true, true, false),
        (xml(TrustPolicy::Pinned).asking_password(), true, true, false),
        (by_password_alone(), false, true, false),
    ] {
        let (world, juliet, _, _, offer) = asking(&options);
        let expected = if keys { own_keys(&world, juliet) } else { Vec::new() };
        assert_eq!((offer.keys, offer.srp, offer.insecure), (expected, srp, insecure), "{options:?}");
    }
}

fn by_password_alone() -> TunnelOptions {
    let mut options = xml(TrustPolicy::Pinned).with_password(password::word());
    options.terms.methods = vec![Method::Srp];
    options
}

#[test]
fn thirty_two_questions_are_open_at_once_and_one_to_oneself_or_about_nothing_is_none() {
    let (mut world, juliet) = juliet(|_| ());
    let options = xml(TrustPolicy::Pinned);
    for number in 0..32 {
        probe(&mut world, juliet, &format!("romeo@montague.lit/{number}"), &options);
    }
    let refused = |world: &mut World, peer: &str, options: &TunnelOptions| {
        let peer = peer.parse().unwrap();
        world.with(juliet, |engine, now| engine.probe(now, peer, options)).unwrap_err()
    };
    assert_eq!(refused(&mut world, ROMEO, &options), ProbeError::TooMany);
    assert_eq!(refused(&mut world, JULIET, &options), ProbeError::OwnAddress);
    world.run_for(30 * SECOND);
    assert_eq!(world.take_events(juliet).len(), 32);
    let mut none = options.clone();
    none.terms.methods.clear();
    assert_eq!(refused(&mut world, ROMEO, &none), ProbeError::NoMethod);
    probe(&mut world, juliet, ROMEO, &options);
}

#[test]
fn what_would_be_chosen_follows_the_rules_of_tunnels() {
    let key = |fingerprint: &Fingerprint| vec![KeyName::from(fingerprint)];
    let (known, other) = (romeos_key(), Fingerprint::sha256(b"another"));
    let (mut world, juliet) = juliet(|_| ());
    let peer: xtls_stanza::jid::FullJid = ROMEO.parse().unwrap();
    let choose = |world: &mut World, options: &TunnelOptions, keys: Vec<KeyName>, srp| {
        let offer = TlsOffer::new(keys, srp);
        world.with(juliet, |engine, _| engine.would_choose(&peer, options, &offer))
    };
    let pinned = xml(TrustPolicy::Pinned);
    let word = pinned.clone().with_password(password::word());
    // Nothing is known of Romeo.
    let refused = *choose(&mut world, &pinned, key(&other), true).unwrap_err();
    assert!(matches!(refused, Fault::NotTrusted { fingerprint: Some(f) } if f == other), "{refused:?}");
    assert_eq!(choose(&mut world, &word, key(&other), true).unwrap(), Method::Srp);
    assert_eq!(choose(&mut world, &pinned.clone().asking_password(), key(&other), true).unwrap(), Method::Srp);
    assert_eq!(choose(&mut world, &xml(TrustPolicy::LeapOfFaith), key(&other), true).unwrap(), Method::X509);
    let nothing = *choose(&mut world, &word, Vec::new(), false).unwrap_err();
    assert!(matches!(nothing, Fault::NoCommonMethod { .. }), "{nothing:?}");
    // His certificate is pinned.
    pin_romeo(&world, juliet);
    assert_eq!(choose(&mut world, &word, key(&known), true).unwrap(), Method::X509);
    assert_eq!(choose(&mut world, &word, key(&other), true).unwrap(), Method::Srp, "the password explains a new one");
    let changed = *choose(&mut world, &pinned, key(&other), true).unwrap_err();
    assert!(matches!(changed, Fault::CertificateChanged { presented: Some(f), .. } if f == other), "{changed:?}");
    // A name that is no fingerprint says nothing either way.
    let openpgp = vec![KeyName::new("RomeoOpenPGPFingerprint").unwrap()];
    assert_eq!(choose(&mut world, &pinned, openpgp, false).unwrap(), Method::X509);
}

#[test]
fn what_secured_a_peer_before_is_missed_in_its_offer() {
    let (mut world, [romeo, juliet]) = password::strangers(78);
    password::meet(&mut world, [romeo, juliet], password::by_word(), password::by_word());
    password::secured(&mut world, juliet);
    let peer = world.jid(romeo).clone();
    let options = xml(TrustPolicy::LeapOfFaith).asking_password();
    let offer = TlsOffer::new([KeyName::from(&romeos_key())], false);
    let fault = world.with(juliet, |engine, _| engine.would_choose(&peer, &options, &offer)).unwrap_err();
    assert!(matches!(*fault, Fault::Downgraded { missing: Missing::Methods(methods) } if methods == [Method::Srp]));
}
