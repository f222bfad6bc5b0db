//! The attack table of docs/threat-model.md names tests that exist, for every row.

#[test]
fn every_row_of_the_attack_table_has_its_test() {
    let root = xtls_conformance::root();
    xtls_conformance::attack_table(&root).unwrap_or_else(|faults| panic!("{}", faults.join("\n")));
}
