//! The trust file of the command: which certificates peers are known by.

use std::collections::BTreeMap;
use std::path::PathBuf;

use xtls::tls::UnixTime;
use xtls::trust::{
    Confirmation, Confirmed, Fingerprint, Guess, MemoryTrustStore, Permit, Pin, StoreError, TrustRecord, TrustStore,
};
use xtls_stanza::jid::BareJid;
use xtls_store::{FileError, FileTrustStore};

use crate::clock;
use crate::exit::Failure;

/// The trust file, as it was read last, and what the command line adds to it.
#[derive(Debug)]
pub(crate) struct TrustFile {
    store: FileTrustStore,
    known: MemoryTrustStore,
    /// The names in it that are no addresses any more.
    unread: Vec<String>,
    /// Pins that the command line or a pairing gives. They are written when the peer is confirmed.
    given: BTreeMap<BareJid, Given>,
}

/// What is given to a peer.
#[derive(Debug)]
struct Given {
    pins: Vec<Pin>,
    others: Others,
}

/// What becomes of other certificates that a peer is trusted with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Others {
    /// The user has to say: nothing is changed where there are some.
    #[default]
    Unsaid,
    /// They are trusted as well.
    Keep,
    /// They are not trusted any more.
    Replace,
}

impl TrustFile {
    /// Reads the file; one that does not exist is empty.
    ///
    /// # Errors
    ///
    /// When it is damaged, of another version, or cannot be read. It stays as it is.
    pub(super) fn load(path: PathBuf) -> Result<Self, Failure> {
        let store = FileTrustStore::open(path).map_err(failure)?;
        let document = store.read().map_err(failure)?;
        let unread = document.unread().map(str::to_owned).collect();
        Ok(Self { store, known: document.known, unread, given: BTreeMap::new() })
    }

    /// All that is known, as it was read last.
    pub(crate) fn known(&self) -> &MemoryTrustStore {
        &self.known
    }

    /// What the file has under names that are no addresses (RFC 7622), as older versions wrote some. It is kept, and nobody is
    /// verified by it.
    pub(crate) fn unread(&self) -> &[String] {
        &self.unread
    }

    /// Trusts a certificate of a peer in this run; it is remembered when the peer has confirmed us. Nothing is changed for a
    /// peer that the file has a pin for: the user has to say what becomes of that one.
    ///
    /// # Errors
    ///
    /// When the file has pins for the peer, and this is none of them.
    pub(crate) fn give(&mut self, peer: &BareJid, fingerprint: Fingerprint) -> Result<(), Failure> {
        let pins = self.known().record(peer).map(|record| record.pins).unwrap_or_default();
        if pins.iter().any(|pin| pin.fingerprint == fingerprint) {
            return Ok(());
        }
        if let Some(known) = pins.first() {
            return Err(Failure::security(format!(
                "{peer} is trusted with {}, and not with {fingerprint}, which --trust gives: {}",
                known.fingerprint,
                what_becomes_of_others(peer, &fingerprint)
            )));
        }
        let nothing = || Given { pins: Vec::new(), others: Others::Unsaid };
        self.given
            .entry(peer.clone())
            .or_insert_with(nothing)
            .pins
            .push(Pin::manual(fingerprint).with_since(clock::unix()));
        Ok(())
    }

    /// Trusts the certificate that a peer has given over a tunnel by password, in this run and in the place of what was given
    /// before; it is remembered when the peer has proven that it holds the key, and has confirmed us.
    ///
    /// # Errors
    ///
    /// When the file has other pins for the peer and nothing was said of `others`, or cannot be read.
    pub(crate) fn pair(&mut self, peer: &BareJid, pin: Pin, others: Others) -> Result<(), Failure> {
        let pins = self.store.read().map_err(failure)?.known.of(peer).pins.clone();
        let other = pins.iter().find(|known| known.fingerprint != pin.fingerprint);
        if let Some(other) = other.filter(|_| others == Others::Unsaid) {
            return Err(Failure::security(format!(
                "{peer} is trusted with {}, and has {} now: nothing was changed. If its owner says by other means that it has \
                 changed, pair again with --replace; if it has both, with --keep",
                other.fingerprint, pin.fingerprint
            ))
            .about(peer));
        }
        self.given.insert(peer.clone(), Given { pins: vec![pin], others });
        Ok(())
    }

    /// Whether the file itself has this pin, as it stands now.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub(crate) fn has(&self, peer: &BareJid, pin: Pin) -> Result<bool, Failure> {
        let mut known = self.store.read().map_err(failure)?.known;
        Ok(known.of(peer).pins.contains(&pin))
    }

    /// Whether the command line has given a certificate to this peer.
    pub(crate) fn is_given(&self, peer: &BareJid) -> bool {
        self.given.contains_key(peer)
    }

    /// Pins a certificate to a peer, beside those it has.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn add(&mut self, peer: &BareJid, pin: Pin) -> Result<(), Failure> {
        self.change(|known| known.pin(peer, pin))
    }

    /// Pins a certificate to a peer in the place of those it has. Gives these.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn replace(&mut self, peer: &BareJid, pin: Pin) -> Result<Vec<Pin>, Failure> {
        self.change(|known| {
            let record = known.of(peer);
            let others = record.pins.extract_if(.., |one| one.fingerprint != pin.fingerprint).collect();
            record.add(pin);
            others
        })
    }

    /// Forgets the certificates of a peer; tells whether there was anything to forget. Wrong passwords stay counted: to
    /// forget them would give away more guesses.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn remove(&mut self, peer: &BareJid) -> Result<bool, Failure> {
        self.change(|known| known.remove(peer))
    }

    /// Forgets the wrong passwords with a peer, and those at a local address; tells whether there were any.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn forgive(&mut self, jid: &BareJid) -> Result<bool, Failure> {
        self.change(|known| known.forgive(jid))
    }

    fn change<R>(&mut self, change: impl FnOnce(&mut MemoryTrustStore) -> R) -> Result<R, Failure> {
        let changed = self.store.change(|known| (change(known), known.clone()));
        let (result, known) = changed.map_err(failure)?;
        self.known = known;
        Ok(result)
    }
}

impl TrustStore for TrustFile {
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        let mut known = self.store.read()?.known;
        with_given(&mut known, &self.given, peer);
        known.record(peer)
    }

    fn locked_until(&self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Option<UnixTime>, StoreError> {
        self.store.locked_until(local, peer, guess)
    }

    fn begin_guess(&mut self, local: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        self.store.begin_guess(local, peer, guess)
    }

    fn guess_was_right(&mut self, local: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        self.store.guess_was_right(local, peer)
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        self.store.change(|known| {
            let mut changed = known.clone();
            with_given(&mut changed, &self.given, peer);
            let confirmation = changed.confirm(peer, confirmed)?;
            if confirmation == Confirmation::Remembered {
                *known = changed;
            }
            Ok(confirmation)
        })?
    }
}

fn failure(error: FileError) -> Failure {
    Failure::other(error.to_string())
}

/// What to do about a peer that is trusted with another certificate than this one.
pub(crate) fn what_becomes_of_others(peer: &BareJid, fingerprint: &Fingerprint) -> String {
    format!(
        "if its owner says by other means that it has changed: xtls trust add {peer} {fingerprint} --replace; if it has both: \
         xtls trust add {peer} {fingerprint} --keep"
    )
}

/// Adds what is given to a peer. Where nothing was said of others, a peer that has any keeps to those.
fn with_given(known: &mut MemoryTrustStore, given: &BTreeMap<BareJid, Given>, peer: &BareJid) {
    let Some(Given { pins, others }) = given.get(peer) else { return };
    let record = known.of(peer);
    let is_given = |known: &Pin| pins.iter().any(|pin| pin.fingerprint == known.fingerprint);
    match others {
        Others::Unsaid if !record.pins.iter().all(is_given) => return,
        Others::Replace => record.pins.retain(is_given),
        Others::Unsaid | Others::Keep => {}
    }
    pins.iter().for_each(|pin| record.add(*pin));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls::trust::Learned;

    use super::*;

    fn juliet() -> BareJid {
        "juliet@capulet.lit".parse().unwrap()
    }

    fn paired(der: &[u8]) -> Pin {
        Pin::new(Fingerprint::sha256(der), Learned::Pairing).with_since(clock::unix())
    }

    #[test]
    fn what_a_pairing_gives_counts_in_this_run_and_is_not_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut trust = TrustFile::load(dir.path().join("trust.json")).unwrap();
        trust.pair(&juliet(), paired(b"one"), Others::Unsaid).unwrap();
        assert_eq!(trust.record(&juliet()).unwrap().pins, [paired(b"one")]);
        assert!(!trust.has(&juliet(), paired(b"one")).unwrap());
        let again = TrustFile::load(dir.path().join("trust.json")).unwrap();
        assert_eq!(again.record(&juliet()).unwrap(), TrustRecord::default());
    }

    #[test]
    fn of_a_peer_with_other_certificates_the_user_has_to_say_what_becomes_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let mut trust = TrustFile::load(dir.path().join("trust.json")).unwrap();
        let old = Pin::manual(Fingerprint::sha256(b"old"));
        trust.add(&juliet(), old).unwrap();
        let new = paired(b"new");
        let failure = trust.pair(&juliet(), new, Others::Unsaid).unwrap_err();
        for word in [&old.fingerprint.to_string(), &new.fingerprint.to_string(), "--replace", "--keep"] {
            assert!(failure.message.contains(word), "{word} in {failure}");
        }
        assert_eq!(trust.record(&juliet()).unwrap().pins, [old]);
        for (others, expected) in [(Others::Keep, vec![old, new]), (Others::Replace, vec![new])] {
            trust.pair(&juliet(), new, others).unwrap();
            assert_eq!(trust.record(&juliet()).unwrap().pins, expected);
        }
        // The one that is trusted already needs no word.
        let same = paired(b"old");
        trust.pair(&juliet(), same, Others::Unsaid).unwrap();
        assert_eq!(trust.record(&juliet()).unwrap().pins, [same]);
        // Unless another process has added one meanwhile.
        trust.add(&juliet(), Pin::manual(Fingerprint::sha256(b"third"))).unwrap();
        assert_eq!(trust.record(&juliet()).unwrap().pins.len(), 2);
        assert!(!trust.record(&juliet()).unwrap().pins.contains(&same));
    }
}
