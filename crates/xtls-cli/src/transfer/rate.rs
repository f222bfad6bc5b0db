//! No more than so many bytes a second.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// How much time may be made up for: what was not sent in it is sent later.
const BURST: Duration = Duration::from_millis(200);

/// A limit.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: NonZeroU64,
    /// Bytes that may be sent.
    credit: u64,
    /// When that was so.
    since: Option<Instant>,
    /// Something waits for more.
    is_short: bool,
}

impl Rate {
    /// This many bytes a second.
    pub(crate) fn new(per_second: NonZeroU64) -> Self {
        Self { per_second, credit: 0, since: None, is_short: false }
    }

    /// How many of these bytes may be sent now.
    pub(crate) fn allow(&mut self, wanted: usize, now: Instant) -> usize {
        let most = self.bytes_in(BURST).max(1);
        let earned = self.since.map_or(most, |since| self.bytes_in(now.saturating_duration_since(since)));
        if earned > 0 {
            self.credit = self.credit.saturating_add(earned).min(most);
            self.since = Some(now);
        }
        let allowed = usize::try_from(self.credit).map_or(wanted, |credit| credit.min(wanted));
        self.is_short = allowed < wanted;
        allowed
    }

    /// So many were sent.
    pub(crate) fn used(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// When more may be sent, if something waits for that.
    pub(crate) fn wait(&self) -> Option<Instant> {
        let since = self.since.filter(|_| self.is_short)?;
        // Half of what may be made up for: whoever comes late has not lost anything yet.
        let nanos = 1_000_000_000_u64.div_ceil(self.per_second.get());
        Some(since + Duration::from_nanos(nanos).max(BURST / 2))
    }

    fn bytes_in(&self, time: Duration) -> u64 {
        let bytes = time.as_nanos().saturating_mul(u128::from(self.per_second.get())) / 1_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "an arbitrary starting point")]
mod tests {
    use super::*;

    /// Sends as much as it may for so long, coming back when it is told to; gives how much that was.
    fn sent(per_second: u64, time: Duration) -> u64 {
        let mut rate = Rate::new(NonZeroU64::new(per_second).unwrap());
        let start = Instant::now();
        let (mut now, mut sent) = (start, 0);
        while now - start < time {
            let allowed = rate.allow(1 << 20, now);
            rate.used(allowed);
            sent += u64::try_from(allowed).unwrap();
            let next = rate.wait();
            assert!(next.is_none_or(|next| next > now), "it would turn in circles");
            now = next.unwrap_or(now);
        }
        sent
    }

    #[test]
    fn no_more_goes_out_than_is_allowed_and_hardly_less() {
        for rate in [1, 7, 1000, 500_000, 4_000_000] {
            let sent = sent(rate, Duration::from_secs(20));
            assert!(sent <= 20 * rate + rate / 5 + 1, "{sent} at {rate}");
            assert!(sent * 100 >= 95 * 20 * rate, "{sent} at {rate}");
        }
    }

    #[test]
    fn what_was_not_sent_for_long_is_not_made_up_for() {
        let mut rate = Rate::new(NonZeroU64::new(1000).unwrap());
        let start = Instant::now();
        assert_eq!(rate.allow(10_000, start), 200);
        rate.used(200);
        assert_eq!(rate.allow(10_000, start + Duration::from_secs(60)), 200);
        assert_eq!(rate.allow(100, start + Duration::from_secs(60)), 100);
        assert_eq!(rate.wait(), None, "nothing waits");
    }
}
