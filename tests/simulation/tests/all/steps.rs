//! Steps, counted by callgrind and not by a clock: twice the input takes about twice the steps, and idle tunnels take none.
//!
//! A test runs itself once more under valgrind, which counts the instructions inside of [`measured`] alone and writes a file
//! for each call of it.

mod cases;
mod handlers;
mod idle;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Set where the test runs under valgrind.
const INSIDE: &str = "XTLS_STEPS_ARE_COUNTED";

/// What is counted. Its name is what callgrind knows it by. Gives the number of allocations, unless it runs under callgrind.
#[inline(never)]
fn measured(action: &mut dyn FnMut()) -> u64 {
    if is_inside() {
        action();
        return 0;
    }
    allocation_counter::measure(action).count_total
}

fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Runs a test of this file under valgrind: the instructions of each call of [`measured`], in order.
fn counted(test: &str) -> Vec<u64> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("steps-{}", std::process::id())).join(test);
    fs::create_dir_all(&folder).unwrap();
    let out = Command::new("valgrind")
        .current_dir(&folder)
        .env(INSIDE, "1")
        .args(["--tool=callgrind", "--callgrind-out-file=out"])
        // One function by two patterns: for each of them callgrind heeds one option alone.
        .args(["--toggle-collect=all::steps::measured*", "--dump-after=*::steps::measured*"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", &format!("steps::{test}"), "--include-ignored", "--test-threads=1", "--nocapture"])
        .output()
        .expect("valgrind is installed: tests/run does that");
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let part = |number: usize| -> PathBuf { folder.join(format!("out.{number}")) };
    let counts = (1..).map_while(|number| fs::read_to_string(part(number)).ok()).map(|text| {
        let summary = text.lines().find_map(|line| line.strip_prefix("summary:")).expect("a summary");
        summary.trim().parse().expect("instructions alone")
    });
    let counts: Vec<u64> = counts.take_while(|count| *count > 0).collect();
    let _ = fs::remove_dir_all(folder);
    counts
}

#[test]
#[ignore = "needs valgrind: see tests/run"]
fn twice_the_input_takes_at_most_two_and_a_half_times_the_steps() {
    let cases: Vec<_> = cases::PARSERS.iter().chain(handlers::HANDLERS).collect();
    if is_inside() {
        for case in &cases {
            for size in case.sizes() {
                (case.run)(size);
            }
        }
        return;
    }
    let counts = counted("twice_the_input_takes_at_most_two_and_a_half_times_the_steps");
    assert_eq!(counts.len(), 2 * cases.len(), "two for each case");
    let mut slow = Vec::new();
    for (case, counts) in cases.iter().zip(counts.chunks(2)) {
        if 2 * counts[1] > 5 * counts[0] {
            slow.push((case.name, counts));
        }
    }
    assert!(slow.is_empty(), "more than linear: {slow:?}");
}

#[test]
#[ignore = "needs valgrind: see tests/run"]
fn a_thousand_idle_tunnels_take_no_more_steps_than_ten() {
    if is_inside() {
        for idle in [10, 1000] {
            idle::run(idle);
        }
        return;
    }
    let counts = counted("a_thousand_idle_tunnels_take_no_more_steps_than_ten");
    let (few, many) = counts.split_at(counts.len() / 2);
    assert_eq!((few.len(), many.len()), (idle::NAMES.len(), idle::NAMES.len()));
    let mut slow = Vec::new();
    for ((name, few), many) in idle::NAMES.iter().zip(few).zip(many) {
        // An ordered map of a thousand is two levels deeper than one of ten; what takes few steps has the same maps.
        if *many > few + few / 3 {
            slow.push((name, few, many));
        }
    }
    assert!(slow.is_empty(), "it grows with tunnels that have no part in it: {slow:?}");
}

#[test]
fn a_thousand_idle_tunnels_take_no_more_allocations_than_ten() {
    let few = idle::run(10);
    assert_eq!(few, idle::run(1000));
    // A stanza is parsed in memory that is there, and its addresses are looked up as they stand. Who shows presence is remembered.
    // The last two go through the relay, which has its own.
    assert_eq!(few[..10], [0, 3, 1, 8, 0, 3, 0, 0, 0, 0], "{:?}", idle::NAMES);
}
