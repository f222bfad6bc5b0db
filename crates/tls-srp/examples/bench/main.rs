//! Handshakes and bulk data in memory, both ends on one thread, beside OpenSSL's.
//!
//! ```sh
//! cargo run --release -p tls-srp --example bench             # this crate alone
//! cargo run --release -p tls-srp --example bench -- openssl  # beside OpenSSL: needs cc and libssl's headers
//! ```
//!
//! OpenSSL does the same from C (`openssl.c`) in a process of its own. The two take turns, and what counts is the median of
//! the ratios of neighbours: absolute figures move with the machine's mood far more than ratios do. Time is that of the
//! processor, so that other programs on the machine do not count.
//!
//! What the first handshake of a process costs beside later ones is measured in processes of their own.
#![allow(clippy::print_stdout, clippy::disallowed_methods)] // It is a command, and it measures time.

use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::time::{ClockId, clock_gettime};
use tls_srp::{
    CipherSuite, ClientConfig, ClientSession, Credentials, Group, Random, RandomFailed, ServerConfig, ServerSession,
};

/// Pairs of samples, each a few milliseconds long, so that both of a pair meet the same machine.
const PAIRS: usize = 51;
/// Processes whose first handshake is timed, and handshakes after it in each of them.
const PROCESSES: usize = 21;
const WARM: usize = 9;
/// Bytes of a write, and of a sample of bulk data.
const WRITE: usize = 1 << 14;
const BULK: usize = 1 << 21;

const GROUPS: [(Group, u32); 4] =
    [(Group::Rfc5054N2048, 8), (Group::Rfc5054N3072, 4), (Group::Rfc5054N4096, 2), (Group::Rfc5054N8192, 1)];

struct System;

impl Random for System {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        getrandom::fill(out).map_err(|_| RandomFailed)
    }
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut helper = match env::args().nth(1).as_deref() {
        None => None,
        Some("openssl") => Some(Helper::start()?),
        // What this program asks of itself.
        Some("first") => return first(&env::args().nth(2).ok_or("which group?")?),
        Some(other) => return Err(format!("openssl or nothing, not {other}").into()),
    };
    for (group, count) in GROUPS {
        let bits = group.bits();
        let each = f64::from(count);
        let report = alternate(helper.as_mut(), &format!("handshake {bits} {count}"), || {
            // Each side warms up before it is timed: the other one has just had the caches.
            connect(group)?;
            timed(|| (0..count).try_for_each(|_| connect(group).map(drop)))
        })?;
        println!(
            "handshake {bits}: {:.0} us both ends = {:.0}/s{}",
            report.ours / each * 1e6,
            each / report.ours,
            report.beside(|theirs| format!("{:.0} us", theirs / each * 1e6)),
        );
    }
    for (group, _) in GROUPS {
        let bits = group.bits();
        let ratios = quartiles((0..PROCESSES).map(|_| first_in_a_process(bits)).collect::<Outcome<_>>()?)?;
        println!("first handshake of a process / a later one, {bits}: {}", show(ratios));
    }
    let (mut client, mut server) = connect(Group::Rfc5054N2048)?;
    let plaintext = vec![b'x'; WRITE];
    let (mut wire, mut heard, mut answer) = (Vec::new(), Vec::new(), Vec::new());
    let mut bulk = |total: usize| {
        timed(|| {
            for _ in 0..total / WRITE {
                wire.clear();
                heard.clear();
                client.write(&plaintext, &mut wire)?;
                server.read(&wire, &mut heard, &mut answer)?;
            }
            Ok(())
        })
    };
    let report = alternate(helper.as_mut(), &format!("bulk {WRITE} {BULK}"), || {
        bulk(WRITE)?;
        bulk(BULK)
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

/// Times the first handshake of this process and some later ones, and says what the first costs in terms of those.
fn first(bits: &str) -> Outcome<()> {
    let (group, _) =
        GROUPS.into_iter().find(|(group, _)| group.bits().to_string() == bits).ok_or("a group that is not known")?;
    let one = || timed(|| connect(group).map(drop));
    let first = one()?;
    let [_, warm, _] = quartiles((0..WARM).map(|_| one()).collect::<Outcome<_>>()?)?;
    println!("{}", first / warm);
    Ok(())
}

fn first_in_a_process(bits: u32) -> Outcome<f64> {
    let output = Command::new(env::current_exe()?).args(["first", &bits.to_string()]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Seconds of processor time that the work took.
fn timed(work: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let now = || clock_gettime(ClockId::ThreadCPUTime);
    let started = now();
    work()?;
    let ended = now();
    let nanoseconds = (ended.tv_sec - started.tv_sec) * 1_000_000_000 + (ended.tv_nsec - started.tv_nsec);
    Ok(f64::from(u32::try_from(nanoseconds)?) / 1e9)
}

struct Report {
    ours: f64,
    theirs: Option<f64>,
    /// Their time divided by ours: above 1 we are faster.
    ratio: Option<[f64; 3]>,
}

impl Report {
    fn beside(&self, time: impl Fn(f64) -> String) -> String {
        match (self.theirs, self.ratio) {
            (Some(theirs), Some(ratio)) => format!("; OpenSSL {}; ratio {}", time(theirs), show(ratio)),
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
    let median = |[_, median, _]: [f64; 3]| median;
    Ok(Report {
        ours: quartiles(ours).map(median)?,
        theirs: quartiles(theirs).ok().map(median),
        ratio: quartiles(ratios).ok(),
    })
}

/// The first quartile, the median and the third quartile.
fn quartiles(mut samples: Vec<f64>) -> Outcome<[f64; 3]> {
    samples.sort_by(f64::total_cmp);
    let at = |quarter: usize| samples.get(samples.len() * quarter / 4).copied().ok_or("no samples");
    Ok([at(1)?, at(2)?, at(3)?])
}

fn show([lower, median, upper]: [f64; 3]) -> String {
    format!("{median:.3} [{lower:.3}..{upper:.3}]")
}

/// A process that does the work named on each line of its input and answers with the seconds that it took.
struct Helper {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    child: Child,
}

impl Helper {
    /// Compiles it beside this program, and starts it.
    fn start() -> Outcome<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bench/openssl.c");
        let program = env::current_exe()?.with_file_name("bench-openssl");
        let compiled =
            Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(source).args(["-lssl", "-lcrypto"]).status()?;
        if !compiled.success() {
            return Err("openssl.c was not compiled: is libssl-dev installed?".into());
        }
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
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
