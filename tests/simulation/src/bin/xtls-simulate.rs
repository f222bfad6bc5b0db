//! Plays histories: `xtls-simulate --from SEED --count N` finds and plays those of N seeds on all cores, and
//! `xtls-simulate FILE...` plays those that stand in files.
//!
//! Each that fails is printed: its seed, what went wrong, its trace, and the history shrunk to what matters. `--trace FILE`
//! writes the trace of the last history to a new file, `--ladder FILE` a picture of it; `--real` takes the real provider of
//! cryptography. The last line of
//! standard output is one JSON object. The code is 0 if none failed, 1 if one did, and 2 if the arguments make no sense.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use xtls_simulation::{History, history::Play, shrink::shrink};

const USAGE: &str = "usage: xtls-simulate [--from SEED] [--count N] [--real] [--trace FILE] [--ladder FILE] [FILE...]";

/// Lines of a trace that are printed for a history that fails.
const SHOWN: usize = 60;

#[derive(Debug, Default)]
struct Arguments {
    from: u64,
    count: u64,
    real: bool,
    trace: Option<PathBuf>,
    ladder: Option<PathBuf>,
    files: Vec<PathBuf>,
}

#[derive(Debug, Default)]
struct Totals {
    seeds: u64,
    failed: u64,
    faults: u64,
    delivered: u64,
    secured: u64,
    last: Option<(u64, History)>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(words) => {
            eprintln!("{words}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // A panic is a failure of its history, which says so.
    std::panic::set_hook(Box::new(|_| {}));
    match arguments.run() {
        Ok(totals) => {
            let Totals { seeds, failed, faults, delivered, secured, .. } = totals;
            println!(
                "{{\"seeds\":{seeds},\"failed\":{failed},\"faults\":{faults},\"delivered_bytes\":{delivered},\"secured\":{secured}}}"
            );
            ExitCode::from(u8::from(failed > 0))
        }
        Err(words) => {
            eprintln!("{words}");
            ExitCode::from(2)
        }
    }
}

impl Arguments {
    fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self { from: 1, ..Self::default() };
        let mut words = words;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            let number = |text: String| text.parse().map_err(|_| format!("{text} is no number"));
            match word.as_str() {
                "--from" => arguments.from = number(value()?)?,
                "--count" => arguments.count = number(value()?)?,
                "--real" => arguments.real = true,
                "--trace" => arguments.trace = Some(value()?.into()),
                "--ladder" => arguments.ladder = Some(value()?.into()),
                option if option.starts_with('-') => return Err(format!("{option} is no option")),
                _ => arguments.files.push(word.into()),
            }
        }
        if arguments.files.is_empty() && arguments.count == 0 {
            arguments.count = 1;
        }
        Ok(arguments)
    }

    fn play(&self) -> Play {
        if self.real { Play::default().real() } else { Play::default() }
    }

    fn run(&self) -> Result<Totals, String> {
        let totals = Mutex::new(Totals::default());
        for file in &self.files {
            let read = std::fs::read_to_string(file).map_err(|error| error.to_string());
            let history = read.and_then(|text| text.parse::<History>().map_err(|error| error.to_string()));
            let history = history.map_err(|error| format!("{}: {error}", file.display()))?;
            self.play_one(history, &totals);
        }
        let next = AtomicU64::new(0);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        std::thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        if at >= self.count {
                            return;
                        }
                        self.play_one(History::of_seed(self.from.wrapping_add(at)), &totals);
                    }
                });
            }
        });
        let totals = totals.into_inner().map_err(|_| "a thread has panicked".to_owned())?;
        if let Some((seed, history)) = totals.last.as_ref().filter(|_| self.trace.is_some() || self.ladder.is_some()) {
            let trace = history.play(self.play().traced()).trace;
            let lines = || trace.iter().map(|line| line.to_json() + "\n").collect();
            write_new(self.trace.as_deref(), lines)?;
            write_new(self.ladder.as_deref(), || xtls_trace::ladder::titled(&format!("seed {seed}"), &trace))?;
        }
        Ok(totals)
    }

    fn play_one(&self, history: History, totals: &Mutex<Totals>) {
        let outcome = history.play(self.play());
        let report = outcome.failure.as_deref().map(|words| self.report(&history, words));
        let Ok(mut totals) = totals.lock() else { return };
        totals.seeds += 1;
        totals.failed += u64::from(outcome.failure.is_some());
        totals.faults += outcome.faults;
        totals.delivered += outcome.delivered;
        totals.secured += outcome.secured;
        if let Some(report) = report {
            println!("{report}");
        }
        if totals.last.as_ref().is_none_or(|(seed, _)| *seed <= history.seed) {
            totals.last = Some((history.seed, history));
        }
    }

    fn report(&self, history: &History, words: &str) -> String {
        let shortest = shrink(history, |history| history.play(self.play()).failure.is_some());
        let outcome = shortest.play(self.play().traced());
        let shorter = outcome.failure.unwrap_or_default();
        let from = outcome.trace.len().saturating_sub(SHOWN);
        let trace: Vec<_> = outcome.trace[from..].iter().map(xtls_trace::Line::to_json).collect();
        format!("seed {} fails: {words}\n{}\n# shrunk: {shorter}\n{shortest}", history.seed, trace.join("\n"))
    }
}

/// Writes a new file, if one is asked for.
fn write_new(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    let written = File::create_new(path).and_then(|mut file| file.write_all(text().as_bytes()));
    written.map_err(|error| format!("{}: {error}", path.display()))
}
