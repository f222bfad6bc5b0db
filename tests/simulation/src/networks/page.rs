//! The tables.

use core::{error::Error, fmt::Write as _, time::Duration};

use xtls::config::Window;

use super::{Conditions, Measured, Outcome, Quantiles, measure, plot};

/// The windows that are compared, each with its name.
pub(super) const WINDOWS: [(Window, &str); 5] = [
    (Window::Adaptive, "adaptive"),
    (Window::Fixed(1), "1"),
    (Window::Fixed(4), "4"),
    (Window::Fixed(16), "16"),
    (Window::Fixed(32), "32"),
];

/// What the tables of all paths tell, as [`cells`] has it.
const TABLES: [&str; 3] = [
    "Goodput, in kB/s, and the share of the bandwidth",
    "The round trip of a block, in ms: the median (95 %)",
    "What a ping waits, in ms: the median (95 %)",
];

/// By how much a stanza may take longer where there is jitter: by this part of its latency.
const JITTER: u32 = 5;

/// What servers let a client send, as their packages are set up, in bytes a second and at once.
const SERVERS: [(&str, u64, u64); 2] = [
    ("Prosody 0.12: `limits.c2s.rate = \"10kb/s\"`, and a burst of 2 s", 10_000, 20_000),
    ("ejabberd 23.01: `shaper.normal`, `rate: 3000`, `burst_size: 20000`", 3000, 20_000),
];

/// All paths with all windows.
#[derive(Debug)]
pub struct Report {
    /// For each window.
    outcomes: [Vec<Outcome>; WINDOWS.len()],
}

impl Report {
    /// Plays all of it.
    #[must_use]
    pub fn play() -> Self {
        let play = |(window, _)| Conditions::paths().map(|path| Outcome::of(Conditions { window, ..path })).collect();
        Self { outcomes: WINDOWS.map(play) }
    }

    /// How many of the paths that the adaptive window is held to each window fills, and makes no queue on.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut page = String::new();
        let names =
            ["window", "paths of 15 that are full", "on which nothing queues", "both", "longest wait of a ping, ms"];
        head(&mut page, &names);
        for ((_, name), outcomes) in WINDOWS.iter().zip(&self.outcomes) {
            let held = || outcomes.iter().filter(|outcome| outcome.path.is_held());
            let cells = [
                held().filter(|outcome| outcome.is_full()).count().to_string(),
                held().filter(|outcome| outcome.is_quick()).count().to_string(),
                held().filter(|outcome| outcome.is_full() && outcome.is_quick()).count().to_string(),
                millis(held().map(|outcome| outcome.ping.median).max().unwrap_or_default()),
            ];
            row(&mut page, name, &cells);
        }
        page
    }

    /// The tables, in Markdown.
    #[must_use]
    pub fn tables(&self) -> String {
        let mut page = String::new();
        for (at, title) in TABLES.iter().enumerate() {
            write!(page, "### {title}\n\n").expect("a string takes all");
            let bound = if at == 1 { &["bound"][..] } else { &[] };
            let names = WINDOWS.map(|(_, name)| name);
            head(&mut page, &[&["round trip, ms", "Mbit/s"], &names[..], bound].concat());
            for (place, path) in Conditions::paths().enumerate() {
                let outcomes = self.outcomes.iter().filter_map(|outcomes| outcomes.get(place));
                let mut row_cells: Vec<_> = outcomes.map(|outcome| cells(outcome)[at].clone()).collect();
                if at == 1 {
                    row_cells.push(self.bound(&path));
                }
                row(&mut page, &path_cells(&path), &row_cells);
            }
            page.push('\n');
        }
        self.others(&mut page);
        servers(&mut page);
        page
    }

    /// The picture, as SVG.
    ///
    /// # Errors
    ///
    /// When it cannot be drawn.
    pub fn plot(&self) -> Result<String, Box<dyn Error>> {
        plot::plot(&self.outcomes)
    }

    /// The adaptive window where it is harder.
    fn others(&self, page: &mut String) {
        page.push_str("### The adaptive window with jitter, with two tunnels, and both ways\n\n");
        page.push_str(
            "The share of the bandwidth; a block's round trip and what a ping waits, in ms: the median (95 %).\n\n",
        );
        head(page, &["round trip, ms", "Mbit/s", "jitter", "two tunnels", "both ways", "all three", "bound"]);
        for path in Conditions::paths() {
            let jitter = path.round_trip / 2 / JITTER;
            let kinds = [(jitter, 1, false), (Duration::ZERO, 2, false), (Duration::ZERO, 1, true), (jitter, 2, true)];
            let mut row_cells = kinds
                .map(|(jitter, tunnels, both_ways)| {
                    brief(&measure(&Conditions { jitter, tunnels, both_ways, pings: true, ..path.clone() }))
                })
                .to_vec();
            row_cells.push(self.bound(&path));
            row(page, &path_cells(&path), &row_cells);
        }
    }

    /// What a block's round trip is held to on this path, if it is to anything.
    fn bound(&self, path: &Conditions) -> String {
        let stanza = self.outcomes.iter().flatten().map(|outcome| outcome.measured.stanza).max().unwrap_or_default();
        if path.is_held() { millis(path.bound(stanza)) } else { String::new() }
    }
}

/// What the tables say of one window on one path: goodput, the round trip of a block, and what a ping waits.
#[must_use]
pub fn cells(outcome: &Outcome) -> [String; TABLES.len()] {
    let Measured { goodput, share, block, .. } = &outcome.measured;
    let digits = if *goodput < 100_000.0 { 1 } else { 0 };
    [format!("{:.digits$} ({share:.2})", goodput / 1000.0), quantiles(block), quantiles(&outcome.ping)]
}

/// How the rows of a path begin.
#[must_use]
pub fn path_cells(path: &Conditions) -> String {
    let bandwidth = Duration::from_nanos(path.bytes_per_second * 8).as_secs_f64() * 1000.0;
    format!("{} | {bandwidth}", path.round_trip.as_millis())
}

/// Servers that read no faster than they are set to.
fn servers(page: &mut String) {
    page.push_str("\n### Rates of servers\n\n");
    page.push_str(
        "Goodput in kB/s; a block's round trip and what a ping waits, in ms: the median (95 %). Round trip 50 ms.\n\n",
    );
    head(page, &[&["server"], &WINDOWS.map(|(_, name)| name)[..]].concat());
    for (name, bytes_per_second, burst) in SERVERS {
        let path = Conditions { bytes_per_second, burst, ..Conditions::path(50, 0) };
        let outcomes = WINDOWS.map(|(window, _)| Outcome::of(Conditions { window, ..path.clone() }));
        row(page, name, &outcomes.map(|outcome| cells(&outcome).join("; ")));
    }
}

fn head(page: &mut String, names: &[&str]) {
    row(page, names[0], &names[1..].iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    writeln!(page, "|{}", "---|".repeat(names.len())).expect("a string takes all");
}

fn row(page: &mut String, first: &str, cells: &[String]) {
    let cells = cells.iter().map(|cell| format!(" {cell} |")).collect::<String>();
    writeln!(page, "| {first} |{cells}").expect("a string takes all");
}

fn brief(measured: &Measured) -> String {
    format!("{:.2}; {}; {}", measured.share, quantiles(&measured.block), quantiles(&measured.ping))
}

fn quantiles(times: &Quantiles) -> String {
    format!("{} ({})", millis(times.median), millis(times.p95))
}

fn millis(time: Duration) -> String {
    let tenths = (time.as_micros() + 50) / 100;
    if tenths < 1000 { format!("{}.{}", tenths / 10, tenths % 10) } else { ((tenths + 5) / 10).to_string() }
}
