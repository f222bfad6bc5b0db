//! Two ends of TLS, and somebody between them who changes what is on its way.

use crate::input::{Input, pieces};

/// Bytes on their way to an end to which no more are added: longer than a handshake may be.
const MOST_PENDING: usize = 1 << 17;

/// One end of TLS of any kind.
pub(crate) trait End {
    /// Takes records. What went wrong, in words.
    fn read(&mut self, records: &[u8], plaintext: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), String>;
    /// Whether the bytes were taken.
    fn write(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> bool;
    fn close(&mut self, out: &mut Vec<u8>);
    /// Whether the peer is authenticated.
    fn is_complete(&self) -> bool;
    fn peer_closed(&self) -> bool;
    /// What both ends derive alike and nobody else.
    fn exported(&self) -> Option<[u8; 32]>;
}

/// Which ends there are.
pub(crate) struct Rules {
    /// The end that is never the first to be complete: 0 is the client, 1 the server. Once it is, the other one was.
    pub(crate) last: usize,
    /// They could agree, were it not for whoever is between them.
    pub(crate) agree: bool,
}

/// What came out of both ends: for comparing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    plaintext: [Vec<u8>; 2],
    records: [Vec<u8>; 2],
    faults: [Option<String>; 2],
}

struct Wire<'a> {
    ends: [Box<dyn End + 'a>; 2],
    /// What is on its way to each end.
    to: [Vec<u8>; 2],
    written: [Vec<u8>; 2],
    closed: [bool; 2],
    outcome: Outcome,
    /// The ends that have been complete.
    complete: [bool; 2],
    /// What a complete end has in common with the other.
    common: [Option<[u8; 32]>; 2],
    tampered: bool,
    cut: u8,
}

/// Lets the input decide what becomes of what the client, and the server, send; `hello` is what the client begins with.
/// Reads are cut by `cut`, which must make no difference.
pub(crate) fn play<'a>(
    ends: [Box<dyn End + 'a>; 2],
    hello: Vec<u8>,
    rules: &Rules,
    mut input: Input<'_>,
    cut: u8,
) -> Outcome {
    let mut wire = Wire {
        ends,
        outcome: Outcome { records: [hello.clone(), Vec::new()], ..Outcome::default() },
        to: [Vec::new(), hello],
        written: [Vec::new(), Vec::new()],
        closed: [false, false],
        complete: [false, false],
        common: [None, None],
        tampered: false,
        cut,
    };
    let mut steps = 0;
    while !input.is_empty() && steps < 64 {
        wire.step(&mut input);
        wire.check(rules);
        steps += 1;
    }
    for _ in 0..12 {
        for side in 0..2 {
            wire.deliver(side, usize::MAX);
        }
    }
    wire.check(rules);
    wire.finish(rules)
}

impl Wire<'_> {
    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.byte();
        let side = usize::from(operation >> 7);
        let pending = self.to[side].len();
        if pending > MOST_PENDING && (7..=11).contains(&(operation & 15)) {
            // More of it finds nothing, and reading it byte by byte takes long.
            return;
        }
        match operation & 15 {
            0..=2 => self.deliver(side, usize::MAX),
            3 => {
                let count = input.below(pending + 1);
                self.deliver(side, count);
            }
            4 | 5 if pending > 0 => {
                // Near the beginning lie headers and lengths.
                let at = if operation & 16 == 0 { input.below(pending) } else { input.below(pending.min(24)) };
                let by = input.byte();
                self.to[side][at] ^= by;
                self.tampered |= by != 0;
            }
            6 if pending > 0 => {
                let at = input.below(pending);
                let end = (at + 1 + usize::from(input.byte())).min(pending);
                self.to[side].drain(at..end);
                self.tampered = true;
            }
            7 => {
                let at = input.below(pending + 1);
                let count = usize::from(input.byte() & 31);
                let bytes = input.take(count).to_vec();
                self.tampered |= !bytes.is_empty();
                self.to[side].splice(at..at, bytes);
            }
            8 => {
                // A record of the attacker's own making.
                let content_type = 20 + (operation >> 4 & 3);
                let count = usize::from(input.byte());
                let body = input.take(count);
                let [high, low] = u16::try_from(body.len()).unwrap_or(0).to_be_bytes();
                let record = [&[content_type, 3, 3, high, low], body].concat();
                let at = if operation & 64 == 0 { 0 } else { pending };
                self.to[side].splice(at..at, record);
                self.tampered = true;
            }
            9 | 10 => {
                // The records on their way: one again, one less, two the other way round.
                let records = records(&self.to[side]);
                if records.is_empty() {
                    return;
                }
                let number = input.below(records.len());
                let mut kept: Vec<_> = records;
                match operation >> 4 & 3 {
                    0 => drop(kept.remove(number)),
                    1 => kept.push(kept[number].clone()),
                    2 => kept.swap(number, 0),
                    _ => kept.insert(0, kept[number].clone()),
                }
                self.tampered = true;
                self.to[side] = kept.concat();
            }
            11 => {
                // Something that this end itself has sent, or the other one.
                let sent = &self.outcome.records[usize::from(operation >> 4 & 1)];
                let records = records(sent);
                if records.is_empty() {
                    return;
                }
                let again = records[input.below(records.len())].clone();
                self.to[side].extend(again);
                self.tampered = true;
            }
            12 | 13 => {
                let count = input.below(300);
                let bytes = vec![operation; count];
                let mut out = Vec::new();
                if self.ends[side].write(&bytes, &mut out) {
                    assert!(self.complete[side] && self.outcome.faults[side].is_none(), "nothing is written before");
                    self.written[side].extend(bytes);
                }
                self.send(side, &out);
            }
            14 if input.byte() & 3 == 0 => {
                let mut out = Vec::new();
                self.ends[side].close(&mut out);
                self.closed[side] = true;
                self.send(side, &out);
            }
            _ => {}
        }
    }

    fn send(&mut self, from: usize, bytes: &[u8]) {
        self.outcome.records[from].extend_from_slice(bytes);
        self.to[1 - from].extend_from_slice(bytes);
    }

    fn deliver(&mut self, side: usize, count: usize) {
        let taken: Vec<u8> = self.to[side].drain(..count.min(self.to[side].len())).collect();
        let mut out = Vec::new();
        if taken.is_empty() {
            return;
        }
        for piece in pieces(&taken, self.cut) {
            let before = (self.outcome.plaintext[side].len(), out.len());
            let result = self.ends[side].read(piece, &mut self.outcome.plaintext[side], &mut out);
            if let Some(fault) = &self.outcome.faults[side] {
                assert_eq!(result.as_ref(), Err(fault), "a fault is for good");
                assert_eq!((self.outcome.plaintext[side].len(), out.len()), before, "nothing comes after a fault");
            }
            self.outcome.faults[side] = result.err();
        }
        self.send(side, &out);
    }

    fn check(&mut self, rules: &Rules) {
        for side in 0..2 {
            if self.ends[side].is_complete() {
                assert!(rules.agree, "these two have nothing in common");
                self.complete[side] = true;
                self.common[side] = self.common[side].or_else(|| self.ends[side].exported());
            }
            let (read, sent) = (&self.outcome.plaintext[side], &self.written[1 - side]);
            assert!(sent.starts_with(read), "what is read is what was written, in order and once");
            assert!(read.is_empty() || self.complete[side], "nothing is read before the peer is authenticated");
            let is_end = self.complete[side] && self.ends[side].peer_closed();
            assert!(!is_end || self.closed != [false, false], "an end is not made up");
        }
        if self.complete[rules.last] {
            let first = 1 - rules.last;
            assert!(self.complete[first] || self.outcome.faults[first].is_some(), "the other one is complete first");
        }
        if let [Some(one), Some(other)] = self.common {
            assert_eq!(one, other, "both are in one session");
        }
    }

    fn finish(self, rules: &Rules) -> Outcome {
        if !self.tampered && rules.agree && self.closed == [false, false] {
            assert_eq!(self.outcome.faults, [None, None]);
            assert!(self.common[0].is_some() && self.common[0] == self.common[1], "left alone they agree");
            assert_eq!(self.outcome.plaintext[0], self.written[1]);
            assert_eq!(self.outcome.plaintext[1], self.written[0]);
        }
        self.outcome
    }
}

/// Bytes as records: by their headers, the last one as far as it goes.
pub(crate) fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let length = match bytes {
            [_, _, _, high, low, ..] => 5 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => bytes.len(),
        };
        let (record, rest) = bytes.split_at(length.min(bytes.len()));
        records.push(record.to_vec());
        bytes = rest;
    }
    records
}
