//! How often a code may be tried, and for how long.

use std::time::Instant;

/// How many wrong attempts burn a code.
pub(super) const MOST: u32 = 3;

/// The attempts at one code. Time is given; nothing is waited for.
#[derive(Debug)]
pub(super) struct Attempts {
    wrong: u32,
    /// How many have begun and not ended. Each may come to a wrong one.
    open: u32,
    used: bool,
    expires: Option<Instant>,
}

/// Why a code is good for nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Burnt {
    /// It was right once.
    Used,
    /// It was tried in vain as often as it may be.
    Wrong,
    /// Its time is over.
    Expired,
}

/// Why an attempt may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotNow {
    /// Nor later.
    Burnt(Burnt),
    /// As many are under way as may still be wrong.
    Full,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The code was right.
    Right,
    /// It was not, or whoever tried it may know now that some other one is not: the two cannot be told apart.
    Wrong,
    /// It did not get so far that anybody could have learned anything.
    Untried,
}

impl Attempts {
    /// None yet, at a code that expires then.
    pub(super) const fn new(expires: Option<Instant>) -> Self {
        Self { wrong: 0, open: 0, used: false, expires }
    }

    /// How many wrong ones there may still be.
    pub(super) const fn left(&self) -> u32 {
        MOST.saturating_sub(self.wrong)
    }

    /// When no more may begin, whatever happens.
    pub(super) const fn expires(&self) -> Option<Instant> {
        self.expires
    }

    /// Why the code is good for nothing any more, if it is.
    pub(super) fn burnt(&self, now: Instant) -> Option<Burnt> {
        if self.used {
            Some(Burnt::Used)
        } else if self.left() == 0 {
            Some(Burnt::Wrong)
        } else {
            self.expires.filter(|expires| *expires <= now).map(|_| Burnt::Expired)
        }
    }

    /// The same once nothing is under way: an attempt that began in time may come to its end.
    pub(super) fn over(&self, now: Instant) -> Option<Burnt> {
        self.burnt(now).filter(|burnt| self.open == 0 || *burnt == Burnt::Used)
    }

    /// Begins an attempt.
    ///
    /// # Errors
    ///
    /// When the code is burnt, or would be tried too often if all that are under way were wrong.
    pub(super) fn begin(&mut self, now: Instant) -> Result<(), NotNow> {
        match self.burnt(now) {
            Some(burnt) => Err(NotNow::Burnt(burnt)),
            None if self.open >= self.left() => Err(NotNow::Full),
            None => {
                self.open += 1;
                Ok(())
            }
        }
    }

    /// Ends one that has begun. A right one burns the code.
    ///
    /// # Errors
    ///
    /// When another one was right before: a code is good for one.
    pub(super) fn end(&mut self, outcome: Outcome) -> Result<(), Burnt> {
        self.open = self.open.saturating_sub(1);
        match outcome {
            Outcome::Right if self.used => return Err(Burnt::Used),
            Outcome::Right => self.used = true,
            Outcome::Wrong => self.wrong = self.wrong.saturating_add(1),
            Outcome::Untried => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    #[test]
    fn three_wrong_ones_burn_it_and_two_do_not() {
        let now = clock::now();
        let mut attempts = Attempts::new(None);
        for left in [2, 1] {
            attempts.begin(now).unwrap();
            attempts.end(Outcome::Wrong).unwrap();
            assert_eq!((attempts.left(), attempts.burnt(now)), (left, None));
        }
        // What came to nothing does not count.
        attempts.begin(now).unwrap();
        attempts.end(Outcome::Untried).unwrap();
        assert_eq!(attempts.left(), 1);
        attempts.begin(now).unwrap();
        attempts.end(Outcome::Wrong).unwrap();
        assert_eq!((attempts.left(), attempts.burnt(now)), (0, Some(Burnt::Wrong)));
        assert_eq!(attempts.begin(now), Err(NotNow::Burnt(Burnt::Wrong)));
    }

    #[test]
    fn no_more_are_under_way_than_may_be_wrong() {
        let now = clock::now();
        let mut attempts = Attempts::new(None);
        for _ in 0..MOST {
            attempts.begin(now).unwrap();
        }
        assert_eq!(attempts.begin(now), Err(NotNow::Full));
        attempts.end(Outcome::Wrong).unwrap();
        assert_eq!(attempts.begin(now), Err(NotNow::Full));
        attempts.end(Outcome::Untried).unwrap();
        attempts.begin(now).unwrap();
        assert_eq!(attempts.over(now), None);
    }

    #[test]
    fn a_right_one_burns_it_and_a_second_right_one_is_none() {
        let now = clock::now();
        let mut attempts = Attempts::new(None);
        attempts.begin(now).unwrap();
        attempts.begin(now).unwrap();
        attempts.end(Outcome::Right).unwrap();
        assert_eq!(attempts.over(now), Some(Burnt::Used));
        assert_eq!(attempts.begin(now), Err(NotNow::Burnt(Burnt::Used)));
        assert_eq!(attempts.end(Outcome::Right), Err(Burnt::Used));
    }

    #[test]
    fn it_expires_to_the_tick_and_what_began_before_goes_on() {
        let (now, tick) = (clock::now(), Duration::from_nanos(1));
        let expires = now + Duration::from_secs(600);
        let mut attempts = Attempts::new(Some(expires));
        assert_eq!(attempts.expires(), Some(expires));
        attempts.begin(expires - tick).unwrap();
        assert_eq!((attempts.burnt(expires - tick), attempts.burnt(expires)), (None, Some(Burnt::Expired)));
        assert_eq!(attempts.begin(expires), Err(NotNow::Burnt(Burnt::Expired)));
        assert_eq!(attempts.over(expires), None);
        attempts.end(Outcome::Right).unwrap();
        assert_eq!(attempts.over(expires + tick), Some(Burnt::Used));
    }

    proptest! {
        /// Whatever is tried in whatever order: three wrong ones at most, one right one at most, and none that begins late.
        #[test]
        fn no_order_gives_more_attempts(steps in prop::collection::vec((0_u8..5, 0_u64..40), 0..60)) {
            let start = clock::now();
            let expires = start + Duration::from_secs(600);
            let mut attempts = Attempts::new(Some(expires));
            let (mut now, mut open, mut wrong, mut right) = (start, 0_u32, 0, 0);
            for (step, seconds) in steps {
                now += Duration::from_secs(seconds);
                let outcome = match step {
                    0 | 1 => {
                        let may = attempts.begin(now).is_ok();
                        prop_assert_eq!(may, right == 0 && now < expires && wrong + open < MOST);
                        open += u32::from(may);
                        continue;
                    }
                    2 => Outcome::Right,
                    3 => Outcome::Wrong,
                    _ => Outcome::Untried,
                };
                if open == 0 {
                    continue;
                }
                open -= 1;
                wrong += u32::from(outcome == Outcome::Wrong);
                right += u32::from(attempts.end(outcome).is_ok() && outcome == Outcome::Right);
                prop_assert!(wrong <= MOST && right <= 1);
                prop_assert_eq!(attempts.left(), MOST - wrong);
            }
        }
    }
}
