//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum as _};

use crate::{memory::Holder, row::Row, stats::Sampling};

/// Measures the engine beside what a user would take instead
///
/// Subject and reference take turns in an order that is turned each round; a figure is the median of the ratios of neighbours,
/// with its quartiles. So what else the machine does matters little, and absolute times are not told.
///
/// What they are measured beside: bare rustls; IDEAL (rustls without buffers, stanzas written by hand, the fastest base64, and
/// no acknowledgements); LIMIT (the sum of encryption, base64 and copying); NAIVE (rustls, xmpp-parsers and minidom); slixmpp with
/// Python's ssl, if there is a Python with slixmpp; OpenSSL's TLS-SRP, if there is a C compiler with OpenSSL's headers.
#[derive(Debug, Parser)]
#[command(name = "xtls-bench", version, max_term_width = 120)]
pub(crate) struct Args {
    /// The rows to measure, such as 1,4,8b [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROWS")]
    rows: Vec<Row>,

    /// Writes the figures to this file too: an array of objects with row, name, ratio, q1, q3, gate, aim, pass, unit, and reason
    /// where pass is null
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Ends with status 1 if a gate is missed
    #[arg(long)]
    pub(crate) check: bool,

    /// Samples of each subject
    #[arg(long, value_name = "N", default_value_t = 31, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,

    /// Milliseconds for each sample
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    ms: u16,

    /// A Python that has slixmpp [default: that of tests/ibb-interop/run if it is there, or python3]
    #[arg(long, value_name = "PATH")]
    pub(crate) python: Option<PathBuf>,

    /// Tunnels whose memory is measured (rows 10 and 11)
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    pub(crate) tunnels: u16,

    /// Idle tunnels beside the busy one (row 15), at least 100; a tenth of them is measured too
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(100..=20_000))]
    pub(crate) idle: u16,

    /// MiB that are sent through one tunnel (row long)
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(65..))]
    pub(crate) mebibytes: u16,

    /// Instead of rows.
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
}

/// What is done instead of measuring rows. The benchmark starts itself again for what needs a process of its own.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Part {
    /// Send bytes through a tunnel and do nothing else: for a profiler
    Transfer {
        /// Bytes of a block
        #[arg(default_value_t = 4096)]
        block: u16,
        /// How long
        #[arg(default_value_t = 5)]
        seconds: u16,
    },
    /// Send messages of 281 bytes and do nothing else: for a profiler
    Message {
        /// How long
        #[arg(default_value_t = 5)]
        seconds: u16,
    },
    /// Open tunnels, close them, and do nothing else: for a profiler
    Handshake {
        /// How long
        #[arg(default_value_t = 5)]
        seconds: u16,
    },
    /// Bytes of memory for each end
    #[command(hide = true)]
    Memory {
        /// Who holds it.
        holder: Holder,
        /// How many pairs of ends.
        tunnels: u16,
    },
    /// Resident bytes while so much goes through a tunnel
    #[command(hide = true)]
    Long {
        /// How much.
        mebibytes: u16,
    },
    /// Seconds of the first handshake in a process, and of a later one
    #[command(hide = true)]
    FirstSrp {
        /// The size of the group.
        bits: u16,
    },
}

impl Args {
    /// The rows to measure, in their order.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let wanted = |row: &Row| self.rows.is_empty() || self.rows.contains(row);
        Row::value_variants().iter().copied().filter(wanted).collect()
    }

    /// How long and how often.
    pub(crate) fn sampling(&self) -> Sampling {
        Sampling { rounds: usize::from(self.rounds), milliseconds: f64::from(self.ms) }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn rows_come_in_their_order_and_all_without_a_choice() {
        let rows = |args: &[&str]| {
            let args = Args::try_parse_from(["xtls-bench"].iter().chain(args)).expect("it is read");
            args.rows().into_iter().map(Row::name).collect::<Vec<_>>()
        };
        assert_eq!(rows(&["--rows", "8b,4,1"]), ["1", "4", "8b"]);
        let all = [
            "1", "2", "3", "4", "5", "6", "7", "8", "8b", "9", "10", "11", "12", "15", "streams", "others", "setup",
            "long",
        ];
        assert_eq!(rows(&[]), all);
        assert!(Args::try_parse_from(["xtls-bench", "--rows", "13"]).is_err());
    }
}
