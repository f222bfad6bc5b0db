//! XML streams over connections of their own, sans-IO.
//!
//! A [`Link`] is one end of a direct connection: a stream, the negotiation of TLS, TLS, and the stream inside it. There are
//! three types of them, which share all that follows from bytes and time, and have the commands that make sense for them:
//!
//! - [`PeerLink`]: two entities without a server between them (XEP-0174, XEP-0246), who authenticate one another by
//!   certificates or a password, with the offers of XEP-0250;
//! - [`ClientLink`]: a client's end of the connection to its server (RFC 6120);
//! - [`ServerLink`]: a server's end of the connection from a client.
//!
//! Whom to trust, and which method authenticates whom, is decided by `xtls-channel`, by the rules that tunnels follow.
//!
//! An embedder uses it through `xtls` and need not name this crate.

mod client;
mod common;
mod config;
mod error;
mod event;
mod fault;
mod kind;
mod link;
mod offer;
mod peer;
mod queue;
mod sasl;
mod server;
mod stats;
mod watch;

pub use client::{Client, ClientLink, ServerTerms, ServerTls};
pub use config::{LinkConfig, LinkSetup};
pub use error::{LinkAcceptError, LinkError};
pub use event::{LinkClosed, LinkEvent};
pub use kind::Kind;
pub use link::Link;
pub use peer::{Peer, PeerLink};
pub use server::{ClientTerms, Server, ServerLink};
pub use stats::LinkStats;
