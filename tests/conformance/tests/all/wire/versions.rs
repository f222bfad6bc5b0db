//! Decisions 2.3, 2.4 and 2.9: whole tunnels under each profile, and with peers of other times.

use xtls::{Application, EndedBy, Event, TrustPolicy, TunnelId, TunnelOptions, jingle::Profile};
use xtls_stanza::{Condition, ErrorType, ns};
use xtls_testkit::{EntityId, EntityOptions, World};

use crate::common::{
    HEADER_ROMEO, IBB_SID, JULIET, ROMEO, SID, Stage, blocks_of, closed, element, id, is_data, is_request,
    jingle_error, kinds, message, payload, result, said,
    stage::{data, initiate, texts},
    stanzas, unknown_session, without_text,
};

const IBB_1: &str = "urn:xmpp:jingle:transports:ibb:1";
const IBB_TMP: &str = "urn:xmpp:tmp:jingle:transports:ibb";
const IBB_0: &str = "urn:xmpp:jingle:transports:ibb:0";

fn options(seed: u8, profile: Profile) -> EntityOptions {
    let mut options = EntityOptions::seeded(seed);
    options.config.profile = profile;
    options
}

/// Who initiates and who accepts, by profile, and the transport that comes of it.
const PAIRS: [(Profile, Profile, &str); 6] = [
    (Profile::Strict, Profile::Strict, IBB_1),
    (Profile::Draft02, Profile::Tolerant, IBB_0),
    (Profile::Tolerant, Profile::Draft02, IBB_1),
    (Profile::Draft02, Profile::Draft02, IBB_0),
    (Profile::Draft02, Profile::Strict, IBB_0),
    (Profile::Strict, Profile::Draft02, IBB_1),
];

/// A tunnel between two profiles, secured at both ends; the events that led there are taken.
fn tunnel(
    initiator: Profile,
    responder: Profile,
    application: Application,
) -> (World, [EntityId; 2], [TunnelId; 2], Vec<Vec<Event>>) {
    let mut world = World::default();
    world.relay.keep_log();
    let romeo = world.add(ROMEO, options(1, initiator));
    let juliet = world.add(JULIET, options(2, responder));
    world.introduce(romeo, juliet);
    let (here, there) = world.connect_with(romeo, juliet, TunnelOptions::new(application, TrustPolicy::Pinned));
    let events = [romeo, juliet].map(|id| world.take_events(id)).into();
    (world, [romeo, juliet], [here, there], events)
}

/// The names of what was sent, without answers: actions, and the elements of the bytestream but for runs of data.
fn course(world: &World) -> Vec<String> {
    let mut course: Vec<String> = Vec::new();
    for passed in world.relay.log() {
        let stanza = element(&passed.stanza);
        if stanza.attribute("type") != Some("set") {
            continue;
        }
        let payload = payload(&stanza);
        let name = payload.attribute("action").unwrap_or_else(|| payload.name()).to_owned();
        if name != "data" || course.last() != Some(&name) {
            course.push(name);
        }
    }
    course
}

/// What is sent from the offer to the end.
fn expected_course(transport: &str) -> &'static [&'static str] {
    if transport == IBB_1 {
        &["session-initiate", "session-accept", "security-info", "open", "data", "close", "session-terminate"]
    } else {
        &["session-initiate", "session-accept", "security-info", "data", "session-terminate"]
    }
}

fn assert_transport(world: &World, transport: &str) {
    for passed in world.relay.log() {
        let stanza = element(&passed.stanza);
        let content = stanza.child("jingle", ns::JINGLE).and_then(|jingle| jingle.child("content", ns::JINGLE));
        let found = content.and_then(|content| content.children().find(|child| child.name() == "transport"));
        assert!(found.is_none_or(|found| found.ns() == transport), "{}", passed.stanza);
    }
}

#[test]
fn wire_2_03_a_stream_between_any_two_profiles_from_offer_to_end() {
    for (initiator, responder, transport) in PAIRS {
        for closer in [0, 1] {
            let (mut world, ends, tunnels, events) = tunnel(initiator, responder, Application::XmlStream);
            for events in &events {
                assert_eq!(kinds(events), ["Secured", "StreamOpened"], "{initiator:?} {responder:?}");
            }
            for (end, tunnel) in ends.into_iter().zip(tunnels) {
                world.with(end, |engine, now| engine.tunnel(tunnel).unwrap().send(now, &message("hello"))).unwrap();
                world.run();
            }
            for end in ends {
                assert_eq!(stanzas(world.take_events(end)).len(), 1);
            }
            world.with(ends[closer], |engine, now| engine.tunnel(tunnels[closer]).unwrap().close(now));
            world.run();
            for (at, end) in ends.into_iter().enumerate() {
                let closed = closed(world.take_events(end));
                let by = if at == closer { EndedBy::Local } else { EndedBy::Remote };
                assert_eq!((closed.by, closed.truncated, closed.unacked), (by, false, 0), "{closed:?}");
                assert!(matches!(closed.reason, xtls::CloseReason::Done), "{closed:?}");
                assert!(world.take_others(end).is_empty());
                assert_eq!(world.with(end, |engine, _| engine.poll_timeout()), None, "nothing is waited for");
            }
            assert_transport(&world, transport);
            assert_eq!(course(&world), expected_course(transport), "{initiator:?} {responder:?}");
            for from in [ROMEO, JULIET] {
                let seqs: Vec<_> = blocks_of(world.relay.log(), from).into_iter().map(|(seq, _)| seq).collect();
                assert!(seqs.iter().copied().eq(0..u16::try_from(seqs.len()).unwrap()), "seq from 0: {seqs:?}");
            }
        }
    }
}

#[test]
fn wire_2_03_raw_bytes_between_any_two_profiles_from_offer_to_end() {
    for (initiator, responder, transport) in PAIRS {
        let (mut world, ends, tunnels, _) = tunnel(initiator, responder, Application::bytes());
        let text: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
        let mut received = [Vec::new(), Vec::new()];
        let mut written = [0, 0];
        while received.iter().any(|received| received.len() < text.len()) {
            for at in [0, 1] {
                let rest = &text[written[at]..];
                written[at] += world.with(ends[at], |e, now| e.tunnel(tunnels[at]).unwrap().write(now, rest)).unwrap();
                world.run();
                world.with(ends[1 - at], |engine, now| {
                    engine.tunnel(tunnels[1 - at]).unwrap().read(now, &mut received[1 - at])
                });
                world.run();
            }
        }
        assert!(received[0] == text && received[1] == text);
        for at in [0, 1] {
            world.with(ends[at], |engine, now| engine.tunnel(tunnels[at]).unwrap().finish(now)).unwrap();
            world.run();
        }
        for end in ends {
            let closed = closed(world.take_events(end));
            assert_eq!((closed.truncated, closed.unacked), (false, 0), "{closed:?}");
            assert!(matches!(closed.reason, xtls::CloseReason::Done), "{closed:?}");
        }
        assert_transport(&world, transport);
        // Each direction ends, and has its receipt.
        let mut expected = expected_course(transport).to_vec();
        let after_data = expected.iter().position(|what| *what == "data").unwrap() + 1;
        expected.splice(after_data..after_data, ["session-info", "data", "session-info"]);
        assert_eq!(course(&world), expected, "{initiator:?} {responder:?}");
    }
}

/// The first block follows the security-info, which follows the acknowledgement of the session-accept; nothing waits for
/// the answer to either.
#[test]
fn wire_2_03_over_ibb_0_the_initiator_sends_as_soon_as_it_has_chosen() {
    let mut stage = Stage::new(ROMEO, JULIET, options(1, Profile::Draft02));
    stage.engine_offers(TrustPolicy::Pinned);
    stage.start_server(&stage.tls_config());
    let accept = stage.accept_with(&stage.peer_security()).replace(IBB_1, IBB_0);
    let requests = stage.ask_fine(&accept);
    let [info, hello] = requests.as_slice() else { panic!("security-info and data: {}", texts(&requests)) };
    assert_eq!(payload(info).attribute("action"), Some("security-info"));
    assert!(is_data(hello));
    stage.take_block(hello);
    requests.iter().for_each(|request| stage.ack(request));
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["Secured"]);
}

/// Whatever was offered, the namespace of the session-accept selects how the bytestream begins and ends.
#[test]
fn wire_2_03_the_version_of_the_session_accept_is_followed() {
    for (profile, answered, opens) in [
        (Profile::Tolerant, IBB_0, false),
        (Profile::Strict, IBB_0, false),
        (Profile::Draft02, IBB_1, false),
        // A responder of 2008, which opens although nobody has to, and does so before it accepts.
        (Profile::Tolerant, IBB_TMP, true),
        (Profile::Draft02, IBB_0, true),
    ] {
        let mut stage = Stage::new(ROMEO, JULIET, options(1, profile));
        let (tunnel, _) = stage.engine_offers(TrustPolicy::Pinned);
        stage.start_server(&stage.tls_config());
        if opens {
            let open = stage.open();
            assert_eq!(stage.ask_fine(&open), []);
        }
        let accept = stage.accept_with(&stage.peer_security()).replace(IBB_1, answered);
        let requests = stage.ask_fine(&accept);
        let second = payload(&requests[1]);
        assert_eq!(second.name(), if answered == IBB_1 { "open" } else { "data" });
        for request in &requests {
            stage.ack(request);
            if is_data(request) {
                stage.take_block(request);
            }
        }
        stage.play();
        assert_eq!(kinds(&stage.events()), ["Secured"], "{profile:?}");
        // And at the end.
        stage.write(&format!("{}<stream:features/>", crate::common::HEADER_JULIET));
        stage.play();
        stage.with(|engine, now| engine.tunnel(tunnel).unwrap().close(now));
        stage.play();
        stage.write("</stream:stream>");
        let names: Vec<_> = stage.play().iter().map(|request| payload(request).name().to_owned()).collect();
        let expected: &[&str] = if answered == IBB_1 { &["close", "jingle"] } else { &["jingle"] };
        assert_eq!(names, expected);
    }
}

/// A tunnel over ibb:0 that the peer began, as far as our session-accept.
fn accepted_over_ibb_0() -> Stage {
    let mut stage = Stage::juliet();
    let offer = stage.initiate_with(&stage.peer_security()).replace(IBB_1, IBB_0);
    assert!(stage.ask_fine(&offer).is_empty());
    let incoming = stage.take_incoming();
    stage.accept(incoming, TrustPolicy::Pinned);
    stage
}

/// An `<open/>` under ibb:0 says nothing, and is acknowledged: before the data, or in the middle of it.
#[test]
fn wire_2_09_an_open_under_ibb_0_is_acknowledged() {
    for late in [false, true] {
        let mut stage = accepted_over_ibb_0();
        let open = stage.open();
        if !late {
            assert_eq!(stage.ask_fine(&open), []);
        }
        stage.start_client(&stage.tls_config());
        if late {
            let id = stage.fresh_id();
            let stanza = stage.iq(&id, &open);
            let _ = stage.deliver(&stanza);
        }
        assert_eq!(stage.play(), []);
        assert_eq!(kinds(&stage.events()), ["Secured"], "{late}");
        let (again, _) = stage.ask(&open);
        assert_eq!(said(&again), (Condition::NotAcceptable, ErrorType::Cancel, None), "once is enough");
    }
}

/// Data that comes before we have polled, or heard that our session-accept arrived, is taken in order; before we have
/// accepted there is no bytestream.
#[test]
fn wire_2_29_data_over_ibb_0_right_behind_the_session_accept_is_taken() {
    let mut stage = Stage::juliet();
    let offer = stage.initiate_with(&stage.peer_security()).replace(IBB_1, IBB_0);
    assert!(stage.ask_fine(&offer).is_empty());
    let incoming = stage.take_incoming();
    let (early, _) = stage.ask(&data(IBB_SID, 0, "FgMB"));
    assert_eq!(said(&early), (Condition::ItemNotFound, ErrorType::Cancel, None));
    let options = TunnelOptions::xml_stream(TrustPolicy::Pinned);
    stage.with(|engine, now| engine.accept(now, incoming, options)).unwrap();
    // The session-accept is not even polled, and no security-info comes.
    stage.start_client(&stage.tls_config());
    stage.play();
    assert_eq!(kinds(&stage.events()), ["Secured"]);
}

/// Under ibb:0 a fault ends the session without a `<close/>`.
#[test]
fn wire_2_03_over_ibb_0_the_session_terminate_is_the_end_of_the_bytestream() {
    let mut stage = accepted_over_ibb_0();
    let (answer, others) = stage.ask(&data(IBB_SID, 7, "FgMB"));
    assert_eq!(said(&answer), (Condition::UnexpectedRequest, ErrorType::Cancel, None));
    let [end] = others.as_slice() else { panic!("session-terminate alone: {}", texts(&others)) };
    assert_eq!(payload(end), crate::common::terminate(SID, "failed-transport"));
    // A `<close/>` that a peer sends all the same, in order behind the end of TLS, is acknowledged.
    let mut stage = accepted_over_ibb_0();
    stage.start_client(&stage.tls_config());
    stage.play();
    stage.write(HEADER_ROMEO);
    stage.play();
    stage.write("</stream:stream>");
    stage.write_close_notify();
    stage.play();
    let close = format!("<close xmlns='http://jabber.org/protocol/ibb' sid='{IBB_SID}'/>");
    assert_eq!(stage.ask_fine(&close), []);
    assert_eq!(stage.ask_fine(&success()), []);
    let closed = closed(stage.events());
    assert!(matches!(closed.reason, xtls::CloseReason::Done) && !closed.truncated, "{closed:?}");
}

fn success() -> String {
    format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{SID}'><reason><success/></reason></jingle>"
    )
}

/// A `<jingle/>` of the stage's in another namespace, and over another transport.
fn of_the_time(xml: &str, jingle: &str, transport: &str) -> String {
    xml.replace("urn:xmpp:jingle:1", jingle).replace(IBB_1, transport)
}

/// An initiator of 2008: older Jingle, an older name for the stream, a transport that is opened by nobody, or by the
/// responder, and whose parameters may be left out.
#[test]
fn wire_2_04_a_whole_tunnel_with_an_initiator_of_another_time() {
    for (jingle, transport, description) in [
        ("urn:xmpp:jingle:0", IBB_0, "urn:xmpp:jingle:apps:xmlstream:0"),
        ("urn:xmpp:jingle:0", IBB_1, "urn:xmpp:jingle:apps:xmlstream:0"),
        ("urn:xmpp:tmp:jingle", IBB_TMP, "urn:xmpp:tmp:jingle:apps:xmlstream"),
        ("urn:xmpp:tmp:jingle", IBB_TMP, "urn:xmpp:tmp:jingle:apps:xmlstream:0"),
    ] {
        let mut stage = Stage::juliet();
        let mut offer = of_the_time(&stage.initiate_with(&stage.peer_security()), jingle, transport)
            .replace("urn:xmpp:jingle:apps:xmlstream:0", description);
        if transport == IBB_TMP {
            offer = offer.replace(&format!(" block-size='4096' sid='{IBB_SID}'"), "");
            stage.ibb_sid = SID.to_owned();
        }
        assert!(stage.ask_fine(&offer).is_empty());
        let incoming = stage.take_incoming();
        assert_eq!(incoming.application, Application::XmlStream);
        let (_, accept) = stage.accept(incoming, TrustPolicy::Pinned);
        let content = format!(
            "<content creator='initiator' name='xmlstream'><description xmlns='{description}'/>\
             <transport xmlns='{transport}' block-size='4096' sid='{}'/>{}</content>",
            stage.ibb_sid,
            stage.own_security()
        );
        let expected = format!(
            "<jingle xmlns='{jingle}' action='session-accept' responder='{JULIET}' sid='{SID}'>{content}</jingle>"
        );
        assert_eq!(payload(&accept), element(&expected));
        let info = of_the_time(&stage.security_info("<method name='x509'/>"), jingle, transport);
        assert!(stage.ask_fine(&info).is_empty());
        if transport == IBB_1 {
            let open = stage.open();
            assert_eq!(stage.ask_fine(&open), []);
        }
        stage.start_client(&stage.tls_config());
        assert_eq!(stage.play(), []);
        stage.write(HEADER_ROMEO);
        assert_eq!(stage.play(), []);
        assert_eq!(kinds(&stage.events()), ["Secured", "StreamOpened"], "{jingle} {transport}");
        // What is said of the session in its own namespace counts, and in another one is about no session.
        let ping = format!("<jingle xmlns='{jingle}' action='session-info' sid='{SID}'/>");
        assert!(stage.ask_fine(&ping).is_empty());
        let (other, _) = stage.ask(&ping.replace(jingle, "urn:xmpp:jingle:1"));
        assert_eq!(said(&other), unknown_session());
        let end = of_the_time(&success(), jingle, transport);
        stage.write("</stream:stream>");
        stage.write_close_notify();
        stage.play();
        assert!(stage.ask_fine(&end).is_empty());
        let closed = closed(stage.events());
        assert!(matches!(closed.reason, xtls::CloseReason::Done) && !closed.truncated, "{closed:?}");
    }
}

/// Errors, and the session-terminate of an offer that leads nowhere, are of the time of the offer.
#[test]
fn wire_2_04_refusals_are_in_the_version_of_the_offer() {
    for (jingle, errors) in [
        ("urn:xmpp:jingle:1", "urn:xmpp:jingle:errors:1"),
        ("urn:xmpp:jingle:0", "urn:xmpp:jingle:errors:0"),
        ("urn:xmpp:tmp:jingle", "urn:xmpp:tmp:jingle:errors"),
    ] {
        let mut stage = Stage::juliet();
        let offer =
            of_the_time(&stage.initiate_with(&stage.peer_security()), jingle, "urn:xmpp:jingle:transports:s5b:1");
        let requests = stage.ask_fine(&offer);
        let [end] = requests.as_slice() else { panic!("one request: {}", texts(&requests)) };
        assert_eq!(payload(end).ns(), jingle);
        let end = element(&payload(end).to_xml(ns::CLIENT).replace(jingle, ns::JINGLE));
        assert_eq!(without_text(&end), crate::common::terminate(SID, "unsupported-transports"));
        // Its result is the engine's.
        stage.ack(&requests[0]);
        // An action for a session that there never was.
        let stanza = stage.iq("x1", &format!("<jingle xmlns='{jingle}' action='session-info' sid='none'/>"));
        let xtls::Disposition::Unclaimed(refusal) = stage.deliver(&stanza) else { panic!("unclaimed") };
        stage.with(|engine, now| engine.refuse(now, refusal));
        let (condition, error_type, specific) = said(&stage.sent_one());
        assert_eq!((condition, error_type), (Condition::ItemNotFound, ErrorType::Cancel));
        assert_eq!(specific, Some(("unknown-session".to_owned(), errors.to_owned())));
    }
}

/// Outside of the tolerant profile the older namespaces are not Jingle at all.
#[test]
fn wire_2_04_the_other_profiles_leave_older_namespaces_to_others() {
    for profile in [Profile::Strict, Profile::Draft02] {
        for jingle in ["urn:xmpp:jingle:0", "urn:xmpp:tmp:jingle"] {
            let mut stage = Stage::new(JULIET, ROMEO, options(2, profile));
            let offer = of_the_time(&stage.initiate_with(&stage.peer_security()), jingle, IBB_0);
            let stanza = stage.iq("x1", &offer);
            assert!(matches!(stage.deliver(&stanza), xtls::Disposition::NotOurs));
            stage.sent_nothing();
        }
        // And so is the oldest transport.
        let mut stage = Stage::new(JULIET, ROMEO, options(2, profile));
        let offer = stage.initiate_with(&stage.peer_security()).replace(IBB_1, "urn:xmpp:tmp:jingle:transports:ibb");
        let requests = stage.ask_fine(&offer);
        assert_eq!(without_text(&payload(&requests[0])), crate::common::terminate(SID, "unsupported-transports"));
    }
}

/// Two offers that cross are a tie whatever their namespaces; the error is of the time of theirs.
#[test]
fn wire_2_30_an_offer_in_an_older_namespace_can_lose_a_tie() {
    let mut stage = Stage::romeo();
    stage.engine_offers(TrustPolicy::Pinned);
    // Ours are letters and digits: this is higher than any of them.
    let offer = of_the_time(&initiate("~", "other", 4096, &stage.peer_security()), "urn:xmpp:jingle:0", IBB_0);
    let id = stage.fresh_id();
    let stanza = stage.iq(&id, &offer.replace("sid='~'", "sid='zzzzzzzzzzzzzzzzzzzzzzzzzzz'"));
    let _ = stage.deliver(&stanza);
    let (answer, _) = stage.answer_to(&id);
    let (condition, error_type, specific) = said(&answer);
    assert_eq!((condition, error_type), (Condition::Conflict, ErrorType::Cancel));
    assert_eq!(specific, Some(("tie-break".to_owned(), "urn:xmpp:jingle:errors:0".to_owned())));
}

/// XEP-0047 § 6 against its own examples: white space in base64 is refused by the strict profile alone.
#[test]
fn wire_1_white_space_in_base64_ends_the_bytestream_under_the_strict_profile() {
    for profile in Profile::ALL {
        let mut stage = Stage::new(JULIET, ROMEO, options(2, *profile));
        let incoming = stage.offer();
        stage.accept(incoming, TrustPolicy::Pinned);
        stage.choose_and_open();
        let (answer, others) = stage.ask(&data(IBB_SID, 0, "\n Fg MB\n"));
        if *profile == Profile::Strict {
            assert_eq!(said(&answer), (Condition::BadRequest, ErrorType::Cancel, None));
            assert!(others.iter().any(is_request));
        } else {
            assert_eq!(answer, result(JULIET, ROMEO, id(&answer)), "{profile:?}");
        }
    }
}

/// XEP-0261 § 2.4: a tunnel has one bytestream, and says so as soon as another one is spoken of. Opening it all the same is
/// refused, and so is data for it.
#[test]
fn xep_0261_2_4_a_further_bytestream_is_refused_and_the_tunnel_goes_on() {
    for profile in Profile::ALL {
        let mut stage = Stage::new(JULIET, ROMEO, options(2, *profile));
        stage.secure_as_responder();
        let further = format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='transport-info' sid='{SID}'><content creator='initiator' \
             name='xmlstream'><transport xmlns='{IBB_1}' block-size='2048' sid='bt8a71h6'/></content></jingle>"
        );
        let (answer, others) = stage.ask(&further);
        let expected = jingle_error(Condition::FeatureNotImplemented, ErrorType::Modify, "unsupported-info");
        assert_eq!((said(&answer), others), (expected, vec![]));
        let open = stage.open().replace(IBB_SID, "bt8a71h6");
        for (payload, condition) in
            [(open, Condition::NotAcceptable), (data("bt8a71h6", 0, "AAAA"), Condition::ItemNotFound)]
        {
            let stanza = stage.iq("further", &payload);
            let xtls::Disposition::Unclaimed(refusal) = stage.deliver(&stanza) else { panic!("unclaimed") };
            stage.with(|engine, now| engine.refuse(now, refusal));
            assert_eq!(said(&stage.sent_one()), (condition, ErrorType::Cancel, None));
        }
        stage.write(HEADER_ROMEO);
        stage.play();
        assert_eq!(kinds(&stage.events()), ["StreamOpened"]);
    }
}
