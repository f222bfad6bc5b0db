//! Decision 2.28: how many blocks are on their way, and what acknowledges them.

use std::{collections::VecDeque, time::Duration};

use xtls::{Disposition, Fault, TrustPolicy, TunnelId, TunnelOptions, config::Window};
use xtls_stanza::ns;
use xtls_testkit::EntityOptions;

use crate::common::{JULIET, ROMEO, Stage, bytes_without_hash, closed, fault, id, is_data, kinds, payload, terminate};

/// The plaintext that fills a block of 4096 bytes.
const RECORD: usize = 4074;

/// A raw-bytes tunnel that the engine began, secured.
fn raw_bytes(options: EntityOptions) -> (Stage, TunnelId) {
    let mut stage = Stage::new(ROMEO, JULIET, options);
    let mut tunnel_options = TunnelOptions::new(bytes_without_hash(), TrustPolicy::Pinned);
    tunnel_options.check_support = false;
    let (tunnel, _) = stage.engine_offers_with(tunnel_options);
    stage.start_server(&stage.tls_config());
    let accept = stage.accept_with(&stage.peer_security());
    let accept = accept.replace("name='xmlstream'", "name='data'").replace(ns::XMLSTREAM_0, xtls::jingle::BYTES_0_NS);
    let requests = stage.ask_fine(&accept);
    requests.iter().for_each(|request| stage.ack(request));
    assert_eq!(stage.play(), []);
    assert_eq!(kinds(&stage.events()), ["Secured"]);
    (stage, tunnel)
}

fn write(stage: &mut Stage, tunnel: TunnelId, bytes: usize) {
    let taken = stage.with(|engine, now| engine.tunnel(tunnel).unwrap().write(now, &vec![7; bytes])).unwrap();
    assert_eq!(taken, bytes);
}

/// Results that come all at once show no limit of the path.
#[test]
fn wire_2_28_the_window_starts_at_four_blocks_and_grows_to_32() {
    let (mut stage, tunnel) = raw_bytes(EntityOptions::seeded(1));
    write(&mut stage, tunnel, 200_000);
    let mut in_flight = stage.sent();
    assert_eq!(in_flight.len(), 4);
    let mut most = 4;
    for _ in 0..20 {
        for block in core::mem::take(&mut in_flight) {
            stage.ack(&block);
            stage.take_block(&block);
        }
        let _ = stage.with(|engine, now| engine.tunnel(tunnel).unwrap().write(now, &[7; 200_000])).unwrap();
        in_flight.extend(stage.sent());
        most = most.max(in_flight.len());
    }
    assert_eq!(most, 32);
}

/// A path that takes one block every 50 ms, and no time besides, is full with one on its way: more would only wait.
#[test]
fn wire_2_28_the_window_comes_down_to_what_the_path_holds() {
    let (mut stage, tunnel) = raw_bytes(EntityOptions::seeded(1));
    write(&mut stage, tunnel, RECORD * 20);
    let (mut in_flight, mut sizes) = (VecDeque::new(), Vec::new());
    for _ in 0..300 {
        stage.world.run_for(Duration::from_millis(50));
        in_flight.extend(stage.sent());
        sizes.push(in_flight.len());
        let oldest = in_flight.pop_front().unwrap();
        stage.ack(&oldest);
        stage.take_block(&oldest);
        let _ = stage.with(|engine, now| engine.tunnel(tunnel).unwrap().write(now, &[7; RECORD])).unwrap();
    }
    assert!(sizes.iter().max().unwrap() <= &8, "{sizes:?}");
    assert!(sizes[250..].iter().max().unwrap() <= &2, "{sizes:?}");
}

/// Told to, the engine sends one block at a time from then on.
#[test]
fn wire_2_28_the_window_shrinks_to_one_when_it_is_told_to() {
    let (mut stage, tunnel) = raw_bytes(EntityOptions::seeded(1));
    write(&mut stage, tunnel, 60_000);
    let before = stage.sent();
    assert_eq!(before.len(), 4);
    stage.with(|engine, now| engine.set_window(now, Window::Fixed(1))).unwrap();
    for (at, block) in before.iter().enumerate() {
        stage.sent_nothing();
        stage.ack(block);
        stage.take_block(block);
        assert_eq!(stage.sent().len(), usize::from(at == 3));
    }
    assert!(stage.with(|engine, now| engine.set_window(now, Window::Fixed(0))).is_err());
}

#[test]
fn wire_2_28_a_fixed_window_of_one_waits_for_each_acknowledgement() {
    let mut options = EntityOptions::seeded(1);
    options.config.window = Window::Fixed(1);
    let (mut stage, tunnel) = raw_bytes(options);
    write(&mut stage, tunnel, 40_000);
    for _ in 0..9 {
        let block = stage.sent_one();
        stage.sent_nothing();
        stage.ack(&block);
        stage.take_block(&block);
    }
}

/// An acknowledgement counts by its id and its sender; a server or somebody else cannot open the window.
#[test]
fn wire_2_28_acknowledgements_are_matched_by_id_and_from() {
    let mut options = EntityOptions::seeded(1);
    options.config.window = Window::Fixed(1);
    let (mut stage, tunnel) = raw_bytes(options);
    write(&mut stage, tunnel, 10_000);
    let block = stage.sent_one();
    let unacked = |stage: &mut Stage| stage.with(|engine, _| engine.tunnel(tunnel).unwrap().unacked());
    assert_eq!(unacked(&mut stage), 10_000);
    let answer = |from: &str, id: &str, kind: &str| {
        let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        let inner = if kind == "error" { error } else { "" };
        format!("<iq from='{from}' to='{ROMEO}' id='{id}' type='{kind}'>{inner}</iq>")
    };
    for from in ["juliet@capulet.lit", "juliet@capulet.lit/chamber", "capulet.lit", "montague.lit", ROMEO] {
        for kind in ["result", "error"] {
            assert!(matches!(stage.deliver(&answer(from, id(&block), kind)), Disposition::NotOurs), "{from}");
        }
    }
    for kind in ["result", "error"] {
        assert!(matches!(stage.deliver(&answer(JULIET, "no-such-id", kind)), Disposition::NotOurs));
    }
    let nameless = answer(JULIET, id(&block), "result").replace(&format!(" from='{JULIET}'"), "");
    assert!(matches!(stage.deliver(&nameless), Disposition::NotOurs));
    stage.sent_nothing();
    assert_eq!(unacked(&mut stage), 10_000);
    stage.ack(&block);
    assert!(is_data(&stage.sent_one()));
    assert!(unacked(&mut stage) < 10_000);
    // A second answer to the same block answers nothing.
    assert!(matches!(stage.deliver(&answer(JULIET, id(&block), "result")), Disposition::NotOurs));
    stage.sent_nothing();
}

/// An error to a block ends the tunnel, and tells that the data did not get through.
#[test]
fn wire_2_28_an_error_to_a_block_ends_the_tunnel() {
    let (mut stage, tunnel) = raw_bytes(EntityOptions::seeded(1));
    write(&mut stage, tunnel, 100);
    let block = stage.sent_one();
    let _ = stage.refuse(&block, "cancel", "item-not-found", "");
    let sent = stage.sent();
    assert_eq!(payload(sent.last().unwrap()), terminate(&stage.sid, "connectivity-error"));
    let closed = closed(stage.events());
    assert!(matches!(fault(&closed), Fault::Undelivered { .. }), "{closed:?}");
    assert_eq!((closed.truncated, closed.unacked), (true, 100));
}
