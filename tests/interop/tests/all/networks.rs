//! `xtls pipe` in networks of its own, where what would be faster is cut, and where one end is behind a router that lets nobody in.
//! As root: that is what network namespaces need.

use std::time::{Duration, Instant};

use xtls_interop::{Network, Person, Prosody, Xtls, drain, feed, noise, until};

/// What decides takes no longer than this between ends of ours (docs/wire.md § 8, 4 and 5).
const DECIDED: Duration = Duration::from_secs(10);
const MIB: usize = 1 << 20;

/// Alice and Bob, who trust one another, each in their network; and their server in its own.
struct Scene {
    network: Network,
    server: Prosody,
    people: [Person; 2],
}

impl Scene {
    fn with(rules: &[&str]) -> Self {
        let rules: Vec<_> = rules.iter().map(|rule| (*rule).to_owned()).collect();
        let network = Network::with(&rules);
        let server = Prosody::in_network(&network.server);
        let [alice, bob] = ["alice", "bob"].map(|name| server.person(name));
        alice.trust(&bob);
        bob.trust(&alice);
        let people = [alice.inside(&network.alice), bob.inside(&network.bob)];
        Self { network, server, people }
    }

    /// Has both move bytes, and gives the way that they took and how long it took from the acceptance until both were secured.
    fn pipe(&self, to_alice: &[&str], to_bob: &[&str]) -> (String, Duration) {
        let [alice, bob] = &self.people;
        let networks = ["--allow-network", Network::ALL];
        let mut listening = bob.start(&[&["pipe", "--listen"], &networks[..], to_bob].concat());
        listening.event("online");
        let to = bob.full();
        let mut piping = alice.start(&[&["pipe", to.as_str()], &networks[..], to_alice].concat());
        // Bob asks nothing of Alice before he accepts.
        until("the acceptance", || self.has_accepted().then_some(()));
        let began = now();
        let ways = [piping.event("secured"), listening.event("secured")];
        let took = now().duration_since(began);
        assert_eq!(ways[0]["path"], ways[1]["path"], "{ways:?}");
        exchange(&mut [piping, listening]);
        (ways[0]["path"].as_str().expect("it is said").to_owned(), took)
    }

    /// Whether Bob has sent a request to Alice.
    fn has_accepted(&self) -> bool {
        let (log, to) = (self.server.log(), format!("to='{}'", self.people[0].full()));
        let mut requests =
            log.lines().filter(|line| line.contains("Received[c2s]: <iq ") && line.contains("type='set'"));
        requests.any(|line| line.contains(&to))
    }

    fn goes_in_band_in_time(&self, to_alice: &[&str], to_bob: &[&str]) {
        let (way, took) = self.pipe(to_alice, to_bob);
        assert_eq!(way, "in-band");
        assert!(took < DECIDED, "{took:?}");
        assert!(self.network.counted() > 0, "nobody came to where it is cut");
    }
}

/// Noise goes both ways, and both end with everything.
fn exchange(ends: &mut [Xtls; 2]) {
    let sent = [noise(1, MIB), noise(2, MIB)];
    let outputs = ends.each_mut().map(drain);
    let inputs = [feed(&mut ends[0], sent[0].clone()), feed(&mut ends[1], sent[1].clone())];
    for input in inputs {
        input.join().expect("all is taken");
    }
    let [at_alice, at_bob] = outputs.map(|output| output.join().expect("all is read"));
    assert!(at_bob == sent[0] && at_alice == sent[1], "{} and {} bytes came", at_alice.len(), at_bob.len());
}

#[allow(clippy::disallowed_methods, reason = "these tests run in real time")]
fn now() -> Instant {
    Instant::now()
}

const LOST: [&str; 3] = [
    "ip daddr 10.3.0.3 counter drop",
    "iifname alice oifname bob counter drop",
    "iifname bob oifname alice counter drop",
];

#[test]
fn a_proxy_that_nobody_gets_an_answer_from_is_given_up_in_time() {
    Scene::with(&LOST[..1]).goes_in_band_in_time(&[], &[]);
}

#[test]
fn a_proxy_and_ends_that_nobody_gets_an_answer_from_are_given_up_in_time() {
    let here = [["--listen-address", Network::ALICE], ["--listen-address", Network::BOB]];
    Scene::with(&LOST).goes_in_band_in_time(&here[0], &here[1]);
}

#[test]
fn a_proxy_and_ends_that_refuse_everybody_are_given_up_at_once() {
    let refused =
        LOST.map(|rule| rule.replace("drop", "reject with tcp reset").replace("counter", "meta l4proto tcp counter"));
    let scene = Scene::with(&refused.each_ref().map(String::as_str));
    let (way, took) = scene.pipe(&["--listen-address", Network::ALICE], &["--listen-address", Network::BOB]);
    assert_eq!(way, "in-band");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(scene.network.counted() > 0);
}

#[test]
fn a_proxy_that_only_the_initiator_reaches_is_given_up_in_time() {
    Scene::with(&["iifname bob ip daddr 10.3.0.3 counter drop"]).goes_in_band_in_time(&[], &[]);
}

#[test]
fn a_proxy_that_only_the_responder_reaches_is_given_up_in_time() {
    Scene::with(&["iifname alice ip daddr 10.3.0.3 counter drop"]).goes_in_band_in_time(&[], &[]);
}

#[test]
fn the_proxy_carries_what_goes_neither_way_directly() {
    let (way, _) =
        Scene::with(&LOST[1..]).pipe(&["--listen-address", Network::ALICE], &["--listen-address", Network::BOB]);
    assert_eq!(way, "proxy");
}

#[test]
fn an_end_behind_a_router_that_lets_nobody_in_connects_to_the_one_that_listens() {
    for (to_alice, to_bob) in [
        (&["--listen-address", Network::ALICE][..], &[][..]),
        // His own address leads nowhere from outside.
        (&["--listen-address", Network::ALICE], &["--listen-address", Network::BOB]),
    ] {
        let scene = Scene::with(&LOST[..1]);
        scene.network.translate_bob();
        let direct = ["--transport", "direct"];
        let (way, _) = scene.pipe(&[&direct, to_alice].concat(), &[&direct, to_bob].concat());
        assert_eq!(way, "direct");
    }
}
