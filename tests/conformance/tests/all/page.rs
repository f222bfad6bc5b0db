//! docs/conformance.md is what the names of the tests make of it.

#[test]
fn the_page_is_what_the_tests_make() {
    let root = xtls_conformance::root();
    let made = xtls_conformance::page(&root).unwrap_or_else(|faults| panic!("{}", faults.join("\n")));
    let committed = std::fs::read_to_string(root.join("docs/conformance.md")).unwrap_or_default();
    assert!(made == committed, "docs/conformance.md is not what the tests make; run: cargo run -p xtls-conformance");
}
