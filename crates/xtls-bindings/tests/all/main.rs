//! What the bindings share, without any other language.

#![allow(clippy::unwrap_used, reason = "a test")]

mod names;
mod pair;
mod settings;
mod store;
mod tunnels;
