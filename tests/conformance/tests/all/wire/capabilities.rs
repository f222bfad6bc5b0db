//! Decision 2.35, and with it XEP-0030 and XEP-0115 as far as an initiator goes: what a presence says of its sender saves a
//! question, and decides nothing else.

use std::time::Duration;

use xtls::{
    Disposition, Fault, TrustPolicy, TunnelOptions,
    trust::HashAlgo,
    xml::{Caps, Disco, DiscoIdentity, DiscoInfo},
};
use xtls_stanza::ns;
use xtls_testkit::{EntityOptions, World};

use crate::common::{JULIET, ROMEO, Stage, closed, compact, element, fault, id, payload, said};

const NURSE: &str = "nurse@capulet.lit/chamber";
const NODE: &str = "http://code.google.com/p/exodus";

/// A client with XTLS and other things.
fn exodus() -> DiscoInfo {
    DiscoInfo::new(DiscoIdentity::new("client", "pc").with_name("Exodus 0.9.1")).with_features([
        ns::CAPS,
        "http://jabber.org/protocol/disco#items",
        "http://jabber.org/protocol/muc",
        ns::XTLS_0,
    ])
}

fn caps(info: &DiscoInfo) -> Caps {
    Caps::of(info, NODE, HashAlgo::Sha1).unwrap()
}

fn presence(from: &str, caps: &Caps) -> String {
    let mut c = String::new();
    caps.write(&mut c);
    format!("<presence from='{from}'>{c}</presence>")
}

/// Romeo's engine, which has heard this presence of Juliet and of her nurse.
fn heard(caps: &Caps) -> Stage {
    let mut options = EntityOptions::seeded(1);
    options.config.tunnels_per_peer = 64;
    let mut stage = Stage::new(ROMEO, JULIET, options);
    stage.world.relay.set_online(NURSE, true);
    for peer in [JULIET, NURSE] {
        assert!(matches!(stage.deliver(&presence(peer, caps)), Disposition::Observed), "it is the embedder's too");
    }
    stage
}

/// The engine is to offer a tunnel; what it says first.
fn initiate(stage: &mut Stage, peer: &str) -> xtls::Element {
    let options = TunnelOptions::xml_stream(TrustPolicy::Ask);
    stage.with(|engine, now| engine.initiate(now, peer.parse().unwrap(), options)).unwrap();
    stage.sent_one()
}

fn is_offer(stanza: &xtls::Element) -> bool {
    stanza.child("jingle", ns::JINGLE).is_some_and(|jingle| jingle.attribute("action") == Some("session-initiate"))
}

/// The node that a query asks for.
fn asked(stanza: &xtls::Element) -> Option<String> {
    let query = payload(stanza);
    assert!(query.is("query", ns::DISCO_INFO));
    query.attribute("node").map(str::to_owned)
}

/// The peer answers a query.
fn answer(stage: &mut Stage, query: &xtls::Element, info: &DiscoInfo) {
    let mut out = String::new();
    let (from, to) = (query.attribute("to").unwrap(), query.attribute("from").unwrap());
    info.write_result(&mut out, id(query), to, Some(from), asked(query).as_deref());
    assert!(matches!(stage.deliver(&out), Disposition::Consumed));
}

/// After Juliet was asked and answered so, the nurse is not asked any more; else she is.
fn nurse_is_asked(stage: &mut Stage) -> bool {
    !is_offer(&initiate(stage, NURSE))
}

/// The query of XEP-0115 § 6.2: to the exact JID, for the node and the string that were announced.
#[test]
fn xep_0115_6_2_the_query_of_the_example() {
    let mut stage = heard(&caps(&exodus()));
    let query = initiate(&mut stage, JULIET);
    let example = "<iq from='romeo@montague.lit/orchard' id='disco1' to='juliet@capulet.lit/balcony' type='get'>
        <query xmlns='http://jabber.org/protocol/disco#info' node='http://code.google.com/p/exodus#VER'/></iq>";
    let expected = example.replace("disco1", id(&query)).replace("VER", caps(&exodus()).ver());
    assert_eq!(query, compact(&expected));
}

#[test]
fn wire_2_35_what_was_verified_once_is_not_asked_again_by_anybody() {
    let mut stage = heard(&caps(&exodus()));
    let query = initiate(&mut stage, JULIET);
    answer(&mut stage, &query, &exodus());
    assert!(is_offer(&stage.sent_one()));
    assert!(!nurse_is_asked(&mut stage));
    // The string counts, not the address of the software, which anybody may write.
    let other = Caps::of(&exodus(), "urn:another", HashAlgo::Sha1).unwrap();
    let mercutio = "mercutio@montague.lit/x";
    stage.world.relay.set_online(mercutio, true);
    let _ = stage.deliver(&presence(mercutio, &other));
    assert!(is_offer(&initiate(&mut stage, mercutio)));
}

/// Two worlds that differ in Juliet's presence alone.
#[test]
fn wire_2_35_a_round_trip_is_saved() {
    let latency = Duration::from_millis(50);
    let (mut world, romeo, juliet) = World::pair(1);
    let mut c = String::new();
    world.disco(juliet).caps().write(&mut c);
    let _ = world.deliver(romeo, &format!("<presence from='{JULIET}'>{c}</presence>"));
    let mut seen = 0;
    let mut times = Vec::new();
    for _ in 0..2 {
        let begin = world.elapsed();
        let peer = world.jid(juliet).clone();
        let options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
        let tunnel = world.with(romeo, |engine, now| engine.initiate(now, peer, options)).unwrap();
        world.run();
        let rung = world.elapsed();
        let log = &world.relay.log()[seen..];
        times.push((rung - begin, log.iter().filter(|passed| passed.stanza.contains("disco#info")).count()));
        world.with(romeo, |engine, now| engine.tunnel(tunnel).unwrap().close(now));
        world.run();
        seen = world.relay.log().len();
    }
    // The query and its answer, then the offer and its result; and the latter alone.
    assert_eq!(times, [(4 * latency, 2), (2 * latency, 0)]);
}

/// § 5.4, 3.9: the answer is Juliet's, and nobody else's.
#[test]
fn xep_0115_5_4_a_mismatch_is_used_for_who_gave_it_and_never_remembered() {
    let mut stage = heard(&caps(&exodus()));
    let query = initiate(&mut stage, JULIET);
    answer(&mut stage, &query, &exodus().with_feature("urn:xmpp:ping"));
    assert!(is_offer(&stage.sent_one()));
    assert!(nurse_is_asked(&mut stage));
}

/// § 9.3: what could be cut in another way is held for nobody else.
#[test]
fn xep_0115_9_3_an_answer_that_can_be_read_in_two_ways_is_never_remembered() {
    let honest = DiscoInfo::new(DiscoIdentity::new("client", "pc")).with_feature("zebra");
    let mut stage = heard(&caps(&honest));
    let query = initiate(&mut stage, JULIET);
    // The same string, with XTLS in the name of nothing.
    let mut poison = DiscoInfo::new(DiscoIdentity::new("client", "pc"));
    poison.features = vec![format!("{}<zebra", ns::DISCO_INFO), ns::XTLS_0.to_owned()];
    answer(&mut stage, &query, &poison);
    assert!(is_offer(&stage.sent_one()), "Juliet says that she has it");
    assert!(nurse_is_asked(&mut stage));
}

/// § 5.4, 3.3 to 3.5.
#[test]
fn xep_0115_5_4_an_ill_formed_answer_is_never_remembered() {
    let mut twice = exodus();
    twice.features.push(ns::XTLS_0.to_owned());
    let mut stage = heard(&caps(&exodus()));
    let query = initiate(&mut stage, JULIET);
    answer(&mut stage, &query, &twice);
    assert!(is_offer(&stage.sent_one()));
    assert!(nurse_is_asked(&mut stage));
}

/// § 5.4, 2: an algorithm that we do not know, and § 13: none at all. Asked as without any announcement.
#[test]
fn xep_0115_5_4_what_cannot_be_checked_is_neither_asked_for_nor_remembered() {
    let unknown = format!("<c xmlns='{}' hash='whirlpool' node='{NODE}' ver='x'/>", ns::CAPS);
    let legacy = format!("<c xmlns='{}' node='{NODE}' ver='0.9.1' ext='ca cs'/>", ns::CAPS);
    for c in [unknown, legacy] {
        let mut stage = Stage::romeo();
        let _ = stage.deliver(&format!("<presence from='{JULIET}'>{c}</presence>"));
        for _ in 0..2 {
            let query = initiate(&mut stage, JULIET);
            assert_eq!(asked(&query), None);
        }
    }
    // It replaces what was announced before.
    let mut stage = heard(&caps(&exodus()));
    let c = format!("<c xmlns='{}' hash='whirlpool' node='{NODE}' ver='x'/>", ns::CAPS);
    let _ = stage.deliver(&format!("<presence from='{JULIET}'>{c}</presence>"));
    assert_eq!(asked(&initiate(&mut stage, JULIET)), None);
}

/// That a peer has no XTLS is its own answer, each time: a lie about one hides nothing of another, nor for long.
#[test]
fn wire_2_35_that_somebody_lacks_xtls_is_never_remembered() {
    let mut without = exodus();
    without.features.retain(|feature| feature != ns::XTLS_0);
    let mut stage = heard(&caps(&without));
    let query = initiate(&mut stage, JULIET);
    answer(&mut stage, &query, &without);
    stage.sent_nothing();
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::PeerLacksXtls), "{closed:?}");
    assert!(nurse_is_asked(&mut stage));
    let query = initiate(&mut stage, JULIET);
    answer(&mut stage, &query, &exodus());
    assert!(is_offer(&stage.sent_one()));
}

/// A presence that is out of date, or somebody else's invention, is in nobody's way.
#[test]
fn wire_2_35_an_unknown_node_is_asked_again_without_one() {
    for (error_type, condition) in [("cancel", "item-not-found"), ("auth", "forbidden")] {
        let mut stage = heard(&caps(&exodus()));
        let query = initiate(&mut stage, JULIET);
        assert!(asked(&query).is_some());
        assert!(matches!(stage.refuse(&query, error_type, condition, ""), Disposition::Consumed));
        let again = stage.sent_one();
        assert_eq!(asked(&again), None);
        // The first one has had its answer.
        assert!(matches!(stage.refuse(&query, error_type, condition, ""), Disposition::NotOurs));
        answer(&mut stage, &again, &exodus());
        assert!(is_offer(&stage.sent_one()));
        // What was not asked for by its string is nothing that the string stands for.
        assert!(nurse_is_asked(&mut stage));
    }
}

#[test]
fn wire_2_35_a_peer_that_refuses_both_is_out_of_reach() {
    let mut stage = heard(&caps(&exodus()));
    for _ in 0..2 {
        let query = stage.sent().pop().unwrap_or_else(|| initiate(&mut stage, JULIET));
        let _ = stage.refuse(&query, "cancel", "service-unavailable", "");
    }
    stage.sent_nothing();
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::Unreachable { .. }), "{closed:?}");
}

/// § 8.4: a presence need not repeat it; and who goes takes it along.
#[test]
fn xep_0115_8_4_an_announcement_lasts_as_long_as_the_presence() {
    let mut stage = heard(&caps(&exodus()));
    let query = initiate(&mut stage, JULIET);
    answer(&mut stage, &query, &exodus());
    assert!(is_offer(&stage.sent_one()));
    for kept in [
        format!("<presence from='{NURSE}'><show>away</show></presence>"),
        presence(NURSE, &caps(&DiscoInfo::default())).replace("<presence", "<presence type='error'"),
        presence("nurse@capulet.lit", &caps(&DiscoInfo::default())),
        presence("nurse@capulet.lit/other", &caps(&DiscoInfo::default())),
        format!("<presence from='{NURSE}'><c xmlns='{}' node='n' ver='v'/></presence>", ns::CAPS),
    ] {
        let _ = stage.deliver(&kept);
        assert!(!nurse_is_asked(&mut stage), "{kept}");
        stage.with(|engine, now| {
            let last = engine.tunnels().last().unwrap();
            engine.tunnel(last).unwrap().close(now);
        });
        let _ = stage.sent();
    }
    assert!(matches!(
        stage.deliver(&format!("<presence from='{NURSE}' type='unavailable'/>")),
        Disposition::NotOurs | Disposition::Observed
    ));
    let query = initiate(&mut stage, NURSE);
    assert_eq!(asked(&query), None);
}

/// § 8.2: what was verified outlives the session; who announced it does not.
#[test]
fn xep_0115_8_2_what_was_verified_outlives_the_connection() {
    let mut stage = heard(&caps(&exodus()));
    let query = initiate(&mut stage, JULIET);
    answer(&mut stage, &query, &exodus());
    let _ = stage.sent();
    let engine = stage.engine;
    stage.world.disconnect(engine);
    stage.world.relay.set_online(ROMEO, true);
    let query = initiate(&mut stage, NURSE);
    assert_eq!(asked(&query), None);
    let _ = stage.deliver(&presence(JULIET, &caps(&exodus())));
    assert!(is_offer(&initiate(&mut stage, JULIET)));
}

/// With `check_support` off nobody is asked, whatever was announced.
#[test]
fn wire_2_35_who_does_not_want_to_ask_does_not() {
    let mut stage = heard(&caps(&DiscoInfo::new(DiscoIdentity::new("client", "pc"))));
    let mut options = TunnelOptions::xml_stream(TrustPolicy::Ask);
    options.check_support = false;
    stage.with(|engine, now| engine.initiate(now, JULIET.parse().unwrap(), options)).unwrap();
    assert!(is_offer(&stage.sent_one()));
}

/// draft § 8.3: an announcement that claims XTLS gets an offer, and nothing else follows from it.
#[test]
fn wire_2_35_a_forged_announcement_leads_to_an_offer_that_is_refused() {
    let mut stage = heard(&caps(&exodus()));
    let query = initiate(&mut stage, JULIET);
    answer(&mut stage, &query, &exodus());
    let _ = stage.sent();
    let offer = initiate(&mut stage, NURSE);
    let sid = payload(&offer).attribute("sid").unwrap().to_owned();
    let result = format!("<iq from='{NURSE}' to='{ROMEO}' id='{}' type='result'/>", id(&offer));
    assert!(matches!(stage.deliver(&result), Disposition::Consumed));
    let accept = format!(
        "<iq from='{NURSE}' to='{ROMEO}' id='a' type='set'><jingle xmlns='urn:xmpp:jingle:1' action='session-accept' \
         sid='{sid}'><content creator='initiator' name='xmlstream'><description \
         xmlns='urn:xmpp:jingle:apps:xmlstream:0'/><transport xmlns='urn:xmpp:jingle:transports:ibb:1' \
         block-size='4096' sid='{}'/></content></jingle></iq>",
        payload(&offer)
            .child("content", ns::JINGLE)
            .unwrap()
            .child("transport", ns::JINGLE_IBB)
            .unwrap()
            .attribute("sid")
            .unwrap()
    );
    assert!(matches!(stage.deliver(&accept), Disposition::Consumed));
    let _ = stage.sent();
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::PeerLacksXtls), "{closed:?}");
}

/// XEP-0030 § 3.1 and XEP-0115 §§ 6, 7: what the engine's helper makes an embedder say.
#[test]
fn xep_0030_3_1_an_embedder_tells_its_identity_and_every_feature_of_the_engine() {
    let mut stage = Stage::new(JULIET, ROMEO, EntityOptions::seeded(2));
    let (info, features) =
        stage.with(|engine, _| (engine.disco_info(DiscoIdentity::new("client", "pc")), engine.features().to_vec()));
    let disco = Disco::new(info, NODE).unwrap();
    assert_eq!(disco.info().identities.len(), 1);
    for feature in features.into_iter().chain([ns::DISCO_INFO, ns::CAPS]) {
        assert!(disco.info().supports(feature), "{feature}");
    }
    // And what it says is taken by another engine.
    let mut romeo = heard(disco.caps());
    let query = initiate(&mut romeo, JULIET);
    let mut out = String::new();
    let iq = xtls_stanza::Iq::parse(&query).unwrap().unwrap();
    assert!(disco.answer(&iq, ROMEO, Some(JULIET), &mut out));
    assert!(matches!(romeo.deliver(&out), Disposition::Consumed));
    assert!(is_offer(&romeo.sent_one()));
    assert!(!nurse_is_asked(&mut romeo));
}

/// XEP-0030 § 7: what is not there is not found.
#[test]
fn xep_0030_7_an_embedder_refuses_an_unknown_node() {
    let disco = Disco::new(exodus(), NODE).unwrap();
    let query = element(
        "<iq type='get' id='1' from='a@b/c'><query xmlns='http://jabber.org/protocol/disco#info' node='x'/></iq>",
    );
    let mut out = String::new();
    assert!(disco.answer(&xtls_stanza::Iq::parse(&query).unwrap().unwrap(), "a@b/c", None, &mut out));
    assert_eq!(said(&element(&out)).0, xtls_stanza::Condition::ItemNotFound);
}
