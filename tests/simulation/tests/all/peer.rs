//! A peer that misbehaves before or during the handshake (attack table, rows P1 to P8, P19, and M7 and M25).
use crate::common::{
    JULIET, MALLORY, SECOND, closed, errors, noise,
    script::{Script, data, ibb_close, info, offer, open, security, terminate},
    sent, terminations,
};
use xtls::{Event, Fault};

#[test]
fn m07_the_choice_of_the_method_is_taken_only_when_and_from_whom_it_is_due() {
    let mut script = Script::new(1);
    // Nobody has a session of this name.
    let unknown = "item-not-found/unknown-session";
    assert_eq!(script.set(&info("s1", &["x509"])).as_deref(), None, "unclaimed: the embedder answers");
    script.accepted();
    assert_eq!(script.set(&info("s1", &["srp"])).as_deref(), Some("unexpected-request/out-of-order"));
    assert_eq!(script.set(&info("s1", &["nonsense"])).as_deref(), Some("bad-request"));
    assert_eq!(script.set(&info("s1", &[])).as_deref(), Some("bad-request"));
    assert_eq!(script.set(&info("s1", &["x509"])).as_deref(), Some("result"));
    assert_eq!(script.set(&info("s1", &["x509"])).as_deref(), Some("result"), "saying it again changes nothing");
    assert_eq!(script.set(&open("b1", "4096")).as_deref(), Some("result"));
    let hello = script.start_tls();
    assert_eq!(script.block(&hello).as_deref(), Some("result"));
    assert_eq!(script.set(&info("s1", &["srp"])).as_deref(), Some("unexpected-request/out-of-order"));
    let (_, finished) = script.tls_read();
    assert_eq!(script.block(&finished).as_deref(), Some("result"));
    assert!(matches!(&*script.world.take_events(script.juliet), [Event::Secured { .. }]));
    assert_eq!(script.set(&terminate("s1", "success")).as_deref(), Some("result"));
    assert_eq!(errors(&script.world, JULIET, MALLORY).iter().filter(|error| *error == unknown).count(), 0);
}

#[test]
fn m07_a_responder_does_not_choose() {
    let (mut world, [romeo, _], _) = crate::common::streaming(3);
    let accept =
        sent(&world, JULIET, crate::common::ROMEO).into_iter().find(|stanza| stanza.contains("session-accept"));
    let sid = accept.unwrap().split(" sid='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    let choice = info(&sid, &["x509"]);
    let _ = world.deliver(romeo, &format!("<iq type='set' id='x' from='{JULIET}'>{choice}</iq>"));
    world.run();
    assert_eq!(errors(&world, crate::common::ROMEO, JULIET), ["unexpected-request/out-of-order"]);
    assert!(world.take_events(romeo).is_empty());
}

#[test]
fn m27_both_names_of_the_precondition_are_taken_and_answered_in_kind_and_no_other_is() {
    for (name, taken) in [("xtls:0", true), ("xtls:1", true), ("xtls:2", false), ("xtls", false), ("XTLS:0", false)] {
        let mut script = Script::new(4);
        let security = script.security().replace("xtls:0", name);
        let answer = script.set(&offer("s1", "b1", 4096, &security));
        assert_eq!(answer.as_deref(), taken.then_some("result"), "{name}: others may want it");
        let accepted = script.world.accept(script.juliet, crate::common::xml(xtls::TrustPolicy::Pinned));
        assert_eq!(accepted.is_some(), taken, "{name}");
        script.settle();
        let accept: String = script.take_requests().concat();
        assert_eq!(accept.contains(&format!("<security xmlns='urn:xmpp:jingle:security:{name}'>")), taken, "{accept}");
    }
    // Both are told of, and the first is offered.
    let (mut world, [romeo, juliet], _) = crate::common::streaming(6);
    let told = world.with(romeo, |engine, _| engine.features());
    assert!(["0", "1"].iter().all(|at| told.contains(&format!("urn:xmpp:jingle:security:xtls:{at}").as_str())));
    let offered = sent(&world, crate::common::ROMEO, JULIET).into_iter().find(|it| it.contains("session-initiate"));
    assert!(offered.unwrap().contains("<security xmlns='urn:xmpp:jingle:security:xtls:0'>"));
    assert!(world.take_events(juliet).is_empty());
}

#[test]
fn m25_the_block_size_of_an_open_is_checked() {
    let mut script = Script::new(5);
    script.accepted();
    for (size, answer) in [
        ("4097", "resource-constraint"),
        ("65535", "resource-constraint"),
        ("0", "bad-request"),
        ("65536", "bad-request"),
        ("-1", "bad-request"),
        ("four", "bad-request"),
        ("", "bad-request"),
    ] {
        let mut given = None;
        let memory = allocation_counter::measure(|| given = script.set(&open("b1", size)));
        assert_eq!(given.as_deref(), Some(answer), "{size}");
        // Both ends, the relay and its log: less than one of the blocks that were spoken of.
        assert!(memory.bytes_max < 32 * 1024, "{size}: {} bytes", memory.bytes_max);
    }
    let without = "<open xmlns='http://jabber.org/protocol/ibb' sid='b1'/>";
    assert_eq!(script.set(without).as_deref(), Some("bad-request"));
    // None of that was fatal.
    assert_eq!(script.set(&open("b1", "4096")).as_deref(), Some("result"));
    assert!(script.world.take_events(script.juliet).is_empty());
}

#[test]
fn p01_offers_are_bounded_per_peer_and_in_all() {
    let mut script = Script::new(7);
    script.world.relay.set_latency(std::time::Duration::ZERO);
    let security = script.security();
    for at in 0..10_000 {
        let payload = offer(&format!("s{at}"), &format!("b{at}"), 4096, &security);
        let _ = script.world.deliver(script.juliet, &format!("<iq type='set' id='x' from='{MALLORY}'>{payload}</iq>"));
        if at % 500 == 0 {
            script.world.run();
        }
    }
    script.world.run();
    let refused = errors(&script.world, JULIET, MALLORY);
    assert_eq!(refused.len(), 10_000 - 4);
    assert!(refused.iter().all(|error| error == "resource-constraint"));
    // The ones of others count as well, to 64 in all.
    for at in 4..70 {
        let from = format!("mallory@verona.lit/{at}");
        script.world.relay.set_online(&from, true);
        let payload = offer("s", "b", 4096, &script.security()).replace(MALLORY, &from);
        let now = script.world.now();
        script.world.relay.handle_stanza(now, &from, &format!("<iq type='set' id='x' to='{JULIET}'>{payload}</iq>"));
        script.world.run();
        let refused = errors(&script.world, JULIET, &from);
        assert_eq!(refused.is_empty(), at < 64, "{at}: {refused:?}");
    }
    let offers = script.world.take_events(script.juliet);
    assert_eq!(offers.len(), 64);
    // They are all gone after the ring time.
    drop(offers);
    script.world.run_for(310 * SECOND);
    assert_eq!(script.world.with(script.juliet, |engine, _| engine.poll_timeout()), None);
    assert_eq!(script.initiate("again", "b").as_deref(), Some("result"));
}

#[test]
fn p01_offers_that_are_taken_back_leave_nothing_behind() {
    let mut script = Script::new(9);
    script.world.ignore_events(script.juliet, true);
    for at in 0..100 {
        assert_eq!(script.initiate(&format!("s{at}"), "b").as_deref(), Some("result"), "{at}");
        assert_eq!(script.set(&terminate(&format!("s{at}"), "cancel")).as_deref(), Some("result"));
    }
    script.world.ignore_events(script.juliet, false);
    script.settle();
    assert!(script.world.take_events(script.juliet).is_empty(), "nobody missed anything that still stands");
}

#[test]
fn p02_a_handshake_that_drags_on_ends_by_its_deadline() {
    let mut script = Script::new(11);
    script.opened();
    let hello = script.start_tls();
    // One byte every second.
    for byte in &hello[..60] {
        assert_eq!(script.block(&[*byte]).as_deref(), Some("result"));
        assert!(script.world.take_events(script.juliet).is_empty());
        script.world.run_for(SECOND - 2 * 50 * crate::common::MILLI);
    }
    script.world.run_for(SECOND);
    let end = closed(&mut script.world, script.juliet);
    assert!(matches!(end.fault, Some(Fault::Timeout { timer: xtls::Timer::Handshake, .. })), "{end:?}");
    assert_eq!(terminations(&script.world, JULIET, MALLORY), ["timeout"]);
}

#[test]
fn p02_a_peer_that_never_begins_is_not_waited_for_for_ever() {
    for opens in [false, true] {
        let mut script = Script::new(13);
        script.accepted();
        if opens {
            assert_eq!(script.set(&open("b1", "4096")).as_deref(), Some("result"));
        }
        // It answers every ping.
        for _ in 0..29 {
            script.world.run_for(10 * SECOND);
            script.settle();
        }
        assert!(script.world.take_events(script.juliet).is_empty());
        for _ in 0..2 {
            script.world.run_for(10 * SECOND);
            script.settle();
        }
        assert!(matches!(closed(&mut script.world, script.juliet).fault, Some(Fault::Timeout { .. })));
    }
}

#[test]
fn p04_empty_blocks_are_counted() {
    let mut script = Script::new(15);
    script.opened();
    for at in 0..16 {
        assert_eq!(script.block(b"").as_deref(), Some("result"), "{at}: it is acknowledged at once");
    }
    assert_eq!(script.block(b"").as_deref(), Some("policy-violation"));
    assert!(matches!(closed(&mut script.world, script.juliet).fault, Some(Fault::Bytestream(_))));
}

#[test]
fn p05_a_block_above_the_agreed_size_is_refused_whole() {
    let mut script = Script::new(17);
    script.secured();
    let _ = script.world.take_events(script.juliet);
    assert_eq!(script.block(&noise(4097, 1)).as_deref(), Some("bad-request"));
    let end = closed(&mut script.world, script.juliet);
    assert!(matches!(end.fault, Some(Fault::Bytestream(_))), "{end:?}");
    assert_eq!(terminations(&script.world, JULIET, MALLORY), ["failed-transport"]);
    assert!(script.take_requests().iter().any(|stanza| stanza.contains("<close ")));
    // The session is over for good.
    assert_eq!(script.set(&data("b1", "9", "AAAA")).as_deref(), None, "nobody holds it any more");
}

#[test]
fn p06_every_wrong_seq_ends_the_bytestream() {
    for (seq, answer) in [
        ("1", "unexpected-request"),
        ("65535", "unexpected-request"),
        ("65536", "bad-request"),
        ("", "bad-request"),
        ("+0", "bad-request"),
        ("-0", "bad-request"),
        ("00", "bad-request"),
        ("0x0", "bad-request"),
        ("zero", "bad-request"),
    ] {
        let mut script = Script::new(19);
        script.opened();
        assert_eq!(script.set(&data("b1", seq, "FgMBAA==")).as_deref(), Some(answer), "{seq}");
        assert!(matches!(closed(&mut script.world, script.juliet).fault, Some(Fault::Bytestream(_))), "{seq}");
    }
}

#[test]
fn p07_sids_belong_to_a_session_and_its_peer() {
    let mut script = Script::new(21);
    script.accepted();
    let security = script.security();
    // The bytestream's sid twice from one peer, and sids that are none.
    for (sid, ibb, answer) in [
        ("s2", "b1", "not-acceptable"),
        ("s1", "b2", "unexpected-request/out-of-order"),
        ("s1", "b1", "unexpected-request/out-of-order"),
        // XEP-0166 § 7.1: it is required, and SHOULD be an NMTOKEN.
        ("", "b3", "bad-request"),
        ("not a name", "b3", "not-acceptable"),
        // XEP-0047 § 2.1: it MUST be one.
        ("s3", "", "bad-request"),
        ("s3", "not a name", "bad-request"),
    ] {
        let found = script.set(&offer(sid, ibb, 4096, &security));
        assert_eq!(found.as_deref(), Some(answer), "{sid} {ibb}");
        assert!(script.world.take_events(script.juliet).is_empty(), "{sid} {ibb}: nobody is rung up");
    }
    // The same names from somebody else are another session; the first one goes on.
    let other = "benvolio@montague.lit/street";
    script.world.relay.set_online(other, true);
    let payload = offer("s1", "b1", 4096, &security).replace(MALLORY, other);
    let now = script.world.now();
    script.world.relay.handle_stanza(now, other, &format!("<iq type='set' id='x' to='{JULIET}'>{payload}</iq>"));
    script.world.run();
    assert!(matches!(&*script.world.take_events(script.juliet), [Event::Incoming(_)]));
    assert!(errors(&script.world, JULIET, other).is_empty());
    assert_eq!(script.set(&open("b1", "4096")).as_deref(), Some("result"));
}

#[test]
fn p08_open_data_and_close_each_have_their_time() {
    let mut script = Script::new(23);
    script.accepted();
    assert_eq!(script.set(&data("b1", "0", "FgMB")).as_deref(), Some("item-not-found"), "data before the open");
    assert_eq!(script.set(&open("b1", "4096")).as_deref(), Some("result"));
    assert_eq!(script.set(&open("b1", "4096")).as_deref(), Some("not-acceptable"), "a second open");
    assert!(script.world.take_events(script.juliet).is_empty());
    script.answers = false;
    assert_eq!(script.set(&ibb_close("b1")).as_deref(), Some("result"));
    let end = closed(&mut script.world, script.juliet);
    assert!(matches!(end.fault, Some(Fault::BytestreamClosed)), "{end:?}");
    // The session-terminate is not acknowledged, so the tunnel is remembered for a while.
    assert_eq!(script.set(&ibb_close("b1")).as_deref(), Some("item-not-found"), "a second close");
    assert_eq!(script.set(&data("b1", "0", "FgMB")).as_deref(), Some("item-not-found"), "data after the close");
    assert_eq!(script.set(&open("b1", "4096")).as_deref(), Some("item-not-found"), "an open after the close");
    assert_eq!(script.set(&info("s1", &["x509"])).as_deref(), Some("item-not-found/unknown-session"));
    script.world.run_for(6 * SECOND);
    assert_eq!(script.world.with(script.juliet, |engine, _| engine.poll_timeout()), None);
}

#[test]
fn p19_every_tunnel_is_a_full_handshake() {
    let (mut world, romeo, juliet) = xtls_testkit::World::pair(29);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let before = world.relay.log().len();
        let tunnel = world.connect(romeo, juliet);
        let log = &world.relay.log()[before..];
        let sum: usize = log.iter().filter(|it| it.stanza.contains("<data ")).map(|it| it.stanza.len()).sum();
        sizes.push(sum);
        crate::common::close(&mut world, romeo, tunnel);
        world.run();
        assert!(closed(&mut world, romeo).is_clean(xtls::EndedBy::Local));
        assert!(closed(&mut world, juliet).is_clean(xtls::EndedBy::Remote));
    }
    assert!(sizes.iter().all(|size| *size == sizes[0]), "both certificates cross each time: {sizes:?}");
}

#[test]
fn garbage_where_tls_was_agreed_is_a_security_error() {
    for garbage in
        [&b"<stream:stream xmlns='jabber:client'>"[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 64], &[22, 3, 1, 255, 255, 1]]
    {
        let mut script = Script::new(31);
        script.opened();
        // XEP-0166 § 9: not-acceptable, for what does not even begin as TLS does.
        let answer = if garbage[0] == 22 { "result" } else { "not-acceptable/security-required" };
        assert_eq!(script.block(garbage).as_deref(), Some(answer));
        if garbage[0] == 22 {
            script.block(&noise(4000, 1));
        }
        let end = closed(&mut script.world, script.juliet);
        assert!(matches!(end.fault, Some(Fault::Tls(_))) && end.security, "{end:?}");
        assert_eq!(terminations(&script.world, JULIET, MALLORY), ["security-error"]);
    }
}

#[test]
fn an_offer_without_any_method_of_ours_ends_in_security_error() {
    let mut script = Script::new(33);
    let fingerprint = script.identity.fingerprint_sha256();
    for (at, security) in
        [security(&[], &[]), security(&[fingerprint], &[]), security(&[], &["openpgp"])].iter().enumerate()
    {
        let answer = script.set(&offer(&format!("s{at}"), &format!("b{at}"), 4096, security));
        assert_eq!(answer.as_deref(), Some("result"), "it is acknowledged first");
        assert!(script.world.take_events(script.juliet).is_empty(), "nothing can come of it");
        assert_eq!(terminations(&script.world, JULIET, MALLORY).len(), at + 1);
    }
    assert!(terminations(&script.world, JULIET, MALLORY).iter().all(|reason| reason == "security-error"));
}
