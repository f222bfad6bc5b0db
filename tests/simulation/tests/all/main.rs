//! Several entities in one process: what two engines, or two ends of a link, and somebody between them come to.
#![allow(
    clippy::as_conversions,
    clippy::missing_panics_doc,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    unreachable_pub
)]

mod addresses;
mod allocations;
mod amplification;
mod authorities;
mod bytes;
mod canaries;
mod certificates;
mod client;
mod common;
mod connections;
mod cost;
mod delivery;
mod downgrade;
mod events;
mod histories;
mod inside;
mod leaps;
mod link;
mod liveness;
mod lock_and_strip;
mod malformed;
mod memory;
mod middle;
mod middle_data;
mod misuse;
mod negotiation_hash;
mod networks;
mod offers;
mod pairing;
mod password;
mod password_choice;
mod password_guesses;
mod peer;
mod places;
mod receipts;
mod redirect;
mod room;
mod stale;
mod stats;
mod steps;
mod store;
mod stream;
mod suspended_clocks;
mod suspension;
mod throttle;
mod trust;
mod types;
