//! The adaptive window uses what a path has and makes nothing wait for it: on each path exactly, since time is virtual.

use std::{sync::LazyLock, time::Duration};

use xtls::config::Window;
use xtls_simulation::networks::{Conditions, Measured, Outcome, cells, measure, path_cells};

/// The adaptive window on all 20 paths.
static ADAPTIVE: LazyLock<Vec<Outcome>> = LazyLock::new(|| Conditions::paths().map(Outcome::of).collect());

/// At least nine tenths of the bandwidth, and a block's round trip at most twice the base and the time of two blocks: median and 95
/// of 100.
#[test]
fn the_adaptive_window_fills_each_of_15_paths_and_queues_nothing() {
    let held: Vec<_> = ADAPTIVE.iter().filter(|outcome| outcome.path.is_held()).collect();
    assert_eq!(held.len(), 15);
    for outcome in held {
        let Outcome { path, measured, .. } = outcome;
        assert!(outcome.is_full(), "{} of the bandwidth: {path:?}, {measured:?}", measured.share);
        assert!(outcome.is_quick(), "{:?}: {path:?}, {measured:?}", path.bound(measured.stanza));
        assert!((1..=32).contains(&measured.most_in_flight), "{path:?}, {measured:?}");
    }
}

#[test]
fn the_tables_in_the_documentation_are_what_the_command_makes() {
    let page = include_str!("../../../../docs/networks.md");
    for outcome in &*ADAPTIVE {
        for cell in cells(outcome) {
            let row = format!("\n| {} | {cell} |", path_cells(&outcome.path));
            assert!(page.contains(&row), "run `cargo run --release -p xtls-simulation --bin xtls-networks`: {row}");
        }
    }
}

/// A limit that comes once the tunnel is up, and pings that take the same way: those may make a block wait for themselves.
#[test]
fn it_does_so_beside_pings_and_where_the_handshake_met_no_limit() {
    const PING: u64 = 150;
    for (round_trip, bandwidth) in [(1, 100), (20, 1000), (50, 10_000), (300, 1000)] {
        let path = Conditions { pings: true, limited_later: true, ..Conditions::path(round_trip, bandwidth) };
        let measured = measure(&path);
        assert!(measured.share >= 0.9, "{path:?}, {measured:?}");
        let bound = path.bound(measured.stanza) + path.takes(2 * PING);
        assert!(measured.block.p95 <= bound, "{path:?}, {measured:?}");
    }
}

/// Windows that do not adapt fail one bound or the other: these are not met by chance.
#[test]
fn a_fixed_window_fails_where_the_adaptive_one_holds() {
    let outcome = |path, window| Outcome::of(Conditions { window: Window::Fixed(window), ..path });
    let many = outcome(Conditions::path(20, 1000), 32);
    assert!(many.is_full() && !many.is_quick(), "{many:?}");
    assert!(many.ping.median > Duration::from_secs(1), "{many:?}");
    let one = outcome(Conditions::path(100, 10_000), 1);
    assert!(!one.is_full() && one.is_quick(), "{one:?}");
}

/// Two tunnels share one window: they wait for one another no longer than one alone would.
#[test]
fn two_tunnels_make_no_queue_of_their_own() {
    for (round_trip, bandwidth) in [(1, 100), (20, 1000), (50, 10_000)] {
        let path = Conditions { tunnels: 2, ..Conditions::path(round_trip, bandwidth) };
        let measured = measure(&path);
        let Measured { share, block, stanza, .. } = measured;
        assert!(share >= 0.85, "{path:?}, {measured:?}");
        assert!(block.p95 <= path.bound(stanza) + path.takes(stanza), "{path:?}, {measured:?}");
    }
}

/// Results that follow the peer's own data come in bunches, which must not be taken for a fast path. Here the bound is not held, but there
/// is no queue of all that a window may have either.
#[test]
fn data_both_ways_makes_no_queue_without_end() {
    for (round_trip, bandwidth) in [(20, 10_000), (100, 1000)] {
        let path = Conditions { both_ways: true, ..Conditions::path(round_trip, bandwidth) };
        let measured = measure(&path);
        assert!(measured.share >= 0.75, "{path:?}, {measured:?}");
        assert!(measured.block.median <= path.bound(measured.stanza) * 2, "{path:?}, {measured:?}");
    }
}
