//! In which order the servers are tried that SRV records name.

use super::Target;

/// Most servers that are tried for one domain. More records than that are ignored.
pub(super) const MAX_TARGETS: usize = 16;

/// A record of SRV that names a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) target: Target,
}

/// The servers in the order in which they are tried, each once: the lower priority number first, and those of one priority by lot,
/// in proportion to their weights (RFC 6120 § 3.2.1). `draw` gives a number from 0 to the one it gets, both included.
pub(super) fn order(mut records: Vec<Record>, mut draw: impl FnMut(u64) -> u64) -> Vec<Target> {
    // Those without a weight stand first, so that they have a chance at all: that of drawing 0.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut targets: Vec<Target> = Vec::new();
    while targets.len() < MAX_TARGETS
        && let Some(priority) = records.first().map(|record| record.priority)
    {
        let same = records.iter().take_while(|record| record.priority == priority);
        let drawn = draw(same.clone().map(|record| u64::from(record.weight)).sum());
        let mut sum = 0;
        let chosen = same.enumerate().find_map(|(at, record)| {
            sum += u64::from(record.weight);
            (sum >= drawn).then_some(at)
        });
        let record = records.remove(chosen.unwrap_or_default());
        if !targets.contains(&record.target) {
            targets.push(record.target);
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn record(priority: u16, weight: u16, host: &str) -> Record {
        let target = Target { host: host.to_owned(), port: 5222, direct: false, is_whole: true };
        Record { priority, weight, target }
    }

    fn hosts(records: &[Record], draw: impl FnMut(u64) -> u64) -> Vec<String> {
        order(records.to_vec(), draw).into_iter().map(|target| target.host).collect()
    }

    /// Numbers that a seed makes.
    fn seeded(mut state: u64) -> impl FnMut(u64) -> u64 {
        move |most| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % (most + 1)
        }
    }

    #[test]
    fn rfc_6120_3_2_1_the_lower_priority_comes_first_whatever_the_weights_are() {
        let records = [record(20, 65_535, "c"), record(0, 0, "a"), record(10, 1, "b"), record(65_535, 9, "d")];
        for seed in 0..100 {
            assert_eq!(hosts(&records, seeded(seed)), ["a", "b", "c", "d"]);
        }
    }

    #[test]
    fn those_of_one_priority_are_chosen_by_the_running_sum_of_their_weights() {
        let records = [record(1, 30, "b"), record(1, 0, "z"), record(1, 70, "a")];
        // The sums are 0, 30 and 100.
        for (drawn, first) in [(0, "z"), (1, "b"), (30, "b"), (31, "a"), (100, "a")] {
            assert_eq!(hosts(&records, |most| most.min(drawn)).first().map(String::as_str), Some(first), "{drawn}");
        }
        let mut asked = Vec::new();
        hosts(&records, |most| {
            asked.push(most);
            most
        });
        assert_eq!(asked, [100, 30, 0], "what is chosen does not count any more");
    }

    #[test]
    fn the_first_choice_is_in_proportion_to_the_weights() {
        let records = [record(1, 0, "never"), record(1, 10, "seldom"), record(1, 90, "often")];
        let mut draw = seeded(7);
        let mut firsts: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..10_000 {
            let first = hosts(&records, &mut draw).into_iter().next().unwrap_or_default();
            *firsts.entry(first).or_default() += 1;
        }
        let share = |host: &str| firsts.get(host).copied().unwrap_or_default();
        assert!((8500..9500).contains(&share("often")), "{firsts:?}");
        assert!((500..1500).contains(&share("seldom")), "{firsts:?}");
        assert!((1..300).contains(&share("never")), "a weight of 0 has a small chance: {firsts:?}");
    }

    #[test]
    fn weights_of_nothing_but_0_leave_none_out() {
        let records = [record(1, 0, "a"), record(1, 0, "b"), record(1, 0, "c")];
        assert_eq!(hosts(&records, |most| most), ["a", "b", "c"]);
    }

    #[test]
    fn sixteen_are_tried_and_no_seventeenth() {
        let records = |count: u16| (0..count).map(|n| record(n, 1, &format!("host{n}"))).collect::<Vec<_>>();
        for (count, tried) in [(MAX_TARGETS, MAX_TARGETS), (MAX_TARGETS + 1, MAX_TARGETS), (3000, MAX_TARGETS)] {
            let hosts = hosts(&records(u16::try_from(count).unwrap_or_default()), seeded(1));
            assert_eq!(hosts.len(), tried);
            assert_eq!(hosts.last().map(String::as_str), Some("host15"));
        }
    }

    #[test]
    fn a_server_that_is_named_twice_is_tried_once() {
        let mut other = record(2, 1, "a");
        other.target.direct = true;
        let records = [record(1, 1, "a"), record(1, 1, "a"), other];
        assert_eq!(order(records.to_vec(), seeded(3)).len(), 2);
    }
}
