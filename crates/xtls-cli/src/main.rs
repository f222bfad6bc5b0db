//! The `xtls` command: end-to-end encrypted chat over XMPP.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enums are the libraries', and may grow: what is not known here gets one common treatment"
)]

mod account;
mod accounts;
mod args;
mod chat;
mod clock;
mod config;
mod connection;
mod data;
mod demo;
mod exit;
mod files;
mod identity;
mod link;
mod listen;
mod manual;
mod output;
mod pair;
mod pipe;
mod platform;
mod probe;
mod random;
mod reach;
mod receive;
mod send;
mod server;
mod session;
mod subscribe;
mod terminal;
mod trace;
mod transfer;
mod trust;
mod verify;
mod way;
mod wire;
mod words;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use config::ConfigFile;
use data::DataDir;
use exit::{Code, Failure};
use output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => match args::slip(&error) {
            Some(line) => {
                let given = |name: &str| std::env::args_os().any(|arg| arg == name);
                let output = Output::new(given("--json"));
                let output = if given("pipe") || given("--pipe") { output.beside_data() } else { output };
                return end(output, Err(Failure::usage(line)));
            }
            None => error.exit(),
        },
    };
    let output = Output::new(cli.json);
    let output = if cli.command.has_data() { output.beside_data() } else { output };
    end(output, run(output, cli))
}

/// Tells of a failure, and turns it into the exit code.
fn end(output: Output, result: Result<(), Failure>) -> ExitCode {
    terminal::finish();
    match result {
        Ok(()) => Code::Done.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.code.into()
        }
    }
}

fn run(output: Output, mut cli: Cli) -> Result<(), Failure> {
    let config = ConfigFile::find(cli.config.as_deref());
    if !matches!(cli.command, Command::Demo(_) | Command::Completions { .. } | Command::Man { .. }) {
        config.warn_if_exposed(output);
    }
    config.fill(&mut cli.command)?;
    let data = || {
        let data = DataDir::open(cli.data_dir.as_deref())?;
        data.warn_if_exposed(output);
        Ok(data)
    };
    match &cli.command {
        Command::Demo(args) => demo::run(output, args),
        Command::Completions { shell } => manual::completions(*shell),
        Command::Man { out } => manual::man(out.as_deref()),
        Command::Account(command) => block_on(accounts::run(output, data, &config, command)),
        Command::Identity(args) => identity::run(output, &data()?, args),
        Command::Trust(command) => trust::run(output, &data()?, command),
        Command::Listen(args) => block_on(listen::run(output, &data()?, args)),
        Command::Pair(args) => block_on(pair::run(output, &data()?, args)),
        Command::Verify(args) => block_on(verify::run(output, &data()?, args)),
        Command::Subscribe(args) => block_on(subscribe::run(output, &data()?, args)),
        Command::Pipe(args) => block_on(pipe::run(output, &data()?, args)),
        Command::Send(args) => block_on(send::run(output, &data()?, args)),
        Command::Receive(args) => block_on(receive::run(output, &data()?, args)),
        Command::Probe(args) => block_on(probe::run(output, &data()?, args)),
        Command::Link(command) => block_on(link::run(output, &data()?, command)),
        Command::Chat(args) => block_on(chat::run(output, &data()?, args)),
    }
}

/// Runs on one thread. Looking up a host may take another one, which is not waited for.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::other(format!("the runtime cannot start: {e}")))?;
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    result
}
