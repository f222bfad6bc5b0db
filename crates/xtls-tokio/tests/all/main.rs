//! Tunnels over outer streams that do what they like.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod bytes;
mod calls;
mod client;
mod common;
mod drops;
mod ends;
mod xml;
