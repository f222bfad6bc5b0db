//! Every row is measured once, shortly: the command runs, and no row is lost.

use std::{collections::BTreeMap, process::Command};

/// How many figures each row has.
const FIGURES: [(&str, usize); 18] = [
    ("1", 1),
    ("2", 2),
    ("3", 3),
    ("4", 3),
    ("5", 3),
    ("6", 4),
    ("7", 3),
    ("8", 2),
    ("8b", 2),
    ("9", 1),
    ("10", 1),
    ("11", 1),
    ("12", 4),
    ("15", 3),
    ("long", 1),
    ("streams", 3),
    ("others", 6),
    ("setup", 3),
];

#[test]
fn every_row_is_measured_and_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("figures.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtls-bench"));
    command
        .args(["--rounds", "1", "--ms", "1", "--tunnels", "20", "--idle", "100", "--mebibytes", "65", "--json"])
        .arg(&file);
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let text = std::fs::read_to_string(&file).expect("it writes the file");
    let figures: Vec<serde_json::Value> = serde_json::from_str(&text).expect("it is JSON");
    let table = String::from_utf8(output.stdout).expect("it is text");
    assert_eq!(table.lines().count(), 1 + figures.len(), "a line for each figure, and one for the head");
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    for figure in &figures {
        *rows.entry(figure["row"].as_str().expect("a row")).or_default() += 1;
        let name = figure["name"].as_str().expect("a name");
        assert!(table.contains(name), "{name}");
        for key in ["gate", "aim", "unit"] {
            assert!(figure.get(key).is_some(), "{name}: {key}");
        }
        if figure["ratio"].is_null() {
            // A reference that this machine does not have.
            assert!(figure["pass"].is_null() && figure["reason"].is_string(), "{name}");
            assert!(["5", "8", "9", "10", "11"].contains(&figure["row"].as_str().expect("a row")), "{name}: {figure}");
        } else {
            let [q1, ratio, q3] = ["q1", "ratio", "q3"].map(|key| figure[key].as_f64().expect("a number"));
            // Of all figures only those that are counted may be 0.
            assert!(0.0 < q1 || figure["unit"] == "allocations", "{name}: {figure}");
            assert!(q1 <= ratio && ratio <= q3, "{name}: {figure}");
            assert_eq!(figure["pass"].is_null(), figure["gate"].is_null(), "{name}: {figure}");
        }
    }
    assert_eq!(rows, BTreeMap::from(FIGURES));
}

#[test]
fn a_row_that_is_asked_for_comes_alone() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtls-bench"));
    let output = command.args(["--rows", "12", "--check"]).output().expect("it starts");
    assert!(output.status.success(), "the exact row holds: {}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).expect("it is text");
    assert!(table.lines().skip(1).all(|line| line.starts_with("12 ")), "{table}");
}
