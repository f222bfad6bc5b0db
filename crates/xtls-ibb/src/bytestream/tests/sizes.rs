//! Bytes on the wire, and memory.

use super::*;

const FROM: &str = "romeo-montague@montague.example/orcha";
const TO: &str = "juliet-capulet@capulet.example/balcon";

/// The stanza of a full block with a seq of five digits, both addresses on it.
fn full_block(block_size: u16) -> String {
    assert_eq!((FROM.len(), TO.len()), (37, 37));
    let mut ids = Ids::new([1; 32]);
    let sid = ids.next_id().to_string();
    let mut stream = Bytestream::new(BytestreamRole::Acceptor, sid.as_str(), block_size, BytestreamConfig::default());
    let mut received = Vec::new();
    let open = Request::Open { sid: &sid, block_size };
    assert_eq!(stream.handle_request("open", &open, &mut received), Ok(Handled::Opened));
    let cut = &mut |bytes: &[u8], _| bytes.len();
    let (mut out, envelope) = (String::new(), Envelope::new(TO, Some(FROM)));
    assert_eq!(stream.poll(&mut ids, &envelope, cut, &mut out), Some(Sent::Result));
    for _ in 0..10_000 {
        stream.outgoing().push(0);
        out.clear();
        assert_eq!(stream.poll(&mut ids, &envelope, cut, &mut out), Some(Sent::Data { bytes: 1 }));
        assert_eq!(stream.handle_result(Parts::of(&out).id), Some(Acked::Data { bytes: 1 }));
    }
    let block = sample(usize::from(block_size));
    stream.outgoing().extend_from_slice(&block);
    let mut stanza = String::new();
    assert_eq!(stream.poll(&mut ids, &envelope, cut, &mut stanza), Some(Sent::Data { bytes: block.len() }));
    assert_eq!(Parts::of(&stanza).value("seq"), "10000");
    stanza
}

#[test]
fn a_full_block_of_4096_bytes_costs_at_most_1_41_bytes_per_byte_of_plaintext() {
    // One TLS 1.3 record: 22 bytes of header, type and tag.
    let (wire, plaintext) = (full_block(4096).len(), 4096 - 22);
    assert!(wire * 100 <= plaintext * 141, "{wire} bytes for {plaintext}");
}

#[test]
fn a_full_block_of_32760_bytes_costs_at_most_1_345_bytes_per_byte_of_plaintext() {
    // Two records.
    let (wire, plaintext) = (full_block(32760).len(), 2 * (32760 / 2 - 22));
    assert_eq!(plaintext, 2 * 16358);
    assert!(wire * 1000 <= plaintext * 1345, "{wire} bytes for {plaintext}");
}

#[test]
fn a_result_has_at_most_160_bytes() {
    let (_, mut b) = pair(4, BytestreamConfig::default());
    let id = Ids::new([1; 32]).next_id();
    b.data(id.as_str(), 0, "QQ==").unwrap();
    b.stream.release_acks(0);
    let mut out = String::new();
    let sent = b.stream.poll(&mut b.ids, &Envelope::new(TO, Some(FROM)), &mut |bytes, _| bytes.len(), &mut out);
    assert_eq!(sent, Some(Sent::Result));
    assert!(out.len() <= 160, "{} bytes: {out}", out.len());
}

#[test]
fn one_reservation_is_enough_for_a_block() {
    for block_size in [1, 100, 4096, 32760, 65535] {
        let stanza = full_block(block_size);
        // The string starts out empty, so its capacity is what was reserved, unless it had to grow: then it doubled.
        assert!(stanza.capacity() < stanza.len() + 200, "{} for {}", stanza.capacity(), stanza.len());
    }
}

#[test]
fn sending_moves_few_bytes_however_much_is_queued() {
    let config = BytestreamConfig { window: u16::MAX, max_unacked_bytes: u64::MAX, ..BytestreamConfig::default() };
    let (mut a, _) = pair(16, config);
    a.write(&vec![7; 1 << 20]);
    let capacity = a.stream.outgoing().capacity();
    let mut out = String::new();
    for _ in 0..4_000 {
        // Asking for the queue before each block cuts it off now and then, and not each time.
        a.stream.outgoing().extend_from_slice(&[8; 16]);
        out.clear();
        let sent = a.stream.poll(&mut a.ids, &Envelope::new(JULIET, None), &mut |_, limit| limit, &mut out);
        assert_eq!(sent, Some(Sent::Data { bytes: 16 }));
    }
    assert_eq!(a.stream.queued(), 1 << 20);
    assert!(a.stream.outgoing().capacity() <= 2 * capacity);
}

#[test]
fn memory_is_given_back_once_all_is_acknowledged() {
    let (mut a, mut b) = pair(4096, BytestreamConfig::default());
    a.write(&sample(256 * 1024));
    run(&mut a, &mut b);
    assert_eq!((b.received.len(), a.stream.unacked()), (256 * 1024, 0));
    assert!(a.stream.outgoing().capacity() <= 1024);
    assert!(size_of::<Bytestream>() <= 512, "{}", size_of::<Bytestream>());
}

/// Carries one block from `a` to `b` and its result back, without allocating by itself.
fn exchange(a: &mut End, b: &mut End, seq: u16, out: &mut String, envelopes: &[Envelope; 2]) {
    let cut = &mut |_: &[u8], limit| limit;
    out.clear();
    let sent = a.stream.poll(&mut a.ids, &envelopes[0], cut, out);
    assert!(matches!(sent, Some(Sent::Data { .. })));
    let parts = Parts::of(out);
    let request = Request::Data { sid: SID, seq, payload: parts.payload().into() };
    b.received.clear();
    b.stream.handle_request(parts.id, &request, &mut b.received).unwrap();
    b.stream.release_acks(0);
    out.clear();
    assert_eq!(b.stream.poll(&mut b.ids, &envelopes[1], cut, out), Some(Sent::Result));
    assert!(matches!(a.stream.handle_result(Parts::of(out).id), Some(Acked::Data { .. })));
}

#[test]
fn once_warm_neither_a_block_nor_its_acknowledgement_allocates() {
    // Small blocks, after each of which all is acknowledged; large ones behind which more are queued.
    for (length, ahead) in [(300, 0), (4096, 3)] {
        let (mut a, mut b) = pair(4096, BytestreamConfig::default());
        let (mut seq, mut out, text) = (0, String::new(), sample(length));
        let envelopes = [Envelope::new(JULIET, Some(ROMEO)), Envelope::new(ROMEO, Some(JULIET))];
        let mut round = |a: &mut End, b: &mut End| {
            a.write(&text);
            exchange(a, b, seq, &mut out, &envelopes);
            seq += 1;
        };
        for _ in 0..ahead {
            a.write(&text);
        }
        for _ in 0..10 {
            round(&mut a, &mut b);
        }
        let info = allocation_counter::measure(|| {
            for _ in 0..100 {
                round(&mut a, &mut b);
            }
        });
        assert_eq!(info.count_total, 0, "{length}");
        assert_eq!(a.stream.queued(), ahead * length);
    }
}
