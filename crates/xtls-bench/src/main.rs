//! `cargo run --release -p xtls-bench`: the engine beside what a user would take instead.
//!
//! `docs/performance.md` says what the figures mean.

mod args;
mod clock;
mod engines;
mod failure;
mod handshake;
mod long;
mod memory;
mod message;
mod others;
mod part;
mod plan;
mod references;
mod report;
mod row;
mod scale;
mod setup;
mod srp;
mod stats;
mod streams;
mod transfer;
mod wire;

use std::{
    alloc::System,
    fs,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use mockalloc::Mockalloc;

use crate::{
    args::{Args, Part},
    failure::Failure,
    plan::Plan,
    report::Line,
};

/// Counts while it is asked to, and costs a look at a flag else.
#[global_allocator]
static ALLOCATOR: Mockalloc<System> = Mockalloc(System);

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "xtls-bench: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(args: Args) -> Result<ExitCode, Failure> {
    if let Some(part) = args.part {
        let figures = match part {
            Part::Transfer { block, seconds } => transfer::alone(block, seconds),
            Part::Handshake { seconds } => handshake::alone(seconds),
            Part::Message { seconds } => message::alone(seconds),
            Part::Memory { holder, tunnels } => memory::of(holder, tunnels)?,
            Part::Long { mebibytes } => long::of(mebibytes)?,
            Part::FirstSrp { bits } => srp::first_and_later(bits)?,
        };
        return print(&format!("{figures}\n"));
    }
    let (json, check) = (args.json.clone(), args.check);
    let plan = Plan::new(args);
    if cfg!(debug_assertions) {
        plan.note("this is a debug build: its figures say nothing (use cargo run --release)".to_owned());
    }
    let mut lines = Vec::new();
    for measure in [
        transfer::measure,
        handshake::measure,
        message::measure,
        srp::measure,
        memory::measure,
        long::measure,
        wire::measure,
        scale::measure,
        streams::measure,
        others::measure,
        setup::measure,
    ] {
        lines.append(&mut measure(&plan)?);
    }
    if let Some(path) = json {
        let text = report::json(&lines).map_err(Failure::new)?;
        fs::write(&path, text + "\n").map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    }
    print(&report::table(&lines))?;
    let missed = lines.iter().any(|line: &Line| line.pass == Some(false));
    Ok(if check && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(text: &str) -> Result<ExitCode, Failure> {
    io::stdout().write_all(text.as_bytes()).map_err(Failure::new)?;
    Ok(ExitCode::SUCCESS)
}
