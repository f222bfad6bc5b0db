//! Row 7: one message of 281 bytes through an XML stream, from `send` to its event, with the acknowledgement, beside one record of
//! TLS of the same size; and what is allocated for it.

use std::{
    hint::black_box,
    io::{Read as _, Write as _},
};

use mockalloc::record_allocs;
use xtls::{Element, Event, tls::KeyAlgorithm};

use crate::{
    clock,
    engines::{JULIET, Pair, ROMEO, Who, bulk_config, direct_config, noise, xml},
    failure::Failure,
    plan::Plan,
    references::tls::{Configs, Ends, bulk_provider},
    report::{Line, Target, Unit},
    row::Row,
    stats::{Quartiles, Subject, float_u64, time},
    transfer::Shape,
};

/// Bytes of the message, as the targets have it.
const LENGTH: usize = 281;
const CLIENT: &str = "jabber:client";

/// How often a thing is done before its allocations are counted, so that every buffer has its size; and how often then.
const WARM: usize = 100;
const COUNTED: u32 = 100;

/// Measures row 7, if it is wanted.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    if !plan.wants(Row::Message) {
        return Ok(Vec::new());
    }
    let who = Who::both(KeyAlgorithm::EcdsaP256);
    let mut talk = Talk::new(&who);
    for _ in 0..WARM {
        talk.once();
    }
    let allocations = counted(|| talk.once());

    let mut ends = Configs::new(&who, &bulk_provider()).handshake();
    let (text, mut wire, mut plain) = (message().to_xml(CLIENT), Vec::new(), vec![0; 1 << 16]);
    let mut subjects = [
        Subject::new("message", || talk.once()),
        Subject::new("record", || record(&mut ends, text.as_bytes(), &mut wire, &mut plain)),
    ];
    plan.sampling().interleave(&mut subjects)?;
    for subject in &subjects {
        plan.note(format!("{LENGTH} bytes: {} {:.2} us", subject.name(), subject.median() * 1e6));
    }
    let times = time(subjects[0].samples(), subjects[1].samples());
    let target = |name: &str, unit, gate, aim| Target::new(Row::Message, name, unit, gate, aim);
    Ok(vec![
        target("message of 281 bytes / TLS record of 281 bytes", Unit::Time, 7.0, 5.0).line(Ok(times)),
        target("allocations for a message of 281 bytes", Unit::Allocations, 12.0, 4.0).line(Ok(allocations)),
        target("allocations for a TLS record of a transfer", Unit::Allocations, 2.0, 2.0).line(Ok(of_a_transfer())),
    ])
}

/// Sends messages for so many seconds and does nothing else; tells how many in a second.
pub(crate) fn alone(seconds: u16) -> String {
    let mut talk = Talk::new(&Who::both(KeyAlgorithm::EcdsaP256));
    let (start, mut count) = (clock::now(), 0);
    while clock::since(start) < f64::from(seconds) {
        (0..1000).for_each(|_| talk.once());
        count += 1000;
    }
    format!("{:.0} messages in a second", float_u64(count) / clock::since(start))
}

/// A tunnel in which a message is sent again and again.
struct Talk {
    pair: Pair,
    message: Element,
    stanza: String,
}

impl Talk {
    fn new(who: &[Who; 2]) -> Self {
        let pair = Pair::connect(who, &direct_config(), &xml(), &bulk_provider());
        Self { pair, message: message(), stanza: String::with_capacity(4096) }
    }

    /// Sends it, takes it, and passes the acknowledgement.
    fn once(&mut self) {
        let Self { pair, message, stanza } = self;
        let Pair { ends: [from, to], ids, now, .. } = pair;
        let now = *now;
        from.tunnel(ids[0]).expect("it is open").send(now, message).expect("there is room");
        stanza.clear();
        assert!(from.poll_transmit(now, stanza).is_some(), "the block goes");
        let _ = black_box(to.handle_stanza(now, stanza));
        let Some(Event::Stanza { stanza: heard, .. }) = to.poll_event() else { panic!("the message arrives") };
        assert_eq!(black_box(heard).name(), "message");
        stanza.clear();
        assert!(to.poll_transmit(now, stanza).is_some(), "the acknowledgement goes");
        let _ = black_box(from.handle_stanza(now, stanza));
        stanza.clear();
        assert!(from.poll_transmit(now, stanza).is_none() && to.poll_transmit(now, stanza).is_none(), "that is all");
        assert!(from.poll_event().is_none() && to.poll_event().is_none(), "that is all");
    }
}

/// A chat message that has its length as text.
fn message() -> Element {
    let build = |padding: usize| {
        let body = format!("Wherefore art thou, Romeo? Deny thy father & refuse thy name{}", "x".repeat(padding));
        Element::builder("message", CLIENT)
            .attribute("from", ROMEO)
            .attribute("to", JULIET)
            .attribute("id", "m1")
            .attribute("type", "chat")
            .open("body", CLIENT)
            .text(&body)
            .close()
            .open("active", "http://jabber.org/protocol/chatstates")
            .build()
            .expect("a sound element")
    };
    let message = build(LENGTH - build(0).to_xml(CLIENT).len());
    assert_eq!(message.to_xml(CLIENT).len(), LENGTH);
    message
}

/// Encrypts and decrypts one record.
fn record(ends: &mut Ends, text: &[u8], wire: &mut Vec<u8>, plain: &mut [u8]) {
    wire.clear();
    ends.client.writer().write_all(black_box(text)).expect("there is room");
    ends.client.write_tls(wire).expect("a vector takes it");
    ends.server.read_tls(&mut &wire[..]).expect("a slice gives it");
    ends.server.process_new_packets().expect("the record is whole");
    assert_eq!(ends.server.reader().read(plain).expect("it is there"), text.len());
}

/// Rust's allocations each time that something is done; growing a buffer is one. What the C of aws-lc allocates is not counted.
fn counted(mut work: impl FnMut()) -> Quartiles {
    let counts = (0..COUNTED).map(|_| float_u64(record_allocs(&mut work).num_allocs()));
    Quartiles::of(&counts.collect::<Vec<_>>())
}

/// The same for each record of a bulk transfer, with one record in each block.
fn of_a_transfer() -> Quartiles {
    let shape = Shape::of(4096);
    let data = noise(shape.write);
    let mut pair = Pair::bulk(&bulk_config(4096), &bulk_provider());
    for _ in 0..WARM {
        pair.send(&data);
    }
    let mut records = 0_u32;
    pair.transfer(&data, |end, _| records += u32::from(end == 0), |_| ());
    assert_eq!(usize::try_from(records), Ok(shape.blocks().count()), "one record for each block");
    let Quartiles { q1, median, q3 } = counted(|| pair.send(&data));
    let each = |count: f64| count / f64::from(records);
    Quartiles { q1: each(q1), median: each(median), q3: each(q3) }
}
