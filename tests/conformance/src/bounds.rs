//! The table of bounds in docs/architecture.md, which names the tests of each.

use std::fs;
use std::path::Path;

use crate::tests_found::tests;

/// Reads the table and looks for the tests that it names; says how many bounds there are.
///
/// # Errors
///
/// Every row that names no test, or one that there is not.
pub fn bounds(root: &Path) -> Result<usize, Vec<String>> {
    let fault = |error: std::io::Error| vec![error.to_string()];
    let document = fs::read_to_string(root.join("docs/architecture.md")).map_err(fault)?;
    let found = tests(root).map_err(fault)?;
    check(&document, |name| found.contains_key(name))
}

fn check(document: &str, is_test: impl Fn(&str) -> bool) -> Result<usize, Vec<String>> {
    let section = document.split("\n## Bounds\n").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut faults = Vec::new();
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    for row in &rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        let &[what, _, _, tests] = cells.as_slice() else {
            faults.push(format!("a row without its four cells: {row}"));
            continue;
        };
        let names: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            faults.push(format!("no test of:{what}"));
        }
        faults.extend(names.iter().filter(|name| !is_test(name)).map(|name| format!("no such test: {name}")));
    }
    if rows.is_empty() {
        faults.push("no table of bounds".to_owned());
    }
    if faults.is_empty() { Ok(rows.len()) } else { Err(faults) }
}

#[test]
fn a_bound_without_a_test_and_a_test_that_there_is_not_are_told() {
    let table = |rows: &str| {
        format!("# A\n\n## Bounds\n\n| what | default | where | tests |\n|---|---|---|---|\n{rows}\n\n## B\n| x |\n")
    };
    let check = |rows: &str| check(&table(rows), |name| name == "one");
    assert_eq!(check("| a | 1 | `A` | `one` |\n| b / c | 2 | `B` | `one`, `one` |"), Ok(2));
    assert_eq!(check("| a | 1 | `A` | `two` |"), Err(vec!["no such test: two".to_owned()]));
    assert_eq!(check("| a | 1 | `A` | none |"), Err(vec!["no test of: a".to_owned()]));
    assert!(check("| a | 1 | `A` |").is_err() && check("").is_err());
}
