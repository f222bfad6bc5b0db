//! In-band bytestreams: two ends and what is between them, and requests that the input writes itself.

use std::collections::VecDeque;

use xtls_ibb::{
    Acked, Bytestream, BytestreamConfig, BytestreamFault, BytestreamRole, BytestreamState, ErrorOutcome, Handled,
    Request, wire,
};
use xtls_stanza::{Condition, Element, Envelope, ErrorType, Ids, Iq, IqType, Limits, StanzaError, ns};

use crate::input::Input;

const SID: &str = "s";

/// The first byte says who the two ends are, the second how large blocks and queues are. Then the input decides what each end
/// does and what becomes of each stanza; a line of text is a stanza of the attacker's own.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (kind, sizes) = (input.byte(), input.byte());
    let mut pair = Pair::new(kind, sizes);
    let mut steps = 0;
    while !input.is_empty() && steps < 200 {
        pair.step(&mut input);
        steps += 1;
    }
    pair.settle();
}

struct Pair {
    ends: [Side; 2],
    /// What is on its way to each end.
    to: [VecDeque<String>; 2],
    ids: Ids,
    /// Nothing was changed, made up, delivered twice or out of turn.
    honest: bool,
    /// No request and no answer was made up: what comes is what was sent, however often.
    authentic: bool,
}

struct Side {
    stream: Bytestream,
    config: BytestreamConfig,
    agreed: u16,
    written: Vec<u8>,
    received: Vec<u8>,
    acknowledged: u64,
    state: BytestreamState,
    /// The application takes what comes at once.
    reads: bool,
}

impl Pair {
    fn new(kind: u8, sizes: u8) -> Self {
        let roles = match kind & 3 {
            0 => [BytestreamRole::Negotiated; 2],
            1 => [BytestreamRole::Acceptor, BytestreamRole::Opener],
            _ => [BytestreamRole::Opener, BytestreamRole::Acceptor],
        };
        let block_size = [16, 64, 1000, 4096][usize::from(sizes & 3)];
        let mut config = BytestreamConfig::default();
        if sizes & 4 != 0 {
            (config.window, config.withheld_max, config.answers_max) = (2, 3, 6);
            (config.max_unacked_bytes, config.outgoing_bytes, config.empty_blocks_max) = (300, 500, 2);
        }
        if sizes & 8 != 0 {
            config.window = u16::from(sizes >> 6);
        }
        let side = |role| {
            let mut stream = Bytestream::new(role, SID, block_size, config);
            if kind & 4 == 0 {
                stream.open();
            }
            let state = stream.state();
            let (written, received) = (Vec::new(), Vec::new());
            Side { stream, config, agreed: block_size, written, received, acknowledged: 0, state, reads: true }
        };
        Self { ends: roles.map(side), to: Default::default(), ids: Ids::new([9; 32]), honest: true, authentic: true }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let operation = input.byte();
        let side = usize::from(operation >> 7);
        match operation & 31 {
            0..=3 => drop(self.send(side)),
            4..=9 => drop(self.deliver(side)),
            10 | 11 => {
                let count = input.below(700).min(self.ends[side].stream.writable());
                let end = &mut self.ends[side];
                let bytes: Vec<u8> = (0..count).map(|at| (end.written.len() + at).to_le_bytes()[0]).collect();
                end.stream.outgoing().extend_from_slice(&bytes);
                end.written.extend(bytes);
            }
            12 => self.ends[side].stream.open(),
            13 if input.byte() & 3 == 0 => self.ends[side].stream.close(),
            14 => self.ends[side].stream.resume(),
            15 => self.ends[side].reads = operation & 32 == 0,
            16 => self.ends[side].stream.release_acks(u64::MAX),
            17 => drop(self.to[side].pop_front().map(|_| self.honest = false)),
            18 => {
                if let Some(stanza) = self.to[side].front().cloned() {
                    self.to[side].push_back(stanza);
                    self.honest = false;
                }
            }
            19 => {
                if let Some(stanza) = self.to[side].pop_front() {
                    self.honest &= self.to[side].is_empty();
                    self.to[side].push_back(stanza);
                }
            }
            20 | 21 => {
                // A server sends it back.
                if let Some(stanza) = self.to[side].pop_front() {
                    let back = bounced(&stanza, input.byte());
                    self.honest = false;
                    self.to[1 - side].extend(back);
                }
            }
            22 if input.byte() & 7 == 0 => self.ends[side].stream.abort(),
            23 if input.byte() & 7 == 0 => self.ends[side].stream.end(),
            24 => {
                // An answer to what nobody has answered yet.
                let ids: Vec<_> = self.ends[side].stream.unanswered().collect();
                if !ids.is_empty() {
                    let id = ids[input.below(ids.len())];
                    (self.honest, self.authentic) = (false, false);
                    self.answer(side, id.as_str(), operation & 32 == 0, input.byte());
                }
            }
            25..=27 => {
                let line = input.line();
                if let Ok(text) = core::str::from_utf8(line) {
                    (self.honest, self.authentic) = (false, false);
                    let stanza = format!("<iq type='set' id='x' to='a@b'>{text}</iq>");
                    self.hear(side, &stanza);
                }
            }
            28 => {
                // A block that the attacker makes, in its place or elsewhere.
                let (seq, count) = (u16::from(input.byte() & 3), input.below(80));
                let mut payload = String::from("<iq type='set' id='y' to='a@b'>");
                wire::write_data(&mut payload, SID, seq, &vec![7; count]);
                payload.push_str("</iq>");
                (self.honest, self.authentic) = (false, false);
                self.hear(side, &payload);
            }
            _ => {}
        }
        self.check();
    }

    fn send(&mut self, side: usize) -> bool {
        let mut stanza = String::new();
        let end = &mut self.ends[side];
        let before = (end.stream.in_flight(), end.stream.queued());
        let size = usize::from(end.stream.block_size());
        let mut cut = |queued: &[u8], most: usize| {
            assert_eq!(most, size);
            queued.len() / 2 + 1
        };
        let Some(sent) = end.stream.poll(&mut self.ids, &Envelope::new("a@b", None), &mut cut, &mut stanza) else {
            assert!(stanza.is_empty());
            return false;
        };
        if let xtls_ibb::Sent::Data { bytes } = sent {
            assert!(bytes <= size && bytes > 0);
            let window = usize::from(end.stream.window());
            // A block that came back is in flight already; there may be more of these than the window.
            let in_flight = end.stream.in_flight();
            assert!(in_flight == before.0 || in_flight <= window, "{in_flight} blocks of {window}");
        }
        self.to[1 - side].push_back(stanza);
        true
    }

    fn deliver(&mut self, side: usize) -> bool {
        let Some(stanza) = self.to[side].pop_front() else { return false };
        self.hear(side, &stanza);
        true
    }

    fn hear(&mut self, side: usize, stanza: &str) {
        let Ok(element) = Element::parse(stanza, &Limits::default()) else { return };
        let Some(Ok(iq)) = Iq::parse(&element) else { return };
        match iq.iq_type {
            IqType::Set => {
                let Some(parsed) = iq.payload.and_then(Request::parse) else { return };
                let Ok(request) = parsed else { return };
                check_request(&request);
                self.request(side, iq.id, &request);
            }
            IqType::Result => self.answer(side, iq.id, true, 0),
            IqType::Error => {
                let error = iq.error().expect("an error has one");
                self.error(side, iq.id, &error);
            }
            _ => {}
        }
    }

    fn request(&mut self, side: usize, id: &str, request: &Request<'_>) {
        let end = &mut self.ends[side];
        let before = end.received.len();
        match end.stream.handle_request(id, request, &mut end.received) {
            Ok(Handled::Data { bytes }) => {
                assert_eq!(end.received.len(), before + bytes);
                assert!(bytes <= usize::from(end.agreed));
                end.stream.mark_ack(end.received.len().try_into().unwrap_or(u64::MAX));
                if end.reads {
                    end.stream.release_acks(u64::MAX);
                }
            }
            Ok(_) => assert_eq!(end.received.len(), before),
            Err(fault) => {
                assert_eq!(end.received.len(), before, "a fault appends nothing");
                let error = fault.to_stanza_error();
                if fault.ends_bytestream() && fault != BytestreamFault::Closed {
                    assert!(end.stream.state() >= BytestreamState::Closing, "{fault:?}");
                }
                let mut out = String::new();
                Iq::write_error(&mut out, id, "a@b", None, &error);
                self.to[1 - side].push_back(out);
            }
        }
    }

    fn answer(&mut self, side: usize, id: &str, result: bool, kind: u8) {
        if !result {
            let error = StanzaError::new(Condition::ALL[usize::from(kind) % Condition::ALL.len()]);
            return self.error(side, id, &if kind & 128 == 0 { error } else { error.with_type(ErrorType::Wait) });
        }
        let end = &mut self.ends[side];
        let before = end.stream.unacked();
        match end.stream.handle_result(id) {
            Some(Acked::Data { bytes } | Acked::Gap { bytes }) => {
                end.acknowledged += u64::try_from(bytes).unwrap_or(u64::MAX);
                assert!(end.stream.unacked() <= before);
            }
            Some(_) | None => assert_eq!(end.stream.unacked(), before),
        }
        assert!(end.stream.handle_result(id).is_none(), "an answer counts once");
    }

    fn error(&mut self, side: usize, id: &str, error: &StanzaError) {
        let end = &mut self.ends[side];
        let before = end.stream.unacked();
        match end.stream.handle_error(id, error) {
            Some(ErrorOutcome::Suspended) => assert!(end.stream.is_suspended()),
            Some(ErrorOutcome::Ended { .. }) => assert!(end.stream.state() >= BytestreamState::Closing),
            Some(ErrorOutcome::OpenRefused | ErrorOutcome::Closed) => {
                assert_eq!(end.stream.state(), BytestreamState::Closed);
            }
            _ => {}
        }
        assert_eq!(end.stream.unacked(), before, "what is refused is not acknowledged");
    }

    fn check(&mut self) {
        for side in 0..2 {
            let end = &self.ends[side];
            let stream = &end.stream;
            assert!(stream.state() >= end.state || end.state == BytestreamState::Opening, "there is no way back");
            assert!(
                end.state != BytestreamState::Closed || stream.state() == BytestreamState::Closed,
                "the end is final"
            );
            let written = u64::try_from(end.written.len()).unwrap_or(u64::MAX);
            assert_eq!(stream.unacked() + end.acknowledged, written, "each byte is accounted for once");
            assert!(stream.withheld_acks() <= end.config.withheld_max);
            assert_eq!(stream.window(), end.config.window.max(1));
            assert!((1..=end.agreed).contains(&stream.block_size()));
            assert!(stream.queued() <= end.config.outgoing_bytes);
            if self.authentic {
                assert!(self.ends[1 - side].written.starts_with(&end.received), "in order, and once");
            }
        }
        self.ends.iter_mut().for_each(|end| end.state = end.stream.state());
    }

    /// Peace: what can be sent is sent. If nothing was meddled with, everything arrives.
    fn settle(&mut self) {
        for side in 0..2 {
            self.ends[side].reads = true;
            self.ends[side].stream.release_acks(u64::MAX);
            self.ends[side].stream.open();
        }
        for _ in 0..5000 {
            let moved = [0, 1].map(|side| {
                if self.ends[side].stream.is_suspended() {
                    self.ends[side].stream.resume();
                }
                self.send(side) | self.deliver(side)
            });
            self.check();
            if moved == [false, false] {
                break;
            }
        }
        let open = self.ends.iter().all(|end| end.stream.state() == BytestreamState::Open);
        if self.honest && open {
            for side in 0..2 {
                assert_eq!(self.ends[side].received.len(), self.ends[1 - side].written.len(), "all of it arrives");
                assert_eq!(self.ends[side].stream.unacked(), 0);
            }
        }
    }
}

/// What a server says of a request that it does not deliver.
fn bounced(stanza: &str, kind: u8) -> Option<String> {
    let element = Element::parse(stanza, &Limits::default()).ok()?;
    let iq = Iq::parse(&element)?.ok()?;
    if iq.iq_type != IqType::Set {
        return None;
    }
    let conditions = [
        Condition::RecipientUnavailable,
        Condition::RemoteServerTimeout,
        Condition::ResourceConstraint,
        Condition::ServiceUnavailable,
        Condition::ItemNotFound,
    ];
    let error = StanzaError::new(conditions[usize::from(kind) % conditions.len()]);
    let mut out = String::new();
    Iq::write_error(&mut out, iq.id, "a@b", None, &error);
    Some(out)
}

/// What was read of a request is read again of what is written of it.
fn check_request(request: &Request<'_>) {
    let mut out = String::new();
    match *request {
        Request::Open { sid, block_size } => wire::write_open(&mut out, sid, block_size),
        Request::Close { sid } => wire::write_close(&mut out, sid),
        _ => return,
    }
    let element = Element::parse(&out, &Limits::default()).expect("what is written can be read");
    assert_eq!(element.ns(), ns::IBB);
    let again = Request::parse(element.root()).and_then(Result::ok).expect("it is the same request");
    match (*request, again) {
        (Request::Open { sid, block_size }, Request::Open { sid: other, block_size: size }) => {
            assert_eq!((sid, block_size), (other, size));
        }
        (Request::Close { sid }, Request::Close { sid: other }) => assert_eq!(sid, other),
        (one, other) => panic!("{one:?} became {other:?}"),
    }
}
