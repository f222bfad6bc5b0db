//! Allocations on the way of data, at both ends together and with the acknowledgements, once a tunnel has warmed up.

use std::time::{Duration, Instant};

use allocation_counter::measure;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls::{Element, Event, TrustPolicy, TunnelId, TunnelOptions, trust::Pin};
use xtls_stanza::ns;
use xtls_testkit::{EngineClient, EntityOptions, World};

use crate::common::{JULIET, ROMEO, noise, raw, xml};

/// Two engines that hand one another what they say, with nothing between them that would allocate.
struct Pair {
    ends: [EngineClient; 2],
    tunnels: [TunnelId; 2],
    now: Instant,
    stanza: String,
    received: Vec<u8>,
    /// TLS records in the blocks that passed, while they are counted.
    records: Option<u64>,
}

impl Pair {
    fn new(mut options: TunnelOptions, block_size: u16) -> Self {
        options.check_support = false;
        let now = World::default().now();
        let mut ends = [(ROMEO, 1), (JULIET, 2)].map(|(jid, seed)| {
            let mut options = EntityOptions::seeded(seed);
            options.real_cryptography = true;
            options.config.stamp_from = true;
            options.config.block_size = block_size;
            EngineClient::new(jid, options, now, Duration::ZERO)
        });
        for (end, other) in [(0, 1), (1, 0)] {
            let pin = Pin::manual(ends[other].identity().fingerprint_sha256());
            let peer = ends[other].jid().to_bare();
            ends[end].with_store(|store| store.pin(&peer, pin));
        }
        let peer = ends[1].jid().clone();
        let here = ends[0].engine().initiate(now, peer, options.clone()).unwrap();
        let mut pair =
            Self { ends, tunnels: [here; 2], now, stanza: String::new(), received: Vec::new(), records: None };
        let mut incoming = None;
        pair.settle(&mut |_, event| {
            if let Event::Incoming(offer) = event {
                incoming = Some(offer);
            }
        });
        pair.tunnels[1] = pair.ends[1].engine().accept(now, incoming.unwrap(), options).unwrap();
        pair.settle(&mut |_, _| {});
        pair
    }

    /// Lets both say what they have to say, until there is nothing more, and read what has come.
    fn settle(&mut self, on: &mut dyn FnMut(usize, Event)) {
        let mut moved = true;
        while moved {
            moved = false;
            for end in 0..2 {
                while self.ends[end].engine().poll_transmit(self.now, &mut self.stanza).is_some() {
                    moved = true;
                    if let Some(records) = &mut self.records {
                        *records += records_in(&self.stanza);
                    }
                    let _ = self.ends[1 - end].engine().handle_stanza(self.now, &self.stanza);
                    self.stanza.clear();
                }
                while let Some(event) = self.ends[end].engine().poll_event() {
                    moved = true;
                    if let Event::Readable { id } = event {
                        self.ends[end].engine().tunnel(id).unwrap().read(self.now, &mut self.received);
                    }
                    on(end, event);
                }
            }
        }
    }

    fn send(&mut self, message: &Element) {
        let tunnel = self.tunnels[0];
        self.ends[0].engine().tunnel(tunnel).unwrap().send(self.now, message).unwrap();
        let mut came = 0;
        self.settle(&mut |_, event| came += u32::from(matches!(event, Event::Stanza { .. })));
        assert_eq!(came, 1);
    }

    /// Tells how often it was written.
    fn transfer(&mut self, bytes: &[u8]) -> u64 {
        let tunnel = self.tunnels[0];
        let (mut written, mut writes) = (0, 0);
        self.received.clear();
        while written < bytes.len() {
            writes += 1;
            written += self.ends[0].engine().tunnel(tunnel).unwrap().write(self.now, &bytes[written..]).unwrap();
            self.settle(&mut |_, _| {});
        }
        assert!(self.received == bytes);
        writes
    }
}

fn records_in(stanza: &str) -> u64 {
    let Some((_, data)) = stanza.split_once("<data ") else { return 0 };
    let base64 = data.split_once('>').unwrap().1.split_once('<').unwrap().0;
    let block = STANDARD.decode(base64).unwrap();
    let (mut rest, mut count) = (&block[..], 0);
    while let [_, _, _, high, low, ..] = rest {
        rest = &rest[5 + usize::from(u16::from_be_bytes([*high, *low]))..];
        count += 1;
    }
    count
}

#[test]
fn a_message_of_281_bytes_takes_four_allocations_two_of_them_of_tls() {
    let message = |body: &str| {
        let message = Element::builder("message", ns::CLIENT).attribute("type", "chat").attribute("id", "a1b2c3d4");
        message.open("body", ns::CLIENT).text(body).close().build().unwrap()
    };
    let markup = message("").to_xml(ns::CLIENT).len() + "<body></body>".len() - "<body/>".len();
    let message = message(&"x".repeat(281 - markup));
    assert_eq!(message.to_xml(ns::CLIENT).len(), 281);
    let mut pair = Pair::new(xml(TrustPolicy::Pinned), 4096);
    for _ in 0..8 {
        pair.send(&message);
    }
    for _ in 0..8 {
        // A record that is sealed, the same opened, and the text and the table of the element that comes.
        assert_eq!(measure(|| pair.send(&message)).count_total, 4);
    }
}

#[test]
fn a_transfer_takes_the_allocations_of_rustls_for_each_record_and_none_besides() {
    for block_size in [4096, 32760, 65535] {
        let bytes = noise(2_000_000, 1);
        let mut pair = Pair::new(raw(TrustPolicy::Pinned), block_size);
        for _ in 0..2 {
            pair.transfer(&bytes);
        }
        pair.records = Some(0);
        let writes = pair.transfer(&bytes);
        let records = pair.records.take().unwrap();
        let count = measure(|| _ = pair.transfer(&bytes)).count_total;
        if block_size == 4096 {
            // The record that is sealed, and its plaintext.
            assert_eq!(count, 2 * records);
        } else {
            // rustls makes its reading buffer larger step by step for a record of 16 KiB, and smaller again after it. At the
            // most one buffer is made new for each time that the queue was filled and drained.
            assert!(
                (5 * records..=5 * records + writes).contains(&count),
                "{block_size}: {count} for {records} records"
            );
        }
    }
}
