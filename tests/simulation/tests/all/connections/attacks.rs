//! Servers, proxies and strangers against connections (attack table, rows M31 to M37).

use xtls::{
    CloseReason, Event, TunnelOptions,
    transports::{Exposure, Reach},
};
use xtls_testkit::{Conduct, EntityOptions, Fate};

use super::stage::{PROXY, Stage, direct, over, stage, through_proxy};
use crate::common::{JULIET, MALLORY, MILLI, ROMEO, SECOND, closed, errors, noise, read, the_end};

/// Two ends that offer one another where they listen.
fn both_direct() -> [TunnelOptions; 2] {
    [over(direct("romeo.example", 5086)), over(direct("juliet.example", 6539))]
}

/// The initiator has a proxy.
fn by_proxy() -> [TunnelOptions; 2] {
    [over(through_proxy()), over(Reach::new(Exposure::Proxies))]
}

/// Nothing was secured, neither end has the connection any more, and no application has got a byte.
fn nobody_is_deceived(stage: &mut Stage) {
    for at in 0..2 {
        let (id, tunnel) = (stage.ids[at], stage.tunnels[at]);
        assert_eq!(read(&mut stage.world, id, tunnel), b"");
        let end = closed(&mut stage.world, id);
        assert!(!end.secured && !end.done, "{end:?}");
    }
    assert!(stage.has_let_go());
}

/// The tunnel has found another way: it is secured between the two, and carries what it is given.
fn goes_on(stage: &mut Stage) {
    assert!(stage.is_secured());
    assert!(stage.carries(20_000));
    stage.ends_clean(0);
    assert!(stage.has_let_go());
}

#[test]
fn m31_candidates_that_a_server_changes_or_adds_lead_to_nobody_who_could_pass_for_the_peer() {
    let added = "<candidate cid='mallorys' host='mallory.example' jid='mallory@verona.lit/square' port='666' \
                 priority='2147483647' type='direct'/>";
    for action in ["session-initiate", "session-accept"] {
        for is_added in [false, true] {
            let mut stage = stage(1);
            // Whoever is there lets everybody in.
            stage.sockets.proxy(&mut stage.world, "mallory@verona.lit/square", "mallory.example", 666, Conduct::Honest);
            stage.meddle(action, move |stanza| {
                let changed =
                    ["romeo.example' ", "juliet.example' "].into_iter().fold(stanza.to_owned(), |all, host| {
                        all.replace(host, "mallory.example' ").replace("port='5086'", "port='666'")
                    });
                let changed = changed.replace("port='6539'", "port='666'");
                vec![if is_added { stanza.replace("<candidate ", &format!("{added}<candidate ")) } else { changed }]
            });
            stage.connect(both_direct());
            stage.run_for(100 * SECOND);
            let dialled: Vec<_> = stage.ids.iter().flat_map(|id| stage.sockets.dialled(*id)).collect();
            assert!(dialled.contains(&("mallory.example", 666)), "{action} {is_added}: {dialled:?}");
            if action == "session-accept" && is_added {
                // The initiator begins TLS there before it is told that there is no such candidate.
                nobody_is_deceived(&mut stage);
            } else {
                goes_on(&mut stage);
            }
        }
    }
}

#[test]
fn m32_a_connection_that_asks_for_another_session_or_for_none_is_not_let_in() {
    let mut stage = stage(1);
    let before = "972b7bf47291ca609517f67f86b5081086052dad".parse().unwrap();
    let early = stage.sockets.visit(&stage.world, "romeo.example", 5086, Some(before), b"hello");
    stage.sockets.block(stage.ids[1], "romeo.example");
    stage.connect([over(direct("romeo.example", 5086)), over(Reach::new(Exposure::Direct))]);
    stage.run_until("session-accept");
    stage.run_for(60 * MILLI);
    let other = stage.sockets.visit(&stage.world, "romeo.example", 5086, Some(before), b"hello");
    let raw = stage.sockets.visit(&stage.world, "romeo.example", 5086, None, b"GET / HTTP/1.1\r\n\r\n");
    stage.run_for(20 * SECOND);
    assert!(stage.is_secured(), "in band");
    let own = stage.dst_addrs()[0];
    let late = stage.sockets.visit(&stage.world, "romeo.example", 5086, Some(own), b"hello");
    stage.run_for(SECOND);
    for visit in [early, other, raw, late] {
        assert!(!stage.sockets.is_admitted(visit) && stage.sockets.heard(visit).len() <= 2, "{visit:?}");
    }
    assert!(stage.carries(20_000));
    stage.ends_clean(0);
}

#[test]
fn m33_what_a_stranger_says_of_candidates_changes_nothing() {
    let mut stage = stage(1);
    let mallory = stage.world.add(MALLORY, EntityOptions::seeded(9));
    stage.proxy(Conduct::Honest);
    stage.connect(by_proxy());
    stage.run_until("<candidate-used");
    let offer = stage.world.relay.log().iter().find(|passed| passed.stanza.contains("session-initiate")).unwrap();
    let attribute = |part: &str, name: &str| {
        part.split(&format!(" {name}='")).nth(1).unwrap().split('\'').next().unwrap().to_owned()
    };
    let sid = attribute(offer.stanza.split("<jingle").nth(1).unwrap(), "sid");
    let name = attribute(offer.stanza.split("<content").nth(1).unwrap(), "name");
    let s5b = attribute(offer.stanza.split("<transport").nth(1).unwrap(), "sid");
    let cid = attribute(offer.stanza.split("<candidate").nth(1).unwrap(), "cid");
    let says = [
        format!("<activated cid='{cid}'/>"),
        format!("<candidate-used cid='{cid}'/>"),
        "<candidate-error/>".to_owned(),
        "<proxy-error/>".to_owned(),
    ];
    for (at, said) in says.iter().enumerate() {
        for peer in [ROMEO, JULIET] {
            stage.world.client_mut(mallory).say(format!(
                "<iq type='set' id='m{at}' to='{peer}'><jingle xmlns='urn:xmpp:jingle:1' action='transport-info' \
                 sid='{sid}'><content creator='initiator' name='{name}'>\
                 <transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='{s5b}'>{said}</transport></content></jingle></iq>"
            ));
        }
    }
    stage.run_for(3 * SECOND);
    for from in [ROMEO, JULIET] {
        assert_eq!(errors(&stage.world, from, MALLORY), ["item-not-found/unknown-session"; 4]);
    }
    assert!(stage.is_secured());
    assert!(stage.carries(20_000));
    assert!(!stage.passed("<data"));
    stage.ends_clean(1);
}

#[test]
fn m33_an_activation_that_the_proxy_has_not_answered_is_answered_by_nobody_else() {
    // The proxy keeps silent. Somebody else answers with the right id, or the server in the peer's name.
    for forged in ["by a stranger", "by the server, to the target", "by the server, to the requester"] {
        let mut stage = stage(1);
        let mallory = stage.world.add(MALLORY, EntityOptions::seeded(9));
        stage.proxy(Conduct::Silent);
        stage.connect(by_proxy());
        stage.run_until("<activate");
        let request = stage.world.relay.log().iter().find(|passed| passed.stanza.contains("<activate")).unwrap();
        let id = request.stanza.split(" id='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        let used = stage.world.relay.log().iter().find(|passed| passed.stanza.contains("<candidate-used")).unwrap();
        let activated = used
            .stanza
            .replace("candidate-used", "activated")
            .replace(" id='", " id='f")
            .replace(JULIET, "@")
            .replace(ROMEO, JULIET)
            .replace('@', ROMEO);
        let now = stage.world.now();
        match forged {
            "by a stranger" => {
                stage.world.client_mut(mallory).say(format!("<iq type='result' id='{id}' to='{ROMEO}'/>"));
            }
            "by the server, to the target" => stage.world.relay.inject(now, JULIET, &activated),
            _ => {
                let result = format!("<iq type='result' id='{id}' to='{ROMEO}' from='{PROXY}'/>");
                stage.world.relay.inject(now, ROMEO, &result);
            }
        }
        stage.run_for(100 * SECOND);
        if forged == "by the server, to the requester" {
            // TLS begins, and leads nowhere: the server can prevent a tunnel.
            nobody_is_deceived(&mut stage);
        } else {
            goes_on(&mut stage);
        }
    }
}

#[test]
fn m34_a_proxy_in_the_middle_reads_nothing_and_what_it_changes_or_takes_is_found() {
    let plain = b"a canary that nobody else may see".repeat(30);
    let play = |conduct: Conduct| {
        let mut stage = stage(1);
        stage.proxy(conduct);
        stage.connect(by_proxy());
        let (ids, tunnels) = (stage.ids, [stage.tunnels[0], stage.tunnels[1]]);
        let (mut events, mut got, mut has_written) = ([Vec::new(), Vec::new()], Vec::new(), false);
        for _ in 0..150 {
            // A record that is not whole is waited for.
            stage.run_for(if has_written { 10 * SECOND } else { 5 * SECOND });
            (0..2).for_each(|at| events[at].extend(stage.world.take_events(ids[at])));
            let is_secured = |events: &Vec<Event>| events.iter().any(|event| matches!(event, Event::Secured { .. }));
            if !has_written && events.iter().all(is_secured) {
                has_written = true;
                stage.world.with(ids[0], |engine, now| {
                    engine.tunnel(tunnels[0]).map(|mut tunnel| tunnel.write(now, &plain).unwrap_or(0))
                });
                for at in 0..2 {
                    stage.world.with(ids[at], |engine, now| {
                        engine.tunnel(tunnels[at]).map(|mut tunnel| tunnel.finish(now).is_ok())
                    });
                }
            }
            got.extend(read(&mut stage.world, ids[1], tunnels[1]));
        }
        assert!(!stage.sockets.seen().windows(8).any(|window| window == &plain[..8]), "nothing goes in clear");
        assert!(stage.has_let_go(), "{conduct:?} {:?} {has_written} {events:?}", ids.map(|id| stage.sockets.held(id)));
        let ends = events.map(|events| {
            let end = the_end(&events);
            (matches!(end.reason, CloseReason::Done), end.truncated)
        });
        (has_written, got, ends, stage.sockets.carried())
    };
    let (is_secured, got, ends, carried) = play(Conduct::Honest);
    assert!(is_secured && got == plain && ends == [(true, false); 2]);
    let mut changed_in_data = 0;
    for place in (0..carried / 4).step_by(97) {
        for conduct in [Conduct::Changes(place), Conduct::Swallows(place)] {
            let (is_secured, got, ends, _) = play(conduct);
            assert!(plain.starts_with(&got), "{conduct:?}");
            assert!(is_secured || got.is_empty(), "{conduct:?}");
            // What comes after both have said that they are done is nobody's.
            let is_whole = is_secured && got == plain;
            assert!(is_whole || ends.iter().any(|end| *end != (true, false)), "{conduct:?}: {ends:?}");
            assert!(is_whole || ends[1] != (true, false), "{conduct:?}: {ends:?}");
            changed_in_data += usize::from(is_secured && !is_whole);
        }
    }
    assert!(changed_in_data > 0);
}

#[test]
fn m35_a_stranger_whom_a_proxy_connects_in_the_place_of_an_end_cannot_pass_for_it() {
    for conduct in [Conduct::Replaces, Conduct::ServesStrangers] {
        for says in [&b""[..], b"SSH-2.0-mallory\r\n", &[22, 3, 3, 0, 4, 1, 0, 0, 0]] {
            let mut stage = stage(1);
            stage.world.relay.set_latency(300 * MILLI);
            stage.proxy(conduct);
            stage.connect(by_proxy());
            stage.run_until("<activate");
            let [own, _] = stage.dst_addrs();
            let visit = stage.sockets.visit(&stage.world, "proxy.example", 7777, Some(own), says);
            stage.run_for(200 * MILLI);
            assert!(stage.sockets.is_admitted(visit), "the proxy has let it in");
            stage.run_for(100 * SECOND);
            if conduct == Conduct::ServesStrangers && says.len() == 17 {
                assert_eq!(stage.sockets.heard(visit).first(), Some(&22), "it hears how TLS begins");
            }
            nobody_is_deceived(&mut stage);
        }
    }
}

#[test]
fn m35_a_stranger_that_connects_to_a_listener_first_keeps_the_peer_out_and_gets_nothing() {
    for says in [&b""[..], b"SSH-2.0-mallory\r\n"] {
        let mut stage = stage(1);
        // The peer is slower: it hears nothing for a while.
        stage.sockets.nat(stage.ids[0]);
        stage.connect([over(direct("romeo.example", 5086)), over(Reach::new(Exposure::Direct))]);
        stage.run_until("session-accept");
        stage.run_for(60 * MILLI);
        let [own, other] = stage.dst_addrs();
        let first = stage.sockets.visit(&stage.world, "romeo.example", 5086, Some(own), says);
        stage.run_for(300 * MILLI);
        let second = stage.sockets.visit(&stage.world, "romeo.example", 5086, Some(other), says);
        stage.run_for(20 * SECOND);
        assert!(stage.sockets.is_admitted(first) && !stage.sockets.is_admitted(second), "one gets it");
        assert_eq!(stage.sockets.heard(first), b"", "and hears nothing");
        goes_on(&mut stage);
    }
}

#[test]
fn m36_bytes_before_tls_are_given_to_nobody_and_are_bounded() {
    // A proxy speaks before it has connected both; the handshake comes to nothing.
    let mut stage = stage(1);
    stage.proxy(Conduct::Speaks);
    stage.connect(by_proxy());
    stage.run_for(100 * SECOND);
    nobody_is_deceived(&mut stage);
    // At a listener, before the peer could have nominated anything: what would be too much stays where it is.
    let mut stage = super::stage::stage(1);
    stage.sockets.nat(stage.ids[0]);
    stage.connect([over(direct("romeo.example", 5086)), over(Reach::new(Exposure::Direct))]);
    stage.run_until("session-accept");
    stage.run_for(60 * MILLI);
    let [own, _] = stage.dst_addrs();
    stage.sockets.set_bandwidth(Some(10_000_000));
    let visit = stage.sockets.visit(&stage.world, "romeo.example", 5086, Some(own), &noise(200_000, 3));
    stage.run_for(300 * MILLI);
    assert!(stage.sockets.is_admitted(visit));
    let id = stage.sockets.last_of(stage.ids[0]).unwrap();
    let wants = stage.world.with(stage.ids[0], |engine, _| engine.wants_bytes(id));
    assert!(!wants, "64 KiB are taken, and no more");
    stage.run_for(60 * SECOND);
    goes_on(&mut stage);
}

#[test]
fn m37_a_fallback_that_is_forced_costs_speed_and_nothing_else() {
    type Change = fn(&str) -> Vec<String>;
    let no_candidates: Change = |stanza| {
        let mut rest = stanza.to_owned();
        while let Some(start) = rest.find("<candidate ") {
            let end = start + rest[start..].find("/>").unwrap() + 2;
            rest.replace_range(start..end, "");
        }
        vec![rest]
    };
    let error: Change = |stanza| {
        let start = stanza.find("<candidate-used").unwrap();
        let end = start + stanza[start..].find("/>").unwrap() + 2;
        vec![format!("{}<candidate-error/>{}", &stanza[..start], &stanza[end..])]
    };
    let lost: Change = |_| Vec::new();
    let cases: [(&str, Change); 4] = [
        ("<candidate ", no_candidates),
        ("<candidate-used", error),
        ("<candidate-used", lost),
        ("transport-info", lost),
    ];
    let mut went_on = 0;
    for (what, change) in cases {
        for options in [both_direct(), by_proxy()] {
            let mut stage = stage(1);
            stage.proxy(Conduct::Honest);
            stage.meddle(what, change);
            stage.connect(options);
            stage.run_for(60 * SECOND);
            // Of a stanza that is lost, or of two ends that believe different things, it may die: a server can do that anyway.
            if what == "<candidate " || stage.passed("transport-accept") {
                goes_on(&mut stage);
                went_on += 1;
            } else {
                nobody_is_deceived(&mut stage);
            }
        }
    }
    assert!(went_on >= 4, "{went_on}");
}

#[test]
fn m37_a_transport_that_was_changed_in_the_offer_ends_the_tunnel() {
    let mut stage = stage(1);
    stage.meddle("session-initiate", |stanza| {
        let start = stanza.find("<transport").unwrap();
        let end = stanza.find("</transport>").unwrap() + "</transport>".len();
        let in_band = "<transport xmlns='urn:xmpp:jingle:transports:ibb:1' sid='forged' block-size='4096'/>";
        vec![format!("{}{in_band}{}", &stanza[..start], &stanza[end..])]
    });
    // What the responder answers is turned back.
    stage.connect(both_direct());
    stage.run_for(100 * SECOND);
    nobody_is_deceived(&mut stage);
}

#[test]
fn m37_a_replacement_that_was_changed_on_the_way_is_found_inside() {
    // The responder sees the other version of in-band bytestreams, and the initiator does not see that.
    let mut stage = stage(1);
    stage.world.relay.meddle(|passed| match passed.stanza.as_str() {
        stanza if stanza.contains("transport-replace") => Fate::Replace(vec![stanza.replace("ibb:1", "ibb:0")]),
        stanza if stanza.contains("transport-accept") => Fate::Replace(vec![stanza.replace("ibb:0", "ibb:1")]),
        _ => Fate::Pass,
    });
    for id in stage.ids {
        for host in ["romeo.example", "juliet.example"] {
            stage.sockets.block(id, host);
        }
    }
    stage.connect(both_direct());
    stage.run_for(400 * SECOND);
    assert!(stage.passed("transport-accept"));
    for at in 0..2 {
        let (id, tunnel) = (stage.ids[at], stage.tunnels[at]);
        assert_eq!(read(&mut stage.world, id, tunnel), b"");
        let end = closed(&mut stage.world, id);
        assert!(end.security, "the two compare what they saw: {end:?}");
    }
}
