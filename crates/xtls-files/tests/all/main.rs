//! Two ends of a stream and the files between them, without a network or a clock.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::as_conversions,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods
)]

mod contents;
mod hostile;
mod limits;
mod random;
mod raw;
mod shapes;
mod states;
mod times;
mod transfer;
mod tunnels;
mod world;
mod xep_0234;
