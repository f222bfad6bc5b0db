//! Histories: what seeds find, and what failed once.
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use xtls_simulation::{
    History,
    dice::{Bytes, Dice as _},
    history::{Outcome, Play},
};

/// Seeds that are played each time; `xtls-simulate` plays any others.
const SEEDS: u64 = 2000;

/// Plays the history of each number below `count` on all cores, and gives what each came to.
fn play_all(count: u64, make: impl Fn(u64) -> History + Sync) -> Vec<(History, Outcome)> {
    let next = AtomicU64::new(0);
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let played: Vec<Vec<_>> = thread::scope(|scope| {
        let work = || {
            let mut played = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return played;
                }
                let history = make(number);
                let outcome = history.play(Play::default());
                played.push((history, outcome));
            }
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    played.into_iter().flatten().collect()
}

fn assert_held(played: &[(History, Outcome)]) {
    let failed: Vec<_> = played.iter().filter(|(_, outcome)| outcome.failure.is_some()).collect();
    let words =
        failed.iter().map(|(history, outcome)| format!("seed {}: {:?}\n{history}", history.seed, outcome.failure));
    assert!(failed.is_empty(), "{} fail:\n{}", failed.len(), words.collect::<Vec<_>>().join("\n"));
}

#[test]
fn all_invariants_hold_in_what_the_seeds_find() {
    let played = play_all(SEEDS, |number| History::of_seed(number + 1));
    assert_held(&played);
    let total = |of: fn(&Outcome) -> u64| played.iter().map(|(_, outcome)| of(outcome)).sum::<u64>();
    // Much happened: a generator that finds nothing finds no fault either.
    assert!(total(|outcome| outcome.secured) > SEEDS, "tunnels are secured");
    assert!(total(|outcome| outcome.faults) > 4 * SEEDS, "servers are hostile");
    assert!(total(|outcome| outcome.delivered) > 1000 * SEEDS, "data arrives");
}

#[test]
fn what_failed_once_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("histories");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let history: History = fs::read_to_string(&file).unwrap().parse().unwrap();
        let outcome = history.play(Play::default());
        assert_eq!(outcome.failure, None, "{}", file.display());
    }
}

#[test]
fn the_same_history_has_the_same_transcript() {
    let mut transcripts = std::collections::BTreeSet::new();
    for seed in 1..=40 {
        let history = History::of_seed(seed);
        let outcome = history.play(Play::default());
        assert_eq!(history.play(Play::default()), outcome, "seed {seed}");
        // A trace changes nothing.
        assert_eq!(history.play(Play::default().traced()).transcript, outcome.transcript, "seed {seed}");
        transcripts.insert(outcome.transcript);
    }
    assert_eq!(transcripts.len(), 40);
}

#[test]
fn histories_with_the_real_provider_hold() {
    for seed in 1..=20 {
        let outcome = History::of_seed(seed).play(Play::default().real());
        assert_eq!(outcome.failure, None, "seed {seed}");
    }
}

#[test]
fn any_bytes_are_a_history() {
    assert!(Bytes::new(b"").is_empty());
    for input in [&b""[..], b"\0", &[0xff; 3], &[7; 400]] {
        let mut dice = Bytes::new(input);
        let history = History::generate(0, &mut dice);
        assert!(!history.operations.is_empty(), "{history}");
        assert_eq!(history.play(Play::default()).failure, None, "{history}");
    }
}
