//! XTLS for C. `include/xtls.h` is made from this, and docs/guide/c.md of the repository shows how to use it.
//!
//! - **Nothing is owned across the border.** An engine is a number (`table.rs`); text and bytes are copied into the caller's
//!   buffers, which say when they are too small, and nothing is lost then.
//! - **One at a time.** An engine that is in use says `XTLS_BUSY`, to another thread and to a callback alike, and never waits.
//! - **A panic stays here.** The call says `XTLS_PANICKED`, and the engine `XTLS_POISONED` from then on.
//! - **What goes in is looked at**: null, sizes, UTF-8 (`border.rs`). What cannot be looked at is in the header: that pointers point to what
//!   they say.
//!
//! Everything else is `xtls-bindings`.

mod abi;
mod border;
mod engine;
mod event;
mod identity;
mod names;
mod people;
mod stanzas;
mod store;
mod table;
mod tunnels;

pub use abi::*;
pub use engine::*;
pub use identity::*;
pub use names::*;
pub use people::*;
pub use stanzas::*;
pub use tunnels::*;
