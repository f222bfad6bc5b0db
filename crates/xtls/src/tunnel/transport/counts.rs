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
