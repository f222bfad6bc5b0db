//! The records on the bytestream: where they end, and which of the plaintext in them has been acknowledged.

use std::collections::VecDeque;

/// Where the records on the bytestream end, and which of the plaintext in them has been acknowledged.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    /// All bytes that were ever queued on the bytestream.
    queued: u64,
    /// All plaintext that was ever sealed.
    plaintext: u64,
    /// Plaintext that is acknowledged.
    acked: u64,
    /// After each record: both counts. One entry for each that is not acknowledged as a whole.
    marks: VecDeque<(u64, u64)>,
    /// Where the last record ends that is.
    begin: u64,
}

impl Sealed {
    pub(super) fn unacked(&self) -> u64 {
        self.plaintext - self.acked
    }

    /// All bytes that were ever queued on the bytestream.
    pub(super) fn total(&self) -> u64 {
        self.queued
    }

    pub(super) fn plaintext(&self) -> u64 {
        self.plaintext
    }

    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    /// Records were queued that carry no plaintext of ours.
    pub(super) fn queued(&mut self, records: &[u8]) {
        self.sealed(records, 0);
    }

    /// Records were queued that seal so many bytes of plaintext. Each adds as much to its share of them.
    pub(super) fn sealed(&mut self, records: &[u8], plaintext: usize) {
        let (first, queued) = (self.marks.len(), self.queued);
        for length in record_lengths(records) {
            self.queued += wide(length);
            self.marks.push_back((self.queued, 0));
        }
        let overhead = records.len().saturating_sub(plaintext).checked_div(self.marks.len() - first);
        debug_assert_eq!(self.queued - queued, wide(records.len()), "whole records");
        let (mut left, mut begin) = (wide(plaintext), queued);
        for (end, sealed) in self.marks.range_mut(first..) {
            let share = (*end - begin).saturating_sub(overhead.map_or(0, wide)).min(left);
            left -= share;
            begin = *end;
            self.plaintext += share;
            *sealed = self.plaintext;
        }
        if let Some((_, sealed)) = self.marks.back_mut().filter(|_| left > 0) {
            self.plaintext += left;
            *sealed = self.plaintext;
        }
    }

    /// How many of the last `pending` bytes that were queued make the next block: as many whole records as fit into `limit`. One
    /// that is larger is split, and sent to its end before the next one is looked for.
    pub(super) fn whole_records(&self, pending: usize, limit: usize) -> usize {
        let at = self.queued.saturating_sub(wide(pending));
        let ended = |by: u64| self.marks.partition_point(|(end, _)| *end <= by);
        let end =
            |ended: usize| ended.checked_sub(1).and_then(|last| self.marks.get(last)).map_or(self.begin, |mark| mark.0);
        let (first, last) = (ended(at), ended(at.saturating_add(wide(limit))));
        // In the middle of one, only that one; where not even one fits, as much of it as does.
        let last = if end(first) < at { last.min(first + 1) } else { last };
        let bytes = if last > first { end(last) - at } else { wide(limit) };
        usize::try_from(bytes).unwrap_or(limit)
    }

    /// So many of the bytes that were queued are not acknowledged.
    pub(super) fn acknowledged(&mut self, unacked: u64) {
        let reached = self.queued.saturating_sub(unacked);
        while let Some(&(end, plaintext)) = self.marks.front().filter(|(end, _)| *end <= reached) {
            (self.begin, self.acked) = (end, plaintext);
            self.marks.pop_front();
        }
    }
}

/// Which of the bytes that wait to be sent answer the peer.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Where they begin and end among all bytes that were ever queued.
    ranges: VecDeque<(u64, u64)>,
    bytes: u64,
}

impl Owed {
    /// Those that were queued from here to there are an answer.
    pub(super) fn add(&mut self, begin: u64, end: u64) {
        self.bytes += end - begin;
        match self.ranges.back_mut() {
            Some((_, last)) if *last == begin => *last = end,
            _ if begin < end => self.ranges.push_back((begin, end)),
            _ => {}
        }
    }

    /// How many wait, now that so many of all bytes were sent.
    pub(super) fn waiting(&mut self, sent: u64) -> u64 {
        while let Some((begin, end)) = self.ranges.front_mut().filter(|(begin, _)| *begin < sent) {
            let gone = sent.min(*end);
            self.bytes -= gone - *begin;
            *begin = gone;
            if begin == end {
                self.ranges.pop_front();
            }
        }
        self.bytes
    }
}

/// The lengths of whole TLS records, headers included (RFC 8446 § 5.1).
pub(super) fn record_lengths(mut records: &[u8]) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let [_, _, _, high, low, rest @ ..] = records else { return None };
        let payload = usize::from(u16::from_be_bytes([*high, *low]));
        records = rest.get(payload..).unwrap_or_default();
        Some(payload + 5)
    })
}

pub(in crate::tunnel) fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(lengths: &[u16]) -> Vec<u8> {
        let mut records = Vec::new();
        for length in lengths {
            let [high, low] = (length - 5).to_be_bytes();
            records.extend([23, 3, 3, high, low]);
            records.resize(records.len() + usize::from(length - 5), 0);
        }
        records
    }

    #[test]
    fn plaintext_is_acknowledged_with_the_record_that_carries_it() {
        let mut sealed = Sealed::default();
        sealed.queued(&records(&[100, 50]));
        // 100, 100 and 30 bytes.
        sealed.sealed(&records(&[122, 122, 52]), 230);
        sealed.queued(&records(&[24]));
        assert_eq!((sealed.total(), sealed.plaintext(), sealed.acked()), (470, 230, 0));
        for (reached, acked) in [(0, 0), (150, 0), (271, 0), (272, 100), (393, 100), (394, 200), (446, 230), (470, 230)]
        {
            sealed.acknowledged(470 - reached);
            assert_eq!((sealed.acked(), sealed.unacked()), (acked, 230 - acked), "{reached}");
        }
        assert!(sealed.marks.is_empty());
    }

    #[test]
    fn a_block_is_as_many_whole_records_as_fit_and_one_that_is_larger_goes_alone() {
        let mut sealed = Sealed::default();
        sealed.queued(&records(&[30, 30, 200, 20, 20]));
        for (pending, limit, block) in [
            (300, 29, 29),
            (300, 30, 30),
            (300, 59, 30),
            (300, 60, 60),
            (300, 259, 60),
            (300, 260, 260),
            (300, 1000, 300),
            // The first one is on its way, as a whole or as far as it went.
            (271, 30, 1),
            (270, 100, 30),
            (240, 100, 100),
            (140, 100, 100),
            (140, 139, 100),
            (140, 1000, 100),
            (40, 30, 20),
            (20, 30, 20),
            (10, 5, 5),
        ] {
            assert_eq!(sealed.whole_records(pending, limit), block, "{pending} {limit}");
        }
        // What was acknowledged is forgotten, and where it ends is not.
        sealed.acknowledged(240);
        assert_eq!((sealed.whole_records(240, 100), sealed.whole_records(140, 139)), (100, 100));
        sealed.acknowledged(270);
        assert_eq!((sealed.whole_records(240, 1000), sealed.whole_records(240, 200)), (240, 200));
    }

    #[test]
    fn what_is_owed_is_what_answers_have_waiting_whatever_stands_between_them() {
        let mut owed = Owed::default();
        owed.add(10, 30);
        owed.add(30, 40);
        owed.add(100, 150);
        owed.add(150, 150);
        for (sent, waiting) in
            [(0, 80), (10, 80), (11, 79), (35, 55), (40, 50), (99, 50), (120, 30), (150, 0), (500, 0)]
        {
            assert_eq!(owed.waiting(sent), waiting, "{sent}");
        }
        assert!(owed.ranges.is_empty());
        owed.add(600, 700);
        assert_eq!(owed.waiting(500), 100);
    }
}
