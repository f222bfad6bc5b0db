//! Peers that want to learn where one is, or to have doors knocked at (attack table, rows P29 to P31), and hosts behind NATs.

use std::net::IpAddr;

use xtls::{
    Transport, TrustPolicy, TunnelOptions,
    transports::{Endpoint, Exposure, Host, Networks, Reach, StreamHost},
};
use xtls_testkit::Conduct;

use super::stage::{Stage, direct, over, proxy_at, stage};
use crate::common::{SECOND, raw};

fn connecting(options: [TunnelOptions; 2]) -> Stage {
    let mut stage = stage(1);
    stage.connect(options);
    stage.run_until("session-accept");
    stage.run_for(SECOND / 10);
    stage
}

#[test]
fn p29_a_name_that_stands_for_an_address_inside_is_not_dialled_there() {
    let inside = ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0", "fd00::1"];
    let hidden = ["::ffff:127.0.0.1", "64:ff9b::10.1.2.3", "::ffff:192.168.0.1", "2002:7f00:1::", "fe80::1", "ff02::1"];
    let outside = ["1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"];
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let home = Networks::default().with("192.168.0.0/24".parse().unwrap());
    let reach = Reach::new(Exposure::Direct).within(home);
    let mut stage = connecting([over(direct("romeo.example", 5086)), over(reach)]);
    let [romeo, juliet] = stage.ids;
    let id = stage.sockets.last_of(juliet).expect("it dials");
    let check = |stage: &mut Stage, text: &str| {
        stage.world.with(juliet, |engine, _| engine.check_address(id, address(text)).is_ok())
    };
    for text in inside.into_iter().chain(hidden) {
        // What the caller has handed over may be dialled, however it is written.
        assert_eq!(check(&mut stage, text), text.ends_with("192.168.0.1"), "{text}");
    }
    assert!(outside.iter().all(|text| check(&mut stage, text)));
    // A lookup that outlives its tunnel finds nothing more open than before.
    let tunnel = stage.tunnels[1];
    stage.world.with(juliet, |engine, now| engine.tunnel(tunnel).unwrap().close(now));
    stage.run_for(60 * SECOND);
    assert!(inside.into_iter().chain(hidden).all(|text| !check(&mut stage, text)));
    assert_eq!(stage.sockets.held(romeo) + stage.sockets.held(juliet), 0);
}

#[test]
fn p30_of_a_thousand_candidates_eight_are_dialled_one_after_the_other_and_of_those_that_come_later_none_more() {
    let many = |first: u32, count: u32| {
        let one = |at: u32| {
            format!(
                "<candidate cid='c{at}' host='victim{at}.example' jid='romeo@montague.lit/orchard' port='{}' priority='{}'/>",
                1 + at % 60_000,
                1000 + at
            )
        };
        (first..first + count).map(one).collect::<String>()
    };
    let mut stage = stage(1);
    stage.meddle("session-initiate", move |stanza| {
        let start = stanza.find("<candidate ").unwrap();
        vec![format!("{}{}{}", &stanza[..start], many(0, 1000), &stanza[start..])]
    });
    stage.sockets.block(stage.ids[1], "romeo.example");
    stage.connect([over(direct("romeo.example", 5086)), over(Reach::new(Exposure::Direct))]);
    stage.run_until("session-accept");
    // More of them, one by one, as XEP-0260 § 2.2 has it.
    let offer = stage.world.relay.log().iter().find(|passed| passed.stanza.contains("session-initiate")).unwrap();
    let between =
        |text: &str, from: &str, to: &str| text.split(from).nth(1).unwrap().split(to).next().unwrap().to_owned();
    let sid = between(&offer.stanza, "<jingle", "<content");
    let sid = between(&sid, " sid='", "'");
    let s5b = between(&between(&offer.stanza, "<transport", ">"), " sid='", "'");
    let [romeo, juliet] = stage.ids;
    for at in 0..100 {
        let candidate = many(5000 + at, 1);
        stage.world.client_mut(romeo).say(format!(
            "<iq type='set' id='more{at}' to='juliet@capulet.lit/balcony'><jingle xmlns='urn:xmpp:jingle:1' \
             action='transport-info' sid='{sid}'><content creator='initiator' name='data'>\
             <transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='{s5b}'>{candidate}</transport></content></jingle></iq>"
        ));
    }
    stage.run_for(SECOND / 10);
    assert!(stage.sockets.dialled(juliet).len() < 8, "they are not dialled all at once");
    stage.run_for(60 * SECOND);
    assert_eq!(stage.sockets.dialled(juliet).len(), 8, "{:?}", stage.sockets.dialled(juliet));
    assert!(stage.is_secured(), "in band");
    stage.ends_clean(0);
}

#[test]
fn p30_what_the_exposure_leaves_out_is_neither_offered_nor_dialled() {
    let whole = |exposure| {
        let at = Endpoint::new(Host::new("juliet.example").unwrap(), 6539);
        Reach::new(exposure).with_endpoint(at).with_proxy(proxy_at())
    };
    for (exposure, offers, dials) in [
        (Exposure::InBand, (false, false), (false, false)),
        (Exposure::Proxies, (false, true), (false, true)),
        (Exposure::DirectIfSecuredBefore, (false, true), (false, true)),
        (Exposure::Direct, (true, true), (true, true)),
    ] {
        let mut stage = stage(1);
        stage.proxy(Conduct::Refuses);
        stage.sockets.block(stage.ids[1], "romeo.example");
        stage.sockets.block(stage.ids[1], "other.example");
        let other = StreamHost::new("other.lit".parse().unwrap(), Host::new("other.example").unwrap(), 1);
        stage.connect([over(direct("romeo.example", 5086).with_proxy(other)), over(whole(exposure))]);
        stage.run_for(40 * SECOND);
        let log = stage.world.relay.log();
        let accept = log.iter().find(|passed| passed.stanza.contains("session-accept")).unwrap();
        let offered = ["juliet.example", "proxy.example"].map(|host| accept.stanza.contains(host));
        assert_eq!(offered, [offers.0, offers.1], "{exposure:?}");
        let dialled = stage.sockets.dialled(stage.ids[1]);
        let dialled = [("romeo.example", 5086), ("other.example", 1)].map(|place| dialled.contains(&place));
        assert_eq!(dialled, [dials.0, dials.1], "{exposure:?}");
    }
}

#[test]
fn p31_a_stranger_learns_no_address_and_has_none_dialled() {
    let mut stage = stage(1);
    let [romeo, juliet] = stage.ids;
    let peer = stage.world.jid(romeo).to_bare();
    stage.world.with_store(juliet, |store| store.remove(&peer));
    stage.proxy(Conduct::Honest);
    let reach = |host, port| direct(host, port).with_proxy(proxy_at());
    let accepts =
        raw(TrustPolicy::LeapOfFaith).over(vec![Transport::Socks5(reach("juliet.example", 6539)), Transport::InBand]);
    stage.connect([over(reach("romeo.example", 5086)), accepts]);
    stage.run_for(30 * SECOND);
    assert!(stage.passed("session-accept"));
    let log = stage.world.relay.log();
    assert!(!log.iter().any(|passed| passed.from.starts_with("juliet") && passed.stanza.contains("<candidate ")));
    assert_eq!(stage.sockets.dialled(juliet), []);
    assert!(stage.is_secured(), "in band");
    stage.ends_clean(1);
}

#[test]
fn behind_a_nat_one_end_connects_to_the_other_and_two_that_are_go_through_a_proxy_or_in_band() {
    for (nats, proxy, by) in [
        (vec![0], false, "juliet.example"),
        (vec![1], false, "romeo.example"),
        (vec![0, 1], true, "proxy.example"),
        (vec![0, 1], false, ""),
    ] {
        let mut stage = stage(1);
        stage.sockets.set_bandwidth(Some(200_000));
        nats.iter().for_each(|at| stage.sockets.nat(stage.ids[*at]));
        stage.proxy(Conduct::Honest);
        let reach = |host, port| {
            let reach = direct(host, port);
            over(if proxy { reach.with_proxy(proxy_at()) } else { reach })
        };
        stage.connect([reach("romeo.example", 5086), reach("juliet.example", 6539)]);
        stage.run_for(12 * SECOND);
        assert!(stage.is_secured(), "{nats:?}");
        assert!(stage.carries(50_000));
        assert_eq!(stage.passed("<data"), by.is_empty(), "{nats:?}");
        let dialled = stage.ids.iter().flat_map(|id| stage.sockets.dialled(*id));
        assert!(by.is_empty() || dialled.into_iter().any(|(host, _)| host == by), "{nats:?}");
        stage.ends_clean(0);
        assert!(stage.has_let_go());
    }
}

#[test]
fn bandwidth_bounds_what_a_connection_carries_and_holds_the_sender_back() {
    let mut stage = stage(1);
    stage.sockets.set_bandwidth(Some(10_000));
    stage.connect([over(direct("romeo.example", 5086)), over(Reach::new(Exposure::Direct))]);
    stage.run_for(5 * SECOND);
    assert!(stage.is_secured());
    let before = stage.world.now();
    assert!(stage.carries(100_000));
    let took = stage.world.now() - before;
    assert!(took >= 10 * SECOND && took < 12 * SECOND, "{took:?}");
    stage.ends_clean(0);
}

#[test]
fn xep_0260_2_2_where_there_are_proxies_both_state_the_dst_addr_and_nobody_repeats_what_the_other_offered() {
    let whole = |host, port| over(direct(host, port).with_proxy(proxy_at()));
    let mut stage = stage(1);
    stage.proxy(Conduct::Honest);
    let own = StreamHost::new("other.lit".parse().unwrap(), Host::new("other.example").unwrap(), 1);
    let juliets = direct("juliet.example", 6539).with_proxy(proxy_at()).with_proxy(own);
    stage.connect([whole("romeo.example", 5086), over(juliets)]);
    stage.run_until("session-accept");
    let transport = |action: &str| {
        let passed = stage.world.relay.log().iter().find(|passed| passed.stanza.contains(action)).unwrap();
        let rest = passed.stanza.split("<transport ").nth(1).unwrap();
        rest.split("</transport>").next().unwrap().to_owned()
    };
    let (offer, answer) = (transport("session-initiate"), transport("session-accept"));
    let names = stage.dst_addrs();
    for (stated, name, owner) in [(&offer, names[0], "romeo"), (&answer, names[1], "juliet")] {
        assert!(stated.contains(&format!("dstaddr='{name}'")), "{stated}");
        assert!(!stated.contains("mode="), "{stated}");
        assert!(stated.contains(&format!("jid='{owner}@")), "{stated}");
    }
    assert!(offer.contains("proxy.example") && !answer.contains("proxy.example"), "{answer}");
    assert!(answer.contains("other.example"));
    let priorities = |stated: &str| {
        let values = stated.split("priority='").skip(1).map(|rest| rest.split('\'').next().unwrap().to_owned());
        values.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(priorities(&offer).union(&priorities(&answer)).count(), 4, "no priority twice");
    assert_eq!(offer.matches("cid='").count() + answer.matches("cid='").count(), 4);
}
