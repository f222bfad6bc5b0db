//! The JSON Schema of the events (docs/events.schema.json): made of what is written, and committed for those who read it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::Stamped;

/// Where the file is.
fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.schema.json")
}

#[test]
fn the_schema_in_the_documentation_is_that_of_the_events() {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.contract = schemars::generate::Contract::Serialize)
        .into_generator()
        .into_root_schema_for::<Stamped<'_>>();
    let now = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if std::env::var_os("XTLS_WRITE_SCHEMA").is_some() {
        std::fs::write(path(), &now).unwrap();
    }
    let committed = std::fs::read_to_string(path()).unwrap_or_default();
    assert!(
        committed == now,
        "the events have changed: XTLS_WRITE_SCHEMA=1 cargo test -p xtls-cli schema, and look at what has changed in {}",
        path().display()
    );
}
