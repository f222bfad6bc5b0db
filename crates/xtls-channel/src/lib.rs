//! The secure channel of XTLS, sans-IO: what tunnels and links share.
//!
//! Everything that decides on security stands here once, and both doors go by it:
//!
//! - [`rules`] says which method authenticates a peer, as pure functions of what the caller allows and what is known;
//! - [`Terms`] is what the caller wants, [`TrustStore`] the memory of peers, [`Password`] what is shared with one;
//! - [`Channel`] runs TLS from its first byte to its last and judges the peer: records in, plaintext out;
//! - [`Security`] tells how it is secured, [`Fault`] what went wrong and what follows from that.
//!
//! An embedder uses it through `xtls` and need not name this crate.

mod channel;
mod clock;
mod environment;
mod error;
mod fault;
mod guess;
mod judgement;
mod password;
mod policy;
mod reason;
mod record;
pub mod rules;
mod security;
mod setup;
mod stage;
mod store;
mod terms;
mod timer;

pub use channel::{Channel, Io, Listen, Progress, Side, Sign, Start, TowardsServerTerms, TrustDecision, TrustQuestion};
pub use clock::Clock;
pub use environment::{Environment, Local, SecurityLimits};
pub use error::{ConfigError, NotAsked, SendError, TermsError};
pub use fault::{Blame, Fault, Missing, Row, row};
pub use guess::{Attempts, Guess, GuessCount, GuessLimits, Permit};
pub use judgement::Announcements;
pub use password::{Password, PasswordError};

pub use reason::{CloseReason, EndedBy};
pub use record::{Confirmation, Confirmed, Learned, LearnedError, Pin, TrustRecord};
pub use security::{Authentication, Security};
pub use setup::{Setup, SetupError};
pub use stage::{Stage, Unanswered};
pub use store::{MemoryTrustStore, StoreError, TrustStore};
pub use terms::{Terms, TrustPolicy};
pub use timer::{Deadline, Timer, Timers};
pub use xtls_stanza::Instant;
