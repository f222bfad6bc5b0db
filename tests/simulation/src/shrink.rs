//! Histories that fail, made as short as they go.

use crate::history::History;

/// Leaves out operations, in halves, quarters and so on down to single ones, as long as the history still fails. It is played
/// some hundred times.
#[must_use]
pub fn shrink(history: &History, fails: impl Fn(&History) -> bool) -> History {
    let mut shortest = history.clone();
    let mut chunk = shortest.operations.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        let mut shrunk = false;
        while at < shortest.operations.len() {
            let mut shorter = shortest.clone();
            let end = (at + chunk).min(shorter.operations.len());
            shorter.operations.drain(at..end);
            if fails(&shorter) {
                shortest = shorter;
                shrunk = true;
            } else {
                at = end;
            }
        }
        if chunk == 1 && !shrunk {
            break;
        }
        chunk = if chunk == 1 { 1 } else { chunk / 2 };
    }
    shortest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Operation;

    #[test]
    fn what_matters_is_left() {
        let run = |count: u32| (0..count).map(Operation::Run).collect::<Vec<_>>();
        let mut history = History::of_seed(1);
        history.operations = run(50);
        let needs = |history: &History| {
            let at = |number| history.operations.iter().position(|it| *it == Operation::Run(number));
            at(7).zip(at(31)).is_some_and(|(first, second)| first < second)
        };
        assert_eq!(shrink(&history, needs).operations, [Operation::Run(7), Operation::Run(31)]);
    }
}
