//! The trust file of the command: which certificates peers are known by.

use std::collections::BTreeMap;
use std::path::PathBuf;

use xtls::tls::UnixTime;
use xtls::trust::{
    Confirmation, Confirmed, Fingerprint, Guess, Learned, MemoryTrustStore, Permit, Pin, StoreError, TrustRecord,
    TrustStore,
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
    /// Guesses at a password that this run has made with each peer, but for right ones. The limits of guesses bound them.
    guesses: BTreeMap<BareJid, u32>,
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
        Ok(Self { store, known: document.known, unread, given: BTreeMap::new(), guesses: BTreeMap::new() })
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
        let pins = pins(self.known(), peer);
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

    /// How many guesses at a password this run has made with this peer, but for right ones. What the file counts can become less
    /// meanwhile, and more by other processes.
    pub(crate) fn guesses(&self, peer: &BareJid) -> u32 {
        self.guesses.get(peer).copied().unwrap_or_default()
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

    /// Pins a certificate to a peer that has no other one; gives the other one, and changes nothing, if there is one by now. Nobody
    /// comes in between.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn add_alone(&mut self, peer: &BareJid, pin: Pin) -> Result<Option<Pin>, Failure> {
        self.change(|known| {
            let other = pins(known, peer).into_iter().find(|one| one.fingerprint != pin.fingerprint);
            if other.is_none() {
                known.pin(peer, pin);
            }
            other
        })
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

    /// The two users have found that this certificate is the peer's: its pin says how, from now on. Tells whether there is one
    /// still; where there is none any more, nothing is changed.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn affirm(&mut self, peer: &BareJid, pin: Pin) -> Result<bool, Failure> {
        self.change(|known| {
            let is_there = pins(known, peer).iter().any(|one| one.fingerprint == pin.fingerprint);
            if is_there {
                known.pin(peer, pin);
            }
            is_there
        })
    }

    /// Forgets a peer that is known by nothing but this certificate, and that by a leap of faith; tells whether it was so.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; it stays as it is.
    pub(crate) fn take_leap_back(&mut self, peer: &BareJid, fingerprint: Fingerprint) -> Result<bool, Failure> {
        self.change(|known| {
            let is_leap = matches!(pins(known, peer)[..], [pin] if pin.fingerprint == fingerprint && pin.learned == Learned::LeapOfFaith);
            if is_leap {
                known.remove(peer);
            }
            is_leap
        })
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
        let permit = self.store.begin_guess(local, peer, guess)?;
        if permit == Permit::Granted {
            let count = self.guesses.entry(peer.clone()).or_default();
            *count = count.saturating_add(1);
        }
        Ok(permit)
    }

    fn guess_was_right(&mut self, local: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        if let Some(count) = self.guesses.get_mut(peer) {
            *count = count.saturating_sub(1);
        }
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

fn pins(known: &MemoryTrustStore, peer: &BareJid) -> Vec<Pin> {
    known.record(peer).map(|record| record.pins).unwrap_or_default()
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

    use std::time::Duration;

    use xtls::trust::GuessLimits;

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

    #[test]
    fn of_two_processes_that_trust_two_certificates_of_a_peer_the_second_is_told_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let open = || TrustFile::load(dir.path().join("trust.json")).unwrap();
        // Both have read the file before either of them writes.
        let (mut one, mut other) = (open(), open());
        let [first, second] = [b"first".as_slice(), b"second"].map(|der| Pin::manual(Fingerprint::sha256(der)));
        assert_eq!(one.add_alone(&juliet(), first).unwrap(), None);
        assert_eq!(other.add_alone(&juliet(), second).unwrap(), Some(first));
        assert_eq!(open().record(&juliet()).unwrap().pins, [first]);
        // The same once more is no other one.
        assert_eq!(other.add_alone(&juliet(), first).unwrap(), None);
    }

    /// What a pairing counts by. The file counts for all processes and forgives.
    #[test]
    fn the_guesses_of_this_run_are_counted_whatever_becomes_of_those_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let [mut ours, mut others] = [(); 2].map(|()| TrustFile::load(dir.path().join("trust.json")).unwrap());
        let romeo = "romeo@montague.lit".parse().unwrap();
        let later =
            |hours: u64| UnixTime::since_unix_epoch(Duration::from_secs(clock::unix().as_secs() + hours * 3600));
        let guess = |hours| Guess::new(later(hours), GuessLimits::default());
        assert_eq!(others.begin_guess(&romeo, &juliet(), &guess(0)).unwrap(), Permit::Granted);
        assert_eq!((ours.guesses(&juliet()), others.guesses(&juliet())), (0, 1));
        for count in [1, 2] {
            // A right one of another process ends the row of wrong ones.
            others.guess_was_right(&romeo, &juliet()).unwrap();
            assert_eq!(ours.begin_guess(&romeo, &juliet(), &guess(1)).unwrap(), Permit::Granted);
            assert_eq!((ours.guesses(&juliet()), ours.record(&juliet()).unwrap().attempts.failed), (count, 1));
        }
        ours.forgive(&juliet()).unwrap();
        assert_eq!((ours.guesses(&juliet()), ours.record(&juliet()).unwrap().attempts.failed), (2, 0));
        for count in [3, 4, 5] {
            assert_eq!(ours.begin_guess(&romeo, &juliet(), &guess(2)).unwrap(), Permit::Granted);
            assert_eq!(ours.guesses(&juliet()), count);
        }
        // One that is not made does not count, and neither does one that was right.
        assert!(matches!(ours.begin_guess(&romeo, &juliet(), &guess(2)).unwrap(), Permit::Locked { .. }));
        assert_eq!(ours.guesses(&juliet()), 5);
        ours.guess_was_right(&romeo, &juliet()).unwrap();
        assert_eq!((ours.guesses(&juliet()), ours.guesses(&romeo)), (4, 0));
    }

    #[test]
    fn what_was_compared_is_affirmed_and_a_leap_taken_back_only_as_they_stand_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let [mut trust, mut other] = [(); 2].map(|()| TrustFile::load(dir.path().join("trust.json")).unwrap());
        let leap = |der: &[u8]| Pin::new(Fingerprint::sha256(der), Learned::LeapOfFaith);
        let compared = |der: &[u8]| Pin::new(Fingerprint::sha256(der), Learned::Comparison);
        let pins = |trust: &TrustFile| trust.record(&juliet()).unwrap().pins;
        // Nothing is trusted that was not.
        assert!(!trust.affirm(&juliet(), compared(b"one")).unwrap());
        assert_eq!(trust.record(&juliet()).unwrap(), TrustRecord::default());
        trust.add(&juliet(), leap(b"one")).unwrap();
        assert!(trust.affirm(&juliet(), compared(b"one")).unwrap());
        assert_eq!(pins(&trust), [compared(b"one")]);
        // Another process has put another one in its place.
        other.replace(&juliet(), Pin::manual(Fingerprint::sha256(b"two"))).unwrap();
        assert!(!trust.affirm(&juliet(), compared(b"one")).unwrap());
        assert_eq!(pins(&trust), [Pin::manual(Fingerprint::sha256(b"two"))]);
        // What was not taken by a leap, another certificate, and one of several stay.
        let two = Fingerprint::sha256(b"two");
        assert!(!trust.take_leap_back(&juliet(), two).unwrap());
        other.remove(&juliet()).unwrap();
        other.add(&juliet(), leap(b"two")).unwrap();
        assert!(!trust.take_leap_back(&juliet(), Fingerprint::sha256(b"one")).unwrap());
        other.add(&juliet(), leap(b"three")).unwrap();
        assert!(!trust.take_leap_back(&juliet(), two).unwrap());
        assert_eq!(pins(&trust), [leap(b"two"), leap(b"three")]);
        other.remove(&juliet()).unwrap();
        other.add(&juliet(), leap(b"two")).unwrap();
        assert!(trust.take_leap_back(&juliet(), two).unwrap());
        assert_eq!(pins(&trust), []);
    }
}
