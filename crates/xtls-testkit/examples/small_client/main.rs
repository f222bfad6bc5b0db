//! How a client of your own is tested and fuzzed: two of them, a server that may be hostile, and what has to hold.
//!
//! `cargo test -p xtls-testkit --example small_client` runs the tests, `cargo run -p xtls-testkit --example small_client FILE...`
//! replays inputs of the fuzzer.
#![allow(clippy::print_stdout, clippy::wildcard_enum_match_arm, reason = "an example")]

mod client;

use std::time::Duration;

use client::SmallClient;
use xtls_testkit::{EntityId, Misdeed, Network};

const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";

/// Two clients that know one another's certificates, 50 ms apart.
fn two_clients() -> (Network<SmallClient>, EntityId, EntityId) {
    let mut network = Network::new(Duration::from_millis(25));
    let now = network.now();
    let romeo = network.join(ROMEO, 1, SmallClient::new(ROMEO, 1, now));
    let juliet = network.join(JULIET, 2, SmallClient::new(JULIET, 2, now));
    network.client(romeo).trust("juliet@capulet.lit", &network.client(juliet).identity);
    network.client(juliet).trust("romeo@montague.lit", &network.client(romeo).identity);
    network.log_in(romeo);
    network.log_in(juliet);
    (network, romeo, juliet)
}

/// A fuzzer's body: each byte is something that happens, and in the end nobody was lied to and nothing hangs.
fn fuzz(data: &[u8]) {
    let (mut network, romeo, juliet) = two_clients();
    network.act(romeo, |client, now| client.call(now, JULIET));
    for byte in data {
        match byte % 10 {
            0 => network.relay.plan(Misdeed::Drop),
            1 => network.relay.plan(Misdeed::Duplicate),
            2 => network.relay.plan(Misdeed::Flip(u32::from(*byte))),
            3 => network.relay.plan(Misdeed::StripSecurity),
            4 => network.relay.plan(Misdeed::ChangeFingerprint),
            5 => network.suspend(juliet),
            6 => network.resume(juliet),
            7 => network.disconnect(romeo),
            8 => network.log_in(romeo),
            _ => network.run_for(Duration::from_millis(u64::from(*byte))),
        }
    }
    network.relay.repent();
    network.resume(juliet);
    network.run_for(Duration::from_secs(900));
    for id in [romeo, juliet] {
        let client = network.client(id);
        assert!(client.heard.len() <= 1 && client.heard.iter().all(|words| words == "good day"), "{:?}", client.heard);
        assert!(client.tunnels.is_empty() || client.secured > 0, "a tunnel is neither secured nor ended");
    }
}

fn main() {
    for path in std::env::args().skip(1) {
        fuzz(&std::fs::read(&path).expect("an input"));
        println!("{path} holds");
    }
}

#[test]
fn two_clients_greet_one_another() {
    let (mut network, romeo, juliet) = two_clients();
    network.act(romeo, |client, now| client.call(now, JULIET));
    network.run();
    for id in [romeo, juliet] {
        assert_eq!(network.client(id).heard, ["good day"]);
    }
}

#[test]
fn a_stream_that_is_away_for_a_minute_loses_nothing() {
    let (mut network, romeo, juliet) = two_clients();
    network.act(romeo, |client, now| client.call(now, JULIET));
    network.run_for(Duration::from_millis(300));
    network.suspend(juliet);
    network.run_for(Duration::from_secs(60));
    network.resume(juliet);
    network.run();
    for id in [romeo, juliet] {
        assert_eq!(network.client(id).heard, ["good day"]);
    }
}

#[test]
fn a_server_that_takes_the_security_away_gets_nothing() {
    let (mut network, romeo, juliet) = two_clients();
    network.relay.plan(Misdeed::StripSecurity);
    network.act(romeo, |client, now| client.call(now, JULIET));
    network.run_for(Duration::from_secs(900));
    for id in [romeo, juliet] {
        let client = network.client(id);
        assert!(client.heard.is_empty() && client.tunnels.is_empty() && client.secured == 0);
    }
    assert_eq!(network.relay.misdeeds().len(), 1);
}

#[test]
fn whatever_happens_holds() {
    for seed in 0..30_u8 {
        let input: Vec<u8> = (0..40_u8).map(|at| seed.wrapping_mul(31).wrapping_add(at.wrapping_mul(7))).collect();
        fuzz(&input);
    }
}
