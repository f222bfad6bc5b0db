//! Block sizes and sids, good and bad, in the offer, in the answer and in `<open/>` (XEP-0047 § 2.1, XEP-0261 § 2.2).

use xtls::{TrustPolicy, TunnelOptions, jingle::Profile};
use xtls_stanza::{Condition, ErrorType, ns};
use xtls_testkit::EntityOptions;

use crate::common::{JULIET, ROMEO, Said, Stage, kinds, payload, said, stage::texts};

/// What no block size is.
const BAD: [&str; 10] = ["0", "65536", "-1", "-4096", "+4096", "many", "4096.0", " 4096", "0x1000", ""];
/// Those that are, with what becomes of them where 4096 is ours.
const GOOD: [(&str, usize); 9] = [
    ("64", 64),
    ("67", 67),
    ("4095", 4095),
    ("4096", 4096),
    ("32760", 4096),
    ("32767", 4096),
    ("32768", 4096),
    ("65535", 4096),
    ("1024", 1024),
];

/// wire.md, "block size": those that would take too many stanzas.
const SMALL: [&str; 4] = ["1", "3", "4", "63"];

fn not_acceptable() -> Said {
    (Condition::NotAcceptable, ErrorType::Cancel, None)
}

fn bad_request() -> Said {
    (Condition::BadRequest, ErrorType::Modify, None)
}

/// The attribute of this value, and none.
fn attributes() -> Vec<String> {
    BAD.iter().map(|size| format!("block-size='{size}'")).chain([String::new()]).collect()
}

fn negotiated(jingle: &xtls::Element) -> String {
    let transport = jingle.child("content", ns::JINGLE).unwrap().child("transport", ns::JINGLE_IBB).unwrap();
    transport.attribute("block-size").unwrap().to_owned()
}

#[test]
fn xep_0261_2_2_block_sizes_in_an_offer() {
    for (size, expected) in GOOD {
        let mut stage = Stage::juliet();
        let offer = stage.initiate_with(&stage.peer_security()).replace("'4096'", &format!("'{size}'"));
        assert_eq!(stage.ask_fine(&offer), []);
        let incoming = stage.take_incoming();
        let (_, accept) = stage.accept(incoming, TrustPolicy::Pinned);
        assert_eq!(negotiated(&payload(&accept)), expected.to_string(), "{size}");
        stage.block_size = expected;
        stage.choose_and_open();
        stage.start_client(&stage.tls_config());
        assert_eq!(stage.play(), []);
        assert_eq!(kinds(&stage.events()), ["Secured"], "{size}: the handshake goes in blocks of that size");
    }
    let small = SMALL.iter().map(|size| (format!("block-size='{size}'"), not_acceptable()));
    for (attribute, expected) in attributes().into_iter().map(|attribute| (attribute, bad_request())).chain(small) {
        let mut stage = Stage::juliet();
        let offer = stage.initiate_with(&stage.peer_security()).replace("block-size='4096'", &attribute);
        let (answer, others) = stage.ask(&offer);
        assert_eq!((said(&answer), others), (expected, vec![]), "{attribute}");
        assert!(stage.events().is_empty());
    }
}

#[test]
fn xep_0261_2_2_block_sizes_in_an_answer() {
    for (size, expected) in GOOD {
        let mut stage = Stage::romeo();
        stage.engine_offers(TrustPolicy::Pinned);
        stage.start_server(&stage.tls_config());
        let transport = format!("block-size='{size}' sid='{}'", stage.ibb_sid);
        let requests = stage.ask_fine(&stage.accept_over(&stage.peer_security(), &transport));
        let open = payload(&requests[1]);
        assert_eq!((open.name(), open.attribute("block-size")), ("open", Some(&*expected.to_string())), "{size}");
        stage.block_size = expected;
        requests.iter().for_each(|request| stage.ack(request));
        assert_eq!(stage.play(), []);
        assert_eq!(kinds(&stage.events()), ["Secured"], "{size}");
    }
    for size in SMALL {
        let mut stage = Stage::romeo();
        stage.engine_offers(TrustPolicy::Pinned);
        let transport = format!("block-size='{size}' sid='{}'", stage.ibb_sid);
        let (answer, others) = stage.ask(&stage.accept_over(&stage.peer_security(), &transport));
        assert_eq!(said(&answer), not_acceptable(), "{size}");
        // There is nothing else to wait for.
        assert_eq!((others.len(), payload(&others[0]).attribute("action")), (1, Some("session-terminate")), "{size}");
        assert_eq!(kinds(&stage.events()), ["Closed"], "{size}");
    }
    for size in BAD {
        let mut stage = Stage::romeo();
        let (tunnel, _) = stage.engine_offers(TrustPolicy::Pinned);
        let transport = format!("block-size='{size}' sid='{}'", stage.ibb_sid);
        let (answer, others) = stage.ask(&stage.accept_over(&stage.peer_security(), &transport));
        assert_eq!((said(&answer), others), (bad_request(), vec![]), "{size}");
        // It was no session-accept: a sound one may follow.
        assert!(stage.with(|engine, _| engine.tunnel(tunnel).is_some()));
        let requests = stage.ask_fine(&stage.accept_with(&stage.peer_security()));
        assert_eq!(requests.len(), 2, "{}", texts(&requests));
    }
}

#[test]
fn xep_0047_2_1_block_sizes_in_an_open() {
    let accepted = || {
        let mut stage = Stage::juliet();
        let incoming = stage.offer();
        let options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
        stage.with(|engine, now| engine.accept(now, incoming, options)).unwrap();
        stage.play();
        stage
    };
    for (size, kept) in GOOD {
        let mut stage = accepted();
        let open = stage.open().replace("'4096'", &format!("'{size}'"));
        if size == kept.to_string() {
            assert_eq!(stage.ask_fine(&open), []);
            stage.block_size = kept;
        } else {
            // XEP-0261 § 2.2: more than was agreed on.
            let (answer, others) = stage.ask(&open);
            assert_eq!(said(&answer), (Condition::ResourceConstraint, ErrorType::Modify, None), "{size}");
            assert_eq!(others, []);
            assert_eq!(stage.ask_fine(&stage.open()), []);
        }
        stage.start_client(&stage.tls_config());
        assert_eq!(stage.play(), []);
        assert_eq!(kinds(&stage.events()), ["Secured"], "{size}");
    }
    let small = SMALL.iter().map(|size| (format!("block-size='{size}'"), not_acceptable()));
    for (attribute, expected) in attributes().into_iter().map(|attribute| (attribute, bad_request())).chain(small) {
        let mut stage = accepted();
        let (answer, others) = stage.ask(&stage.open().replace("block-size='4096'", &attribute));
        assert_eq!((said(&answer), others), (expected, vec![]), "{attribute}");
        assert_eq!(stage.ask_fine(&stage.open()), [], "it can be opened still");
    }
}

/// What is no NMTOKEN, as it is written in XML, and whether it can be tolerated.
const NO_NMTOKEN: [(&str, bool); 6] =
    [("", false), ("no token", false), ("a/b", true), ("a&amp;b", true), ("a+b=", true), ("\u{d7}", true)];

/// XEP-0047 § 2.1: the sid MUST match NMTOKEN. XEP-0166 § 7.1 says SHOULD of its own, hence the other condition.
#[test]
fn xep_0047_2_1_a_sid_is_an_nmtoken() {
    let long = "x".repeat(257);
    for (bad, _) in NO_NMTOKEN.into_iter().chain([(&*long, false)]) {
        let mut stage = Stage::juliet();
        stage.ibb_sid = bad.to_owned();
        let (answer, others) = stage.ask(&stage.initiate_with(&stage.peer_security()));
        assert_eq!((said(&answer), others), (bad_request(), vec![]), "{bad}");
        for profile in [Profile::Strict, Profile::Draft02] {
            let mut options = EntityOptions::seeded(2);
            options.config.profile = profile;
            let mut stage = Stage::new(JULIET, ROMEO, options);
            stage.sid = bad.to_owned();
            let (answer, others) = stage.ask(&stage.initiate_with(&stage.peer_security()));
            let condition = if bad.is_empty() { Condition::BadRequest } else { Condition::NotAcceptable };
            assert_eq!((said(&answer), others), ((condition, ErrorType::Modify, None), vec![]), "{bad}");
        }
    }
    for good in ["a.b:c_d-e", "\u{e9}", &long[1..]] {
        let mut stage = Stage::juliet();
        stage.ibb_sid = good.to_owned();
        stage.sid = good.to_owned();
        let offer = stage.initiate_with(&stage.peer_security());
        assert_eq!(stage.ask_fine(&offer), [], "{good}");
    }
}

/// XEP-0166 § 7.1 only recommends NMTOKEN; what some clients send has `+`, `/` and `=`.
#[test]
fn xep_0166_7_1_a_sid_that_is_no_nmtoken_is_taken_where_it_is_tolerated_and_comes_back_as_it_was() {
    let longest = "+".repeat(256);
    let too_long = "+".repeat(257);
    for (sid, tolerated) in NO_NMTOKEN.into_iter().chain([(&*longest, true), (&*too_long, false)]) {
        let mut stage = Stage::juliet();
        stage.sid = sid.to_owned();
        if !tolerated {
            let (answer, others) = stage.ask(&stage.initiate_with(&stage.peer_security()));
            let condition = if sid.is_empty() { Condition::BadRequest } else { Condition::NotAcceptable };
            assert_eq!((said(&answer), others), ((condition, ErrorType::Modify, None), vec![]), "{sid}");
            continue;
        }
        let incoming = stage.offer();
        let (_, accept) = stage.accept(incoming, TrustPolicy::Pinned);
        assert_eq!(payload(&accept).attribute("sid"), Some(&*sid.replace("&amp;", "&")));
        stage.choose_and_open();
        stage.start_client(&stage.tls_config());
        assert_eq!(stage.play(), []);
        assert_eq!(kinds(&stage.events()), ["Secured"], "{sid}");
    }
}
