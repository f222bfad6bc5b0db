//! What was measured: as lines of a table, and as JSON.

use serde::Serialize;

use crate::{failure::Missing, row::Row, stats::Quartiles};

/// What a figure says, and with it which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    /// How many times faster the subject is than the reference.
    #[serde(rename = "ratio of speeds")]
    Speed,
    /// How many times as long the subject takes.
    #[serde(rename = "ratio of times")]
    Time,
    /// How many times as many bytes the subject takes.
    #[serde(rename = "ratio of bytes")]
    Bytes,
    /// How many times as often the subject looks at a tunnel.
    #[serde(rename = "ratio of looks")]
    Looks,
    /// A number of allocations.
    #[serde(rename = "allocations")]
    Allocations,
    /// A number of bytes.
    #[serde(rename = "bytes")]
    ByteCount,
}

/// A target: what is to be reached.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The row that it belongs to.
    pub(crate) row: Row,
    /// What is measured beside what, and in which circumstances.
    pub(crate) name: String,
    /// What the figure says.
    pub(crate) unit: Unit,
    /// What must be reached; `None` where the figure is shown for comparison alone.
    pub(crate) gate: Option<f64>,
    /// What we would like to reach.
    pub(crate) aim: Option<f64>,
}

/// A target and what was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    row: String,
    name: String,
    ratio: Option<f64>,
    q1: Option<f64>,
    q3: Option<f64>,
    gate: Option<f64>,
    aim: Option<f64>,
    /// Whether the median reaches the gate; `None` without a figure or a gate.
    pub(crate) pass: Option<bool>,
    unit: Unit,
    /// Why there is no figure or no gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Unit {
    /// Whether more is better.
    fn more_is_better(self) -> bool {
        match self {
            Self::Speed => true,
            Self::Time | Self::Bytes | Self::Looks | Self::Allocations | Self::ByteCount => false,
        }
    }

    /// Digits after the point that say something.
    fn digits(self) -> usize {
        match self {
            Self::Bytes => 4,
            Self::Speed | Self::Time | Self::Looks => 3,
            Self::Allocations | Self::ByteCount => 1,
        }
    }
}

impl Target {
    /// A target with a gate and an aim.
    pub(crate) fn new(row: Row, name: impl Into<String>, unit: Unit, gate: f64, aim: f64) -> Self {
        Self { row, name: name.into(), unit, gate: Some(gate), aim: Some(aim) }
    }

    /// The line of what was measured.
    pub(crate) fn line(self, measured: Result<Quartiles, Missing>) -> Line {
        let pass = match (&measured, self.gate) {
            (Ok(found), Some(gate)) if self.unit.more_is_better() => Some(found.median >= gate),
            (Ok(found), Some(gate)) => Some(found.median <= gate),
            (Ok(_), None) | (Err(_), _) => None,
        };
        let reason = match &measured {
            Ok(_) => self.gate.is_none().then(|| "no gate is set here: shown for comparison".to_owned()),
            Err(missing) => Some(missing.to_string()),
        };
        let found = measured.ok();
        Line {
            row: self.row.name(),
            name: self.name,
            ratio: found.map(|found| found.median),
            q1: found.map(|found| found.q1),
            q3: found.map(|found| found.q3),
            gate: self.gate,
            aim: self.aim,
            pass,
            unit: self.unit,
            reason,
        }
    }
}

/// The table, a line of text for each line and one for its head.
pub(crate) fn table(lines: &[Line]) -> String {
    let head = ["row", "what", "median [quartiles]", "gate", "aim", ""].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(lines.iter().map(cells)).collect();
    let widths: Vec<usize> =
        (0..6).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let padded: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// An array of objects, one for each line.
pub(crate) fn json(lines: &[Line]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(lines)
}

fn cells(line: &Line) -> [String; 6] {
    let digits = line.unit.digits();
    let figure = match (line.ratio, line.q1, line.q3) {
        (Some(ratio), Some(q1), Some(q3)) if q1 < q3 => {
            format!("{ratio:.digits$} [{q1:.digits$}..{q3:.digits$}]")
        }
        (Some(ratio), _, _) => format!("{ratio:.digits$}"),
        (None, _, _) => "-".to_owned(),
    };
    let sign = if line.unit.more_is_better() { ">=" } else { "<=" };
    let bound = |bound: Option<f64>| bound.map_or_else(String::new, |bound| format!("{sign} {}", short(bound)));
    let verdict = match line.pass {
        Some(true) => "pass".to_owned(),
        Some(false) => "FAIL".to_owned(),
        None => line.reason.clone().unwrap_or_default(),
    };
    [line.row.clone(), line.name.clone(), figure, bound(line.gate), bound(line.aim), verdict]
}

/// At most three digits after the point, and no zeros at the end.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn target(unit: Unit) -> Target {
        Target::new(Row::Ideal4096, "payload / IDEAL", unit, 2.0, 3.5)
    }

    #[test]
    fn the_median_decides_and_the_gate_itself_is_reached() {
        let pass = |unit, median| target(unit).line(Ok(Quartiles { q1: 0.0, median, q3: 9.0 })).pass;
        assert_eq!([1.999, 2.0, 2.001].map(|median| pass(Unit::Speed, median)), [Some(false), Some(true), Some(true)]);
        assert_eq!([1.999, 2.0, 2.001].map(|median| pass(Unit::Time, median)), [Some(true), Some(true), Some(false)]);
    }

    #[test]
    fn a_line_of_json_has_the_keys_that_are_promised() {
        let line = target(Unit::Speed).line(Ok(Quartiles { q1: 2.0, median: 2.25, q3: 2.5 }));
        let value: serde_json::Value = serde_json::from_str(&json(&[line]).expect("JSON")).expect("JSON");
        let expected = serde_json::json!([{
            "row": "1", "name": "payload / IDEAL", "ratio": 2.25, "q1": 2.0, "q3": 2.5, "gate": 2.0, "aim": 3.5,
            "pass": true, "unit": "ratio of speeds",
        }]);
        assert_eq!(value, expected);
    }

    #[test]
    fn without_a_reference_there_is_no_verdict_but_a_reason() {
        let line = target(Unit::Speed).line(Err(Missing::new("slixmpp is not here")));
        let value = serde_json::to_value(&line).expect("JSON");
        for key in ["ratio", "q1", "q3", "pass"] {
            assert!(value[key].is_null(), "{key}");
        }
        assert_eq!(value["reason"], "slixmpp is not here");
        assert!(table(&[line]).contains("slixmpp is not here"));
    }

    #[test]
    fn a_figure_without_a_gate_is_shown_and_not_judged() {
        let line = Target { gate: None, ..target(Unit::Speed) }.line(Ok(Quartiles::exact(1.0)));
        assert_eq!(line.pass, None);
        assert!(line.reason.is_some() && table(&[line]).contains("1.000"));
    }

    #[test]
    fn a_table_is_aligned_and_says_which_way_is_better() {
        let lines = [
            target(Unit::Speed).line(Ok(Quartiles { q1: 2.0, median: 2.25, q3: 2.5 })),
            Target { name: "x".to_owned(), ..target(Unit::Time) }.line(Ok(Quartiles::exact(2.5))),
        ];
        let table = table(&lines);
        let rows: Vec<&str> = table.lines().collect();
        assert_eq!(rows.len(), 3);
        assert!(rows[1].contains("2.250 [2.000..2.500]") && rows[1].contains(">= 2 ") && rows[1].ends_with("pass"));
        assert!(rows[2].contains("<= 2 ") && rows[2].ends_with("FAIL"));
        let starts: BTreeSet<_> = rows.iter().map(|row| row.find(['g', '>', '<'])).collect();
        assert_eq!(starts.len(), 1, "{table}");
    }
}
