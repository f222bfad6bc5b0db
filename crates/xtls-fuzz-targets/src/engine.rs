//! Operations of applications, networks and a hostile server, over engines and links: [`History`]s that the input chooses, with
//! all that must hold in them.

use xtls_simulation::{History, dice::Bytes, history::Play};

/// Plays the history that the bytes choose.
pub fn run(data: &[u8]) {
    let history = History::generate(0, &mut Bytes::new(data));
    let outcome = history.play(Play::default());
    assert!(outcome.failure.is_none(), "{:?}\n{history}", outcome.failure);
}
