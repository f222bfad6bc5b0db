//! What the tests against real servers share: a Prosody or an ejabberd of their own on loopback ports, the `xtls` command as
//! a child process, what may be between the two (a wire tap, a proxy, or somebody who takes STARTTLS away), DNS servers, and machines that need no
//! server.
//!
//! The command is built first; the variable `XTLS_COMMAND` can name another one to be tested. Everything lives in temporary
//! directories and ends with the test. A server that is not installed is a failure.

mod bytes;
mod certificates;
mod command;
mod ejabberd;
mod machine;
mod meddler;
mod nameserver;
mod network;
mod prosody;
mod schema;
mod socks;
mod stage;
mod tap;
mod terminal;
mod wait;

pub use bytes::{drain, feed, noise};
pub use certificates::Certificate;
pub use command::{Ended, Xtls, build, chat_once};
pub use ejabberd::Ejabberd;
pub use machine::Machine;
pub use meddler::{Impostor, Stripper};
pub use nameserver::Nameserver;
pub use network::{Namespace, Network};
pub use prosody::{Prosody, Transport};
pub use socks::{Request, Socks};
pub use stage::{Person, Stage};
pub use tap::Tap;
pub use terminal::Terminal;
pub use wait::until;
