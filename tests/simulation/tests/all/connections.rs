//! Tunnels over connections that the two ends find: direct, through a proxy, and in band where there is none.

mod attacks;
mod cuts;
mod kept;
mod peers;
mod stage;

use std::time::Duration;

use xtls::{
    CloseReason, Config, Event, Fault, Password, Receipt, Transport, TrustPolicy, TunnelId, TunnelOptions,
    transports::{Exposure, Reach},
};
use xtls_testkit::{Conduct, EntityOptions, Sockets, World};

use self::stage::{Stage, direct, over, proxy_at, stage, through_proxy};
use crate::common::{JULIET, MILLI, ROMEO, SECOND, bodies, close, closed, noise, raw, read, send, the_end, write};

#[test]
fn a_tunnel_goes_by_a_direct_connection_of_either_end() {
    for (reaches, seed) in [
        ([direct("romeo.example", 5086), Reach::new(Exposure::Direct)], 1),
        ([Reach::new(Exposure::Direct), direct("juliet.example", 6539)], 3),
        ([direct("romeo.example", 5086), direct("juliet.example", 6539)], 5),
    ] {
        for by in 0..2 {
            let mut stage = stage(seed);
            stage.connect(reaches.clone().map(over));
            stage.run_for(2 * SECOND);
            assert!(stage.is_secured());
            assert!(stage.carries(300_000));
            assert!(stage.sockets.carried() > 600_000, "by the connection");
            assert!(!stage.passed("<data"), "and nothing in band");
            stage.ends_clean(by);
        }
    }
}

/// A slow server passes the answer on long after the responder has come to the initiator's listener, and what it says of that.
#[test]
fn a_connection_that_overtakes_the_answer_to_the_offer_is_taken() {
    for [server, network] in [[20, 20], [20, 0], [500, 20], [5000, 1]] {
        let mut stage = stage(9);
        stage.world.relay.set_latency(Duration::from_millis(server));
        stage.sockets.set_latency(Duration::from_millis(network));
        let leave = |reach| raw(TrustPolicy::Pinned).over(vec![Transport::Socks5(reach)]);
        stage.connect([leave(direct("romeo.example", 5086)), leave(Reach::new(Exposure::Direct))]);
        stage.run_for(30 * SECOND);
        assert!(stage.is_secured(), "{server} ms by the server");
        assert!(stage.carries(100_000));
        // What says that it ends goes by the server.
        stage.world.relay.set_latency(Duration::from_millis(20));
        stage.ends_clean(0);
    }
}

#[test]
fn a_tunnel_goes_through_a_proxy_of_either_end() {
    for (reaches, seed) in [
        ([through_proxy(), Reach::new(Exposure::Proxies)], 1),
        ([Reach::new(Exposure::Proxies), through_proxy()], 3),
        ([through_proxy(), through_proxy()], 5),
    ] {
        let mut stage = stage(seed);
        stage.proxy(Conduct::Honest);
        stage.connect(reaches.map(over));
        stage.run_for(3 * SECOND);
        assert!(stage.is_secured());
        assert!(stage.carries(300_000));
        assert!(!stage.passed("<data"), "and nothing in band");
        assert_eq!(stage.sockets.open(), 2);
        stage.ends_clean(0);
    }
}

/// Nobody acknowledges what goes by a connection: the peer's own word is all there is.
#[test]
fn what_went_by_a_connection_is_confirmed_by_the_peer() {
    for by in 0..2 {
        let mut stage = stage(11);
        stage.connect([over(direct("romeo.example", 5086)), over(direct("juliet.example", 6539))]);
        stage.run_for(5 * SECOND);
        assert!(stage.is_secured());
        let Stage { ids, tunnels, .. } = &stage;
        let (ids, tunnels) = (*ids, [tunnels[0], tunnels[1]]);
        assert_eq!(write(&mut stage.world, ids[by], tunnels[by], &noise(50_000, 3)), 50_000);
        // The one that sends, or the other, finishes first.
        for at in [by, 1 - by] {
            stage.world.with(ids[at], |engine, now| engine.tunnel(tunnels[at]).unwrap().finish(now)).unwrap();
            stage.run_for(SECOND);
        }
        let unacked = stage.world.with(ids[by], |engine, _| engine.tunnel(tunnels[by]).unwrap().unacked());
        assert_eq!(unacked, 0, "the socket has it");
        assert!(stage.world.take_events(ids[by]).iter().all(|event| !matches!(event, Event::Receipt { .. })));
        let mut got = Vec::new();
        for _ in 0..20 {
            got.extend(read(&mut stage.world, ids[1 - by], tunnels[1 - by]));
            stage.run_for(100 * MILLI);
        }
        assert!(got == noise(50_000, 3));
        let events = stage.world.take_events(ids[by]);
        assert!(matches!(events[0], Event::Receipt { bytes: 50_000, .. }), "{events:?}");
        let end = the_end(&events);
        assert!(matches!(end.reason, CloseReason::Done) && end.receipt == Receipt::Given && !end.truncated, "{end:?}");
        assert!(closed(&mut stage.world, ids[1 - by]).done);
        assert_eq!(stage.sockets.open(), 0, "every connection is closed");
    }
}

#[test]
fn where_no_candidate_works_it_falls_back_in_band_within_ten_seconds() {
    for seed in [1, 3] {
        let mut stage = stage(seed);
        stage.proxy(Conduct::Honest);
        for id in stage.ids {
            for host in ["romeo.example", "juliet.example", "proxy.example"] {
                stage.sockets.block(id, host);
            }
        }
        let reach = |host, port| over(direct(host, port).with_proxy(proxy_at()));
        stage.connect([reach("romeo.example", 5086), reach("juliet.example", 6539)]);
        stage.run_for(10 * SECOND);
        assert!(stage.is_secured());
        assert!(stage.passed("transport-replace") && stage.passed("transport-accept"));
        assert!(stage.carries(100_000));
        assert!(stage.passed("<data"), "in band");
        stage.ends_clean(1);
    }
}

#[test]
fn without_a_connection_and_without_leave_to_go_in_band_it_ends_and_says_why() {
    let mut stage = stage(1);
    let only = |reach| raw(TrustPolicy::Pinned).over(vec![Transport::Socks5(reach)]);
    stage.connect([only(Reach::new(Exposure::Direct)), over(Reach::new(Exposure::Direct))]);
    stage.run_for(10 * SECOND);
    let end = closed(&mut stage.world, stage.ids[0]);
    assert!(matches!(end.fault, Some(Fault::NoConnection)), "{end:?}");
    assert!(stage.passed("<connectivity-error/>"));
    closed(&mut stage.world, stage.ids[1]);
}

#[test]
fn a_responder_that_does_not_go_in_band_rejects_the_replacement() {
    let mut stage = stage(1);
    let only = |reach| raw(TrustPolicy::Pinned).over(vec![Transport::Socks5(reach)]);
    stage.connect([over(Reach::new(Exposure::Direct)), only(Reach::new(Exposure::Direct))]);
    stage.run_for(10 * SECOND);
    let end = closed(&mut stage.world, stage.ids[0]);
    assert!(matches!(end.fault, Some(Fault::NoConnection)), "{end:?}");
    assert!(stage.passed("transport-reject"));
}

#[test]
fn a_peer_that_does_not_announce_connections_is_offered_the_bytestream() {
    let mut world = World::default();
    world.relay.keep_log();
    let with = |socks5: bool, seed| {
        let mut options = EntityOptions::seeded(seed);
        options.config.socks5 = socks5;
        options
    };
    let romeo = world.add(ROMEO, with(true, 1));
    let juliet = world.add(JULIET, with(false, 2));
    world.introduce(romeo, juliet);
    world.connect_with(romeo, juliet, over(direct("romeo.example", 5086)));
    for id in [romeo, juliet] {
        assert!(matches!(&*world.take_events(id), [Event::Secured { .. }]));
    }
    assert!(!world.relay.log().iter().any(|passed| passed.stanza.contains("candidate")));
    assert!(!Config::default().socks5, "nobody has to make connections who has not said so");
}

#[test]
fn a_proxy_that_sits_on_the_last_bytes_until_more_comes_keeps_nobody_waiting() {
    let mut stage = stage(1);
    stage.proxy(Conduct::Hoards(4096));
    stage.connect([through_proxy(), Reach::new(Exposure::Proxies)].map(over));
    stage.run_for(3 * SECOND);
    assert!(stage.is_secured());
    let [romeo, juliet] = stage.ids;
    let (here, there) = (stage.tunnels[0], stage.tunnels[1]);
    // In the middle,
    let sent = noise(20_000, 1);
    assert_eq!(write(&mut stage.world, romeo, here, &sent), sent.len());
    stage.run_for(SECOND);
    assert!(read(&mut stage.world, juliet, there) == sent);
    // and at the end.
    assert_eq!(write(&mut stage.world, romeo, here, &sent), sent.len());
    for (id, tunnel) in [(romeo, here), (juliet, there)] {
        stage.world.with(id, |engine, now| engine.tunnel(tunnel).unwrap().finish(now)).unwrap();
    }
    stage.run_for(5 * SECOND);
    assert!(read(&mut stage.world, juliet, there) == sent);
    stage.run_for(5 * SECOND);
    for id in stage.ids {
        let end = closed(&mut stage.world, id);
        assert!(end.fault.is_none() && !end.truncated, "{end:?}");
    }
    assert_eq!(stage.sockets.open(), 0);
}

/// What is to push the last bytes out has piled up before the proxy like those. With certificates it is a change of keys, by a password a
/// record without data.
#[test]
fn a_burst_that_is_read_slowly_comes_to_its_end_through_a_proxy_that_hoards() {
    for by_password in [false, true] {
        let (mut stage, options) = if by_password {
            let mut stage = stage_of_strangers();
            let peer = stage.world.jid(stage.ids[0]).to_bare();
            stage.world.with(stage.ids[1], |engine, _| engine.allow_offers(peer, true));
            let options = |reach| over(reach).with_password(Password::new("a rose").unwrap());
            (stage, [through_proxy(), Reach::new(Exposure::Proxies)].map(options))
        } else {
            (stage(1), [through_proxy(), Reach::new(Exposure::Proxies)].map(over))
        };
        stage.proxy(Conduct::Hoards(4096));
        stage.connect(options);
        stage.run_for(3 * SECOND);
        assert!(stage.is_secured());
        for (from, length) in [(0, 700_000), (1, 30_000), (0, 700_000)] {
            let [(here, sender), (there, reader)] = [from, 1 - from].map(|at| (stage.ids[at], stage.tunnels[at]));
            let sent = noise(length, 1);
            let mut written = 0;
            // All buffers on the way are filled. Nobody reads for longer than it takes until the first nudges.
            for _ in 0..50 {
                written += write(&mut stage.world, here, sender, &sent[written..]);
                stage.run_for(SECOND / 10);
            }
            assert_eq!(written, sent.len());
            let mut got = Vec::new();
            // No longer than as long again.
            for _ in 0..60 {
                got.extend(read(&mut stage.world, there, reader));
                stage.run_for(SECOND / 10);
            }
            assert!(got == sent, "{by_password} {from}: {} bytes came", got.len());
        }
        // Nothing is left to be pushed two hours later, and nobody minds that it was tried.
        stage.run_for(10_000 * SECOND);
        let before = stage.sockets.carried();
        stage.run_for(10_000 * SECOND);
        assert_eq!(stage.sockets.carried(), before);
        assert!(stage.carries(50_000));
        stage.ends_clean(0);
    }
}

/// Two entities with an XML stream between them, and nothing in the log so far.
fn stage_inside(seed: u8) -> (Stage, [TunnelId; 2]) {
    let mut stage = stage(seed);
    let [romeo, juliet] = stage.ids;
    let around = stage.world.connect_with(romeo, juliet, TunnelOptions::xml_stream(TrustPolicy::Pinned));
    for id in stage.ids {
        stage.world.take_events(id);
    }
    stage.since = stage.world.relay.log().len();
    (stage, [around.0, around.1])
}

#[test]
fn inside_of_an_xml_stream_candidates_are_told_and_no_server_sees_one() {
    for from in 0..2 {
        let (mut stage, _) = stage_inside(1);
        if from == 1 {
            stage.ids.reverse();
        }
        let hosts = if from == 0 { ["romeo.example", "juliet.example"] } else { ["juliet.example", "romeo.example"] };
        let ports = if from == 0 { [5086, 6539] } else { [6539, 5086] };
        stage.connect([over(direct(hosts[0], ports[0])), over(direct(hosts[1], ports[1]))]);
        stage.run_for(2 * SECOND);
        assert!(stage.is_secured());
        assert!(stage.carries(100_000));
        for what in ["candidate", "<jingle", ".example'"] {
            assert!(!stage.passed(what), "{what} went over the server");
        }
        stage.ends_clean(from);
        assert!(!stage.passed("<jingle"), "nor did its end");
    }
}

#[test]
fn a_session_inside_ends_with_the_tunnel_around_it_unless_it_is_secured_by_then() {
    let (mut stage, [around, _]) = stage_inside(1);
    stage.connect([over(direct("romeo.example", 5086)), over(Reach::new(Exposure::Direct))]);
    close(&mut stage.world, stage.ids[0], around);
    stage.run_for(10 * SECOND);
    assert!(!stage.passed("candidate"), "not even then");
    let [romeo, juliet] = stage.ids;
    for (id, tunnel) in [(romeo, stage.tunnels[0]), (juliet, stage.tunnels[1])] {
        let events = stage.world.take_events(id);
        let ends = |event: &Event| matches!(event, Event::Closed(closed) if closed.id == tunnel);
        assert!(events.iter().any(ends), "{events:?}");
    }
    assert_eq!(stage.sockets.open(), 0);
    let (mut stage, [around, _]) = stage_inside(3);
    stage.connect([over(direct("romeo.example", 5086)), over(Reach::new(Exposure::Direct))]);
    stage.run_for(2 * SECOND);
    close(&mut stage.world, stage.ids[0], around);
    stage.run_for(2 * SECOND);
    assert!(stage.carries(50_000), "it goes on by its connection");
    assert!(!stage.passed("candidate"));
}

#[test]
fn a_peer_that_does_not_negotiate_inside_is_offered_it_over_the_server() {
    let mut world = World::default();
    world.relay.keep_log();
    let ids = [(ROMEO, 1), (JULIET, 2)].map(|(jid, seed)| {
        let mut options = EntityOptions::seeded(seed);
        options.config.socks5 = true;
        if jid == JULIET {
            let all = ["urn:xmpp:jingle:1", "urn:xmpp:jingle:security:xtls:0", "urn:xmpp:jingle:transports:s5b:1"];
            options.features = Some(all.into_iter().chain([xtls::jingle::BYTES_NS]).map(str::to_owned).collect());
        }
        world.add(jid, options)
    });
    world.introduce(ids[0], ids[1]);
    let mut sockets = Sockets::new(20 * MILLI);
    sockets.listen(ids[0], "romeo.example", 5086);
    let mut stage = Stage { world, sockets, ids, tunnels: Vec::new(), since: 0 };
    stage.world.connect_with(ids[0], ids[1], TunnelOptions::xml_stream(TrustPolicy::Pinned));
    for id in ids {
        stage.world.take_events(id);
    }
    stage.connect([over(direct("romeo.example", 5086)), over(Reach::new(Exposure::Direct))]);
    stage.run_for(2 * SECOND);
    assert!(stage.is_secured() && stage.passed("<candidate "));
}

#[test]
fn an_xml_stream_and_a_password_go_by_a_connection_too() {
    let ways = |options: TunnelOptions, reach| options.over(vec![Transport::Socks5(reach), Transport::InBand]);
    let mut stage = stage(1);
    let xml = || TunnelOptions::xml_stream(TrustPolicy::Pinned);
    stage.connect([ways(xml(), direct("romeo.example", 5086)), ways(xml(), Reach::new(Exposure::Direct))]);
    stage.run_for(2 * SECOND);
    for at in [0, 1, 0, 1] {
        let (id, tunnel) = (stage.ids[at], stage.tunnels[at]);
        send(&mut stage.world, id, tunnel, "wherefore art thou").unwrap();
        stage.run_for(SECOND);
        let heard = stage.world.take_events(stage.ids[1 - at]);
        assert_eq!(bodies(&heard), ["wherefore art thou"]);
    }
    assert!(!stage.passed("<data"));
    stage.ends_clean(1);

    for is_named in [true, false] {
        let mut stage = stage_of_strangers();
        let [romeo, juliet] = stage.ids;
        let peer = stage.world.jid(romeo).to_bare();
        stage.world.with(juliet, |engine, _| engine.allow_offers(peer, is_named));
        let by_password = || raw(TrustPolicy::Pinned).with_password(Password::new("a rose").unwrap());
        stage.connect([
            ways(by_password(), direct("romeo.example", 5086)),
            ways(by_password(), Reach::new(Exposure::Direct)),
        ]);
        stage.run_for(10 * SECOND);
        assert!(stage.is_secured());
        let sent = noise(100_000, 3);
        let (mut written, mut got) = (0, Vec::new());
        while got.len() < sent.len() {
            written += write(&mut stage.world, romeo, stage.tunnels[0], &sent[written..]);
            stage.run_for(SECOND);
            got.extend(read(&mut stage.world, juliet, stage.tunnels[1]));
        }
        assert!(got == sent);
        assert_eq!(stage.passed("<data"), !is_named, "nothing is dialled for a stranger, whoever accepts it");
    }
}

/// Two who do not know one another's certificates.
fn stage_of_strangers() -> Stage {
    let mut world = World::default();
    world.relay.keep_log();
    let ids = [(ROMEO, 11), (JULIET, 12)].map(|(jid, seed)| {
        let mut options = EntityOptions::seeded(seed);
        options.config.socks5 = true;
        world.add(jid, options)
    });
    let mut sockets = Sockets::new(20 * MILLI);
    sockets.listen(ids[0], "romeo.example", 5086);
    Stage { world, sockets, ids, tunnels: Vec::new(), since: 0 }
}
