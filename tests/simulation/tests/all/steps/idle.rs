//! What an engine does beside tunnels that have no part in it.

use std::time::Duration;

use super::measured;
use crate::{
    common::{JULIET, MALLORY, ROMEO, send, write},
    cost::Crowd,
};

pub const NAMES: [&str; 12] = [
    "a message of a stranger",
    "a presence of a stranger",
    "an answer of a stranger",
    "a sid of many, from a stranger",
    "a message of a peer",
    "an answer of a peer",
    "the next deadline",
    "a timeout with nothing due",
    "what is to be sent: nothing",
    "events: none",
    "a block of a peer",
    "a stanza that is sent and acknowledged",
];

/// Each of them in turn, and how many allocations it makes.
pub fn run(idle: usize) -> Vec<u64> {
    let mut crowd = Crowd::new(idle);
    let juliet = crowd.juliet;
    let info = crate::common::script::info("s1", &["x509"]);
    let stanzas = [
        format!("<message from='{MALLORY}' to='{JULIET}'/>"),
        format!("<presence from='{MALLORY}' to='{JULIET}'/>"),
        format!("<iq type='result' id='1' from='{MALLORY}' to='{JULIET}'/>"),
        format!("<iq type='set' id='1' from='{MALLORY}' to='{JULIET}'>{info}</iq>"),
        format!("<message from='{ROMEO}' to='{JULIET}'/>"),
        format!("<iq type='result' id='1' from='{ROMEO}' to='{JULIET}'/>"),
    ];
    let mut counts = Vec::new();
    for stanza in &stanzas {
        counts.push(measured(&mut || drop(crowd.world.deliver(juliet, stanza))));
        crowd.world.run();
    }
    counts.push(measured(&mut || assert!(crowd.world.with(juliet, |engine, _| engine.poll_timeout()).is_some())));
    counts.push(measured(&mut || crowd.world.with(juliet, |engine, now| engine.handle_timeout(now))));
    let mut out = String::new();
    counts.push(measured(&mut || {
        assert!(crowd.world.with(juliet, |engine, now| engine.poll_transmit(now, &mut out)).is_none());
    }));
    counts.push(measured(&mut || assert!(crowd.world.with(juliet, |engine, _| engine.poll_event()).is_none())));
    let [_, pipe] = crowd.here;
    write(&mut crowd.world, crowd.romeo, pipe, b"but soft");
    // The block is on its way for a while, so that what is counted is its arrival.
    counts.push(measured(&mut || crowd.world.run_for(Duration::from_millis(60))));
    crowd.world.run();
    let [stream, _] = crowd.there;
    counts.push(measured(&mut || {
        send(&mut crowd.world, juliet, stream, "what light").unwrap();
        crowd.world.run_for(Duration::from_millis(200));
    }));
    counts
}
