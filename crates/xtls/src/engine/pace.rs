//! How often peers get answers that tell something of us.

use core::time::Duration;
use std::collections::VecDeque;

use xtls_channel::Instant;
use xtls_stanza::jid::BareJid;

/// Who was answered lately. It is as long as [`Pace::OVERALL`] at most.
#[derive(Debug, Default)]
pub(super) struct Pace(VecDeque<(Instant, BareJid)>);

impl Pace {
    /// How far back answers count.
    const SPAN: Duration = Duration::from_secs(60);
    /// Answers to one bare JID in that time.
    const PER_PEER: usize = 3;
    /// Answers in all in that time.
    const OVERALL: usize = 60;

    /// Whether one more answer may go to this peer now; if so it counts.
    pub(super) fn admit(&mut self, now: Instant, peer: &BareJid) -> bool {
        while self.0.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= Self::SPAN) {
            self.0.pop_front();
        }
        let of_peer = self.0.iter().filter(|(_, to)| to == peer).count();
        if of_peer >= Self::PER_PEER || self.0.len() >= Self::OVERALL {
            return false;
        }
        self.0.push_back((now, peer.clone()));
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_peer_gets_three_answers_a_minute_and_all_of_them_sixty() {
        #[allow(clippy::disallowed_methods, reason = "any time will do")]
        let start = Instant::now();
        let peer = |number: usize| format!("{number}@montague.lit").parse::<BareJid>().unwrap();
        let mut pace = Pace::default();
        assert_eq!((0..4).filter(|_| pace.admit(start, &peer(0))).count(), 3);
        assert_eq!((1..100).filter(|number| pace.admit(start, &peer(*number))).count(), 57);
        let later = start + Pace::SPAN;
        assert!(!pace.admit(later.checked_sub(Duration::from_millis(1)).unwrap(), &peer(100)));
        assert!(pace.admit(later, &peer(0)));
    }
}
