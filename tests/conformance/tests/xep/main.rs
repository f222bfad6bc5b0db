//! What XEP-0047, XEP-0166, XEP-0250 and XEP-0261 oblige to, played through an engine: every error condition with its type and
//! Jingle's own condition, and bad input.
#![allow(clippy::unwrap_used, clippy::as_conversions, clippy::wildcard_enum_match_arm)]

#[path = "../common/mod.rs"]
mod common;

mod bytestream;
mod jingle;
mod offers;
mod sizes;
