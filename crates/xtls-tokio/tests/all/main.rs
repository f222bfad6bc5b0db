//! Tunnels over outer streams that do what they like.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for what it is about")]

mod bytes;
mod callers;
mod calls;
mod client;
mod common;
#[cfg(feature = "net")]
mod connections;
mod delayed;
mod drops;
mod ends;
mod files;
mod find;
mod link_bytes;
mod links;
mod openings;
mod outer_links;
mod receipts;
mod xml;
#[cfg(feature = "tokio-xmpp")]
mod xmpp_stream;
