//! Rows 10 and 11: memory that an end of a tunnel takes, beside an end of a connection of bare rustls. What a process has freed it
//! uses again, so every subject has a process of its own.

use std::{
    fs,
    hint::black_box,
    io::{Read as _, Write as _},
    time::Instant,
};

use clap::ValueEnum;
use rustls::crypto::aws_lc_rs::kx_group;
use xtls::{Engine, Event, TunnelId, tls::KeyAlgorithm};

use crate::{
    args::Part,
    clock,
    engines::{JULIET, Who, direct_config, noise, open, raw},
    failure::{Failure, Missing},
    part,
    plan::Plan,
    references::tls::{Configs, Ends, provider_with},
    report::{Line, Target, Unit},
    row::Row,
    stats::{Quartiles, float, time},
};

/// Bytes that go through each tunnel for row 11.
const BURST: usize = 1 << 16;
/// Processes of each subject: what they hold is nearly the same each time.
const PROCESSES: usize = 3;
/// How many are opened first, for what is made once.
const WARM: usize = 20;
/// Tunnels between two engines, at most.
const PER_PEER: usize = 1000;
/// Where Linux tells how much memory is resident.
pub(crate) const RESIDENT: &str = "/proc/self/smaps_rollup";

/// Who holds the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Holder {
    /// An engine with tunnels of raw bytes, and those at the other ends.
    Engine,
    /// Connections of bare rustls.
    Rustls,
}

impl Holder {
    /// As the command line has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Rustls => "rustls",
        }
    }
}

/// Measures those of rows 10 and 11 that are wanted.
pub(crate) fn measure(plan: &Plan) -> Result<Vec<Line>, Failure> {
    if !plan.wants(Row::Idle) && !plan.wants(Row::Drained) {
        return Ok(Vec::new());
    }
    let tunnels = plan.tunnels();
    let target = |row, name: &str, gate, aim| {
        Target::new(row, format!("{name}, {tunnels} tunnels of one engine"), Unit::Bytes, gate, aim)
    };
    let idle = target(Row::Idle, "resident bytes of an idle end / rustls", 1.75, 1.5);
    let drained = target(Row::Drained, "resident bytes after 64 KiB / rustls", 1.0, 0.8);
    let found = if resident().is_err() { Err(Missing::new(format!("no {RESIDENT}"))) } else { Ok(both(plan)?) };
    let mut lines = Vec::new();
    if plan.wants(Row::Idle) {
        lines.push(idle.line(found.as_ref().map(|found| found[0]).map_err(Clone::clone)));
    }
    if plan.wants(Row::Drained) {
        lines.push(drained.line(found.map(|found| found[1])));
    }
    Ok(lines)
}

/// What a process of its own measures: resident bytes for each end, idle and after the burst.
pub(crate) fn of(holder: Holder, tunnels: u16) -> Result<String, Failure> {
    let [idle, drained] = match holder {
        Holder::Engine => engine(usize::from(tunnels)),
        Holder::Rustls => rustls(usize::from(tunnels)),
    }?;
    Ok(format!("{idle} {drained}"))
}

fn both(plan: &Plan) -> Result<[Quartiles; 2], Failure> {
    let mut figures = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for round in 0..plan.processes().min(PROCESSES) {
        // In turns, and the order turned each round.
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let holder = [Holder::Engine, Holder::Rustls][which];
            let found = part::run(&Part::Memory { holder, tunnels: plan.tunnels() })?;
            let [idle, drained] = found[..] else { return Err(Failure::new("two figures were expected")) };
            figures[which][0].push(idle);
            figures[which][1].push(drained);
        }
    }
    let [engine, rustls] = &figures;
    for (name, [idle, drained]) in [("engine", engine), ("rustls", rustls)] {
        let [idle, drained] = [idle, drained].map(|values| Quartiles::of(values).median);
        plan.note(format!("memory of an end: {name} {idle:.0} bytes idle, {drained:.0} after {BURST}"));
    }
    Ok([0, 1].map(|place| time(&engine[place], &rustls[place])))
}

fn engine(tunnels: usize) -> Result<[f64; 2], Failure> {
    let mut warm = Circle::new(WARM);
    warm.open();
    let data = noise(BURST);
    let mut ids = Vec::with_capacity(tunnels);
    let each = each_end(tunnels)?;
    let mut circle = Circle::new(tunnels);
    ids.append(&mut circle.open());
    let idle = each()?;
    for (romeo, ids) in &ids {
        burst([&mut circle.romeos[*romeo], &mut circle.juliet], *ids, &data, circle.now);
    }
    let drained = each()?;
    assert_eq!(circle.juliet.tunnels().count(), tunnels, "all of them are there");
    black_box((&warm, &circle));
    Ok([idle, drained])
}

/// Juliet's engine, and as many others as it takes to have so many tunnels with it.
struct Circle {
    tunnels: usize,
    who: Who,
    juliet: Engine,
    romeos: Vec<Engine>,
    now: Instant,
}

impl Circle {
    fn new(tunnels: usize) -> Self {
        let provider = provider_with(kx_group::X25519);
        let now = clock::now();
        let mut config = direct_config();
        config.tunnels = tunnels;
        config.tunnels_per_peer = PER_PEER;
        let someone = |jid: &str| Who::new(jid, KeyAlgorithm::EcdsaP256);
        let who = someone(JULIET);
        let romeos: Vec<Who> = (0..tunnels.div_ceil(PER_PEER))
            .map(|number| someone(&format!("romeo@montague{number}.example/orchard-7f3a9c")))
            .collect();
        Self {
            tunnels,
            juliet: who.engine(config.clone(), &romeos.iter().collect::<Vec<_>>(), &provider, now),
            romeos: romeos.iter().map(|romeo| romeo.engine(config.clone(), &[&who], &provider, now)).collect(),
            who,
            now,
        }
    }

    /// Opens all tunnels; gives whose each is, and its names at both ends.
    fn open(&mut self) -> Vec<(usize, [TunnelId; 2])> {
        let Self { tunnels, who, juliet, romeos, now } = self;
        let mut one = |tunnel| {
            let romeo = tunnel / PER_PEER;
            (romeo, open([&mut romeos[romeo], &mut *juliet], who, &raw(), *now))
        };
        (0..*tunnels).map(&mut one).collect()
    }
}

/// Sends bytes through a tunnel; they are read and acknowledged.
fn burst([from, to]: [&mut Engine; 2], ids: [TunnelId; 2], data: &[u8], now: Instant) {
    let (mut written, mut read) = (0, 0);
    let (mut stanza, mut received) = (String::new(), Vec::new());
    while read < data.len() {
        if written < data.len() {
            let mut tunnel = from.tunnel(ids[0]).expect("it is open");
            written += tunnel.write(now, &data[written..]).expect("it takes bytes");
        }
        while from.poll_transmit(now, &mut stanza).is_some() {
            let _ = to.handle_stanza(now, &stanza);
            stanza.clear();
        }
        let before = read;
        while let Some(event) = to.poll_event() {
            if let Event::Readable { id } = event {
                read += to.tunnel(id).expect("it is open").read(now, &mut received);
                received.clear();
            }
        }
        while to.poll_transmit(now, &mut stanza).is_some() {
            let _ = from.handle_stanza(now, &stanza);
            stanza.clear();
        }
        while from.poll_event().is_some() {}
        assert!(read > before, "the transfer goes on");
    }
    assert_eq!(from.tunnel(ids[0]).expect("it is open").unacked(), 0, "all of it is acknowledged");
}

fn rustls(connections: usize) -> Result<[f64; 2], Failure> {
    let configs = Configs::new(&Who::both(KeyAlgorithm::EcdsaP256), &provider_with(kx_group::X25519));
    let warm: Vec<Ends> = (0..WARM).map(|_| configs.handshake()).collect();
    let data = noise(BURST);
    let mut all = Vec::with_capacity(connections);
    let each = each_end(connections)?;
    for _ in 0..connections {
        all.push(configs.handshake());
    }
    let idle = each()?;
    all.iter_mut().for_each(|ends| burst_of_rustls(ends, &data));
    let drained = each()?;
    black_box((&warm, &all));
    Ok([idle, drained])
}

/// Sends bytes through a connection; they are read.
fn burst_of_rustls(Ends { client, server }: &mut Ends, data: &[u8]) {
    let (mut wire, mut plain, mut read) = (Vec::with_capacity(2 * BURST), vec![0; BURST], 0);
    client.writer().write_all(data).expect("without a limit it takes all");
    while client.wants_write() {
        client.write_tls(&mut wire).expect("a vector takes it");
    }
    let mut rest = &wire[..];
    while !rest.is_empty() {
        server.read_tls(&mut rest).expect("a slice gives it");
        server.process_new_packets().expect("the records are whole");
        // An error says that there is nothing more for now.
        while let Ok(count) = server.reader().read(&mut plain) {
            if count == 0 {
                break;
            }
            read += count;
        }
    }
    assert_eq!(read, data.len(), "all of it is decrypted");
}

/// Tells how much has become resident since now for each end.
fn each_end(pairs: usize) -> Result<impl Fn() -> Result<f64, Failure>, Failure> {
    let before = resident()?;
    Ok(move || Ok((resident()? - before) / (2.0 * float(pairs))))
}

/// Resident bytes of this process.
pub(crate) fn resident() -> Result<f64, Failure> {
    let text = fs::read_to_string(RESIDENT).map_err(|error| Failure::new(format!("{RESIDENT}: {error}")))?;
    let kilobytes =
        text.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    let kilobytes: f64 = kilobytes.ok_or_else(|| Failure::new(format!("{RESIDENT} has no Rss")))?;
    Ok(kilobytes * 1024.0)
}
