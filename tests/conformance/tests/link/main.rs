//! What the documents ask of a link between two entities, each test named by the section it is about.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod client;
mod inside;
mod offers;
mod resumed;
mod scripted;
mod server;
mod starttls;
