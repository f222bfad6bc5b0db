#![doc = include_str!("../README.md")]

mod alert;
mod api;
mod client;
mod codec;
mod config;
mod credentials;
mod error;
mod group;
mod message;
mod prf;
mod random;
mod record;
mod server;
mod session;
mod srp;
mod suite;
mod wipe;

pub use alert::AlertDescription;
pub use api::{ClientSession, ServerSession};
pub use config::{ClientConfig, ServerConfig, SrpConfigError};
pub use credentials::{Credentials, CredentialsError, MAX_PASSWORD, MAX_USERNAME};
pub use error::{
    AuthenticationFailed, DecodeError, Error, ExportError, PeerIncompatible, PeerMisbehaved, Truncated, WriteError,
};
pub use group::Group;
pub use message::MAX_HANDSHAKE_MESSAGE;
pub use prf::is_reserved_label;
pub use random::{Random, RandomFailed};
pub use record::{MAX_BYTES, MAX_RECORDS};
pub use session::{MAX_EMPTY_RECORDS, MAX_WARNINGS};
pub use suite::CipherSuite;

#[cfg(test)]
mod tests;
