//! Random histories of several entities, their tunnels and links, over a server or a wire that may be hostile, and the
//! invariants that hold in all of them.
//!
//! A [`History`] is a list of operations, as text a line each. A seed finds one, [`play`](History::play) plays it, and what
//! breaks an invariant is [shrunk](shrink::shrink) to the operations that matter. The text replays whatever becomes of the
//! generator, so a history that failed once is kept as text in `histories/`.

#![allow(clippy::wildcard_enum_match_arm, reason = "what is of no interest here is left alone")]

pub mod dice;
pub mod history;
mod ledger;
mod links;
pub mod networks;
pub mod shrink;
mod tunnels;

pub use history::History;
