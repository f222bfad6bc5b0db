//! Which of the plaintext that was sealed into records has been acknowledged.

use std::collections::VecDeque;

/// Which of the plaintext that was sealed into records has been acknowledged.
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

    /// So many bytes were queued that carry no plaintext of ours.
    pub(super) fn queued(&mut self, bytes: usize) {
        self.queued += wide(bytes);
    }

    /// Records were queued that seal so many bytes of plaintext. Each adds as much to its share of them.
    pub(super) fn sealed(&mut self, records: &[u8], plaintext: usize) {
        let count = record_lengths(records).count();
        let overhead = records.len().saturating_sub(plaintext).checked_div(count).unwrap_or_default();
        let mut left = plaintext;
        for (at, length) in record_lengths(records).enumerate() {
            let share = if at + 1 == count { left } else { length.saturating_sub(overhead).min(left) };
            left -= share;
            self.queued += wide(length);
            self.plaintext += wide(share);
            self.marks.push_back((self.queued, self.plaintext));
        }
    }

    /// So many of the bytes that were queued are not acknowledged.
    pub(super) fn acknowledged(&mut self, unacked: u64) {
        let reached = self.queued.saturating_sub(unacked);
        while let Some(&(_, plaintext)) = self.marks.front().filter(|(queued, _)| *queued <= reached) {
            self.acked = plaintext;
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

pub(super) fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
