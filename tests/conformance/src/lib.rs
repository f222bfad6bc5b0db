//! What is asked for and the tests that show it: [`page`] makes docs/conformance.md, [`listing`] has all tests by their names.
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
pub use page::{listing, page};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
