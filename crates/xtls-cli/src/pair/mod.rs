//! `xtls pair`: two users trust one another's certificates by a code that one of them shows and the other one types
//! (draft-meyer-xmpp-e2e-encryption-02 §§ 5, 5.1, 5.2, XEP-0250 § 4; docs/wire.md § 7).
//!
//! The code is a password for a tunnel in which each end gives its certificate. Then there is a second tunnel, by these
//! certificates, and what it confirms is pinned. Words, codes, links and attempts know nothing of tunnels.

mod attempts;
mod code;
mod enter;
mod exchange;
mod link;
mod show;
mod source;

use xtls_stanza::jid::BareJid;

use crate::args::PairArgs;
use crate::data::{DataDir, Others};
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

pub(crate) async fn run(output: Output, data: &DataDir, args: &PairArgs) -> Result<(), Failure> {
    match args.peer()? {
        None if !args.enter => show::run(output, data, args).await,
        named => enter::run(output, data, args, named.as_ref()).await,
    }
}

/// What becomes of other certificates of the peer.
fn others(args: &PairArgs) -> Others {
    if args.replace {
        Others::Replace
    } else if args.keep {
        Others::Keep
    } else {
        Others::Unsaid
    }
}

/// How many guesses at a password this run has made with this peer: a handshake that has got so far that it was one is among them,
/// however it ended, unless it was right.
fn guesses(session: &Session, peer: &BareJid) -> u32 {
    session.trust().guesses(peer)
}
