//! What the engine does costs the same beside 10 and beside 10 000 tunnels that have no part in it: work is counted, not time.
use std::time::Duration;

use crate::common::{
    JULIET, MALLORY, MILLI, ROMEO, SECOND, element, noise, raw, read,
    script::{data, ibb_close, info, offer, security},
    send, sent, write, xml,
};
use xtls::{
    Event, Timer, TrustPolicy, TunnelId,
    jingle::{Reason, ReasonCondition},
};
use xtls_testkit::{EntityId, EntityOptions, World};

/// Juliet, who has a stream and a pipe with Romeo, and idle tunnels with as many others.
pub struct Crowd {
    pub world: World,
    pub romeo: EntityId,
    pub juliet: EntityId,
    /// Romeo's ends of the stream and of the pipe.
    pub here: [TunnelId; 2],
    /// Juliet's.
    pub there: [TunnelId; 2],
}

impl Crowd {
    /// Half of the idle tunnels are offers that nobody decides on, half are Juliet's own that nobody answers.
    pub fn new(idle: usize) -> Self {
        let mut world = World::default();
        world.relay.keep_log();
        let romeo = world.add(ROMEO, EntityOptions::seeded(1));
        let mut options = EntityOptions::seeded(2);
        options.config.tunnels = 20_000;
        let juliet = world.add(JULIET, options);
        world.introduce(romeo, juliet);
        let (stream, stream_there) = world.connect_with(romeo, juliet, xml(TrustPolicy::Pinned));
        let (pipe, pipe_there) = world.connect_with(romeo, juliet, raw(TrustPolicy::Pinned));
        let mut own = xml(TrustPolicy::Ask);
        own.check_support = false;
        let methods = security(&[], &["x509"]);
        for number in 0..idle / 2 {
            // Strangers would not get as many places.
            let guest = format!("guest{number}@verona.lit").parse().unwrap();
            world.with(juliet, |engine, _| engine.allow_offers(guest, true));
            // All of them by the same names: what is found by a sid alone would find them all.
            offered(&mut world, juliet, &format!("guest{number}@verona.lit/hall"), &offer("s1", "b1", 4096, &methods));
            let peer = format!("friend{number}@verona.lit/hall");
            world.relay.set_online(&peer, true);
            let peer = peer.parse().unwrap();
            world.with(juliet, |engine, now| engine.initiate(now, peer, own.clone())).unwrap();
            if number % 100 == 0 {
                world.run();
            }
        }
        world.run();
        let initiates: Vec<_> =
            world.relay.log().iter().filter(|passed| passed.to.starts_with("friend")).cloned().collect();
        for passed in &initiates {
            let (id, from) = (element(&passed.stanza).attribute("id").unwrap().to_owned(), &passed.to);
            let taken = world.deliver(juliet, &format!("<iq type='result' id='{id}' from='{from}' to='{JULIET}'/>"));
            assert!(matches!(taken, xtls::Disposition::Consumed), "{taken:?}");
        }
        world.run();
        let rings = world.take_events(juliet).iter().filter(|event| matches!(event, Event::Incoming(_))).count();
        assert_eq!(rings, idle / 2);
        let _ = world.take_events(romeo);
        Self { world, romeo, juliet, here: [stream, pipe], there: [stream_there, pipe_there] }
    }

    /// How many times Juliet's engine looks at a tunnel meanwhile.
    fn work<R>(&mut self, action: impl FnOnce(&mut Self) -> R) -> u64 {
        let before = self.world.with(self.juliet, |engine, _| engine.work());
        action(self);
        self.world.with(self.juliet, |engine, _| engine.work()) - before
    }

    /// Delivers one stanza to Juliet's engine, and lets her answer.
    fn stanza(&mut self, stanza: &str) -> u64 {
        self.work(|crowd| {
            let _ = crowd.world.deliver(crowd.juliet, stanza);
            crowd.world.run();
        })
    }

    fn set(&mut self, from: &str, payload: &str) -> u64 {
        self.stanza(&format!("<iq type='set' id='x1' from='{from}' to='{JULIET}'>{payload}</iq>"))
    }

    /// Asks Juliet's engine for something that there is not.
    fn poll(&mut self) -> u64 {
        self.work(|crowd| {
            crowd.world.with(crowd.juliet, |engine, now| {
                let mut out = String::new();
                assert!(engine.poll_transmit(now, &mut out).is_none() && engine.poll_event().is_none());
                assert!(engine.poll_timeout().is_some());
                engine.handle_timeout(now);
                assert!(engine.poll_transmit(now, &mut out).is_none());
            });
        })
    }
}

fn offered(world: &mut World, to: EntityId, from: &str, payload: &str) {
    let taken = world.deliver(to, &format!("<iq type='set' id='o1' from='{from}' to='{JULIET}'>{payload}</iq>"));
    assert!(matches!(taken, xtls::Disposition::Consumed), "{taken:?}");
}

/// What each thing costs.
fn costs(idle: usize) -> Vec<(&'static str, u64)> {
    let mut crowd = Crowd::new(idle);
    let mut costs = Vec::new();
    let mut add = |name, work| costs.push((name, work));

    // Nobody's tunnel.
    add("a message of a stranger", crowd.stanza(&format!("<message from='{MALLORY}' to='{JULIET}'/>")));
    add("a presence of a stranger", crowd.stanza(&format!("<presence from='{MALLORY}' to='{JULIET}'/>")));
    let written = format!("<message from='Mallory@Verona.lit/square' to='{JULIET}'/>");
    add("an address that is not normalised", crowd.stanza(&written));
    add("an answer of a stranger", crowd.stanza(&format!("<iq type='result' id='1' from='{MALLORY}' to='{JULIET}'/>")));
    add("a sid of many, from a stranger", crowd.set(MALLORY, &info("s1", &["x509"])));
    add("a block for a bytestream of many, from a stranger", crowd.set(MALLORY, &data("b1", "0", "AAAA")));
    add("a close of a bytestream of nobody", crowd.set(MALLORY, &ibb_close("b2")));
    let in_message = format!("<message from='{MALLORY}' to='{JULIET}'>{}</message>", data("b1", "0", "AAAA"));
    add("a block in a message", crowd.stanza(&in_message));
    let asked = "<offer xmlns='urn:xmpp:jingle:security:c2c-tls:0'><insecure/></offer>";
    let asked = format!("<iq type='get' id='q1' from='{MALLORY}' to='{JULIET}'>{asked}</iq>");
    add("a stranger that asks what we are ready for", crowd.stanza(&asked));
    add("polls of nothing", crowd.poll());

    // Romeo's tunnels, two of them.
    add("his message", crowd.stanza(&format!("<message from='{ROMEO}' to='{JULIET}'/>")));
    add("his presence", crowd.stanza(&format!("<presence from='{ROMEO}' to='{JULIET}'/>")));
    add("his answer to nothing", crowd.stanza(&format!("<iq type='result' id='1' from='{ROMEO}' to='{JULIET}'/>")));
    add("polls behind that", crowd.poll());
    let [stream, pipe] = crowd.here;
    add(
        "a stanza of his",
        crowd.work(|crowd| {
            send(&mut crowd.world, crowd.romeo, stream, "hi").unwrap();
            crowd.world.run();
        }),
    );
    add(
        "20 000 bytes of his",
        crowd.work(|crowd| {
            write(&mut crowd.world, crowd.romeo, pipe, &noise(20_000, 1));
            crowd.world.run();
            assert_eq!(read(&mut crowd.world, crowd.juliet, crowd.there[1]).len(), 20_000);
            crowd.world.run();
        }),
    );

    // One timer of one tunnel.
    let _ = crowd.stanza(&format!("<iq type='result' id='1' from='{ROMEO}' to='{JULIET}'/>"));
    crowd.world.run_for(29 * SECOND);
    let due = crowd.world.with(crowd.juliet, |engine, _| engine.poll_timeout()).unwrap();
    assert_eq!(due.timer, Timer::LivenessIdle);
    let wait = due.at - crowd.world.now();
    add("a timer of each of his two tunnels", crowd.work(|crowd| crowd.world.run_for(wait)));
    crowd.world.run_for(SECOND);
    add("time in which nothing is due", crowd.work(|crowd| crowd.world.run_for(Duration::from_millis(10))));

    // One more tunnel comes and goes.
    let one_more = offer("s1", "b1", 4096, &security(&[], &["x509"]));
    add("one more offer", crowd.set(MALLORY, &one_more));
    add("the same again", crowd.set(MALLORY, &one_more));
    add(
        "to decline it",
        crowd.work(|crowd| {
            crowd.world.run_for(MILLI);
            let events = crowd.world.take_events(crowd.juliet);
            let incoming = events.into_iter().find_map(|event| match event {
                Event::Incoming(incoming) => Some(incoming),
                _ => None,
            });
            let reason = Reason::new(ReasonCondition::Decline);
            crowd.world.with(crowd.juliet, |engine, now| engine.reject(now, incoming.unwrap(), reason)).unwrap();
        }),
    );
    add(
        "to end a tunnel",
        crowd.work(|crowd| {
            let [there, _] = crowd.there;
            crate::common::close(&mut crowd.world, crowd.juliet, there);
            crowd.world.run_for(SECOND);
        }),
    );
    assert!(sent(&crowd.world, JULIET, ROMEO).iter().any(|stanza| stanza.contains("<success/>")));
    costs
}

#[test]
fn what_the_engine_does_costs_the_same_beside_10_and_beside_10_000_idle_tunnels() {
    let few = costs(10);
    assert_eq!(few, costs(10_000));
    // Two tunnels, each of which hears of its peer and is then asked what it has to send.
    let expected = [
        ("a message of a stranger", 0),
        ("a presence of a stranger", 0),
        ("an address that is not normalised", 0),
        ("an answer of a stranger", 0),
        ("a sid of many, from a stranger", 0),
        ("a block for a bytestream of many, from a stranger", 0),
        ("a close of a bytestream of nobody", 0),
        ("a block in a message", 0),
        ("a stranger that asks what we are ready for", 0),
        ("polls of nothing", 0),
        ("his message", 4),
        ("his presence", 4),
        ("his answer to nothing", 4),
        ("polls behind that", 0),
        ("a stanza of his", 5),
        ("20 000 bytes of his", 18),
        ("a timer of each of his two tunnels", 6),
        ("time in which nothing is due", 0),
        ("one more offer", 3),
        ("the same again", 3),
        ("to decline it", 2),
        ("to end a tunnel", 28),
    ];
    assert_eq!(few, expected);
}
