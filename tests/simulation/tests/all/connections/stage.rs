//! Two entities that can have connections, and what they can have of them.

use std::time::Duration;

use xtls::{
    EndedBy, Event, Transport, TrustPolicy, TunnelId, TunnelOptions,
    transports::{DstAddr, Endpoint, Exposure, Host, Reach, StreamHost},
};
use xtls_stanza::jid::Jid;
use xtls_testkit::{Conduct, EntityId, EntityOptions, Fate, Sockets, World};

use crate::common::{JULIET, MILLI, ROMEO, SECOND, close, closed, noise, raw, read, write};

pub const PROXY: &str = "proxy.montague.lit/7";

/// Two entities that can have connections, and what they can have of them.
pub struct Stage {
    pub world: World,
    pub sockets: Sockets,
    pub ids: [EntityId; 2],
    pub tunnels: Vec<TunnelId>,
    /// What had passed over the server when it began.
    pub since: usize,
}

pub fn stage(seed: u8) -> Stage {
    let mut world = World::default();
    world.relay.keep_log();
    let ids = [(ROMEO, seed), (JULIET, seed + 1)].map(|(jid, seed)| {
        let mut options = EntityOptions::seeded(seed);
        options.config.socks5 = true;
        world.add(jid, options)
    });
    world.introduce(ids[0], ids[1]);
    let mut sockets = Sockets::new(20 * MILLI);
    sockets.listen(ids[0], "romeo.example", 5086);
    sockets.listen(ids[1], "juliet.example", 6539);
    Stage { world, sockets, ids, tunnels: Vec::new(), since: 0 }
}

pub fn direct(host: &str, port: u16) -> Reach {
    Reach::new(Exposure::Direct).with_endpoint(Endpoint::new(Host::new(host).unwrap(), port))
}

pub fn proxy_at() -> StreamHost {
    StreamHost::new(PROXY.parse().unwrap(), Host::new("proxy.example").unwrap(), 7777)
}

pub fn through_proxy() -> Reach {
    Reach::new(Exposure::Proxies).with_proxy(proxy_at())
}

pub fn over(reach: Reach) -> TunnelOptions {
    raw(TrustPolicy::Pinned).over(vec![Transport::Socks5(reach), Transport::InBand])
}

impl Stage {
    pub fn proxy(&mut self, conduct: Conduct) {
        self.sockets.proxy(&mut self.world, PROXY, "proxy.example", 7777, conduct);
    }

    /// The first offers by this, and the second accepts by that.
    pub fn connect(&mut self, options: [TunnelOptions; 2]) {
        let [romeo, juliet] = self.ids;
        let [offered, accepted] = options;
        let peer = self.world.jid(juliet).clone();
        let here = self.world.with(romeo, |engine, now| engine.initiate(now, peer, offered)).unwrap();
        self.world.run();
        let there = self.world.accept(juliet, accepted).expect("the offer arrives");
        self.tunnels = vec![here, there];
    }

    pub fn run_for(&mut self, duration: Duration) {
        self.sockets.run_for(&mut self.world, duration);
    }

    pub fn is_secured(&mut self) -> bool {
        let secured = |event: &Event| matches!(event, Event::Secured { .. });
        self.ids.map(|id| self.world.take_events(id).iter().any(secured)) == [true, true]
    }

    /// Sends bytes both ways, and tells whether they came.
    pub fn carries(&mut self, bytes: usize) -> bool {
        let sent = [noise(bytes, 1), noise(bytes, 2)];
        let (mut written, mut got) = ([0, 0], [Vec::new(), Vec::new()]);
        for _ in 0..10_000 {
            for at in 0..2 {
                written[at] += write(&mut self.world, self.ids[at], self.tunnels[at], &sent[at][written[at]..]);
            }
            self.run_for(20 * MILLI);
            for (at, got) in got.iter_mut().enumerate() {
                got.extend(read(&mut self.world, self.ids[at], self.tunnels[at]));
            }
            if (0..2).all(|at| got[1 - at].len() >= sent[at].len()) {
                break;
            }
        }
        got[1] == sent[0] && got[0] == sent[1]
    }

    /// Ends it from this end, and looks at how both ended.
    pub fn ends_clean(&mut self, by: usize) {
        close(&mut self.world, self.ids[by], self.tunnels[by]);
        self.run_for(2 * SECOND);
        assert!(closed(&mut self.world, self.ids[by]).is_clean(EndedBy::Local));
        assert!(closed(&mut self.world, self.ids[1 - by]).is_clean(EndedBy::Remote));
        assert_eq!(self.sockets.open(), 0, "every connection is closed");
    }

    /// Whether a stanza went over the server that has this in it.
    pub fn passed(&self, what: &str) -> bool {
        self.world.relay.log().iter().skip(self.since).any(|passed| passed.stanza.contains(what))
    }

    /// What a connection for the tunnel asks for, as whoever sees the stanzas knows it.
    pub fn dst_addrs(&self) -> [DstAddr; 2] {
        let offer = self.world.relay.log().iter().find(|passed| passed.stanza.contains("session-initiate")).unwrap();
        let transport = offer.stanza.split("<transport").nth(1).unwrap();
        let sid = transport.split(" sid='").nth(1).unwrap().split('\'').next().unwrap();
        let [romeo, juliet] = self.ids.map(|id| Jid::from(self.world.jid(id).clone()));
        DstAddr::of_either_order(sid, &romeo, &juliet)
    }

    /// Goes on until this stanza has passed.
    pub fn run_until(&mut self, what: &str) {
        let until = self.world.now() + 60 * SECOND;
        while !self.passed(what) {
            assert!(self.sockets.step(&mut self.world, until), "it passes: {what}");
        }
    }

    /// The server does this to every stanza that has these words in it.
    pub fn meddle(&mut self, with: &'static str, change: impl Fn(&str) -> Vec<String> + 'static) {
        self.world.relay.meddle(move |passed| match passed.stanza.contains(with) {
            true => Fate::Replace(change(&passed.stanza)),
            false => Fate::Pass,
        });
    }

    /// Nothing of connections is left at either end.
    pub fn has_let_go(&self) -> bool {
        self.ids.iter().all(|id| self.sockets.held(*id) == 0) && self.sockets.dialling() == 0
    }
}
