//! How long things take on the way, and how much a sender may send.

use core::time::Duration;
use std::{collections::BTreeMap, time::Instant};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

/// The lines from and to the server.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) latency: Duration,
    pub(super) jitter: Duration,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) burst: u64,
    pub(super) stanzas_per_second: Option<u32>,
    random: ChaCha8Rng,
    /// When the line of each sender is free again.
    busy_until: BTreeMap<String, Instant>,
    /// When the last stanza from one to another arrives: none overtakes it.
    arrivals: BTreeMap<(String, String), Instant>,
    /// The second that each sender is in, and how many stanzas it has sent in it.
    counts: BTreeMap<String, (Instant, u32)>,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            bytes_per_second: None,
            burst: 0,
            stanzas_per_second: None,
            random: ChaCha8Rng::seed_from_u64(0),
            busy_until: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }
}

impl Line {
    pub(super) fn set_seed(&mut self, seed: u64) {
        self.random = ChaCha8Rng::seed_from_u64(seed);
    }

    /// Whether a sender may send another stanza now.
    pub(super) fn admits(&mut self, now: Instant, from: &str) -> bool {
        let Some(rate) = self.stanzas_per_second else { return true };
        let count = self.counts.entry(from.to_owned()).or_insert((now, 0));
        if now.saturating_duration_since(count.0) >= Duration::from_secs(1) {
            *count = (now, 0);
        }
        count.1 = count.1.saturating_add(1);
        count.1 <= rate
    }

    /// When the last byte is on the line: after all that the same sender has sent before.
    pub(super) fn departure(&mut self, now: Instant, from: &str, bytes: usize) -> Instant {
        let Some(rate) = self.bytes_per_second else { return now };
        let takes = |bytes: u128| {
            let nanos = bytes.saturating_mul(1_000_000_000) / u128::from(rate);
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        // What is sent counts against the burst, which the rate fills up again.
        let used_until = self.busy_until.entry(from.to_owned()).or_insert(now);
        *used_until = now.max(*used_until) + takes(u128::try_from(bytes).unwrap_or(u128::MAX));
        used_until.checked_sub(takes(self.burst.into())).map_or(now, |departs| departs.max(now))
    }

    /// When what departs at this moment arrives.
    pub(super) fn arrival(&mut self, departs: Instant, from: &str, to: &str) -> Instant {
        if self.jitter.is_zero() {
            return departs + self.latency;
        }
        let most = u64::try_from(self.jitter.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        let extra = Duration::from_nanos(self.random.next_u64() % most);
        let last = self.arrivals.entry((from.to_owned(), to.to_owned())).or_insert(departs);
        *last = (*last).max(departs + self.latency + extra);
        *last
    }
}
