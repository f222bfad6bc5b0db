//! Handshakes and bulk data in memory, both ends on one thread, beside OpenSSL's if it is there.
//!
//! ```sh
//! cargo run --release -p tls-srp --example bench -- tests/srp-interop/libssl.py
//! ```
//!
//! The argument names a helper that does the same with OpenSSL in a process of its own. The two take turns, and what counts
//! is the median of the ratios of neighbours: absolute figures move with the machine's mood far more than ratios do.
#![allow(clippy::print_stdout, clippy::disallowed_methods)] // It is a command, and it measures time.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use tls_srp::{
    CipherSuite, ClientConfig, ClientSession, Credentials, Group, Random, RandomFailed, ServerConfig, ServerSession,
};

/// Pairs of samples, each a few milliseconds long, so that both of a pair meet the same machine.
const PAIRS: usize = 51;
/// Bytes of a write, and of a sample of bulk data.
const WRITE: usize = 1 << 14;
const BULK: usize = 1 << 21;

struct System;

impl Random for System {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        getrandom::fill(out).map_err(|_| RandomFailed)
    }
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut helper = match std::env::args().nth(1) {
        Some(path) => Some(Helper::start(&path)?),
        None => None,
    };
    for (group, count) in
        [(Group::Rfc5054N2048, 8), (Group::Rfc5054N3072, 4), (Group::Rfc5054N4096, 2), (Group::Rfc5054N8192, 1)]
    {
        // The first handshake makes the group's table.
        let started = Instant::now();
        connect(group)?;
        let first = started.elapsed().as_secs_f64();
        let bits = group.bits();
        let work = format!("handshake {bits} {count}");
        let report = alternate(helper.as_mut(), &work, || {
            // Each side warms up before it is timed: the other one has just had the caches.
            connect(group)?;
            let started = Instant::now();
            for _ in 0..count {
                connect(group)?;
            }
            Ok(started.elapsed().as_secs_f64())
        })?;
        let each = f64::from(count);
        println!(
            "handshake {bits}: {:.0} us both ends = {:.0}/s (the first one in the process {:.0} us){}",
            report.ours / each * 1e6,
            each / report.ours,
            first * 1e6,
            report.beside(|theirs| format!("{:.0} us", theirs / each * 1e6)),
        );
    }
    let (mut client, mut server) = connect(Group::Rfc5054N2048)?;
    let plaintext = vec![b'x'; WRITE];
    let (mut wire, mut heard, mut answer) = (Vec::new(), Vec::new(), Vec::new());
    let report = alternate(helper.as_mut(), &format!("bulk {WRITE} {BULK}"), || {
        let started = Instant::now();
        for _ in 0..BULK / WRITE {
            wire.clear();
            heard.clear();
            client.write(&plaintext, &mut wire)?;
            server.read(&wire, &mut heard, &mut answer)?;
        }
        Ok(started.elapsed().as_secs_f64())
    })?;
    let megabytes = f64::from(u32::try_from(BULK)?) / 1e6;
    println!(
        "seal and open, AES-128, {WRITE} bytes: {:.0} MB/s{}",
        megabytes / report.ours,
        report.beside(|theirs| format!("{:.0} MB/s", megabytes / theirs)),
    );
    Ok(())
}

fn connect(group: Group) -> Outcome<(ClientSession, ServerSession)> {
    let credentials = Credentials::new("juliet", "correct horse")?;
    let mut config = ClientConfig::new(credentials.clone());
    config.suites = vec![CipherSuite::TlsSrpShaWithAes128CbcSha];
    let mut client = ClientSession::new(config, Box::new(System))?;
    let mut config = ServerConfig::new(credentials);
    config.group = group;
    let mut server = ServerSession::new(config, Box::new(System))?;
    let (mut to_server, mut to_client, mut plaintext) = (Vec::new(), Vec::new(), Vec::new());
    while client.is_handshaking() {
        client.read(&to_client, &mut plaintext, &mut to_server)?;
        to_client.clear();
        server.read(&to_server, &mut plaintext, &mut to_client)?;
        to_server.clear();
    }
    Ok((client, server))
}

struct Report {
    ours: f64,
    theirs: Option<f64>,
    /// Their time divided by ours: above 1 we are faster.
    ratio: Option<f64>,
}

impl Report {
    fn beside(&self, show: impl Fn(f64) -> String) -> String {
        match (self.theirs, self.ratio) {
            (Some(theirs), Some(ratio)) => {
                format!("; OpenSSL {}; ratio {ratio:.2}", show(theirs))
            }
            _ => String::new(),
        }
    }
}

/// Takes turns, and gives medians.
fn alternate(
    mut helper: Option<&mut Helper>,
    work: &str,
    mut subject: impl FnMut() -> Outcome<f64>,
) -> Outcome<Report> {
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let our = subject()?;
        ours.push(our);
        if let Some(helper) = &mut helper {
            let their = helper.work(work)?;
            theirs.push(their);
            ratios.push(their / our);
        }
    }
    Ok(Report { ours: median(ours).ok_or("no samples")?, theirs: median(theirs), ratio: median(ratios) })
}

fn median(mut samples: Vec<f64>) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}

/// A process that does the work named on each line of its input and answers with the seconds that it took.
struct Helper {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    child: Child,
}

impl Helper {
    fn start(path: &str) -> Outcome<Self> {
        let mut child =
            Command::new("python3").args([path, "bench"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        Ok(Self {
            input: child.stdin.take().ok_or("no input")?,
            output: BufReader::new(child.stdout.take().ok_or("no output")?),
            child,
        })
    }

    fn work(&mut self, work: &str) -> Outcome<f64> {
        writeln!(self.input, "{work}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
