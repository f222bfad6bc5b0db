//! The attack table of docs/threat-model.md, held against the tests.

use std::fs;
use std::path::Path;

use crate::tests_found::{Tests, tests};

/// The rows that there are: the letter of who attacks, and how many.
const ROWS: [(char, u8); 3] = [('M', 37), ('P', 32), ('L', 8)];

/// Whether each attack has its row, with an outcome and the tests that show it, and each test named after an attack is one.
///
/// # Errors
///
/// What is wrong, line by line: a row that is missing or stands in another place, one that names no test of its own, a test that
/// does not exist, a test that is named after no row.
pub fn attack_table(root: &Path) -> Result<(), Vec<String>> {
    let page = fs::read_to_string(root.join("docs/threat-model.md")).map_err(|fault| vec![fault.to_string()])?;
    let tests = tests(root).map_err(|fault| vec![fault.to_string()])?;
    let faults = faults(&page, &tests);
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn faults(page: &str, tests: &Tests) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expected = ROWS.iter().flat_map(|(letter, count)| (1..=*count).map(move |at| (*letter, at)));
    for (name, cells) in page.lines().filter_map(row) {
        match expected.next() {
            Some((letter, at)) if name == format!("{letter}{at}") => {
                let prefix = format!("{}{at:02}_", letter.to_ascii_lowercase());
                check(name, &prefix, &cells, tests, &mut faults);
            }
            Some((letter, at)) => return vec![format!("{name} stands where {letter}{at} should")],
            None => return vec![format!("{name} is a row too many")],
        }
    }
    faults.extend(expected.next().map(|(letter, at)| format!("{letter}{at} is missing")));
    faults.extend(tests.iter().filter_map(|(test, files)| {
        let number = attack(test)?;
        let fits = |(letter, count): &(char, u8)| {
            let is_in = |number: &str| number.len() == 2 && number.parse().is_ok_and(|at| (1..=*count).contains(&at));
            test.starts_with(letter.to_ascii_lowercase()) && is_in(number)
        };
        (!ROWS.iter().any(fits)).then(|| format!("{}: there is no such row: {test}", files.join(", ")))
    }));
    faults
}

/// The name of a row and what stands in it, if a line is one.
fn row(line: &str) -> Option<(&str, Vec<&str>)> {
    let cells: Vec<_> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    let (name, rest) = cells.split_first()?;
    let (letter, number) = name.split_at_checked(1)?;
    let is_row = ROWS.iter().any(|(row, _)| letter == row.to_string()) && number.parse::<u8>().is_ok();
    is_row.then(|| (*name, rest.to_vec()))
}

fn check(name: &str, prefix: &str, cells: &[&str], tests: &Tests, faults: &mut Vec<String>) {
    let [attack, outcome, shown] = cells else {
        return faults.push(format!("{name} has not an attack, an outcome and its tests"));
    };
    if attack.is_empty() || outcome.is_empty() {
        faults.push(format!("{name} says nothing"));
    }
    let named: Vec<_> = shown.split('`').skip(1).step_by(2).collect();
    if named.is_empty() {
        faults.push(format!("{name} names no test"));
    }
    for test in named {
        if !test.starts_with(prefix) {
            faults.push(format!("{name} names the test of another row: {test}"));
        } else if !tests.contains_key(test) {
            faults.push(format!("{name} names a test that does not exist: {test}"));
        }
    }
}

/// The number in the name of a test that is named after an attack.
fn attack(test: &str) -> Option<&str> {
    let (number, _) = test.strip_prefix(['m', 'p', 'l'])?.split_once('_')?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

#[cfg(test)]
mod found {
    use super::*;

    fn tests_of(names: &[&str]) -> Tests {
        names.iter().map(|name| ((*name).to_owned(), vec!["a.rs".to_owned()])).collect()
    }

    /// A whole table, each row with a test of its own, and those tests.
    fn whole() -> (Vec<String>, Tests) {
        let rows = ROWS.iter().flat_map(|(letter, count)| (1..=*count).map(move |at| (*letter, at)));
        let names =
            rows.map(|(letter, at)| (format!("{letter}{at}"), format!("{}{at:02}_x", letter.to_ascii_lowercase())));
        let (mut lines, mut tests) = (Vec::new(), Tests::new());
        for (name, test) in names {
            lines.push(format!("| {name} | an attack | an outcome | `{test}` |"));
            tests.insert(test, vec!["a.rs".to_owned()]);
        }
        (lines, tests)
    }

    fn with(change: impl FnOnce(&mut Vec<String>, &mut Tests)) -> Vec<String> {
        let (mut lines, mut tests) = whole();
        change(&mut lines, &mut tests);
        faults(&lines.join("\n"), &tests)
    }

    #[test]
    fn a_whole_table_has_no_fault() {
        assert_eq!(with(|_, _| ()), [""; 0]);
    }

    #[test]
    fn whatever_is_missing_is_found() {
        assert_eq!(with(|lines, _| drop(lines.remove(4))), ["M6 stands where M5 should"]);
        assert_eq!(with(|lines, _| drop(lines.pop())), ["L8 is missing"]);
        assert_eq!(with(|lines, _| lines.push(lines[0].clone())), ["M1 is a row too many"]);
        let cell = |from: &'static str, to: &'static str| with(|lines, _| lines[4] = lines[4].replace(from, to));
        assert_eq!(cell("`m05_x`", ""), ["M5 names no test"]);
        assert_eq!(cell("an outcome", ""), ["M5 says nothing"]);
        assert_eq!(cell("`m05_x`", "`m05_y`"), ["M5 names a test that does not exist: m05_y"]);
        assert_eq!(cell("`m05_x`", "`m06_x`"), ["M5 names the test of another row: m06_x"]);
        assert_eq!(cell(" an outcome |", ""), ["M5 has not an attack, an outcome and its tests"]);
        let test = |name: &str| with(|_, tests| tests.extend(tests_of(&[name])));
        for wrong in ["m5_x", "m38_x", "p33_x", "l09_x", "m00_x", "m005_x"] {
            assert_eq!(test(wrong), [format!("a.rs: there is no such row: {wrong}")]);
        }
        for right in ["m15_m16_x", "p_x", "memory_x", "l08_y"] {
            assert_eq!(test(right), [""; 0], "{right}");
        }
    }
}
