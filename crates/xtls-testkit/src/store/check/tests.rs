//! Stores that do one thing wrong are found, by the rule that they break.

#![allow(clippy::unwrap_used, clippy::unwrap_in_result)]
#![allow(clippy::wildcard_enum_match_arm, reason = "each slip is in one place")]

use std::{
    collections::BTreeMap,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use xtls::{
    tls::UnixTime,
    trust::{Confirmation, Confirmed, MemoryTrustStore, Pin, StoreError},
};

use super::*;

/// What a wrong store does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Slip {
    Nothing,
    CountsNoGuess,
    CountsWhenAsked,
    NeverLocks,
    TellsNoLock,
    CountsWhatItRefuses,
    ForgetsTheTime,
    HasThirtyTwoBits,
    KeepsRightGuesses,
    ForgetsAllGuessesForARightOne,
    KnowsOnePeer,
    KnowsOneAddressOfYours,
    CountsNotAtYourAddress,
    ComparesSpellings,
    IsNotShared,
    LosesWhatIsDoneAtOnce,
    ForgetsHowPinsWereLearned,
    ForgetsMethods,
    KeepsTheLastMethod,
    ForgetsTheHash,
    ConfirmsByAnyPins,
    WritesWhatItRefuses,
    ReplacesNothing,
    ReplacesEverything,
    PinsTwice,
    ForgetsGuessesWhenItLearns,
    ForgetsPinsWhenItCounts,
    ForgetsPinsForARightGuess,
}

use Slip::*;

/// By the spelling of the peer, where that is not the one that everything compares by, and counts.
type Known = BTreeMap<String, MemoryTrustStore>;

#[derive(Debug, Clone)]
struct Wrong {
    slip: Slip,
    known: Arc<Mutex<Known>>,
}

impl Wrong {
    fn peer(&self, peer: &BareJid) -> BareJid {
        if self.slip == KnowsOnePeer { jid("somebody@example.com") } else { peer.clone() }
    }

    fn own(&self, own: &BareJid, peer: &BareJid) -> BareJid {
        match self.slip {
            KnowsOneAddressOfYours => jid("me@example.com"),
            CountsNotAtYourAddress => peer.clone(),
            _ => own.clone(),
        }
    }

    fn change<R>(&self, peer: &BareJid, change: impl FnOnce(&mut MemoryTrustStore) -> R) -> R {
        let is_another = self.slip == ComparesSpellings && peer.as_str() != peer.canonical();
        let name = if is_another { peer.as_str().to_owned() } else { String::new() };
        let mut known = self.known.lock().unwrap();
        if self.slip != LosesWhatIsDoneAtOnce {
            return change(known.entry(name).or_default());
        }
        let mut copy = known.entry(name.clone()).or_default().clone();
        drop(known);
        let result = change(&mut copy);
        thread::sleep(Duration::from_millis(2));
        self.known.lock().unwrap().insert(name, copy);
        result
    }
}

impl TrustStore for Wrong {
    fn record(&self, peer: &BareJid) -> Result<TrustRecord, StoreError> {
        let peer = self.peer(peer);
        let mut record = self.change(&peer, |known| known.record(&peer))?;
        match self.slip {
            ForgetsTheTime => record.attempts.last = crate::unix(0),
            ForgetsHowPinsWereLearned => record.pins.iter_mut().for_each(|pin| *pin = Pin::manual(pin.fingerprint)),
            ForgetsMethods => record.secured_by.clear(),
            KeepsTheLastMethod => drop(record.secured_by.drain(..record.secured_by.len().saturating_sub(1))),
            ForgetsTheHash => record.negotiation_hash = false,
            PinsTwice => record.pins.extend(record.pins.clone()),
            _ => {}
        }
        Ok(record)
    }

    fn locked_until(&self, own: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Option<UnixTime>, StoreError> {
        let (own, peer) = (self.own(own, peer), self.peer(peer));
        self.change(&peer, |known| {
            let until = known.locked_until(&own, &peer, guess)?;
            if self.slip == CountsWhenAsked {
                let _ = known.begin_guess(&own, &peer, guess)?;
            }
            Ok(until.filter(|_| self.slip != TellsNoLock))
        })
    }

    fn begin_guess(&mut self, own: &BareJid, peer: &BareJid, guess: &Guess) -> Result<Permit, StoreError> {
        let (own, peer, mut guess) = (self.own(own, peer), self.peer(peer), *guess);
        if self.slip == HasThirtyTwoBits {
            guess.time = crate::unix(guess.time.as_secs() & u64::from(u32::MAX));
        }
        self.change(&peer, |known| {
            let before = known.clone();
            let permit = known.begin_guess(&own, &peer, &guess)?;
            let record = known.of(&peer);
            match self.slip {
                CountsNoGuess => *known = before,
                NeverLocks => return Ok(Permit::Granted),
                CountsWhatItRefuses if permit != Permit::Granted => record.attempts.failed += 1,
                ForgetsPinsWhenItCounts => record.pins.clear(),
                _ => {}
            }
            Ok(permit)
        })
    }

    fn guess_was_right(&mut self, own: &BareJid, peer: &BareJid) -> Result<(), StoreError> {
        let (own, peer) = (self.own(own, peer), self.peer(peer));
        self.change(&peer, |known| {
            match self.slip {
                KeepsRightGuesses => return Ok(()),
                ForgetsAllGuessesForARightOne => drop(mem::take(&mut known.of(&peer).attempts)),
                ForgetsPinsForARightGuess => known.of(&peer).pins.clear(),
                _ => {}
            }
            known.guess_was_right(&own, &peer)
        })
    }

    fn confirm(&mut self, peer: &BareJid, confirmed: &Confirmed) -> Result<Confirmation, StoreError> {
        let peer = self.peer(peer);
        self.change(&peer, |known| {
            let before = known.of(&peer).pins.clone();
            let confirmation = known.confirm(&peer, confirmed)?;
            let record = known.of(&peer);
            match self.slip {
                ConfirmsByAnyPins => {
                    confirmed.pin().into_iter().for_each(|pin| record.add(pin));
                    return Ok(Confirmation::Remembered);
                }
                WritesWhatItRefuses if confirmation != Confirmation::Remembered => record.pins.extend(confirmed.pin()),
                ReplacesNothing => before.into_iter().for_each(|pin| record.add(pin)),
                ReplacesEverything if confirmation == Confirmation::Remembered => {
                    record.pins.retain(|pin| confirmed.pin().is_none_or(|new| new == *pin));
                }
                ForgetsGuessesWhenItLearns => drop(mem::take(&mut record.attempts)),
                _ => {}
            }
            Ok(confirmation)
        })
    }
}

fn check(slip: Slip) {
    let open = |place: &Arc<Mutex<Known>>| {
        let known = if slip == IsNotShared { Arc::default() } else { Arc::clone(place) };
        Wrong { slip, known }
    };
    check_store(Arc::default, open);
}

#[test]
fn a_store_in_memory_does_what_every_store_has_to() {
    check_store(Arc::<Mutex<MemoryTrustStore>>::default, Arc::clone);
    check(Nothing);
}

#[test]
fn a_store_that_does_one_thing_wrong_is_found_by_the_rule_that_it_breaks() {
    for (slip, words) in [
        (CountsNoGuess, "a guess is counted when it is granted"),
        (CountsWhenAsked, "a guess is counted when it is granted"),
        (NeverLocks, "the fourth of three guesses is refused"),
        (TellsNoLock, "a lock is told before it is run into"),
        (CountsWhatItRefuses, "a guess that is refused is not counted"),
        (ForgetsTheTime, "the time of a guess is kept"),
        (HasThirtyTwoBits, "times after 2106 are kept"),
        (KeepsRightGuesses, "a right guess ends the row of wrong ones"),
        (ForgetsAllGuessesForARightOne, "a right guess takes itself back and no other"),
        (KnowsOnePeer, "what one peer has guessed locks no other"),
        (KnowsOneAddressOfYours, "guesses are counted at that address of yours"),
        (CountsNotAtYourAddress, "guesses are counted at your address"),
        (ComparesSpellings, "spellings of an address that compare equal are one"),
        (IsNotShared, "a guess is counted when it is granted, for whoever opens the store next"),
        (LosesWhatIsDoneAtOnce, "of guesses in several processes at once"),
        (ForgetsHowPinsWereLearned, "a pin is remembered when both ends"),
        (ForgetsMethods, "the method that secured a peer is remembered"),
        (KeepsTheLastMethod, "a second method is remembered beside the first"),
        (ForgetsTheHash, "that a peer has shown the negotiation hash is remembered"),
        (ConfirmsByAnyPins, "a confirmation by pins that have changed since is refused"),
        (WritesWhatItRefuses, "a confirmation that is refused leaves no pin"),
        (ReplacesNothing, "a certificate that the user takes in the place of others replaces them"),
        (ReplacesEverything, "a certificate that the user takes beside others is added to them"),
        (PinsTwice, "a pin is remembered when both ends"),
        (ForgetsGuessesWhenItLearns, "what is learned of a peer leaves its guesses counted"),
        (ForgetsPinsWhenItCounts, "a guess leaves whom one trusts"),
        (ForgetsPinsForARightGuess, "a right guess leaves whom one trusts"),
    ] {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(slip))) else { panic!("{slip:?} is not found") };
        let told = panic.downcast_ref::<String>().map_or("", |words| words);
        assert!(told.starts_with(words), "{slip:?} is found by another rule: {told}");
    }
}
