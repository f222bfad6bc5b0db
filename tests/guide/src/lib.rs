//! The code in the README and in the embedding guide is compiled and run: `cargo test -p xtls-guide`. It is in a package of its own
//! since the pages are in no package that is published.

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// Those of the embedding guide.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
struct Guide;
