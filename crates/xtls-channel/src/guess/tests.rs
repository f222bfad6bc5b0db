use xtls_stanza::{Method, jid::BareJid};

use super::*;
use crate::{
    record::{Confirmed, TrustRecord},
    store::{MemoryTrustStore, TrustStore as _},
};

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn guess(seconds: u64) -> Guess {
    Guess::new(at(seconds), GuessLimits::default())
}

fn jid(text: &str) -> BareJid {
    text.parse().expect("a bare address")
}

/// The store of Juliet, and what is guessed at there.
#[derive(Default)]
struct Juliet(MemoryTrustStore);

impl Juliet {
    fn guess(&mut self, peer: &str, seconds: u64) -> Permit {
        self.0.begin_guess(&jid("juliet@capulet.lit"), &jid(peer), &guess(seconds)).expect("it does not fail")
    }

    fn was_right(&mut self, peer: &str) {
        self.0.guess_was_right(&jid("juliet@capulet.lit"), &jid(peer)).expect("it does not fail");
    }

    fn secured_by_password(&mut self, peer: &str) {
        let _ = self.0.confirm(&jid(peer), &Confirmed::new(Method::Srp, None, None)).expect("it does not fail");
    }

    fn locked_until(&self, peer: &str, seconds: u64) -> Option<UnixTime> {
        self.0.locked_until(&jid("juliet@capulet.lit"), &jid(peer), &guess(seconds)).expect("it does not fail")
    }

    fn record(&self, peer: &str) -> TrustRecord {
        self.0.record(&jid(peer)).expect("it does not fail")
    }

    fn at_listener(&self) -> u32 {
        self.0.listeners().map(|(_, count)| count.count).sum()
    }
}

#[test]
fn p14_three_guesses_in_a_row_and_then_one_for_each_cool_down() {
    let mut juliet = Juliet::default();
    for guesses in 0..3 {
        assert_eq!(juliet.record("romeo@montague.lit").attempts.failed, guesses);
        assert_eq!(juliet.guess("romeo@montague.lit", 1000), Permit::Granted);
    }
    for time in [1000, 1000 + HOUR - 1] {
        assert_eq!(juliet.locked_until("romeo@montague.lit", time), Some(at(1000 + HOUR)));
        assert_eq!(juliet.guess("romeo@montague.lit", time), Permit::Locked { until: at(1000 + HOUR) });
    }
    assert_eq!(juliet.record("romeo@montague.lit").attempts.failed, 3, "what is refused is not counted");
    assert_eq!(juliet.guess("romeo@montague.lit", 1000 + HOUR), Permit::Granted);
    assert_eq!(juliet.guess("romeo@montague.lit", 1001 + HOUR), Permit::Locked { until: at(1000 + 2 * HOUR) });
    assert_eq!(juliet.guess("romeo@montague.lit", 1000 + 2 * HOUR), Permit::Granted);
    juliet.was_right("romeo@montague.lit");
    assert_eq!(juliet.locked_until("romeo@montague.lit", 1000 + 2 * HOUR), None);
    let attempts = juliet.record("romeo@montague.lit").attempts;
    assert_eq!((attempts.failed, attempts.total.count), (0, 4));
}

#[test]
fn p14_honest_meetings_buy_no_guesses() {
    let mut juliet = Juliet::default();
    juliet.secured_by_password("romeo@montague.lit");
    let mut wrong = 0;
    // Two wrong ones between any two meetings, which are far enough apart for the first limit.
    for meeting in 0..50 {
        let now = 1000 + meeting * 60;
        for _ in 0..2 {
            wrong += u32::from(juliet.guess("romeo@montague.lit", now) == Permit::Granted);
        }
        if juliet.guess("romeo@montague.lit", now) == Permit::Granted {
            juliet.was_right("romeo@montague.lit");
        }
    }
    assert_eq!(wrong, 10);
    // One is forgiven a day.
    assert_eq!(juliet.locked_until("romeo@montague.lit", 999 + DAY), Some(at(1000 + DAY)));
    assert_eq!(juliet.guess("romeo@montague.lit", 1000 + DAY), Permit::Granted);
    juliet.was_right("romeo@montague.lit");
    assert_eq!(juliet.guess("romeo@montague.lit", 1000 + DAY), Permit::Granted, "a right one takes itself back");
    assert_eq!(juliet.guess("romeo@montague.lit", 1001 + DAY), Permit::Locked { until: at(1000 + 2 * DAY) });
}

#[test]
fn p14_thirty_guesses_at_a_listener_whatever_names_they_come_from() {
    let mut juliet = Juliet::default();
    for number in 0..30 {
        assert_eq!(juliet.guess(&format!("nobody{number}@evil.lit"), 1000), Permit::Granted);
    }
    for name in ["nobody30@evil.lit", "nobody0@evil.lit", "romeo@montague.lit"] {
        assert_eq!(juliet.guess(name, 1001), Permit::Locked { until: at(1000 + HOUR) }, "{name}");
        assert_eq!(juliet.locked_until(name, 1001), Some(at(1000 + HOUR)));
    }
    assert_eq!(juliet.0.iter().count(), 30, "what is refused leaves nothing");
    // One is forgiven an hour.
    assert_eq!(juliet.guess("nobody31@evil.lit", 1000 + HOUR), Permit::Granted);
    assert_eq!(juliet.guess("nobody32@evil.lit", 1000 + HOUR), Permit::Locked { until: at(1000 + 2 * HOUR) });
    // Another of your addresses has a count of its own.
    let other = juliet.0.begin_guess(&jid("juliet@balcony.lit"), &jid("nobody33@evil.lit"), &guess(1001));
    assert_eq!(other, Ok(Permit::Granted));
}

#[test]
fn p14_who_was_secured_by_a_password_draws_on_the_count_of_its_own_name_alone() {
    let mut juliet = Juliet::default();
    juliet.secured_by_password("romeo@montague.lit");
    for number in 0..30 {
        assert_eq!(juliet.guess(&format!("nobody{number}@evil.lit"), 1000), Permit::Granted);
    }
    assert_eq!(juliet.guess("romeo@montague.lit", 1000), Permit::Granted);
    assert_eq!(juliet.at_listener(), 30);
    juliet.was_right("romeo@montague.lit");
    assert_eq!(juliet.at_listener(), 30, "nor does it give any back");
    assert_eq!(juliet.record("romeo@montague.lit").attempts, Attempts::default());
}

#[test]
fn p14_a_right_guess_is_taken_back_from_both_counts() {
    let mut juliet = Juliet::default();
    assert_eq!(juliet.guess("nobody@evil.lit", 1000), Permit::Granted);
    assert_eq!(juliet.guess("romeo@montague.lit", 1000), Permit::Granted);
    assert_eq!(juliet.at_listener(), 2);
    juliet.was_right("romeo@montague.lit");
    assert_eq!((juliet.at_listener(), juliet.0.iter().count()), (1, 1), "nothing is left of what was right");
    assert_eq!(juliet.record("romeo@montague.lit").attempts, Attempts::default());
    assert_eq!(juliet.record("nobody@evil.lit").attempts.failed, 1);
    juliet.was_right("nobody@evil.lit");
    assert_eq!(juliet.0, MemoryTrustStore::default());
}

#[test]
fn p14_guesses_side_by_side_are_no_more_than_one_after_the_other() {
    let mut juliet = Juliet::default();
    // Eight have begun before the first has come to its end.
    let granted = (0..8).filter(|_| juliet.guess("romeo@montague.lit", 1000) == Permit::Granted).count();
    assert_eq!(granted, 3);
}

#[test]
fn what_strangers_leave_goes_when_it_is_forgiven() {
    let mut juliet = Juliet::default();
    assert_eq!(juliet.guess("once@evil.lit", 1000), Permit::Granted);
    for _ in 0..2 {
        assert_eq!(juliet.guess("twice@evil.lit", 1000), Permit::Granted);
    }
    juliet.secured_by_password("romeo@montague.lit");
    assert_eq!(juliet.guess("romeo@montague.lit", 1000), Permit::Granted);
    let names = |juliet: &Juliet| juliet.0.iter().map(|(peer, _)| peer.to_string()).collect::<Vec<_>>();
    // Whoever comes next has the store look.
    assert_eq!(juliet.guess("a@evil.lit", 999 + DAY), Permit::Granted);
    assert_eq!(names(&juliet), ["a@evil.lit", "once@evil.lit", "romeo@montague.lit", "twice@evil.lit"]);
    assert_eq!(juliet.guess("b@evil.lit", 1000 + DAY), Permit::Granted);
    assert_eq!(names(&juliet), ["a@evil.lit", "b@evil.lit", "romeo@montague.lit", "twice@evil.lit"]);
    assert_eq!(juliet.guess("c@evil.lit", 1000 + 2 * DAY), Permit::Granted);
    assert_eq!(names(&juliet), ["c@evil.lit", "romeo@montague.lit"]);
    // With the last of its guesses, what was counted at the address goes too.
    assert_eq!(juliet.at_listener(), 1);
}

#[test]
fn of_strangers_no_more_are_remembered_than_documented_and_nothing_is_forgotten_of_others() {
    let mut juliet = Juliet::default();
    juliet.secured_by_password("romeo@montague.lit");
    let unlimited = GuessLimits { by_listener: u32::MAX, ..GuessLimits::default() };
    let own = jid("juliet@capulet.lit");
    let guess_of = |juliet: &mut Juliet, peer: &str, seconds| {
        let guess = Guess::new(at(seconds), unlimited);
        assert_eq!(juliet.0.begin_guess(&own, &jid(peer), &guess), Ok(Permit::Granted));
    };
    guess_of(&mut juliet, "romeo@montague.lit", 1);
    let most = u64::try_from(MemoryTrustStore::MAX_STRANGERS).expect("it is small");
    for number in 0..most {
        guess_of(&mut juliet, &format!("nobody{number}@evil.lit"), 1000 + number);
    }
    assert_eq!(juliet.0.iter().count(), MemoryTrustStore::MAX_STRANGERS + 1);
    assert_eq!(juliet.record("nobody0@evil.lit").attempts.failed, 1);
    guess_of(&mut juliet, "one-more@evil.lit", 1000 + most);
    assert_eq!(juliet.0.iter().count(), MemoryTrustStore::MAX_STRANGERS + 1);
    assert_eq!(juliet.record("nobody0@evil.lit"), TrustRecord::default(), "the oldest is forgotten");
    assert_eq!(juliet.record("nobody1@evil.lit").attempts.failed, 1);
    assert_eq!(juliet.record("romeo@montague.lit").attempts.failed, 1, "it is older, and no stranger");
    assert_eq!(u64::from(juliet.at_listener()), 1 + most, "what was counted at the address stays");
}

#[test]
fn the_user_lifts_a_lock() {
    let mut juliet = Juliet::default();
    for number in 0..30 {
        let _ = juliet.guess(&format!("nobody{number}@evil.lit"), 1000);
    }
    juliet.secured_by_password("romeo@montague.lit");
    for _ in 0..3 {
        let _ = juliet.guess("romeo@montague.lit", 1000);
    }
    assert!(juliet.locked_until("romeo@montague.lit", 1000).is_some());
    assert!(juliet.0.forgive(&jid("romeo@montague.lit")));
    assert_eq!(juliet.locked_until("romeo@montague.lit", 1000), None);
    assert_eq!(juliet.record("romeo@montague.lit").secured_by, [Method::Srp]);
    assert!(juliet.locked_until("nurse@capulet.lit", 1000).is_some());
    assert!(juliet.0.forgive(&jid("juliet@capulet.lit")));
    assert_eq!(juliet.locked_until("nurse@capulet.lit", 1000), None);
    for nothing in ["romeo@montague.lit", "juliet@capulet.lit", "tybalt@capulet.lit"] {
        assert!(!juliet.0.forgive(&jid(nothing)), "{nothing}");
    }
    assert!(juliet.0.forgive(&jid("nobody0@evil.lit")));
    assert_eq!(juliet.0.iter().filter(|(peer, _)| peer.to_string() == "nobody0@evil.lit").count(), 0);
}

#[test]
fn to_forget_a_peer_gives_away_no_guess() {
    let mut juliet = Juliet::default();
    juliet.secured_by_password("romeo@montague.lit");
    for _ in 0..3 {
        let _ = juliet.guess("romeo@montague.lit", 1000);
    }
    assert!(juliet.0.remove(&jid("romeo@montague.lit")));
    assert!(juliet.locked_until("romeo@montague.lit", 1000).is_some());
    assert!(!juliet.0.remove(&jid("romeo@montague.lit")), "there is nothing more to forget");
    assert!(juliet.locked_until("romeo@montague.lit", 1000).is_some());
}

#[test]
fn a_clock_that_is_set_back_forgives_nothing() {
    let mut juliet = Juliet::default();
    for _ in 0..3 {
        let _ = juliet.guess("romeo@montague.lit", 10 * DAY);
    }
    assert_eq!(juliet.locked_until("romeo@montague.lit", 0), Some(at(10 * DAY + HOUR)));
    let count = GuessCount::new(3, at(10 * DAY));
    assert_eq!(count.at(at(0), Duration::from_secs(1)), count);
}

#[test]
fn times_at_the_end_of_time_do_not_overflow() {
    let far = u64::MAX - 1;
    let mut juliet = Juliet::default();
    for _ in 0..3 {
        assert_eq!(juliet.guess("romeo@montague.lit", far), Permit::Granted);
    }
    assert_eq!(juliet.guess("romeo@montague.lit", far), Permit::Locked { until: at(u64::MAX) });
    let count = GuessCount::new(u32::MAX, at(far));
    assert_eq!(count.at(at(u64::MAX), Duration::from_secs(1)).count, u32::MAX - 1);
    assert_eq!(count.full_until(at(far), 1, Duration::MAX), Some(at(u64::MAX)));
}

#[test]
fn limits_out_of_bounds_are_named() {
    assert_eq!(GuessLimits::default().fault(), None);
    let short = Duration::from_millis(999);
    let second = Duration::from_secs(1);
    type Change = fn(&mut GuessLimits, u32, Duration);
    let fields: [(&str, Change); 6] = [
        ("in_a_row", |limits, count, _| limits.in_a_row = count),
        ("by_name", |limits, count, _| limits.by_name = count),
        ("by_listener", |limits, count, _| limits.by_listener = count),
        ("cooldown", |limits, _, time| limits.cooldown = time),
        ("by_name_forgiven", |limits, _, time| limits.by_name_forgiven = time),
        ("by_listener_forgiven", |limits, _, time| limits.by_listener_forgiven = time),
    ];
    for (name, change) in fields {
        let mut limits = GuessLimits::default();
        change(&mut limits, 0, short);
        assert_eq!(limits.fault(), Some(format!("security.guesses.{name}").as_str()));
        change(&mut limits, 1, second);
        assert_eq!(limits.fault(), None, "{name}");
    }
}
