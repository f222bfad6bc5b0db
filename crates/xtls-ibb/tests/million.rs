//! A million blocks through one pair of ends: the seq wraps fifteen times, nothing is lost, and memory stays flat.
#![allow(clippy::unwrap_used)]

use xtls_ibb::{Acked, Bytestream, BytestreamConfig, BytestreamRole, BytestreamState, Handled, Request, Sent};
use xtls_stanza::{Envelope, Ids};

const SID: &str = "ch3d9s71";
const BLOCKS: u32 = 1_000_000;
/// Blocks between two looks at the memory.
const LAP: u32 = 100_000;

/// The value of an attribute of a stanza that was written by us, found without a parser.
fn value<'a>(stanza: &'a str, name: &str) -> &'a str {
    let (_, rest) = stanza.split_once(name).unwrap();
    rest.split_once('\'').unwrap().0
}

/// Two ends, and the buffers that are used for every block.
struct Pair {
    sender: Bytestream,
    receiver: Bytestream,
    ids: [Ids; 2],
    envelope: Envelope,
    stanza: String,
    received: Vec<u8>,
    /// The next number to be written, and the next one to arrive.
    written: u32,
    arrived: u32,
    wraps: u32,
}

impl Pair {
    fn new() -> Self {
        let end = |role| Bytestream::new(role, SID, 3, BytestreamConfig::default());
        let mut pair = Self {
            sender: end(BytestreamRole::Opener),
            receiver: end(BytestreamRole::Acceptor),
            ids: [Ids::new([1; 32]), Ids::new([2; 32])],
            envelope: Envelope::new("juliet@capulet.lit/balcony", None),
            stanza: String::new(),
            received: Vec::new(),
            written: 0,
            arrived: 0,
            wraps: 0,
        };
        pair.sender.open();
        assert_eq!(pair.poll(0), Some(Sent::Open));
        let open = Request::Open { sid: SID, block_size: 3 };
        let id = value(&pair.stanza, "id='").to_owned();
        assert_eq!(pair.receiver.handle_request(&id, &open, &mut pair.received), Ok(Handled::Opened));
        assert_eq!(pair.poll(1), Some(Sent::Result));
        assert_eq!(pair.sender.handle_result(&id), Some(Acked::Open));
        pair
    }

    /// Takes a stanza out of one end into the common buffer.
    fn poll(&mut self, end: usize) -> Option<Sent> {
        self.stanza.clear();
        let stream = if end == 0 { &mut self.sender } else { &mut self.receiver };
        let cut = &mut |_: &[u8], limit| limit;
        stream.poll(&mut self.ids[end], &self.envelope, cut, &mut self.stanza)
    }

    /// Blocks of three bytes, each the number of the block, until so many have arrived.
    fn run_to(&mut self, blocks: u32) {
        while self.arrived < blocks {
            while self.written < blocks && self.sender.queued() < 300 {
                self.sender.outgoing().extend_from_slice(&self.written.to_be_bytes()[1..]);
                self.written += 1;
            }
            while let Some(sent) = self.poll(0) {
                assert_eq!(sent, Sent::Data { bytes: 3 });
                self.deliver();
            }
            while let Some(sent) = self.poll(1) {
                assert_eq!(sent, Sent::Result);
                let acked = self.sender.handle_result(value(&self.stanza, "id='"));
                assert_eq!(acked, Some(Acked::Data { bytes: 3 }));
            }
        }
    }

    fn deliver(&mut self) {
        let (head, _) = self.stanza.rsplit_once("</data>").unwrap();
        let (head, base64) = head.rsplit_once('>').unwrap();
        let seq = value(head, "seq='").parse().unwrap();
        assert_eq!(u32::from(seq), self.arrived % 65_536, "one by one, and 0 after 65535 (XEP-0047 § 2.2)");
        self.wraps += u32::from(seq == 0 && self.arrived > 0);
        let request = Request::Data { sid: SID, seq, payload: base64.into() };
        self.received.clear();
        let handled = self.receiver.handle_request(value(head, "id='"), &request, &mut self.received);
        assert_eq!(handled, Ok(Handled::Data { bytes: 3 }));
        assert_eq!(self.received, self.arrived.to_be_bytes()[1..]);
        self.receiver.release_acks(u64::MAX);
        self.arrived += 1;
    }
}

#[test]
fn a_million_blocks_arrive_in_order_and_leave_nothing_behind() {
    let mut pair = Pair::new();
    // The first lap brings the buffers to their sizes.
    pair.run_to(LAP);
    for lap in 2..=BLOCKS / LAP {
        let used = allocation_counter::measure(|| pair.run_to(lap * LAP));
        assert!(used.bytes_current <= 0, "lap {lap} kept {} bytes", used.bytes_current);
        assert!(used.bytes_max < 16 * 1024, "lap {lap} used {} bytes at once", used.bytes_max);
    }
    assert_eq!((pair.arrived, pair.wraps), (BLOCKS, 15));
    assert_eq!((pair.sender.unacked(), pair.sender.in_flight()), (0, 0));
    pair.sender.close();
    assert_eq!(pair.poll(0), Some(Sent::Close));
    let id = value(&pair.stanza, "id='").to_owned();
    let close = Request::Close { sid: SID };
    assert_eq!(pair.receiver.handle_request(&id, &close, &mut pair.received), Ok(Handled::Closed));
    assert_eq!(pair.sender.handle_result(&id), Some(Acked::Close));
    assert_eq!((pair.sender.state(), pair.receiver.state()), (BytestreamState::Closed, BytestreamState::Closed));
}
