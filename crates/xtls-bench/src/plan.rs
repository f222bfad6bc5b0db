//! What is to be measured, and how.

use std::{
    io::{self, Write as _},
    ops::RangeInclusive,
    path::Path,
};

use crate::{args::Args, row::Row, stats::Sampling};

/// What is to be measured, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    args: Args,
    rows: Vec<Row>,
}

impl Plan {
    /// What the command line says.
    pub(crate) fn new(args: Args) -> Self {
        let rows = args.rows();
        Self { args, rows }
    }

    /// Whether a row is wanted.
    pub(crate) fn wants(&self, row: Row) -> bool {
        self.rows.contains(&row)
    }

    /// Whether one of them is.
    pub(crate) fn wants_any(&self, rows: &RangeInclusive<Row>) -> bool {
        self.rows.iter().any(|row| rows.contains(row))
    }

    /// How long and how often.
    pub(crate) fn sampling(&self) -> Sampling {
        self.args.sampling()
    }

    /// Processes that are started of each subject that needs some of its own.
    pub(crate) fn processes(&self) -> usize {
        self.sampling().rounds.min(9)
    }

    /// The Python that was named.
    pub(crate) fn python(&self) -> Option<&Path> {
        self.args.python.as_deref()
    }

    /// Tunnels whose memory is measured.
    pub(crate) fn tunnels(&self) -> u16 {
        self.args.tunnels
    }

    /// MiB that go through one tunnel.
    pub(crate) fn mebibytes(&self) -> u16 {
        self.args.mebibytes
    }

    /// Idle tunnels beside a busy one.
    pub(crate) fn idle(&self) -> usize {
        usize::from(self.args.idle)
    }

    /// Tells of an absolute figure, which holds for this moment on this machine alone.
    pub(crate) fn note(&self, text: String) {
        // Nobody is stopped by a standard error that is closed.
        let _ = writeln!(io::stderr(), "  {text}");
    }
}
