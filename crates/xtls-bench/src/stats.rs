//! Subjects that take turns, and what their samples come to.

use crate::{clock, failure::Failure};

/// The median of some values and the quartiles around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quartiles {
    /// A quarter of the values is at most this.
    pub(crate) q1: f64,
    /// Half of them.
    pub(crate) median: f64,
    /// Three quarters.
    pub(crate) q3: f64,
}

/// How long and how often subjects are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampling {
    /// Samples of each subject; at least 1.
    pub(crate) rounds: usize,
    /// Milliseconds that a sample is to take.
    pub(crate) milliseconds: f64,
}

/// Something that is measured.
pub(crate) struct Subject<'a> {
    name: String,
    run: Box<dyn FnMut(u64) -> Result<f64, Failure> + 'a>,
    /// Repetitions in a sample.
    repetitions: u64,
    samples: Vec<f64>,
}

impl Quartiles {
    /// Of at least one value; between two values, the share of the way.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            let place = quarters * (sorted.len() - 1);
            let (below, rest) = (sorted[place / 4], float(place % 4) / 4.0);
            sorted.get(place / 4 + 1).map_or(below, |above| below + (above - below) * rest)
        };
        Self { q1: at(1), median: at(2), q3: at(3) }
    }

    /// Of a figure that is exact.
    pub(crate) fn exact(value: f64) -> Self {
        Self { q1: value, median: value, q3: value }
    }
}

impl Sampling {
    /// Lets all subjects take turns: a sample of each in a round, in an order that is turned from round to round, so that what
    /// the machine does meanwhile meets all of them alike, and nobody always comes after the same one.
    pub(crate) fn interleave(self, subjects: &mut [Subject<'_>]) -> Result<(), Failure> {
        for subject in subjects.iter_mut() {
            subject.calibrate(self.milliseconds)?;
        }
        let count = subjects.len();
        for round in 0..self.rounds {
            for turn in 0..count {
                subjects[(round + turn) % count].sample()?;
            }
        }
        Ok(())
    }
}

impl<'a> Subject<'a> {
    /// `work` does it once.
    pub(crate) fn new(name: impl Into<String>, mut work: impl FnMut() + 'a) -> Self {
        Self::timed(name, move |repetitions| {
            Ok(clock::seconds(|| {
                for _ in 0..repetitions {
                    work();
                }
            }))
        })
    }

    /// `run` does it so many times and tells how many seconds that took: for work that has parts which do not count, or is done
    /// elsewhere.
    pub(crate) fn timed(name: impl Into<String>, run: impl FnMut(u64) -> Result<f64, Failure> + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run), repetitions: 1, samples: Vec::new() }
    }

    /// What it is called where it is told of.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Seconds for doing it once, a sample each.
    pub(crate) fn samples(&self) -> &[f64] {
        &self.samples
    }

    /// Seconds for doing it once.
    pub(crate) fn median(&self) -> f64 {
        Quartiles::of(&self.samples).median
    }

    /// Finds out how often it is to be done in a sample.
    fn calibrate(&mut self, milliseconds: f64) -> Result<(), Failure> {
        (self.run)(1)?;
        let mut repetitions = 1;
        loop {
            let took = (self.run)(repetitions)? * 1e3;
            if took > milliseconds / 4.0 {
                self.repetitions = whole(float_u64(repetitions) * milliseconds / took).max(1);
                return Ok(());
            }
            repetitions *= 2;
        }
    }

    fn sample(&mut self) -> Result<(), Failure> {
        // The one before has taken the caches away from everybody.
        (self.run)((self.repetitions / 20).max(1))?;
        let took = (self.run)(self.repetitions)?;
        self.samples.push(took / float_u64(self.repetitions));
        Ok(())
    }
}

/// How many times faster one is than the other: the quotients of samples of the same round.
pub(crate) fn speed(of: &[f64], beside: &[f64]) -> Quartiles {
    time(beside, of)
}

/// How many times as long one takes as the other: the quotients of samples of the same round.
pub(crate) fn time(of: &[f64], beside: &[f64]) -> Quartiles {
    let quotients: Vec<f64> = of.iter().zip(beside).map(|(of, beside)| of / beside).collect();
    Quartiles::of(&quotients)
}

/// A count, for calculating with it.
#[allow(clippy::as_conversions, reason = "no count here comes near 2^53")]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}

/// The same of a count in 64 bits.
#[allow(clippy::as_conversions, reason = "no count here comes near 2^53")]
pub(crate) fn float_u64(count: u64) -> f64 {
    count as f64
}

/// The whole part of a value that is not negative.
#[allow(clippy::as_conversions, reason = "the conversion saturates")]
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeSet};

    use super::*;

    #[test]
    fn quartiles_are_those_of_the_sorted_values() {
        let of = |values: &[f64]| Quartiles::of(values);
        assert_eq!(of(&[5.0, 1.0, 4.0, 2.0, 3.0]), Quartiles { q1: 2.0, median: 3.0, q3: 4.0 });
        assert_eq!(of(&[4.0, 1.0]), Quartiles { q1: 1.75, median: 2.5, q3: 3.25 });
        assert_eq!(of(&[7.0]), Quartiles::exact(7.0));
        assert_eq!(of(&[1.0, 2.0, 3.0, 4.0]), Quartiles { q1: 1.75, median: 2.5, q3: 3.25 });
    }

    #[test]
    fn a_ratio_is_the_median_of_pairs_and_not_the_quotient_of_medians() {
        // The machine is twice as slow in the second round and four times in the third; each pair says the same.
        let (ours, theirs) = ([1.0, 2.0, 4.0], [3.0, 6.0, 12.0]);
        assert_eq!(speed(&ours, &theirs), Quartiles::exact(3.0));
        assert_eq!(time(&theirs, &ours), Quartiles::exact(3.0));
        let (ours, theirs) = ([1.0, 10.0, 100.0], [30.0, 10.0, 400.0]);
        assert_eq!(speed(&ours, &theirs).median, 4.0, "30, 1 and 4");
    }

    #[test]
    fn subjects_take_turns_in_an_order_that_is_turned_each_round() {
        let order = RefCell::new(Vec::new());
        let subject = |name: &'static str| {
            let order = &order;
            Subject::timed(name, move |repetitions| {
                order.borrow_mut().push(name);
                Ok(float_u64(repetitions) * 1e-3)
            })
        };
        let mut subjects = [subject("a"), subject("b"), subject("c")];
        Sampling { rounds: 3, milliseconds: 1.0 }.interleave(&mut subjects).expect("nothing fails");
        // Two calls each to find out how often, and two for each sample.
        let turns: Vec<_> = order.borrow().iter().skip(6).step_by(2).copied().collect();
        assert_eq!(turns, ["a", "b", "c", "b", "c", "a", "c", "a", "b"]);
        assert!(subjects.iter().all(|subject| subject.samples() == [1e-3; 3]));
    }

    #[test]
    fn a_sample_takes_as_long_as_it_was_told_to() {
        let asked = RefCell::new(BTreeSet::new());
        let mut subjects = [Subject::timed("1 µs", |repetitions| {
            asked.borrow_mut().insert(repetitions);
            Ok(float_u64(repetitions) * 1e-6)
        })];
        Sampling { rounds: 1, milliseconds: 20.0 }.interleave(&mut subjects).expect("nothing fails");
        assert_eq!(asked.borrow().last(), Some(&20_000), "20 ms");
    }

    #[test]
    fn what_fails_is_told() {
        let mut subjects = [Subject::timed("a helper", |_| Err(Failure::new("it has died")))];
        let failed = Sampling { rounds: 1, milliseconds: 1.0 }.interleave(&mut subjects);
        assert_eq!(failed.map_err(|failure| failure.to_string()), Err("it has died".to_owned()));
    }
}
