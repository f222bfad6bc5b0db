//! Tunnels over connections in a simulated world: what applications do, what becomes of connections and servers, what a proxy and a
//! stranger do, all of it chosen by the input; and what must hold afterwards.

use core::time::Duration;
use std::time::Instant;

use xtls::{
    Application, CloseReason, EndedBy, Event, Receipt, Transport, TrustPolicy, TunnelId, TunnelOptions,
    jingle::{Reason, ReasonCondition},
    transports::{Endpoint, Exposure, Host, Reach, StreamHost},
};
use xtls_testkit::{Conduct, Connection, Cut, EntityId, EntityOptions, Fate, Sockets, World};

use crate::input::Input;

const JIDS: [&str; 2] = ["romeo@montague.lit/orchard", "juliet@capulet.lit/balcony"];
const HOSTS: [(&str, u16); 2] = [("romeo.example", 5086), ("juliet.example", 6539)];
const PROXY: (&str, &str, u16) = ("proxy.lit/7", "proxy.example", 7777);
const MILLI: Duration = Duration::from_millis(1);
/// Longer than whatever waits for a peer or for an application.
const REST: Duration = Duration::from_secs(2000);
/// Things that happen in one play.
const MOST: usize = 60;

/// Plays what the bytes choose.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut play = Play::new(&mut input);
    let mut turns = 0;
    while !input.is_empty() && turns < MOST {
        turns += 1;
        play.perform(&mut input);
        play.applications();
    }
    play.come_to_rest();
}

struct Play {
    world: World,
    sockets: Sockets,
    ids: [EntityId; 2],
    tunnels: [TunnelId; 2],
    wrote: [usize; 2],
    got: [Vec<u8>; 2],
    secured: [bool; 2],
    peer_finished: [bool; 2],
    ended: [bool; 2],
    /// Somebody has lied, or said what the two have not.
    is_hostile: bool,
}

fn reach(input: &mut Input<'_>, own: usize) -> Reach {
    let choice = input.byte();
    let mut reach = Reach::new(if choice & 1 == 0 { Exposure::Direct } else { Exposure::Proxies });
    if choice & 2 == 0 {
        reach = reach.with_endpoint(Endpoint::new(Host::new(HOSTS[own].0).expect("a host"), HOSTS[own].1));
    }
    if choice & 4 == 0 {
        let host = Host::new(PROXY.1).expect("a host");
        reach = reach.with_proxy(StreamHost::new(PROXY.0.parse().expect("an address"), host, PROXY.2));
    }
    reach
}

/// What an end sends: the same bytes wherever it is in them.
fn byte(end: usize, at: usize) -> u8 {
    u8::try_from((at * 7 + end * 101 + at / 256) % 256).unwrap_or(0)
}

impl Play {
    fn new(input: &mut Input<'_>) -> Self {
        let mut world = World::default();
        world.relay.keep_log();
        let mut seed = 0;
        let ids = JIDS.map(|jid| {
            seed += 1;
            let mut options = EntityOptions::seeded(seed);
            options.config.socks5 = true;
            world.add(jid, options)
        });
        world.introduce(ids[0], ids[1]);
        let mut sockets = Sockets::new(20 * MILLI);
        for own in 0..2 {
            sockets.listen(ids[own], HOSTS[own].0, HOSTS[own].1);
        }
        let conducts = [
            Conduct::Honest,
            Conduct::Hoards(512),
            Conduct::Refuses,
            Conduct::Silent,
            Conduct::Stalls,
            Conduct::Replaces,
            Conduct::ServesStrangers,
            Conduct::Speaks,
            Conduct::Changes(usize::from(input.number())),
            Conduct::Swallows(usize::from(input.number())),
        ];
        let choice = input.below(conducts.len());
        sockets.proxy(&mut world, PROXY.0, PROXY.1, PROXY.2, conducts[choice]);
        let world_choice = input.byte();
        sockets.set_bandwidth([None, Some(1_000_000), Some(10_000), Some(300)][usize::from(world_choice & 3)]);
        (0..2).filter(|own| world_choice >> (2 + own) & 1 == 1).for_each(|own| sockets.nat(ids[own]));
        (0..2).filter(|own| world_choice >> (4 + own) & 1 == 1).for_each(|own| sockets.block(ids[own], PROXY.1));
        let is_only_socks = world_choice >> 6 & 1 == 1;
        let options = [0, 1].map(|own| {
            let mut ways = vec![Transport::Socks5(reach(input, own))];
            ways.extend((!is_only_socks).then_some(Transport::InBand));
            TunnelOptions::new(Application::bytes(), TrustPolicy::Pinned).over(ways)
        });
        let peer = world.jid(ids[1]).clone();
        let [offered, accepted] = options;
        let here = world.with(ids[0], |engine, now| engine.initiate(now, peer, offered)).expect("an offer");
        world.run();
        let there = world.accept(ids[1], accepted).expect("the offer arrives");
        Self {
            world,
            sockets,
            ids,
            tunnels: [here, there],
            wrote: [0; 2],
            got: [Vec::new(), Vec::new()],
            secured: [false; 2],
            peer_finished: [false; 2],
            ended: [false; 2],
            is_hostile: choice > 4,
        }
    }

    fn perform(&mut self, input: &mut Input<'_>) {
        let what = input.below(20);
        let at = input.below(2);
        let (id, tunnel) = (self.ids[at], self.tunnels[at]);
        let Self { world, sockets, .. } = self;
        match what {
            0..6 => {
                for _ in 0..1 + input.below(16) {
                    sockets.step(world, later(world, Duration::from_secs(60)));
                }
            }
            6 => sockets.run_for(world, u32::from(input.number()) * MILLI),
            7..9 => {
                let from = self.wrote[at];
                let bytes: Vec<u8> = (from..from + input.below(20_000)).map(|place| byte(at, place)).collect();
                let taken = world.with(id, |engine, now| engine.tunnel(tunnel).map(|mut it| it.write(now, &bytes)));
                self.wrote[at] += taken.and_then(Result::ok).unwrap_or(0);
            }
            9 => drop(world.with(id, |engine, now| engine.tunnel(tunnel).map(|mut it| it.finish(now)))),
            10 => drop(world.with(id, |engine, now| engine.tunnel(tunnel).map(|mut it| it.close(now)))),
            11 => {
                let reason = Reason::new(ReasonCondition::Cancel);
                world.with(id, |engine, now| engine.tunnel(tunnel).map(|mut it| it.abort(now, reason)));
            }
            12 => sockets.cut(world, Cut::At(id)),
            13 => sockets.cut(world, if at == 0 { Cut::Everywhere } else { Cut::Silently }),
            14 => match world.state(id) {
                Connection::Suspended => world.resume(id),
                Connection::Online | Connection::Resumed => world.suspend(id),
                _ => world.log_in(id),
            },
            15 if world.state(id) != Connection::Offline => world.disconnect(id),
            16 => {
                // The server loses or doubles what is said of candidates.
                let (how, mut left) = (input.byte(), 1 + input.below(4));
                self.is_hostile = true;
                world.relay.meddle(move |passed| {
                    let is_it = left > 0 && passed.stanza.contains("<transport ");
                    left -= usize::from(is_it);
                    let stanza = || passed.stanza.clone();
                    match how % 4 {
                        _ if !is_it => Fate::Pass,
                        0 => Fate::Replace(vec![]),
                        1 => Fate::Replace(vec![stanza(), stanza()]),
                        2 => Fate::Replace(vec![stanza().replace("candidate-used", "activated")]),
                        _ => Fate::Replace(vec![stanza().replace("candidate ", "candidat ")]),
                    }
                });
            }
            17 => {
                self.is_hostile = true;
                let says = input.line().to_vec();
                let (host, port) = if at == 0 { HOSTS[0] } else { (PROXY.1, PROXY.2) };
                let asks = (!says.is_empty()).then(|| dst_addr(world)).flatten();
                sockets.visit(world, host, port, asks, &says);
            }
            18 => {
                // Bytes that no socket has brought.
                self.is_hostile = true;
                let bytes = input.line().to_vec();
                if let Some(connection) = sockets.last_of(id) {
                    world.with(id, |engine, now| engine.handle_connection_bytes(now, connection, &bytes));
                }
            }
            _ => sockets.set_bandwidth([None, Some(100_000), Some(5000)].get(input.below(3)).copied().flatten()),
        }
    }

    /// What the applications see; they read what there is.
    fn applications(&mut self) {
        for at in 0..2 {
            let (id, tunnel) = (self.ids[at], self.tunnels[at]);
            let mut out = Vec::new();
            self.world.with(id, |engine, now| engine.tunnel(tunnel).map(|mut it| it.read(now, &mut out)));
            self.got[at].extend(out);
            for event in self.world.take_events(id) {
                match event {
                    Event::Secured { .. } => self.secured[at] = true,
                    Event::PeerFinished { .. } => self.peer_finished[at] = true,
                    Event::Receipt { bytes, .. } => {
                        assert_eq!(
                            usize::try_from(bytes).ok(),
                            Some(self.got[1 - at].len()),
                            "it is for what was read"
                        );
                    }
                    Event::Closed(end) => {
                        self.ended[at] = true;
                        self.judge(at, &end);
                    }
                    _ => {}
                }
            }
        }
    }

    fn judge(&mut self, at: usize, end: &xtls::Closed) {
        // What came before the end is still to be read.
        let (id, tunnel) = (self.ids[at], self.tunnels[at]);
        let mut out = Vec::new();
        self.world.with(id, |engine, now| engine.tunnel(tunnel).map(|mut it| it.read(now, &mut out)));
        self.got[at].extend(out);
        let has_all = self.got[at].len() == self.wrote[1 - at];
        assert!(
            !self.secured[at] || end.truncated || end.by != EndedBy::Remote || has_all,
            "a loss that is not told: {end:?}"
        );
        assert!(!end.truncated || !has_all || !self.peer_finished[at], "a loss that is none: {end:?}");
        assert!(self.is_hostile || !end.reason.is_security(), "nobody has attacked: {end:?}");
        let is_given = end.receipt == Receipt::Given;
        assert!(!is_given || self.got[1 - at].len() == self.wrote[at], "a receipt for what has not come: {end:?}");
        assert!(!matches!(end.reason, CloseReason::Done) || self.secured[at]);
    }

    /// Everything is as it should be again, and nothing is left.
    fn come_to_rest(&mut self) {
        self.world.relay.stop_meddling();
        for id in self.ids {
            match self.world.state(id) {
                Connection::Suspended => self.world.resume(id),
                Connection::Offline => self.world.log_in(id),
                _ => {}
            }
        }
        self.sockets.set_bandwidth(None);
        self.run_for(Duration::from_secs(60));
        self.sockets.cut(&mut self.world, Cut::Everywhere);
        self.run_for(Duration::from_secs(60));
        for at in 0..2 {
            let tunnel = self.tunnels[at];
            self.world.with(self.ids[at], |engine, now| engine.tunnel(tunnel).map(|mut it| it.close(now)));
        }
        self.run_for(REST);
        for at in 0..2 {
            let id = self.ids[at];
            assert!(self.ended[at], "it ends");
            assert!(
                self.got[at].iter().enumerate().all(|(place, got)| *got == byte(1 - at, place)),
                "what was sent came"
            );
            assert_eq!(self.sockets.held(id), 0, "every connection is given up");
            let left = self.world.with(id, |engine, _| (engine.tunnels().count(), engine.poll_timeout()));
            assert!(left.0 == 0 && left.1.is_none(), "{left:?}");
        }
        assert_eq!(self.sockets.dialling(), 0);
    }

    fn run_for(&mut self, duration: Duration) {
        let until = later(&self.world, duration);
        while self.sockets.step(&mut self.world, until) {
            self.applications();
        }
        self.applications();
    }
}

fn later(world: &World, duration: Duration) -> Instant {
    world.now() + duration
}

/// What the connection of the tunnel asks for.
fn dst_addr(world: &World) -> Option<xtls::transports::DstAddr> {
    let offer = world.relay.log().iter().find(|passed| passed.stanza.contains("session-initiate"))?;
    let transport = offer.stanza.split("<transport").nth(1)?;
    let sid = transport.split(" sid='").nth(1)?.split('\'').next()?;
    let [romeo, juliet] = JIDS.map(|jid| jid.parse::<xtls_stanza::jid::FullJid>().ok());
    Some(xtls::transports::DstAddr::new(sid, &romeo?.into(), &juliet?.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_done_to_connections_all_that_must_hold_holds(data in proptest::collection::vec(any::<u8>(), 8..200)) {
            super::run(&data);
        }
    }
}
