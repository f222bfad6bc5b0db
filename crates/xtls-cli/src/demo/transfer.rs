//! Bytes through a tunnel, compared at the other end.

use std::io::{self, Read};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use xtls::{Event, TunnelId};

use super::pair::{Pair, Side};
use super::seconds_since;
use super::source::Source;
use crate::clock;
use crate::exit::Failure;
use crate::output::{Output, Report};

/// How much is read from the source at once.
const CHUNK: usize = 64 * 1024;

/// What the transfer came to.
#[derive(Debug)]
pub(super) struct Figures {
    bytes: u64,
    seconds: f64,
    stanzas: u64,
    wire_bytes: u64,
    pub(super) equal: bool,
}

/// The receiving end.
struct Sink {
    expected: Box<dyn Read>,
    arrived: u64,
    equal: bool,
    buffer: Vec<u8>,
    compare: Vec<u8>,
}

/// Moves all of `source` from Romeo to Juliet and closes the tunnel.
pub(super) fn run(
    pair: &mut Pair,
    output: Output,
    [(_, ours), (_, theirs)]: [(Side, TunnelId); 2],
    source: Source,
) -> Result<Figures, Failure> {
    let unreadable = |e: io::Error| Failure::other(format!("what is to be sent cannot be read: {e}"));
    let mut from = source.open().map_err(unreadable)?;
    let mut sink = Sink {
        expected: source.open().map_err(unreadable)?,
        arrived: 0,
        equal: true,
        buffer: Vec::new(),
        compare: Vec::new(),
    };
    let bar = progress_bar(output, source.length());
    let start: Instant = clock::now();
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = from.read(&mut chunk).map_err(unreadable)?;
        let mut rest = chunk.get(..count).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        while !rest.is_empty() {
            let taken =
                pair.with(Side::Romeo, |engine, now| engine.tunnel(ours).map(|mut tunnel| tunnel.write(now, rest)));
            let taken = match taken {
                Some(Ok(taken)) => taken,
                Some(Err(e)) => return Err(Failure::other(format!("the tunnel takes no more bytes: {e}"))),
                None => return Err(broken(pair)),
            };
            rest = rest.get(taken..).unwrap_or_default();
            let before = sink.arrived;
            sink.exchange(pair, theirs).map_err(unreadable)?;
            bar.set_position(sink.arrived);
            if taken == 0 && sink.arrived == before {
                return Err(broken(pair));
            }
        }
    }
    pair.with(Side::Romeo, |engine, now| engine.tunnel(ours).map(|mut tunnel| tunnel.close(now)));
    loop {
        let before = sink.arrived;
        sink.exchange(pair, theirs).map_err(unreadable)?;
        bar.set_position(sink.arrived);
        if sink.arrived == before {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(Figures {
        bytes: sink.arrived,
        seconds: seconds_since(start),
        stanzas: pair.stanzas,
        wire_bytes: pair.bytes,
        equal: sink.equal && sink.arrived == source.length(),
    })
}

impl Sink {
    /// Lets stanzas pass, and takes and compares what has arrived.
    fn exchange(&mut self, pair: &mut Pair, id: TunnelId) -> io::Result<()> {
        loop {
            pair.run().map_err(|e| io::Error::other(e.to_string()))?;
            self.buffer.clear();
            let buffer = &mut self.buffer;
            pair.with(Side::Juliet, |engine, now| engine.tunnel(id).map(|mut tunnel| tunnel.read(now, buffer)));
            if self.buffer.is_empty() {
                return Ok(());
            }
            self.arrived += u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
            self.compare.resize(self.buffer.len(), 0);
            // Too few expected bytes are a difference too.
            let enough = self.expected.read_exact(&mut self.compare).is_ok();
            self.equal &= enough && self.compare == self.buffer;
        }
    }
}

impl Figures {
    pub(super) fn report(&self) -> Report<'static> {
        Report::Transfer {
            bytes: self.bytes,
            seconds: self.seconds,
            stanzas: self.stanzas,
            wire_bytes: self.wire_bytes,
            equal: self.equal,
        }
    }
}

/// Why the tunnel does not go on.
fn broken(pair: &mut Pair) -> Failure {
    let mut why = "it stands still".to_owned();
    for event in pair.take_events(Side::Romeo) {
        if let Event::Closed(closed) = event {
            why = closed.reason.to_string();
        }
    }
    Failure::other(format!("the transfer broke off: {why}"))
}

/// A bar on standard error, when a user watches.
fn progress_bar(output: Output, length: u64) -> ProgressBar {
    let target = if output.is_interactive() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    match ProgressStyle::with_template("  {bar:40} {bytes} of {total_bytes}, {bytes_per_sec}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
