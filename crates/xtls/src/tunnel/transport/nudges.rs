//! What pushes the last bytes out of a proxy that may sit on them (docs/wire.md § 8).
//!
//! Prosody's proxy (0.12) reads from the socket into a buffer of its own, hands a part on, and looks into the buffer again only when the
//! socket has more. So the last 4 KiB of what it reads at once can stay there, the end of TLS among them, until something else comes. A
//! nudge that waits in the buffers of a slow way is among those itself, and nobody tells us that the peer has everything: so there are
//! several, each after twice as long as the one before.

use core::time::Duration;

/// When records that tell nothing go over a connection.
#[derive(Debug)]
pub(in crate::tunnel) struct Nudges {
    by_proxy: bool,
    /// Bytes that have left since the last nudge, or since the beginning.
    burst: usize,
    /// How many went since the last burst or since our end left. Before either nothing is due.
    nudges: u32,
    /// Records of the peer since the last one with data for the application.
    silent: u64,
    /// Our end is in the queue.
    ended: bool,
}

/// What may push a proxy to hand on what it has.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tunnel) enum Nudge {
    /// What comes after close_notify MUST be ignored (RFC 8446 § 6.1, RFC 5246 § 7.2.1): these bytes.
    AfterEnd(&'static [u8]),
    /// What may be followed by data is a record of TLS that tells nothing.
    InBetween,
    /// Nothing for now.
    Later,
}

impl Nudges {
    pub(super) fn new(by_proxy: bool) -> Self {
        Self { by_proxy, burst: 0, nudges: Self::MOST, silent: 0, ended: false }
    }

    /// When the first goes after a burst, or after our end. The time doubles each time, after our end up to the longest.
    pub(in crate::tunnel) const FIRST: Duration = Duration::from_millis(250);
    const LONGEST_WAIT: Duration = Duration::from_secs(32);

    /// As much as Prosody's proxy hands on at once. What is not more than that is not kept back.
    const BURST: usize = 4096;

    /// Nudges after a burst, for two hours. Each may bring an answer to one of the peer's with it, and TLS puts up with 32 changes of
    /// keys without data between them (rustls), and with 16 records of nothing (tls-srp; OpenSSL with 32).
    const MOST: u32 = 15;

    /// So many records without data of the peer's may come in a row. OpenSSL answers each change of keys at once, and at the 33rd
    /// rustls breaks off. Of a peer that nudges like this end there are 30 at most.
    const MOST_SILENT: u64 = 31;

    /// The head of a record of application data, and 16 bytes.
    const AFTER_END: [u8; 21] = [23, 3, 3, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    /// Our end of TLS is in the queue: nothing but nudges follows it. Gives when the first is due.
    pub(in crate::tunnel) fn begin_pushing_end(&mut self) -> Option<Duration> {
        let is_news = !self.ended && self.by_proxy;
        is_news.then(|| {
            (self.ended, self.nudges) = (true, 0);
            Self::FIRST
        })
    }

    /// Whether nudges are due now and then, after our end.
    pub(super) fn pushes_end(&self) -> bool {
        self.ended
    }

    /// So many bytes have left.
    pub(super) fn left(&mut self, bytes: usize) {
        self.burst += bytes;
    }

    /// When one is due if nothing more is sent: a proxy may sit on the last of so many bytes.
    pub(in crate::tunnel) fn after_burst(&self) -> Option<Duration> {
        let is_due = !self.ended && self.by_proxy && self.burst > Self::BURST;
        is_due.then_some(Self::FIRST)
    }

    /// So many records came from the peer, without or with data for the application.
    pub(in crate::tunnel) fn heard(&mut self, records: u64, has_data: bool) {
        self.silent = if has_data { 0 } else { self.silent.saturating_add(records) };
    }

    /// Which one goes now, and when the next one is due. `None` if none is. `is_full`: the socket does not take what there is to send.
    pub(super) fn next(&mut self, is_full: bool) -> Option<(Nudge, Duration)> {
        if !self.by_proxy {
            return None;
        }
        let wait = |nudges: u32| Self::FIRST.saturating_mul(1 << nudges.min(Self::MOST));
        if self.ended {
            self.nudges = self.nudges.saturating_add(1);
            return Some((Nudge::AfterEnd(&Self::AFTER_END), wait(self.nudges).min(Self::LONGEST_WAIT)));
        }
        if self.burst > Self::BURST {
            self.nudges = 0;
        }
        // Each of this burst may be answered yet.
        if self.nudges >= Self::MOST || self.silent + u64::from(self.nudges) >= Self::MOST_SILENT {
            return None;
        }
        if is_full {
            // Nothing that would be queued now pushes anything.
            return Some((Nudge::Later, wait(self.nudges)));
        }
        self.burst = 0;
        self.nudges += 1;
        Some((Nudge::InBetween, wait(self.nudges)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nudges of a burst until none is due. Each `is_answered` by a record without data, or is not.
    fn burst(nudges: &mut Nudges, is_answered: bool) -> Vec<Duration> {
        nudges.left(Nudges::BURST + 1);
        let mut waits = Vec::from_iter(nudges.after_burst());
        while let Some((nudge, wait)) = nudges.next(false) {
            assert_eq!(nudge, Nudge::InBetween);
            waits.push(wait);
            nudges.heard(u64::from(is_answered), false);
        }
        waits.pop();
        waits
    }

    #[test]
    fn a_burst_is_pushed_for_two_hours_and_ever_more_seldom() {
        let mut nudges = Nudges::new(true);
        assert_eq!(nudges.next(false), None, "nothing has left");
        nudges.left(Nudges::BURST);
        assert_eq!((nudges.after_burst(), nudges.next(false)), (None, None), "so much is not kept back");
        for _ in 0..10 {
            let waits = burst(&mut nudges, false);
            assert_eq!(waits.len(), 15);
            assert!(waits.first() == Some(&Nudges::FIRST) && waits.windows(2).all(|two| two[1] == two[0] * 2));
            let all: Duration = waits.iter().sum();
            assert!((2..3).contains(&(all.as_secs() / 3600)), "{all:?}");
        }
        let mut direct = Nudges::new(false);
        direct.left(1_000_000);
        assert_eq!((direct.after_burst(), direct.next(false), direct.begin_pushing_end()), (None, None, None));
    }

    #[test]
    fn while_the_socket_takes_nothing_a_burst_is_not_pushed_and_after_it_fully() {
        let mut nudges = Nudges::new(true);
        nudges.left(Nudges::BURST + 1);
        for _ in 0..100 {
            assert_eq!(nudges.next(true), Some((Nudge::Later, Nudges::FIRST)));
        }
        assert_eq!(nudges.next(false), Some((Nudge::InBetween, Nudges::FIRST * 2)));
    }

    #[test]
    fn answers_to_nudges_stop_them_before_tls_breaks_off_until_the_peer_has_something_to_say() {
        let mut nudges = Nudges::new(true);
        for _ in 0..3 {
            let answered: Vec<usize> = core::iter::repeat_with(|| burst(&mut nudges, true).len()).take(8).collect();
            assert_eq!((answered.first(), answered.last()), (Some(&15), Some(&0)), "{answered:?}");
            assert!(answered.iter().sum::<usize>() <= 32, "{answered:?}");
            nudges.heard(1, true);
        }
        // As many as a peer says by nudges of its own, with an answer before each: there is one left.
        nudges.heard(30, false);
        assert_eq!(burst(&mut nudges, false).len(), 1);
    }

    #[test]
    fn the_end_is_pushed_for_as_long_as_it_takes() {
        let mut nudges = Nudges::new(true);
        assert_eq!(nudges.begin_pushing_end(), Some(Nudges::FIRST));
        assert_eq!(nudges.begin_pushing_end(), None, "once");
        nudges.heard(100, false);
        let mut last = Duration::ZERO;
        for _ in 0..1000 {
            let Some((Nudge::AfterEnd(bytes), wait)) = nudges.next(false) else { panic!("it is over") };
            // RFC 8446 § 5.1: a whole record.
            assert_eq!(bytes.len(), 5 + usize::from(bytes[4]));
            assert!(wait >= last && wait <= Nudges::LONGEST_WAIT);
            last = wait;
        }
        assert_eq!(last, Nudges::LONGEST_WAIT);
    }
}
