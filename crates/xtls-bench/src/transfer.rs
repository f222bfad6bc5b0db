//! Rows 1 to 5: payload through a tunnel, both ends on one thread, beside what else could carry it.

use std::{cell::RefCell, ops::RangeInclusive};

use xtls::tls::KeyAlgorithm;

use crate::{
    clock,
    engines::{Pair, Who, bulk_config, noise},
    failure::{Failure, Missing},
    plan::Plan,
    references::{
        buffered::Buffered,
        ideal::Ideal,
        limit,
        slixmpp::Slixmpp,
        tls::{Configs, bulk_provider},
    },
    report::{Line, Target, Unit},
    row::Row,
    stats::{Quartiles, Subject, float, speed},
};

/// The block sizes that are measured: the default, the largest that is a whole number of the others, and the largest of all.
pub(crate) const BLOCKS: [usize; 3] = [4096, 32_760, 65_535];

/// Bytes that a TLS 1.3 record has besides its payload: a header, the type inside, and a tag (RFC 8446 § 5.2).
const RECORD_OVERHEAD: usize = 5 + 1 + 16;

/// How bytes are cut up: writes of the application, records of TLS, blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Bytes of a block.
    pub(crate) block: usize,
    /// Bytes that the application writes at once: such that references with records of their own size fill whole blocks.
    pub(crate) write: usize,
    /// The most bytes of a record on the wire, where it is not the most that TLS allows.
    record: Option<usize>,
}

impl Shape {
    /// For blocks of this size.
    pub(crate) fn of(block: usize) -> Self {
        let records = |count: usize, record: usize| (count * (record - RECORD_OVERHEAD), Some(record));
        let (write, record) = match block {
            4096 => records(16, 4096),
            32_760 => records(16, 16_380),
            _ => (1 << 18, None),
        };
        Self { block, write, record }
    }

    /// Bytes of payload in a full record.
    pub(crate) fn record_payload(self) -> usize {
        self.record.map_or(1 << 14, |record| record - RECORD_OVERHEAD)
    }

    /// The lengths of the blocks of a write; the last one is cut to a whole number of base64's groups.
    pub(crate) fn blocks(self) -> impl Iterator<Item = usize> {
        let records = self.write + self.write.div_ceil(self.record_payload()) * RECORD_OVERHEAD;
        let last = records % self.block / 3 * 3;
        std::iter::repeat_n(self.block, records / self.block).chain((last > 0).then_some(last))
    }
}

/// Measures those of rows 1 to 5 that are wanted.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    const ROWS: RangeInclusive<Row> = Row::Ideal4096..=Row::Slixmpp;
    if !plan.wants_any(&ROWS) {
        return Ok(Vec::new());
    }
    let who = Who::both(KeyAlgorithm::EcdsaP256);
    let slixmpp = if plan.wants(Row::Slixmpp) { Some(Slixmpp::start(plan.python(), &who)) } else { None };
    let slixmpp = RefCell::new(slixmpp);
    let mut lines = Vec::new();
    for block in BLOCKS {
        lines.append(&mut at(plan, block, &who, &slixmpp)?);
    }
    lines.retain(|line: &(Row, Line)| plan.wants(line.0));
    lines.sort_by_key(|line| line.0);
    Ok(lines.into_iter().map(|line| line.1).collect())
}

/// Sends bytes for so many seconds and does nothing else; tells how many millions in a second.
pub(crate) fn alone(block: u16, seconds: u16) -> String {
    let data = noise(Shape::of(block.into()).write);
    let mut pair = Pair::bulk(&bulk_config(block), &bulk_provider());
    let (start, mut writes) = (clock::now(), 0);
    while clock::since(start) < f64::from(seconds) {
        pair.send(&data);
        writes += 1;
    }
    format!("{:.1} MB/s of payload", float(writes * data.len()) / clock::since(start) / 1e6)
}

/// Measures all of them with blocks of one size.
fn at(
    plan: &Plan,
    block: usize,
    who: &[Who; 2],
    slixmpp: &RefCell<Option<Result<Slixmpp, Missing>>>,
) -> Result<Vec<(Row, Line)>, Failure> {
    let shape = Shape::of(block);
    let data = noise(shape.write);
    let configs = Configs::new(who, &bulk_provider()).with_records(shape.record);
    let size = u16::try_from(block).map_err(Failure::new)?;
    let mut pair = Pair::bulk(&bulk_config(size), &bulk_provider());
    let mut ideal = Ideal::new(&configs, shape.write);
    let mut naive = Buffered::new(&configs);
    let mut bare = Buffered::new(&configs);

    // Once with every byte compared; then they are counted.
    pair.send_and_compare(&data);
    let mut arrived = Vec::new();
    ideal.run(&data, block, |bytes| arrived.extend_from_slice(bytes));
    assert!(arrived == data, "IDEAL decrypts what was sent");
    arrived.clear();
    naive.naive(&data, block, |bytes| arrived.extend_from_slice(bytes));
    assert!(arrived == data, "NAIVE decrypts what was sent");

    let mut subjects = vec![
        Subject::new("engine", || pair.send(&data)),
        Subject::new("IDEAL", || ideal.run(&data, block, |_| ())),
        Subject::new("NAIVE", || naive.naive(&data, block, |_| ())),
        Subject::new("bare rustls", || bare.bare(&data)),
    ];
    for (name, work) in limit::parts(shape) {
        subjects.push(Subject::new(name, work));
    }
    let missing = match &*slixmpp.borrow() {
        None => None,
        Some(Err(missing)) => Some(missing.clone()),
        Some(Ok(_)) => {
            let run = |count: u64| match &mut *slixmpp.borrow_mut() {
                Some(Ok(slixmpp)) => slixmpp.helper().ask(&format!("{block} {} {count}", shape.write)),
                Some(Err(_)) | None => Err(Failure::new("slixmpp is not there")),
            };
            subjects.push(Subject::timed("slixmpp", run));
            None
        }
    };
    plan.sampling().interleave(&mut subjects)?;
    let whole = subjects[0].median();
    for subject in &subjects {
        let (rate, share) = (float(shape.write) / subject.median() / 1e6, 100.0 * subject.median() / whole);
        let name = subject.name();
        plan.note(format!("blocks of {block}: {name} {rate:.1} MB/s of payload; {share:.0} % of the engine's time"));
    }
    let found = Found::of(&subjects);
    Ok(found.lines(block, missing))
}

/// The samples of one block size.
struct Found<'a> {
    engine: &'a [f64],
    ideal: &'a [f64],
    naive: &'a [f64],
    limit: Vec<f64>,
    slixmpp: Option<&'a [f64]>,
}

impl<'a> Found<'a> {
    /// In the order in which they were made.
    fn of(subjects: &'a [Subject<'_>]) -> Self {
        let samples = |place: usize| subjects[place].samples();
        let limit = samples(4).iter().zip(samples(5)).zip(samples(6)).map(|((one, two), three)| one + two + three);
        let slixmpp = subjects.get(7).map(Subject::samples);
        Self { engine: samples(0), ideal: samples(1), naive: samples(2), limit: limit.collect(), slixmpp }
    }

    fn lines(&self, block: usize, missing: Option<Missing>) -> Vec<(Row, Line)> {
        let small = block == 4096;
        let name = |reference: &str| format!("payload / {reference}, blocks of {block}");
        let speed_of = |reference: &[f64]| Ok(speed(self.engine, reference));
        let (row, gate, aim) = if small { (Row::Ideal4096, 0.5, 0.75) } else { (Row::IdealLarge, 0.6, 0.85) };
        let ideal = Target::new(row, name("IDEAL"), Unit::Speed, gate, aim);
        let (gate, limit_aim) = if small { (0.5, 0.75) } else { (0.65, 0.9) };
        let limit = Target::new(Row::Limit, name("LIMIT"), Unit::Speed, gate, limit_aim);
        // How far IDEAL itself is ahead depends on the machine.
        let ahead = speed(self.ideal, self.naive).median;
        // Between the default and the largest of all there is no target.
        let gate = [(4096, 10.0), (65_535, 25.0)].iter().find(|gate| gate.0 == block).map(|gate| gate.1);
        let naive = Target { gate, ..Target::new(Row::Naive, name("NAIVE"), Unit::Speed, 0.0, aim * ahead) };
        let slixmpp = Target::new(Row::Slixmpp, name("slixmpp with ssl"), Unit::Speed, 80.0, 120.0);
        let beside_slixmpp: Result<Quartiles, Missing> = match self.slixmpp {
            Some(samples) => speed_of(samples),
            None => Err(missing.unwrap_or_else(|| Missing::new("not asked for"))),
        };
        vec![
            (row, ideal.line(speed_of(self.ideal))),
            (Row::Limit, limit.line(speed_of(&self.limit))),
            (Row::Naive, naive.line(speed_of(self.naive))),
            (Row::Slixmpp, slixmpp.line(beside_slixmpp)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_fill_whole_blocks_where_the_record_size_allows_it() {
        let blocks = |block| Shape::of(block).blocks().collect::<Vec<_>>();
        assert_eq!(blocks(4096), [4096; 16]);
        assert_eq!(blocks(32_760), [32_760; 8]);
        let records = (1 << 18) + 16 * RECORD_OVERHEAD;
        assert_eq!(blocks(65_535), [65_535, 65_535, 65_535, 65_535, (records - 4 * 65_535) / 3 * 3]);
    }
}
