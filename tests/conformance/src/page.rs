//! The page itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::documents::{Document, documents, wire};
use crate::obligations;
use crate::tests_found::{Tests, tests};

/// The rows of the attack tables: the letter, and who attacks.
const ADVERSARIES: [(char, &str); 3] =
    [('m', "M: in the middle"), ('p', "P: the peer"), ('l', "L: the embedder's own slips")];

/// Makes docs/conformance.md: the obligations, and the tests that show each.
///
/// # Errors
///
/// What is wrong, line by line: a test that is named after a place that its document does not have, an obligation that
/// names no test, a file that cannot be read.
pub fn page(root: &Path) -> Result<String, Vec<String>> {
    let (obligations, _) = both(root)?;
    Ok(format!("{HEAD}{obligations}"))
}

/// All tests that are named after a place in a document or a row of the attack table, in the order of those.
///
/// # Errors
///
/// As [`page`].
pub fn listing(root: &Path) -> Result<String, Vec<String>> {
    let (_, listing) = both(root)?;
    Ok(listing)
}

fn both(root: &Path) -> Result<(String, String), Vec<String>> {
    let read = |name: &str| fs::read_to_string(root.join(name)).map_err(|fault| vec![format!("{name}: {fault}")]);
    let tests = tests(root).map_err(|fault| vec![fault.to_string()])?;
    let mut all = documents(&read("tests/conformance/data/documents.txt")?).map_err(|fault| vec![fault])?;
    all.insert(0, wire(&read("docs/wire.md")?));

    let mut faults = Vec::new();
    let obligations = obligations::tables(&read("tests/conformance/data/obligations.txt")?, &tests, &mut faults);
    let mut sections = String::new();
    for document in &all {
        section(document, &tests, &mut sections, &mut faults);
    }
    for (letter, who) in ADVERSARIES {
        attacks(letter, who, &tests, &mut sections);
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok((obligations, sections))
}

const HEAD: &str = "\
# Conformance

Made by `cargo run -p xtls-conformance` of what the documents ask for and the tests that show it; not to be edited. A test is named
after the section that it shows ([CONTRIBUTING.md](../CONTRIBUTING.md) has the rules for the names), and
`cargo run -p xtls-conformance -- --tests` lists them all in the order of the documents.

The MUST and SHOULD lines of the documents that XTLS is built on. What is not implemented says so, and what holds by design
says how. [wire.md](wire.md) has the decisions where documents contradict each other, and the departures.
";

fn section(document: &Document, tests: &Tests, page: &mut String, faults: &mut Vec<String>) {
    let mut shown: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut as_a_whole = Vec::new();
    for (name, files) in tests {
        match document.place(name) {
            None => {}
            Some(Ok((at, rest))) => shown.entry(at).or_default().push(item(rest, files)),
            Some(Err(())) if document.places.is_empty() => as_a_whole.push(item(name, files)),
            // A test may be about the wire without meaning that page.
            Some(Err(()))
                if document.prefix == "wire" && !name["wire_".len()..].starts_with(|c: char| c.is_ascii_digit()) => {}
            Some(Err(())) => faults.push(format!("{}: no such place in {}: {name}", files[0], document.title)),
        }
    }
    if shown.is_empty() && as_a_whole.is_empty() {
        return;
    }
    page.push_str(&format!("\n# {}\n{}\n\n", document.title, document.address));
    page.push_str(&as_a_whole.concat());
    for (at, items) in shown {
        let (place, title) = &document.places[at];
        let place = if place.starts_with(|c: char| c.is_ascii_digit()) { format!("§ {place}") } else { place.clone() };
        page.push_str(&format!("{place} {title}\n{}\n", items.concat()));
    }
    if page.ends_with("\n\n") {
        page.pop();
    }
}

fn attacks(letter: char, who: &str, tests: &Tests, page: &mut String) {
    let mut rows: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for (name, files) in tests {
        let Some((number, rest)) = name.strip_prefix(letter).and_then(|name| name.split_once('_')) else { continue };
        if let Ok(number) = number.parse() {
            rows.entry(number).or_default().push(item(rest, files));
        }
    }
    page.push_str(&format!("\n# Attacks by {who}\n\n"));
    for (number, items) in rows {
        page.push_str(&format!("{}{number}\n{}\n", letter.to_uppercase(), items.concat()));
    }
    page.pop();
}

/// One test in words, with each file that has it.
fn item(words: &str, files: &[String]) -> String {
    format!("- {} ({})\n", words.replace('_', " "), files.join(", "))
}
