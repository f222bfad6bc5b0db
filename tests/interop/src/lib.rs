//! What the tests against real servers share: a Prosody of their own on loopback ports, the `xtls` command as a child
//! process, a wire tap between the two, and machines that need no server.
//!
//! The command is built first; the variable `XTLS_COMMAND` can name another one to be tested. Everything lives in temporary directories and ends with the test. A Prosody that is not installed is a failure.

mod bytes;
mod command;
mod machine;
mod prosody;
mod stage;
mod tap;
mod wait;

pub use bytes::{drain, feed, noise};
pub use command::{Ended, Xtls, build};
pub use machine::Machine;
pub use prosody::{Prosody, Transport};
pub use stage::{Person, Stage};
pub use tap::Tap;
