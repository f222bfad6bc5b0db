//! What the names of the tests say about conformance: [`page`] makes docs/conformance.md of them.
//!
//! The tests themselves are in this package's folder `tests`.

mod attacks;
mod bounds;
mod documents;
mod obligations;
mod page;
mod tests_found;

use std::path::{Path, PathBuf};

pub use attacks::attack_table;
pub use bounds::bounds;
pub use page::page;

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
