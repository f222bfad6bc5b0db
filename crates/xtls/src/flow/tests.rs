use proptest::prelude::*;
use xtls_stanza::Ids;

use super::*;

const MILLI: Duration = Duration::from_millis(1);
/// A block of 4096 bytes as a stanza, and its result.
const BLOCK: usize = 5700;
const RESULT: usize = 150;

/// A server between one sender and its peers.
#[derive(Debug, Clone, Copy)]
struct Path {
    bytes_per_second: u64,
    round_trip: Duration,
    jitter: Duration,
}

impl Path {
    fn new(round_trip: u64, kilobits: u64) -> Self {
        Self {
            bytes_per_second: kilobits * 125,
            round_trip: MILLI * round_trip.try_into().unwrap(),
            jitter: Duration::ZERO,
        }
    }

    fn takes(&self, bytes: usize) -> Duration {
        Duration::from_nanos(u64::try_from(bytes).unwrap() * 1_000_000_000 / self.bytes_per_second)
    }

    /// Bandwidth times round trip, in bytes.
    fn holds(&self) -> u64 {
        let millis = u64::try_from(self.round_trip.as_millis()).unwrap();
        self.bytes_per_second * millis / 1000
    }

    /// The least round trip of a block.
    fn base(&self) -> Duration {
        self.round_trip + self.takes(BLOCK) + self.takes(RESULT)
    }
}

/// One tunnel.
#[derive(Debug, Default)]
struct Peer {
    lane: Lane,
    /// How much farther away this one is.
    farther: Duration,
    /// It acknowledges nothing before this.
    reads_from: Option<Instant>,
    is_waiting: bool,
}

/// A sender that always has something to send, in each of its tunnels.
struct Sender {
    flow: Flow,
    ids: Ids,
    path: Path,
    now: Instant,
    peers: Vec<Peer>,
    waiting: VecDeque<usize>,
    /// When the lines to and from the server are free, and when the last stanza on each arrives.
    busy: [Instant; 2],
    /// Results that are on their way: when they come, to which tunnel, and when their blocks were sent.
    coming: Vec<(Instant, usize, Id, Instant)>,
    random: u64,
    block: usize,
}

/// A result that came.
#[derive(Debug, Clone, Copy)]
struct Came {
    at: Instant,
    peer: usize,
    took: Duration,
}

impl Sender {
    fn new(path: Path, peers: usize) -> Self {
        let now = Instant::now();
        Self {
            flow: Flow::new(),
            ids: Ids::new([1; 32]),
            path,
            now,
            peers: (0..peers).map(|_| Peer::default()).collect(),
            waiting: (0..peers).collect(),
            busy: [now; 2],
            coming: Vec::new(),
            random: 88_172_645_463_325_252,
            block: BLOCK,
        }
    }

    /// Up to the jitter of the path.
    fn late(&mut self) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.path.jitter * u32::try_from(self.random % 1000).unwrap() / 1000
    }

    /// Sends what may go, by turns.
    fn send(&mut self) {
        for _ in 0..100 {
            let Some(at) = self.waiting.pop_front() else { return };
            self.peers[at].is_waiting = false;
            self.flow.ask(true);
            if !self.flow.admits(&self.peers[at].lane) {
                self.flow.refused(&self.peers[at].lane);
                if self.flow.answer() == FlowAnswer::Waits {
                    self.peers[at].is_waiting = true;
                    self.waiting.push_front(at);
                    return;
                }
                continue;
            }
            let (id, peer) = (self.ids.next_id(), &mut self.peers[at]);
            self.flow.send(self.now, u64::try_from(at).unwrap(), id, self.block, &mut peer.lane);
            peer.is_waiting = true;
            self.waiting.push_back(at);
            let (farther, reads_from) = (peer.farther, peer.reads_from);
            let half = (self.path.round_trip + farther) / 2;
            self.busy[0] = self.busy[0].max(self.now) + self.path.takes(self.block);
            let there = self.busy[0] + half + self.late();
            let there = reads_from.map_or(there, |from| there.max(from));
            let back = there + self.path.takes(RESULT) + half + self.late();
            // Results of one tunnel come in order.
            let last = self.coming.iter().filter(|coming| coming.1 == at).map(|coming| coming.0).max();
            self.coming.push((last.map_or(back, |last| last.max(back)), at, id, self.now));
        }
        panic!("the window has no end");
    }

    /// Lets the next result come, or places be given away.
    fn step(&mut self) -> Option<Came> {
        self.send();
        let next = self.coming.iter().enumerate().min_by_key(|(_, coming)| coming.0).map(|(at, _)| at)?;
        let two = self.waiting.iter().take(2).map(|at| u64::try_from(*at).unwrap()).collect::<Vec<_>>();
        if let Some(due) = self.flow.deadline(two).filter(|due| *due < self.coming[next].0) {
            self.now = self.now.max(due);
            self.flow.give_away(self.now);
            self.send();
            return None;
        }
        let (at, peer, id, sent) = self.coming.remove(next);
        self.now = self.now.max(at);
        self.flow.answered(self.now, id.as_str(), true, &mut self.peers[peer].lane);
        if !self.peers[peer].is_waiting {
            self.peers[peer].is_waiting = true;
            self.waiting.push_back(peer);
        }
        Some(Came { at: self.now, peer, took: self.now - sent })
    }

    /// Lets so many results come.
    fn results(&mut self, count: usize) -> Vec<Came> {
        let mut came = Vec::new();
        for _ in 0..count * 10 {
            came.extend(self.step());
            if came.len() == count {
                return came;
            }
        }
        panic!("{} of {count} results in {:?}", came.len(), self.now);
    }

    fn results_for(&mut self, time: Duration) -> Vec<Came> {
        let end = self.now + time;
        let mut came = Vec::new();
        while self.now < end {
            came.extend(self.step());
        }
        came
    }

    /// The share of the bandwidth that these results stand for.
    fn share(&self, came: &[Came]) -> f64 {
        let time = came[came.len() - 1].at - came[0].at;
        (self.path.takes(self.block) * u32::try_from(came.len() - 1).unwrap()).div_duration_f64(time)
    }
}

fn took(came: &[Came], percent: usize) -> Duration {
    let mut all: Vec<_> = came.iter().map(|came| came.took).collect();
    all.sort_unstable();
    all[all.len() * percent / 100]
}

#[test]
fn the_window_starts_at_four_blocks_and_grows_to_32_where_nothing_shows_a_limit() {
    let mut sender = Sender::new(Path { bytes_per_second: u64::MAX / 2, ..Path::new(50, 1) }, 1);
    sender.send();
    assert_eq!(sender.coming.len(), 4);
    sender.results(200);
    sender.send();
    assert_eq!(sender.coming.len(), 32);
}

#[test]
fn at_most_1_mib_is_in_flight_and_one_block_more() {
    let mut sender = Sender::new(Path { bytes_per_second: u64::MAX / 2, ..Path::new(50, 1) }, 1);
    sender.block = 87_600;
    sender.results(200);
    sender.send();
    assert_eq!(sender.coming.len(), 12, "the twelfth begins below 1 MiB");
}

#[test]
fn who_has_not_filled_the_window_gets_no_larger_one() {
    let mut sender = Sender::new(Path { bytes_per_second: u64::MAX / 2, ..Path::new(50, 1) }, 1);
    for _ in 0..100 {
        // Two at a time.
        for _ in 0..2 {
            sender.flow.ask(true);
            let (id, peer) = (sender.ids.next_id(), &mut sender.peers[0]);
            assert!(sender.flow.admits(&peer.lane));
            sender.flow.send(sender.now, 0, id, BLOCK, &mut peer.lane);
            sender.coming.push((sender.now + MILLI * 50, 0, id, sender.now));
        }
        sender.now += MILLI * 50;
        for (_, _, id, _) in core::mem::take(&mut sender.coming) {
            sender.flow.answered(sender.now, id.as_str(), true, &mut sender.peers[0].lane);
        }
    }
    sender.send();
    assert_eq!(sender.coming.len(), 4);
}

#[test]
fn after_a_rest_it_begins_with_four_blocks() {
    let mut sender = Sender::new(Path::new(100, 10_000), 1);
    sender.results(300);
    assert!(sender.coming.len() > 15);
    sender.waiting.clear();
    while !sender.coming.is_empty() {
        let (at, _, id, _) = sender.coming.remove(0);
        sender.now = at;
        sender.flow.answered(at, id.as_str(), true, &mut sender.peers[0].lane);
    }
    sender.now += Duration::from_secs(10);
    sender.waiting.push_back(0);
    sender.send();
    assert_eq!(sender.coming.len(), 4);
    let came = sender.results(300);
    assert!(sender.share(&came[20..]) > 0.9, "and what it knew helps it on");
}

/// Halved at once, and a block more for each round trip after that.
#[test]
fn it_backs_off_when_somebody_wants_less_and_comes_back_slowly() {
    let mut sender = Sender::new(Path::new(100, 10_000), 1);
    sender.results(300);
    let before = sender.coming.len();
    sender.flow.back_off();
    let mut most = Vec::new();
    for _ in 0..30 {
        let came = sender.results_for(MILLI * 105);
        assert!(!came.is_empty());
        most.push(sender.flow.flights.len());
    }
    assert!((before / 2 - 1..=before / 2 + 3).contains(&most[1]), "{before}: {most:?}");
    assert!(most.windows(2).all(|two| two[1] <= two[0] + 2), "{most:?}");
    assert!(most[25] + 1 >= before, "{before}: {most:?}");
    // Again and again: it comes down to one block, and not below.
    for _ in 0..40 {
        sender.flow.back_off();
        sender.results(1);
    }
    // A round trip later it may be two, and one to see how fast the path is.
    assert!(sender.coming.len() <= 3, "{}", sender.coming.len());
}

/// What came back late because the outer stream was away says nothing of the path.
#[test]
fn an_outer_stream_that_was_away_is_not_taken_for_a_slow_one() {
    let mut sender = Sender::new(Path::new(50, 10_000), 1);
    sender.results(300);
    let before = sender.coming.len();
    sender.flow.interrupt(sender.now);
    for coming in &mut sender.coming {
        coming.0 += Duration::from_secs(300);
    }
    sender.now += Duration::from_secs(300);
    sender.flow.interrupt(sender.now);
    sender.busy = [sender.now; 2];
    let came = sender.results(300);
    assert!(sender.share(&came[before + 12..]) > 0.9, "it goes on as before");
    assert!(took(&came[before + 12..], 95) < sender.path.base() * 2);
}

/// A peer who does not read holds up nobody else for more than a second or two, and loses nothing.
#[test]
fn a_peer_who_does_not_read_gives_its_places_to_others() {
    for kilobits in [100, 1000, 10_000] {
        let mut sender = Sender::new(Path::new(50, kilobits), 2);
        sender.results(100);
        let start = sender.now;
        sender.peers[0].reads_from = Some(start + Duration::from_secs(120));
        let came = sender.results_for(Duration::from_secs(100));
        let of_other: Vec<_> = came.iter().filter(|came| came.peer == 1).map(|came| came.at).collect();
        let longest = of_other.windows(2).map(|two| two[1] - two[0]).max().unwrap();
        assert!(longest < Duration::from_secs(8), "{longest:?} at {kilobits}");
        let time = sender.path.takes(BLOCK) * u32::try_from(of_other.len()).unwrap();
        assert!(time.div_duration_f64(Duration::from_secs(100)) > 0.7, "{} at {kilobits}", of_other.len());
        assert!(sender.peers[0].lane.flights.len() <= 32);
        let came = sender.results_for(Duration::from_secs(100));
        assert!(came.iter().filter(|came| came.peer == 0).count() > 20, "it takes part again");
    }
}

/// One who reads slowly, and nobody else: that is not the path's latency.
#[test]
fn when_a_slow_reader_reads_again_the_path_is_full_soon() {
    let mut sender = Sender::new(Path::new(50, 10_000), 1);
    sender.results(200);
    for pause in 1..30 {
        sender.peers[0].reads_from = Some(sender.now + Duration::from_secs(pause % 3 + 1));
        sender.results(20);
    }
    sender.peers[0].reads_from = None;
    let came = sender.results(400);
    assert!(sender.share(&came[100..]) > 0.85, "{}", sender.share(&came[100..]));
    assert!(took(&came[100..], 95) < sender.path.base() * 2 + sender.path.takes(BLOCK));
}

/// Who is far away needs more in flight; who is near does not wait for that.
#[test]
fn peers_at_different_distances_share_one_window() {
    let mut sender = Sender::new(Path::new(20, 10_000), 2);
    sender.peers[1].farther = MILLI * 100;
    sender.results(400);
    let came = sender.results(400);
    assert!(sender.share(&came) > 0.75, "{}", sender.share(&came));
    let near: Vec<_> = came.iter().copied().filter(|came| came.peer == 0).collect();
    assert!(took(&near, 95) < MILLI * 100, "{:?}", took(&near, 95));
}

#[test]
fn tunnels_take_turns() {
    let mut sender = Sender::new(Path::new(50, 10_000), 5);
    sender.results(100);
    let came = sender.results(500);
    for peer in 0..5 {
        let count = came.iter().filter(|came| came.peer == peer).count();
        assert!((90..=110).contains(&count), "{count} of {peer}");
    }
    assert!(took(&came, 95) < sender.path.base() * 2, "they share one window");
}

#[test]
fn a_tunnel_that_is_gone_leaves_its_places() {
    let mut sender = Sender::new(Path::new(50, 100), 2);
    sender.send();
    sender.flow.forget(0);
    assert!(sender.flow.flights.iter().all(|(tunnel, _)| *tunnel == 1));
    sender.flow.forget(1);
    assert_eq!((sender.flow.flights.len(), sender.flow.in_flight), (0, 0));
    let id = sender.coming[0].2;
    sender.flow.answered(sender.now, id.as_str(), true, &mut sender.peers[0].lane);
    assert_eq!(sender.flow.in_flight, 0, "what comes late frees nothing twice");
}

/// Paths that hold up to 128 KiB, from 100 kbit/s to 100 Mbit/s.
fn paths() -> impl Strategy<Value = Path> {
    let bandwidth = (0_u32..=3000).prop_map(|power| (100.0 * 10_f64.powf(f64::from(power) / 1000.0)) as u64);
    (1_u64..=400, bandwidth)
        .prop_filter("it holds too much", |(round_trip, kilobits)| round_trip * kilobits / 8 <= 128 * 1024)
        .prop_map(|(round_trip, kilobits)| Path::new(round_trip, kilobits))
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Send(usize, usize),
    Answer(usize, usize, bool),
    Wait(u64),
    BackOff,
    Interrupt,
    GiveAway,
    Forget(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..3_usize, 1..100_000_usize).prop_map(|(tunnel, bytes)| Step::Send(tunnel, bytes)),
        8 => (0..3_usize, 0..32_usize, prop::bool::weighted(0.9)).prop_map(|(tunnel, at, fine)| Step::Answer(tunnel, at, fine)),
        4 => prop_oneof![0..2000_u64, 0..100_000_u64].prop_map(Step::Wait),
        1 => Just(Step::BackOff),
        1 => Just(Step::Interrupt),
        1 => Just(Step::GiveAway),
        1 => (0..3_usize).prop_map(Step::Forget),
    ];
    prop::collection::vec(step, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever comes: never less than one block, never more than the bounds, and the count is right.
    #[test]
    fn the_bounds_hold_whatever_happens(steps in steps()) {
        let (mut flow, mut ids, mut now) = (Flow::new(), Ids::new([2; 32]), Instant::now());
        let mut lanes = [(); 3].map(|()| Lane::default());
        for step in steps {
            match step {
                Step::Send(tunnel, bytes) => {
                    flow.ask(true);
                    let lane = &mut lanes[tunnel];
                    if flow.admits(lane) {
                        flow.send(now, u64::try_from(tunnel).unwrap(), ids.next_id(), bytes, lane);
                    } else {
                        flow.refused(lane);
                    }
                }
                Step::Answer(tunnel, at, is_result) => {
                    let lane = &mut lanes[tunnel];
                    if let Some((id, _)) = lane.flights.get(at).copied() {
                        flow.answered(now, id.as_str(), is_result, lane);
                    }
                }
                Step::Wait(millis) => now += Duration::from_millis(millis),
                Step::BackOff => flow.back_off(),
                Step::Interrupt => flow.interrupt(now),
                Step::GiveAway => {
                    if flow.deadline([7]).is_some_and(|due| due <= now) {
                        flow.give_away(now);
                        prop_assert!(flow.deadline([7]).is_none_or(|due| due > now));
                    }
                }
                Step::Forget(tunnel) => {
                    flow.forget(u64::try_from(tunnel).unwrap());
                    lanes[tunnel] = Lane::default();
                }
            }
            prop_assert!(flow.flights.len() <= usize::from(Flow::MAX_BLOCKS));
            prop_assert!(flow.in_flight < Flow::MAX_BYTES + 100_000);
            prop_assert_eq!(flow.in_flight, flow.flights.iter().map(|(_, flight)| flight.bytes).sum::<u64>());
            prop_assert!(!flow.flights.is_empty() || flow.has_room(), "one may always go");
            let kept = lanes.iter().flat_map(|lane| &lane.flights).filter(|(_, flight)| flow.place(flight.order).is_some());
            prop_assert_eq!(kept.count(), flow.flights.len());
        }
    }

    /// Any path, with blocks of any size: it is full, and nothing waits.
    #[test]
    fn each_path_is_full_and_nothing_waits(path in paths(), block in 600_usize..44_000) {
        prop_assume!(path.holds() <= u64::try_from(20 * block).unwrap());
        let mut sender = Sender::new(path, 1);
        sender.block = block;
        sender.results(20);
        let came = sender.results(280);
        let bound = path.round_trip * 2 + path.takes(block) * 2;
        prop_assert!(sender.share(&came) >= 0.88, "{}", sender.share(&came));
        prop_assert!(took(&came, 95) <= bound, "{:?}", took(&came, 95));
    }

    /// The same where each stanza may take up to a fifth longer.
    #[test]
    fn jitter_costs_some_of_the_bandwidth_and_makes_no_queue(path in paths()) {
        let path = Path { jitter: path.round_trip / 10, ..path };
        let mut sender = Sender::new(path, 1);
        sender.results(20);
        let came = sender.results(480);
        let bound = (path.round_trip + path.jitter * 2) * 2 + path.takes(BLOCK) * 2;
        prop_assert!(sender.share(&came) >= 0.75, "{}", sender.share(&came));
        prop_assert!(took(&came, 95) <= bound, "{:?}", took(&came, 95));
    }

    /// Whatever the path becomes: after the longest time that a round trip is remembered for, it is full again and nothing waits.
    #[test]
    fn it_recovers_from_any_change_of_the_path(from in paths(), to in paths(), after in 50_usize..400) {
        let mut sender = Sender::new(from, 1);
        sender.results(after);
        let (start, longest) = (sender.now, (from.base().max(to.base()) * 2) * 64);
        sender.path = to;
        while sender.now < start + Duration::from_secs(20).max(longest) {
            sender.results(1);
        }
        let came = sender.results(400);
        let bound = to.round_trip * 2 + to.takes(BLOCK) * 2;
        prop_assert!(sender.share(&came) >= 0.8, "{}", sender.share(&came));
        prop_assert!(took(&came, 90) <= bound, "{:?} of {bound:?}", took(&came, 90));
    }
}
