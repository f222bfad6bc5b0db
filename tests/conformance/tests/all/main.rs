//! What the specifications say, held to word by word.
#![allow(
    clippy::as_conversions,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    unreachable_pub
)]

mod attacks;
mod common;
mod counts;
mod determinism;
mod draft;
mod link;
mod page;
mod secrecy;
mod states;
mod wire;
mod xep;
mod xeps;
