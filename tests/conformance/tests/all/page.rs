//! docs/conformance.md is what the names of the tests make of it, and docs/architecture.md names tests that there are.

#[test]
fn the_page_is_what_the_tests_make() {
    let root = xtls_conformance::root();
    let made = xtls_conformance::page(&root).unwrap_or_else(|faults| panic!("{}", faults.join("\n")));
    let committed = std::fs::read_to_string(root.join("docs/conformance.md")).unwrap_or_default();
    assert!(made == committed, "docs/conformance.md is not what the tests make; run: cargo run -p xtls-conformance");
}

#[test]
fn all_tests_are_listed_by_the_places_that_they_are_named_after() {
    let listing = xtls_conformance::listing(&xtls_conformance::root()).unwrap_or_else(|faults| panic!("{faults:?}"));
    let this = "\n# Attacks by M: in the middle\n";
    assert!(listing.contains(this) && listing.contains("\n# XEP-0047: In-Band Bytestreams\n"), "{listing}");
    assert!(listing.lines().count() > 1000);
}

#[test]
fn every_bound_has_tests() {
    let bounds = xtls_conformance::bounds(&xtls_conformance::root());
    let bounds = bounds.unwrap_or_else(|faults| panic!("{}", faults.join("\n")));
    assert!(bounds > 50, "{bounds}");
}
