//! What documents oblige to, line by line, and which tests show it.

use crate::tests_found::Tests;

/// `data/obligations.txt` as tables, and what is wrong with it: each line names tests that exist, or says why there is
/// nothing to show: it is not there, or it holds by how things are made.
pub(crate) fn tables(text: &str, tests: &Tests, faults: &mut Vec<String>) -> String {
    let mut page = String::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with(';')) {
        if let Some(title) = line.strip_prefix("# ") {
            page.push_str(&format!("\n### {title}\n\n| § | | what | shown by |\n|---|---|---|---|\n"));
            continue;
        }
        let [section, level, what, shown] = line.split(" | ").collect::<Vec<_>>()[..] else {
            faults.push(format!("obligations.txt: not four columns: {line}"));
            continue;
        };
        let shown = if ["not implemented: ", "by design: "].iter().any(|reason| shown.starts_with(reason)) {
            format!("*{shown}*")
        } else {
            let names: Vec<&str> = shown.split_whitespace().collect();
            for name in names.iter().filter(|name| !tests.contains_key(**name)) {
                faults.push(format!("obligations.txt: no test is called {name}"));
            }
            if names.is_empty() {
                faults.push(format!("obligations.txt: nothing shows: {line}"));
            }
            let links = names.iter().filter_map(|name| tests.get(*name).map(|files| (name, files)));
            let links: Vec<String> = links.map(|(name, files)| format!("[{name}](../{})", files[0])).collect();
            links.join(", ")
        };
        page.push_str(&format!("| {section} | {level} | {what} | {shown} |\n"));
    }
    page
}

#[test]
fn a_line_without_a_test_that_exists_is_a_fault() {
    let tests = Tests::from([("a_test".to_owned(), vec!["a.rs".to_owned()])]);
    let faults = |line: &str| {
        let mut faults = Vec::new();
        let page = tables(line, &tests, &mut faults);
        (page, faults.len())
    };
    assert_eq!(faults("2 | MUST | x | a_test"), ("| 2 | MUST | x | [a_test](../a.rs) |\n".into(), 0));
    assert_eq!(faults("2 | MUST | x | not implemented: y").1, 0);
    assert_eq!(faults("2 | MUST | x | by design: y"), ("| 2 | MUST | x | *by design: y* |\n".into(), 0));
    assert_eq!(faults("2 | MUST | x | a_test another").1, 1);
    assert_eq!(faults("2 | MUST | x |  ").1, 1);
    assert_eq!(faults("2 | MUST | x").1, 1);
}
