//! What carries `xtls pipe`: the proxies of real servers, direct connections, and the servers themselves.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use xtls_interop::{Ejabberd, Ended, Person, Prosody, Xtls, drain, feed, noise};

/// The loopback network, which nobody connects to otherwise.
const LOOPBACK: [&str; 2] = ["--allow-network", "127.0.0.0/8"];

fn friends(people: [Person; 2]) -> [Person; 2] {
    let [alice, bob] = people;
    alice.trust(&bob);
    bob.trust(&alice);
    [alice, bob]
}

/// Both ends of a pipe, Alice's first, and the way that each says it took.
fn open([alice, bob]: &[Person; 2], to_alice: &[&str], to_bob: &[&str]) -> ([Xtls; 2], [serde_json::Value; 2]) {
    let mut listening = bob.start(&[&["pipe", "--listen"], to_bob].concat());
    listening.event("online");
    let to = bob.full();
    let mut piping = alice.start(&[&["pipe", to.as_str()], to_alice].concat());
    let ways = [piping.event("secured"), listening.event("secured")];
    ([piping, listening], ways)
}

fn exchange(ends: &mut [Xtls; 2], length: usize) {
    let sent = [noise(1, length), noise(2, length)];
    let outputs = ends.each_mut().map(drain);
    let inputs = [feed(&mut ends[0], sent[0].clone()), feed(&mut ends[1], sent[1].clone())];
    for input in inputs {
        input.join().expect("all is taken");
    }
    let [at_alice, at_bob] = outputs.map(|output| output.join().expect("all is read"));
    assert!(at_bob == sent[0] && at_alice == sent[1], "{} and {} bytes came", at_alice.len(), at_bob.len());
}

fn assert_done(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{:?}", ended.events);
    let closed = ended.named("closed").next().expect("the end is told");
    assert_eq!(closed["truncated"], false, "{closed}");
}

const MIB: usize = 1 << 20;

#[test]
fn two_hundred_megabytes_each_way_go_through_the_proxy_of_prosody() {
    let server = Prosody::with_proxy();
    let people = friends(["alice", "bob"].map(|name| server.person(name)));
    let (mut ends, ways) = open(&people, &LOOPBACK, &LOOPBACK);
    for way in &ways {
        assert_eq!((&way["path"], &way["proxy"]), (&"proxy".into(), &"proxy.localhost".into()), "{way}");
    }
    exchange(&mut ends, 200_000_000);
    ends.map(Xtls::wait).iter().for_each(assert_done);
}

#[test]
fn two_hundred_megabytes_each_way_go_through_the_proxy_of_ejabberd() {
    let server = Ejabberd::with_proxy();
    let people = friends(["alice", "bob"].map(|name| server.person(name)));
    let (mut ends, ways) = open(&people, &LOOPBACK, &LOOPBACK);
    for way in &ways {
        assert_eq!(way["path"], "proxy", "{way}");
    }
    exchange(&mut ends, 200_000_000);
    ends.map(Xtls::wait).iter().for_each(assert_done);
}

#[test]
fn two_hundred_megabytes_each_way_go_directly() {
    let server = Prosody::with_proxy();
    let people = friends(["alice", "bob"].map(|name| server.person(name)));
    let direct = [&["--transport", "direct"][..], &LOOPBACK].concat();
    let here = [&direct[..], &["--listen-address", "127.0.0.1"]].concat();
    let (mut ends, ways) = open(&people, &here, &direct);
    for way in &ways {
        assert_eq!((&way["path"], &way["proxy"]), (&"direct".into(), &serde_json::Value::Null), "{way}");
    }
    exchange(&mut ends, 200_000_000);
    ends.map(Xtls::wait).iter().for_each(assert_done);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the time of day is what it is about")]
fn where_nothing_may_be_dialled_a_pipe_goes_in_band_within_ten_seconds() {
    let server = Prosody::with_proxy();
    let people = friends(["alice", "bob"].map(|name| server.person(name)));
    // The proxy is on the loopback network, which is not allowed.
    let began = Instant::now();
    let (mut ends, ways) = open(&people, &[], &[]);
    assert!(began.elapsed().as_secs() < 10 + 5, "logins and all");
    assert!(ways.iter().all(|way| way["path"] == "in-band"), "{ways:?}");
    exchange(&mut ends, MIB);
    ends.map(Xtls::wait).iter().for_each(assert_done);
}

#[test]
fn who_wants_a_connection_and_no_other_way_is_told_that_there_is_none() {
    let server = Prosody::with_proxy();
    let [alice, bob] = friends(["alice", "bob"].map(|name| server.person(name)));
    let mut listening = bob.start(&["pipe", "--listen"]);
    listening.event("online");
    let to = bob.full();
    let ended = alice.start(&["pipe", &to, "--transport", "proxy"]).wait();
    assert_eq!(ended.code, Some(4), "{:?}", ended.events);
    let error = ended.named("error").next().expect("it is told");
    assert!(error["message"].as_str().is_some_and(|words| words.contains("no connection")), "{error}");
    listening.kill();
}

#[test]
fn a_pipe_that_goes_in_band_by_the_users_wish_tells_nobody_an_address() {
    let server = Prosody::with_proxy();
    let people = friends(["alice", "bob"].map(|name| server.person(name)));
    let in_band = ["--transport", "in-band"];
    for (to_alice, to_bob) in [(&in_band[..], &LOOPBACK[..]), (&LOOPBACK, &in_band)] {
        let (mut ends, ways) = open(&people, to_alice, to_bob);
        assert!(ways.iter().all(|way| way["path"] == "in-band"), "{ways:?}");
        exchange(&mut ends, MIB);
        ends.map(Xtls::wait).iter().for_each(assert_done);
    }
    assert!(!server.log().contains("candidate "), "no candidate in any stanza");
}

/// Prosody's proxy keeps the last bytes of a burst until more comes (docs/wire.md § 8), and all buffers on the way are full by then:
/// what is to push them out waits in there too.
#[test]
fn a_request_that_is_read_slowly_is_answered_through_the_proxy_of_prosody_while_both_inputs_stay_open() {
    let server = Prosody::with_proxy();
    let people = friends(["alice", "bob"].map(|name| server.person(name)));
    let (mut ends, ways) = open(&people, &LOOPBACK, &LOOPBACK);
    assert!(ways.iter().all(|way| way["path"] == "proxy"), "{ways:?}");
    let request = noise(1, 20_000_000);
    let answer = noise(2, 2_000_000);
    let [mut to_alice, mut to_bob] = ends.each_mut().map(Xtls::take_stdin);
    let [mut at_alice, mut at_bob] = ends.each_mut().map(Xtls::take_stdout);
    thread::scope(|scope| {
        scope.spawn(|| to_alice.write_all(&request).expect("all is taken"));
        scope.spawn(|| {
            let mut came = vec![0; request.len()];
            for piece in came.chunks_mut(100_000) {
                at_bob.read_exact(piece).expect("all comes");
                thread::sleep(Duration::from_millis(20));
            }
            assert!(came == request);
            to_bob.write_all(&answer).expect("all is taken");
        });
        let mut came = vec![0; answer.len()];
        at_alice.read_exact(&mut came).expect("all comes");
        assert!(came == answer);
    });
    drop([to_alice, to_bob]);
    ends.map(Xtls::wait).iter().for_each(assert_done);
}
