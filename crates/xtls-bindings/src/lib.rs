//! What the bindings of XTLS to other languages share, so that each of them is a thin skin and no rule is written twice.
//!
//! Everything that passes is a plain value: text, bytes, whole numbers, yes or no. Nothing borrows, nothing is generic, and whatever
//! has a name has the one that `as_str` gives it in Rust.
//!
//! - [`Engine`]: an `xtls::Engine` whose ids are numbers, whose time is milliseconds of any clock that does not go backwards, and
//!   whose options are [`Settings`], pairs of a name and a text.
//! - [`Event`]: all that can happen, in one flat shape, with [`EventKind`].
//! - [`Error`]: what a call refuses, with a [`Code`] that has a number and a short name.
//! - [`Store`] and [`Keeper`]: what is known of peers, in memory, in a file, or wherever the other language keeps a text.
//! - `Log`: what the engine tells of itself, line by line.
//! - [`Identity`]: your certificate and its key.

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("xtls-bindings wants cryptography: turn on the feature `aws-lc-rs`, or `ring`");

mod clock;
mod code;
mod engine;
mod error;
mod event;
mod identity;
mod kind;
#[cfg(feature = "log")]
mod log;
mod names;
mod security;
mod settings;
mod store;
mod table;
mod tunnel;
mod waiting;

pub use code::Code;
pub use engine::{Deadline, Engine, Handled, LogScope, Setup};
pub use error::{Error, Result};
pub use event::{Certificate, Event};
pub use identity::Identity;
pub use kind::{Disposition, EventKind};
#[cfg(feature = "log")]
pub use log::{Level, Log};
pub use names::names;
pub use security::Security;
pub use settings::{CONFIG_SETTINGS, OPTION_SETTINGS, Settings};
pub use store::{Keeper, Pin, Store};
pub use tunnel::Stats;
