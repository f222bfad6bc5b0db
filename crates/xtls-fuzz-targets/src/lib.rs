//! What `fuzz/` runs. Each target is a function of any bytes: it makes work of them for a parser or a machine, and panics where
//! something does not hold. It is ordinary code, so that the ordinary tests replay all that fuzzing has found:
//! `tests/corpus.rs`.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enums may grow: what is of no interest to a target gets one common treatment"
)]

pub mod address;
pub mod base64;
pub mod certificate;
pub mod connections;
pub mod direct;
pub mod disco;
pub mod element;
pub mod engine;
pub mod fingerprint;
mod flights;
pub mod ibb;
mod input;
pub mod inside;
pub mod jingle;
pub mod link;
pub mod link_raw;
pub mod manifest;
mod oracle;
pub mod plain;
pub mod records;
pub mod s5b;
pub mod socks;
pub mod srp;
pub mod stanza;
pub mod stream;
pub mod transfer;
pub mod trust_file;

/// A target by its name, which is that of its corpus and of its program in `fuzz/`.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, in the order of their names.
pub const TARGETS: &[Target] = &[
    ("address", address::run),
    ("base64", base64::run),
    ("certificate", certificate::run),
    ("connections", connections::run),
    ("direct", direct::run),
    ("disco", disco::run),
    ("element", element::run),
    ("engine", engine::run),
    ("fingerprint", fingerprint::run),
    ("ibb", ibb::run),
    ("inside", inside::run),
    ("jingle", jingle::run),
    ("link", link::run),
    ("link_raw", link_raw::run),
    ("manifest", manifest::run),
    ("plain", plain::run),
    ("records", records::run),
    ("s5b", s5b::run),
    ("socks", socks::run),
    ("srp", srp::run),
    ("stanza", stanza::run),
    ("stream", stream::run),
    ("transfer", transfer::run),
    ("trust_file", trust_file::run),
];
