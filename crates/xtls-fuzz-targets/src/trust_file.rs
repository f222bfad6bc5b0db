//! The text of the trust file.

use xtls::jid::BareJid;
use xtls_store::{DocumentError, TrustDocument};

/// Reads the input as the trust file.
pub fn run(data: &[u8]) {
    let document = match TrustDocument::from_json(data) {
        Ok(document) => document,
        Err(DocumentError::Damaged(why)) => return assert!(!why.is_empty()),
        Err(DocumentError::Version(version)) => return assert!(!(1..=TrustDocument::VERSION).contains(&version)),
        Err(other) => panic!("{other}"),
    };
    for (peer, record) in document.known.iter() {
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
    let written = document.to_json();
    let again = TrustDocument::from_json(&written).expect("what is written can be read");
    assert_eq!(again.known, document.known);
    assert_eq!(again.to_json(), written);
    assert!(again.unread().eq(document.unread()));
    assert!(again.unread().all(|name| name.parse::<BareJid>().is_err()), "what is an address is known by it");
}
