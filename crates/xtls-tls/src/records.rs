//! TLS records as a byte stream carries them (RFC 8446 § 5.1): where one ends and the next begins.

/// Content type, version and length.
pub(crate) const HEADER: usize = 5;

/// The longest body of a record in clear (RFC 8446 § 5.1).
const MAX_BODY: u16 = 1 << 14;

/// The length of the longest prefix of `bytes` that consists of whole TLS records and is not longer than `limit`.
///
/// `bytes` starts at a record, as what [`TlsSession`](crate::TlsSession) appends does. Use it to fill a block of a
/// bytestream with as many whole records as fit.
///
/// - A record that alone is longer than `limit` has to be split: if it comes first, `limit` is returned (or all of
///   `bytes`, if there is less), and the caller sends the rest of that record before asking again.
/// - An incomplete record at the end is not counted; if nothing comes before it, the answer is 0: more bytes are needed.
#[must_use]
pub fn whole_records(bytes: &[u8], limit: usize) -> usize {
    let mut whole = 0;
    while let Some(length) = bytes.get(whole..).and_then(record_len) {
        let end = whole.saturating_add(length);
        if whole == 0 && length > limit {
            return limit.min(bytes.len());
        }
        if end > limit || end > bytes.len() {
            break;
        }
        whole = end;
    }
    whole
}

/// The length of the record at the start of `bytes`, header included, if its header is complete.
fn record_len(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [_, _, _, high, low, ..] => Some(HEADER + usize::from(u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
}

/// Whether the last of these whole records is an alert (RFC 5246 § 6.2.1: content type 21).
pub(crate) fn ends_with_alert(mut records: &[u8]) -> bool {
    let mut last = None;
    while let Some(rest) = record_len(records).and_then(|length| records.get(length..)) {
        last = records.first();
        records = rest;
    }
    last == Some(&21)
}

/// How many records have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Records {
    /// Whole ones, since the beginning.
    pub ended: u64,
    /// Whether another one has begun: more has to come, or something was lost.
    pub awaits_rest: bool,
}

/// Cuts incoming bytes at the ends of records, so that a session does the same however its input was cut.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    header: [u8; HEADER],
    header_len: usize,
    body_left: usize,
    /// How many records have ended.
    ended: u64,
}

impl Framing {
    /// How many bytes at the start of `bytes`, which is not empty, belong to the current record; they count as taken.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for byte in bytes {
            let Some(place) = self.header.get_mut(self.header_len) else {
                break;
            };
            *place = *byte;
            self.header_len += 1;
            taken += 1;
            if self.header_len == HEADER {
                self.body_left = record_len(&self.header).unwrap_or(HEADER) - HEADER;
            }
        }
        let body = self.body_left.min(bytes.len() - taken);
        self.body_left -= body;
        taken + body
    }

    /// Whether the bytes taken so far end with a whole record; if so, the next one begins.
    pub(crate) fn end_of_record(&mut self) -> bool {
        let end = self.header_len == HEADER && self.body_left == 0;
        if end {
            self.header_len = 0;
            self.ended += 1;
        }
        end
    }

    /// How far it has come.
    pub(crate) fn progress(&self) -> Records {
        Records { ended: self.ended, awaits_rest: self.header_len > 0 }
    }

    /// Takes records that are looked at elsewhere.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.take(bytes);
            self.end_of_record();
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }
}

/// The first bytes that a peer sends: whether they can begin a TLS session, and which version a ClientHello asks for.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// A record header, a handshake header and `client_version`.
    bytes: [u8; HEADER + 4 + 2],
    len: usize,
}

impl Opening {
    /// Looks at what came, until enough has.
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().skip(self.len).zip(bytes) {
            *place = *byte;
            self.len += 1;
        }
    }

    fn seen(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// A session begins with a handshake record (22), or an alert (21) from a server that refuses, of a version 3.x
    /// (RFC 8446 § 5.1). Told at the first byte that says otherwise.
    pub(crate) fn may_be_tls(&self) -> bool {
        match self.seen() {
            [] => true,
            [kind] => matches!(kind, 21 | 22),
            [kind, major, ..] => matches!(kind, 21 | 22) && *major == 3,
        }
    }

    /// The minor version of a ClientHello that is older than TLS 1.2 (RFC 5246 § 7.4.1.2; TLS 1.3 fills in that of TLS 1.2).
    ///
    /// Only in a record that has these bytes and is not too long: else rustls may refuse the record before they have come.
    pub(crate) fn outdated_hello(&self) -> Option<u8> {
        match self.seen() {
            [22, _, _, high, low, 1, _, _, _, 3, minor] => {
                let whole = (6..=MAX_BODY).contains(&u16::from_be_bytes([*high, *low]));
                (whole && *minor < 3).then_some(*minor)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(body: usize) -> Vec<u8> {
        let mut record = vec![23, 3, 3];
        record.extend(u16::try_from(body).unwrap().to_be_bytes());
        record.resize(HEADER + body, 0xaa);
        record
    }

    #[test]
    fn as_many_whole_records_as_fit_are_counted() {
        let bytes = [record(10), record(20), record(0), record(30)].concat();
        let ends = [15, 40, 45, 80];
        for limit in 15..200 {
            let expected = ends.iter().rev().find(|end| **end <= limit).copied().unwrap();
            assert_eq!(whole_records(&bytes, limit), expected, "limit {limit}");
        }
    }

    #[test]
    fn a_first_record_longer_than_the_limit_must_be_split() {
        let bytes = [record(100), record(1)].concat();
        assert_eq!(whole_records(&bytes, 105), 105);
        assert_eq!(whole_records(&bytes, 104), 104);
        assert_eq!(whole_records(&bytes, 1), 1);
        assert_eq!(whole_records(&bytes, 0), 0);
        assert_eq!(whole_records(bytes.get(..50).unwrap(), 104), 50, "no more than there is");
    }

    #[test]
    fn an_incomplete_record_is_not_counted() {
        let bytes = [record(10), record(20)].concat();
        for cut in 15..40 {
            assert_eq!(whole_records(bytes.get(..cut).unwrap(), 4096), 15, "cut at {cut}");
        }
        for cut in 0..15 {
            assert_eq!(whole_records(bytes.get(..cut).unwrap(), 4096), 0, "cut at {cut}");
        }
    }

    #[test]
    fn an_alert_at_the_end_is_noticed() {
        let alert = [21, 3, 3, 0, 2, 2, 40];
        assert!(ends_with_alert(&alert));
        assert!(ends_with_alert(&[&record(10)[..], &alert].concat()));
        assert!(!ends_with_alert(&[&alert[..], &record(10)].concat()));
        assert!(!ends_with_alert(&record(21)));
        assert!(!ends_with_alert(&[]));
    }

    #[test]
    fn what_cannot_begin_a_tls_session_is_noticed_at_the_first_wrong_byte() {
        let may = |bytes: &[u8]| {
            let mut opening = Opening::default();
            bytes.iter().for_each(|byte| opening.see(&[*byte]));
            let mut at_once = Opening::default();
            at_once.see(bytes);
            assert_eq!(opening.may_be_tls(), at_once.may_be_tls());
            opening.may_be_tls()
        };
        for good in [
            &[][..],
            &[22],
            &[22, 3],
            &[22, 3, 1, 0],
            &[21, 3, 3, 0, 2],
            &[22, 3, 255, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 9],
        ] {
            assert!(may(good), "{good:?}");
        }
        for bad in [&b"<"[..], b"\x17\x03\x03", &[20, 3], &[23], &[22, 2], &[22, 4, 3], &[0x80, 0x2e, 1]] {
            assert!(!may(bad), "{bad:?}");
        }
    }

    #[test]
    fn only_an_old_client_hello_is_outdated() {
        let outdated = |bytes: &[u8]| {
            let mut opening = Opening::default();
            opening.see(bytes);
            opening.outdated_hello()
        };
        assert_eq!(outdated(&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2, 7, 7]), Some(2));
        assert_eq!(outdated(&[22, 3, 0, 0, 6, 1, 0, 0, 41, 3, 0]), Some(0));
        assert_eq!(outdated(&[22, 3, 1, 64, 0, 1, 0, 0, 41, 3, 1]), Some(1), "as long as a record may be");
        assert_eq!(outdated(&[22, 3, 1, 64, 1, 1, 0, 0, 41, 3, 1]), None, "longer");
        assert_eq!(outdated(&[22, 3, 1, 0, 45, 1, 0, 0, 41, 2, 3]), None, "no version of TLS");
        assert_eq!(outdated(&[22, 3, 1, 0, 45, 1, 0, 0, 41, 0, 0]), None, "no version of TLS");
        assert_eq!(outdated(&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3]), None, "TLS 1.2 and 1.3");
        assert_eq!(outdated(&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 4]), None);
        assert_eq!(outdated(&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3]), None, "not there yet");
        assert_eq!(outdated(&[22, 3, 1, 0, 45, 2, 0, 0, 41, 3, 2]), None, "not a ClientHello");
        assert_eq!(outdated(&[22, 3, 1, 0, 5, 1, 0, 0, 41, 3, 2]), None, "the version is in the next record");
    }

    proptest! {
        #[test]
        fn framing_finds_every_end_of_a_record_for_every_split(
            bodies in proptest::collection::vec(0_usize..40, 1..8),
            cuts in proptest::collection::vec(1_usize..20, 1..40),
        ) {
            let bytes: Vec<u8> = bodies.iter().flat_map(|body| record(*body)).collect();
            let mut framing = Framing::default();
            let mut ends = Vec::new();
            let mut position = 0;
            let mut cuts = cuts.iter().cycle();
            while position < bytes.len() {
                let end = bytes.len().min(position + cuts.next().unwrap());
                while position < end {
                    position += framing.take(bytes.get(position..end).unwrap());
                    if framing.end_of_record() {
                        ends.push(position);
                    }
                }
            }
            let expected: Vec<usize> = bodies.iter().scan(0, |sum, body| { *sum += HEADER + body; Some(*sum) }).collect();
            prop_assert_eq!(ends, expected);
        }

        #[test]
        fn whole_records_never_exceeds_its_limits(bytes in proptest::collection::vec(any::<u8>(), 0..200), limit in 0_usize..300) {
            let whole = whole_records(&bytes, limit);
            prop_assert!(whole <= limit && whole <= bytes.len());
        }
    }
}
