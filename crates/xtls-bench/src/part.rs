//! Parts of the benchmark that need a process of their own: it starts itself again.

use std::process::Command;

use crate::{args::Part, failure::Failure};

/// Runs a part, and gives the figures that it prints.
pub(crate) fn run(part: &Part) -> Result<Vec<f64>, Failure> {
    let mut command = Command::new(std::env::current_exe().map_err(Failure::new)?);
    match part {
        Part::Transfer { block, seconds } => command.args(["transfer", &block.to_string(), &seconds.to_string()]),
        Part::Handshake { seconds } => command.args(["handshake", &seconds.to_string()]),
        Part::Message { seconds } => command.args(["message", &seconds.to_string()]),
        Part::Memory { holder, tunnels } => command.args(["memory", holder.name(), &tunnels.to_string()]),
        Part::Long { mebibytes } => command.args(["long", &mebibytes.to_string()]),
        Part::FirstSrp { bits } => command.args(["first-srp", &bits.to_string()]),
    };
    let failed = |why: &str| Failure::new(format!("{part:?} in a process of its own: {why}"));
    let output = command.output().map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    figures.map_err(|_| failed(&text))
}
