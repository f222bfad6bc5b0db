//! The `xtls` command.
fn main() {}
