//! XEP-0047 §§ 2, 4 and 6, XEP-0261 § 2: every error of a bytestream, as an engine answers it.

use xtls::{Disposition, TrustPolicy, jingle::Profile};
use xtls_stanza::{Condition, ErrorType};
use xtls_testkit::EntityOptions;

use crate::common::{
    IBB_SID, JULIET, ROMEO, SID, Said, Stage, id, kinds, payload, result, said,
    stage::{data, texts},
    terminate,
};

fn cancel(condition: Condition) -> Said {
    (condition, ErrorType::Cancel, None)
}

fn modify(condition: Condition) -> Said {
    (condition, ErrorType::Modify, None)
}

/// The engine has accepted; the bytestream is not open.
fn accepted(profile: Profile) -> Stage {
    let mut options = EntityOptions::seeded(2);
    options.config.profile = profile;
    let mut stage = Stage::new(JULIET, ROMEO, options);
    let incoming = stage.offer();
    stage.accept(incoming, TrustPolicy::Pinned);
    stage
}

fn ibb(inner: &str) -> String {
    format!("<{inner} xmlns='http://jabber.org/protocol/ibb' sid='{IBB_SID}'/>")
}

/// §§ 2.1 and 4: what is refused when the bytestream is to be opened does no harm; it can be opened still.
#[test]
fn xep_0047_2_1_every_error_to_an_open() {
    let mut stage = accepted(Profile::Tolerant);
    let open = stage.open();
    for (payload, expected) in [
        (open.replace("stanza='iq'", "stanza='message'"), cancel(Condition::FeatureNotImplemented)),
        (open.replace("stanza='iq'", "stanza='presence'"), modify(Condition::BadRequest)),
        (open.replace("4096", "4097"), modify(Condition::ResourceConstraint)),
        (open.replace("block-size='4096'", ""), modify(Condition::BadRequest)),
        (ibb("frobnicate"), cancel(Condition::FeatureNotImplemented)),
        // § 2.2: there is nothing to send data through, and nothing to number.
        (data(IBB_SID, 0, "AAAA"), cancel(Condition::ItemNotFound)),
        (data(IBB_SID, 9, "not base64"), cancel(Condition::ItemNotFound)),
    ] {
        let (answer, others) = stage.ask(&payload);
        assert_eq!((said(&answer), others), (expected, vec![]), "{payload}");
    }
    stage.choose_and_open();
    let (again, others) = stage.ask(&open);
    assert_eq!((said(&again), others), (cancel(Condition::NotAcceptable), vec![]));
    stage.start_client(&stage.tls_config());
    stage.play();
    assert_eq!(kinds(&stage.events()), ["Secured"]);
}

/// §§ 2.1 to 2.3: what is about a bytestream that nobody holds, if nobody else takes it.
#[test]
fn xep_0047_2_2_what_is_for_no_bytestream_is_not_found() {
    let (mut stage, _) = Stage::responder_with_stream();
    for sid in ["another", "", "no token"] {
        let open = format!("<open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='{sid}'/>");
        let close = format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{sid}'/>");
        for (payload, expected) in [
            (open, Condition::NotAcceptable),
            (data(sid, 0, "AAAA"), Condition::ItemNotFound),
            (close, Condition::ItemNotFound),
        ] {
            let stanza = stage.iq("x1", &payload);
            let Disposition::Unclaimed(refusal) = stage.deliver(&stanza) else { panic!("unclaimed: {payload}") };
            stage.with(|engine, now| engine.refuse(now, refusal));
            assert_eq!(said(&stage.sent_one()), cancel(expected), "{payload}");
        }
    }
    // § 2.3 for the same sid from somebody else: not theirs, and nobody else's.
    let stanza = stage.iq("x2", &ibb("close")).replace(ROMEO, "romeo@montague.lit/garden");
    assert!(matches!(stage.deliver(&stanza), Disposition::Consumed));
    assert_eq!(said(&stage.sent_one()), cancel(Condition::ItemNotFound));
    assert!(stage.events().is_empty());
}

/// § 2.2: after any of these the bytestream is closed, and the session with it.
#[test]
fn xep_0047_2_2_every_error_to_data_ends_the_bytestream() {
    let large = crate::common::base64(&[22; 4097]);
    let with_seq = |seq: &str| data(IBB_SID, 0, "AAAA").replace("seq='0'", seq);
    for (payload, condition) in [
        (data(IBB_SID, 1, "FgMB"), Condition::UnexpectedRequest),
        (data(IBB_SID, 65_535, "FgMB"), Condition::UnexpectedRequest),
        (data(IBB_SID, 0, &large), Condition::BadRequest),
        (with_seq(""), Condition::BadRequest),
        (with_seq("seq='-1'"), Condition::BadRequest),
        (with_seq("seq='65536'"), Condition::BadRequest),
        (with_seq("seq='zero'"), Condition::BadRequest),
        (data(IBB_SID, 0, "<x xmlns='urn:x'/>"), Condition::BadRequest),
    ] {
        let mut stage = accepted(Profile::Tolerant);
        stage.choose_and_open();
        let (answer, others) = stage.ask(&payload);
        assert_eq!(said(&answer), cancel(condition), "{payload}");
        let [close, end] = others.as_slice() else { panic!("close and terminate: {}", texts(&others)) };
        assert_eq!(crate::common::payload(close).name(), "close");
        assert_eq!(crate::common::payload(end), terminate(SID, "failed-transport"));
    }
    // A seq that was used, once there is one.
    let (mut stage, _) = Stage::responder_with_stream();
    let (answer, _) = stage.ask(&data(IBB_SID, 0, "FgMB"));
    assert_eq!(said(&answer), cancel(Condition::UnexpectedRequest));
}

/// § 6: what is not base64 with padding is refused in either reading of white space.
#[test]
fn xep_0047_6_what_is_not_base64_is_refused_by_every_profile() {
    const NEITHER: [&str; 14] =
        ["AA*A", "AA-_", "AAA\u{e4}", "QQ=Q", "Q=Q=", "=AAA", "QQ", "QUI", "QQ=", "Q", "QR==", "QUJ=", "====", "AAAA="];
    const SPACED: [&str; 6] = [" FgMB", "FgMB\n", "Fg\tMB", "F g M B", "\r\n", " "];
    for profile in Profile::ALL {
        let refused = |text: &str| {
            let mut stage = accepted(*profile);
            stage.choose_and_open();
            let (answer, _) = stage.ask(&data(IBB_SID, 0, text));
            if answer.attribute("type") == Some("error") {
                assert_eq!(said(&answer), cancel(Condition::BadRequest), "{text:?}");
                true
            } else {
                assert_eq!(answer, result(JULIET, ROMEO, id(&answer)), "{text:?}");
                false
            }
        };
        assert!(NEITHER.iter().all(|text| refused(text)), "{profile:?}");
        assert!(SPACED.iter().all(|text| refused(text) == (*profile == Profile::Strict)), "{profile:?}");
        assert!(!refused("FgMB") && !refused(""), "{profile:?}");
        // Inside of a long block too, where it is decoded in pieces.
        let long = "FgMB".repeat(700);
        for (at, text) in [(2000, "="), (2000, "*"), (1023, "=="), (1024, "\u{a0}")] {
            let mut broken = long.clone();
            broken.insert_str(at, text);
            assert!(refused(&broken), "{profile:?} {at} {text}");
        }
    }
}

/// § 2.3: a close is acknowledged, and what comes after it finds no bytestream.
#[test]
fn xep_0047_2_3_after_a_close_there_is_no_bytestream() {
    let mut stage = accepted(Profile::Tolerant);
    stage.choose_and_open();
    let requests = stage.ask_fine(&ibb("close"));
    // In the middle of nothing, it is no end in order.
    assert_eq!(payload(requests.last().unwrap()), terminate(SID, "failed-transport"));
    for late in [data(IBB_SID, 0, "AAAA"), ibb("close")] {
        let (answer, _) = stage.ask(&late);
        assert_eq!(said(&answer), cancel(Condition::ItemNotFound), "{late}");
    }
}
