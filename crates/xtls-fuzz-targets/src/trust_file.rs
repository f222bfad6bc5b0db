//! The text of the command's trust file.

use text::Unreadable;
use xtls_stanza::jid::BareJid;

/// The same source as the command's own: a program has no library to reach it by.
#[path = "../../xtls-cli/src/data/trust/text.rs"]
mod text;

/// Reads the input as the trust file.
pub fn run(data: &[u8]) {
    let (known, unread) = match text::read(data) {
        Ok(read) => read,
        Err(Unreadable::Damaged(why)) => return assert!(!why.is_empty()),
        Err(Unreadable::Version(version)) => return assert!(!(1..=text::VERSION).contains(&version)),
    };
    for (peer, record) in known.iter() {
        assert!(
            record
                .pins
                .iter()
                .enumerate()
                .all(|(at, pin)| record.pins[..at].iter().all(|one| one.fingerprint != pin.fingerprint))
        );
        assert_eq!(peer.canonical().parse().as_ref(), Ok(peer));
    }
    // What is written is read as the same, and written again it is the same text.
    let written = text::write(&known, unread).expect("what was read can be written");
    let (again, unread) = text::read(&written).expect("what is written can be read");
    assert_eq!(again, known);
    assert_eq!(text::write(&again, unread).expect("it can be written"), written);
    let (_, unread) = text::read(&written).expect("what is written can be read");
    assert!(
        unread.into_names().iter().all(|name| name.parse::<BareJid>().is_err()),
        "what is an address is known by it"
    );
}
