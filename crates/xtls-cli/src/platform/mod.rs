//! What operating systems have in ways of their own: signals, standard output, the machine's name. Private files are in `xtls-store`.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(crate) use self::other::{Signals, close_stdout, host_name, raw_stdout, shell};
#[cfg(unix)]
pub(crate) use self::unix::{Signals, close_stdout, host_name, raw_stdout, shell};
