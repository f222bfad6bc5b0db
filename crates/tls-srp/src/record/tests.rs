#![allow(clippy::unwrap_used)]

use super::deframer::Record;
use super::*;

const PLAIN: Expect = Expect { negotiated: true, protected: false };
const PROTECTED: Expect = Expect { negotiated: true, protected: true };
const FIRST: Expect = Expect { negotiated: false, protected: false };

#[test]
fn length_at_the_limit_and_one_past_it() {
    for (expect, limit) in [(PLAIN, 1 << 14), (PROTECTED, (1 << 14) + 2048)] {
        let header = Header::encode(ContentType::Handshake, limit);
        assert_eq!(Header::parse(header, expect).unwrap().length, limit);
        let header = Header::encode(ContentType::Handshake, limit + 1);
        assert_eq!(Header::parse(header, expect), Err(PeerMisbehaved::RecordOverflow.into()));
    }
}

#[test]
fn unknown_content_types_are_refused() {
    for number in 0..=u8::MAX {
        let result = Header::parse([number, 3, 3, 0, 1], PLAIN);
        match number {
            20..=23 => assert_eq!(result.unwrap().content_type.number(), number),
            _ => assert_eq!(result, Err(PeerMisbehaved::UnknownContentType.into())),
        }
    }
}

#[test]
fn version_is_free_in_its_minor_half_until_it_is_negotiated() {
    for minor in [0, 1, 2, 4] {
        assert!(Header::parse([22, 3, minor, 0, 1], FIRST).is_ok());
        assert_eq!(Header::parse([22, 3, minor, 0, 1], PLAIN), Err(PeerMisbehaved::RecordVersion.into()));
    }
    for expect in [FIRST, PLAIN] {
        assert_eq!(Header::parse([22, 2, 0, 0, 1], expect), Err(PeerMisbehaved::RecordVersion.into()));
    }
}

#[test]
fn deframer_keeps_no_more_than_one_record_and_nothing_afterwards() {
    let mut deframer = Deframer::default();
    let record = [&Header::encode(ContentType::Alert, 3)[..], &[1, 2, 3]].concat();
    let input = record.repeat(2);
    for split in 0..=input.len() {
        let (mut first, mut second) = input.split_at(split);
        let mut bodies = Vec::new();
        for part in [&mut first, &mut second] {
            while let Some(record) = deframer.next(part, PLAIN).unwrap() {
                bodies.push((record.header().content_type, record.body().to_vec()));
            }
            assert!(part.is_empty());
            assert!(deframer.buffered() <= 2 * record.len());
        }
        assert_eq!(bodies, [(); 2].map(|()| (ContentType::Alert, vec![1, 2, 3])));
        assert_eq!(deframer.buffered(), 0);
    }
}

/// A length in a header allocates nothing before bytes arrive.
#[test]
fn claimed_length_is_not_allocated() {
    let mut deframer = Deframer::default();
    let header = Header::encode(ContentType::ApplicationData, 1 << 14);
    let mut input = &header[..];
    assert!(deframer.next(&mut input, PLAIN).unwrap().is_none());
    assert!(deframer.buffered() < 64);
}

#[test]
fn whole_records_are_not_copied() {
    let record = [&Header::encode(ContentType::Alert, 2)[..], &[1, 0]].concat();
    let mut input = &record[..];
    let found = Deframer::default().next(&mut input, PLAIN).unwrap();
    assert!(matches!(found, Some(Record::Borrowed(..))));
}
