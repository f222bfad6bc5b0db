//! Allocations on the way of data, at both ends together and with the acknowledgements, once a tunnel has warmed up.

use std::time::{Duration, Instant};

use allocation_counter::measure;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use xtls::{Disposition, Element, Event, TrustPolicy, TunnelId, TunnelOptions, trust::Pin};
use xtls_stanza::{ParseErrorKind, ns};
use xtls_testkit::{EngineClient, EntityOptions, World};

use crate::common::{JULIET, ROMEO, noise, raw, xml};

/// Two engines that hand one another what they say, with nothing between them that would allocate.
struct Pair {
    ends: [EngineClient; 2],
    tunnels: [TunnelId; 2],
    now: Instant,
    entry: Entry,
    stanza: String,
    stanza_bytes: Vec<u8>,
    received: Vec<u8>,
    /// The lengths of the TLS records in each block that passed, while they are noted.
    blocks: Option<Vec<Vec<usize>>>,
}

/// How stanzas are handed over.
#[derive(Debug, Clone, Copy)]
enum Entry {
    Text,
    Bytes,
}

impl Pair {
    fn new(mut options: TunnelOptions, block_size: u16, entry: Entry) -> Self {
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
        let mut pair = Self {
            ends,
            tunnels: [here; 2],
            now,
            entry,
            stanza: String::new(),
            stanza_bytes: Vec::new(),
            received: Vec::new(),
            blocks: None,
        };
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
                while self.pass(end) {
                    moved = true;
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

    /// Hands a stanza of one end to the other one.
    fn pass(&mut self, end: usize) -> bool {
        let (stanza, bytes) = (&mut self.stanza, &mut self.stanza_bytes);
        stanza.clear();
        bytes.clear();
        let engine = self.ends[end].engine();
        let sent = match self.entry {
            Entry::Text => engine.poll_transmit(self.now, stanza),
            Entry::Bytes => engine.poll_transmit_bytes(self.now, bytes),
        };
        let engine = self.ends[1 - end].engine();
        let _ = match self.entry {
            _ if sent.is_none() => return false,
            Entry::Text => engine.handle_stanza(self.now, stanza),
            Entry::Bytes => engine.handle_stanza_bytes(self.now, bytes),
        };
        if let Some(blocks) = &mut self.blocks {
            stanza.push_str(str::from_utf8(bytes).unwrap());
            blocks.extend(records_in(stanza));
        }
        true
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

/// The lengths of the records in a block, all of which are whole.
fn records_in(stanza: &str) -> Option<Vec<usize>> {
    let (_, data) = stanza.split_once("<data ")?;
    let base64 = data.split_once('>').unwrap().1.split_once('<').unwrap().0;
    let block = STANDARD.decode(base64).unwrap();
    let (mut rest, mut lengths) = (&block[..], Vec::new());
    while let [_, _, _, high, low, ..] = rest {
        let length = 5 + usize::from(u16::from_be_bytes([*high, *low]));
        lengths.push(length);
        rest = &rest[length..];
    }
    assert!(rest.is_empty());
    Some(lengths)
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
    for entry in [Entry::Text, Entry::Bytes] {
        let mut pair = Pair::new(xml(TrustPolicy::Pinned), 4096, entry);
        for _ in 0..8 {
            pair.send(&message);
        }
        for _ in 0..8 {
            // A record that is sealed, the same opened, and the text and the table of the element that comes.
            assert_eq!(measure(|| pair.send(&message)).count_total, 4, "{entry:?}");
        }
    }
}

#[test]
fn a_transfer_takes_the_allocations_of_rustls_for_each_record_and_none_besides() {
    for (block_size, entry) in [(4096, Entry::Text), (4096, Entry::Bytes), (32760, Entry::Bytes), (65535, Entry::Bytes)]
    {
        let bytes = noise(2_000_000, 1);
        let mut pair = Pair::new(raw(TrustPolicy::Pinned), block_size, entry);
        for _ in 0..2 {
            pair.transfer(&bytes);
        }
        pair.blocks = Some(Vec::new());
        let writes = pair.transfer(&bytes);
        let blocks = pair.blocks.take().unwrap();
        let [blocks, records] =
            [blocks.len(), blocks.iter().map(Vec::len).sum()].map(|count| u64::try_from(count).unwrap());
        let count = measure(|| _ = pair.transfer(&bytes)).count_total;
        if block_size == 4096 {
            // The record that is sealed, and its plaintext.
            assert_eq!(count, 2 * records);
        } else {
            // rustls makes its reading buffer larger for records of 16 KiB, in two steps, and smaller again after them. At the
            // most one buffer is made new for each time that the queue was filled and drained.
            let most = 2 * records + 3 * blocks + writes;
            assert!(count <= most, "{block_size}: {count} for {records} records in {blocks} blocks");
        }
    }
}

/// What a client's other traffic consists of.
fn of_others() -> Vec<(&'static str, String)> {
    let from = "from='mercutio@montague.lit/square' to='juliet@capulet.lit/balcony'";
    let feature = |number: usize| format!("<feature var='urn:example:feature:{number}'/>");
    let item =
        |number: usize| format!("<item jid='friend-{number}@capulet.lit' subscription='both'><group>A</group></item>");
    let features: String = (0..40).map(feature).collect();
    let items: String = (0..200).map(item).collect();
    let body = "What's in a name? That which we call a rose &amp; so on. ".repeat(20);
    vec![
        (
            "a message",
            format!(
                "<message {from} type='chat' id='9f1'><body>Good night</body><active xmlns='http://jabber.org/protocol/chatstates'/>\
                 <request xmlns='urn:xmpp:receipts'/></message>"
            ),
        ),
        ("a long message", format!("<message {from} type='chat' id='9f2'><body>{body}</body></message>")),
        (
            "a message from an archive",
            format!(
                "<message from='juliet@capulet.lit' to='juliet@capulet.lit/balcony'><result xmlns='urn:xmpp:mam:2' id='28'>\
                 <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>\
                 <message xmlns='jabber:client' {from}><body>Hail</body></message></forwarded></result></message>"
            ),
        ),
        (
            "a presence that was seen before",
            format!("<presence {from}><show>away</show><status>asleep</status></presence>"),
        ),
        ("a presence of somebody who leaves", "<presence from='room@rooms.lit/nick' type='unavailable'/>".into()),
        ("an answer without anything", format!("<iq {from} type='result' id='p1'/>")),
        (
            "features",
            format!(
                "<iq {from} type='result' id='d1'><query xmlns='http://jabber.org/protocol/disco#info'>{features}</query></iq>"
            ),
        ),
        ("a roster", format!("<iq type='result' id='r1'><query xmlns='jabber:iq:roster'>{items}</query></iq>")),
        ("a ping", format!("<iq {from} type='get' id='p2'><ping xmlns='urn:xmpp:ping'/></iq>")),
    ]
}

#[test]
fn a_stanza_that_is_not_ours_takes_three_allocations_at_most() {
    let mut pair = Pair::new(raw(TrustPolicy::Pinned), 4096, Entry::Text);
    let now = pair.now;
    let engine = pair.ends[1].engine();
    let mut counts = Vec::new();
    for (what, stanza) in of_others() {
        // What is remembered of a peer is there the second time.
        for _ in 0..2 {
            let mut disposition = None;
            let count = measure(|| disposition = Some(engine.handle_stanza(now, &stanza))).count_total;
            assert!(matches!(disposition, Some(Disposition::NotOurs)), "{what}: {disposition:?}");
            counts.push((what, count));
        }
    }
    let counts: Vec<_> = counts.chunks(2).map(|twice| twice[1]).collect();
    let expected = [0, 2, 2, 1, 1, 1, 3, 2, 0];
    assert_eq!(counts.iter().map(|(_, count)| *count).collect::<Vec<_>>(), expected, "{counts:?}");
}

#[test]
fn bytes_that_are_not_utf8_are_malformed_and_change_nothing() {
    let mut pair = Pair::new(raw(TrustPolicy::Pinned), 4096, Entry::Bytes);
    let tunnel = pair.tunnels[0];
    let written = pair.ends[0].engine().tunnel(tunnel).unwrap().write(pair.now, &[7; 100]).unwrap();
    assert_eq!(written, 100);
    let mut stanza = b"<!-- what is there already stays -->".to_vec();
    let before = stanza.len();
    assert!(pair.ends[0].engine().poll_transmit_bytes(pair.now, &mut stanza).is_some());
    assert!(pair.ends[0].engine().poll_transmit_bytes(pair.now, &mut stanza).is_none());
    assert!(stanza.starts_with(b"<!-- what is there already stays --><iq "));
    stanza.drain(..before);
    for place in [stanza.iter().position(|byte| *byte == b'@').unwrap(), stanza.len() - 20] {
        let mut broken = stanza.clone();
        broken[place] = 0xFF;
        let disposition = pair.ends[1].engine().handle_stanza_bytes(pair.now, &broken);
        let Disposition::Malformed(fault) = disposition else { panic!("{disposition:?}") };
        assert_eq!((fault.kind, fault.offset), (ParseErrorKind::NotUtf8, place));
        assert!(pair.ends[1].engine().poll_event().is_none());
        assert!(pair.ends[1].engine().poll_transmit_bytes(pair.now, &mut Vec::new()).is_none());
    }
    let disposition = pair.ends[1].engine().handle_stanza_bytes(pair.now, &stanza);
    assert!(matches!(disposition, Disposition::Consumed), "{disposition:?}");
    pair.settle(&mut |_, _| {});
    assert_eq!(pair.received, [7; 100]);
}

#[test]
fn blocks_carry_as_many_whole_records_as_fit_and_those_of_one_write_fill_them() {
    for block_size in [512, 1024, 4096, 16384, 20000, 32760, 65535] {
        let mut pair = Pair::new(raw(TrustPolicy::Pinned), block_size, Entry::Text);
        let most = usize::from(block_size);
        let bytes = noise(4 * most, 2);
        pair.blocks = Some(Vec::new());
        pair.transfer(&bytes);
        let blocks = pair.blocks.replace(Vec::new()).unwrap();
        let (_, filled) = blocks.split_last().unwrap();
        assert!(filled.len() >= 4);
        for block in filled {
            assert_eq!(block.len(), most.div_ceil(xtls_tls::MAX_RECORD), "{block_size}: {block:?}");
            assert!((most - 3..=most).contains(&block.iter().sum()), "{block_size}: {block:?}");
        }
        // All of these wait before the first block is cut.
        let tunnel = pair.tunnels[0];
        for piece in [1, 100, most / 2, most / 3, 7, most / 4, most, 2 * most - 50, 1, 1, most / 2, most / 2] {
            let piece = piece.min(20_000);
            let written = pair.ends[0].engine().tunnel(tunnel).unwrap().write(pair.now, &bytes[..piece]);
            assert_eq!(written.unwrap(), piece);
        }
        pair.settle(&mut |_, _| {});
        let blocks = pair.blocks.take().unwrap();
        assert!(blocks.iter().any(|block| block.len() > 1));
        assert!(blocks.iter().all(|block| block.iter().sum::<usize>() <= most));
        for two in blocks.windows(2) {
            assert!(two[0].iter().sum::<usize>() + two[1][0] > most, "{block_size}: {two:?}");
        }
    }
}
