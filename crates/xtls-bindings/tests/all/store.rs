//! Stores that somebody else keeps.

use std::sync::{Arc, Mutex};

use xtls_bindings::{Code, Identity, Keeper, Store};

use crate::pair::{JULIET, NOW, Pair, ROMEO, engine, identity};

/// A text in memory that can fail, and counts its locks.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    text: Option<Vec<u8>>,
    fails: bool,
    locked: i32,
    locks: i32,
}

impl Shelf {
    fn with<R>(&self, call: impl FnOnce(&mut State) -> R) -> R {
        call(&mut self.0.lock().expect("nobody panicked"))
    }
}

impl Keeper for Shelf {
    fn load(&self) -> Result<Option<Vec<u8>>, String> {
        self.with(|state| if state.fails { Err("the shelf is broken".to_owned()) } else { Ok(state.text.clone()) })
    }

    fn save(&self, text: &[u8]) -> Result<(), String> {
        self.with(|state| {
            assert_eq!(state.locked, 1, "under a lock");
            if state.fails {
                return Err("the shelf is broken".to_owned());
            }
            state.text = Some(text.to_vec());
            Ok(())
        })
    }

    fn lock(&self) -> Result<(), String> {
        self.with(|state| {
            state.locked += 1;
            state.locks += 1;
        });
        Ok(())
    }

    fn unlock(&self) {
        self.with(|state| state.locked -= 1);
    }
}

#[test]
fn what_is_learned_is_kept_and_read_again() {
    let shelf = Shelf::default();
    let store = Store::kept_by(shelf.clone()).expect("a store");
    let hers = identity(JULIET);
    let mut pair =
        Pair::of([engine(ROMEO, &identity(ROMEO), &store, &[]), engine(JULIET, &hers, &Store::in_memory(), &[])]);
    pair.ends[0].initiate(pair.now, JULIET, &[("trust", "leap-of-faith")]).expect("an offer");
    pair.run();
    let offer = pair.event(1, "incoming");
    pair.ends[1].accept(pair.now, offer.id, &[("trust", "leap-of-faith")]).expect("accepted");
    pair.run();
    pair.event(0, "secured");
    // From the text alone.
    let again = Store::kept_by(shelf.clone()).expect("a store");
    let pins = again.pins().expect("read");
    assert_eq!(pins.len(), 1);
    assert_eq!((pins[0].peer.as_str(), pins[0].learned), ("juliet@capulet.lit", "leap-of-faith"));
    assert_eq!(pins[0].fingerprint, hers.fingerprint().expect("a fingerprint"));
    assert!(again.forget(JULIET).expect("forgotten") && !again.forget(JULIET).expect("nothing left"));
    shelf.with(|state| assert!(state.locked == 0 && state.locks >= 3));
}

#[test]
fn a_store_that_fails_ends_the_tunnel_and_one_that_is_gone_is_no_empty_one() {
    let shelf = Shelf::default();
    let store = Store::kept_by(shelf.clone()).expect("a store");
    store.pin(JULIET, &identity(JULIET).fingerprint().expect("a fingerprint")).expect("a pin");
    let mut romeo = engine(ROMEO, &identity(ROMEO), &store, &[]);
    shelf.with(|state| state.fails = true);
    assert_eq!(romeo.initiate(0, JULIET, &[("trust", "pinned")]).unwrap_err().code, Code::Store);
    let error = store.forget(JULIET).unwrap_err();
    assert_eq!((error.code, error.words.as_str()), (Code::Store, "the shelf is broken"));
    shelf.with(|state| (state.fails, state.text) = (false, None));
    assert!(store.pins().unwrap_err().words.contains("gone"));
    assert_eq!(romeo.initiate(0, JULIET, &[("trust", "leap-of-faith")]).unwrap_err().code, Code::Store);
    shelf.with(|state| state.text = Some(b"{}".to_vec()));
    assert_eq!(Store::kept_by(shelf.clone()).unwrap_err().code, Code::Store, "damaged, and left as it is");
    shelf.with(|state| assert!(state.locked == 0 && state.text.as_deref() == Some(b"{}")));
}

#[test]
fn a_store_in_a_file_is_the_one_of_the_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("trust.json");
    let path = path.to_str().expect("UTF-8");
    let store = Store::in_file(path).expect("a store");
    store.pin("juliet@capulet.lit", &identity(JULIET).fingerprint().expect("a fingerprint")).expect("a pin");
    assert!(std::fs::read_to_string(path).expect("a file").contains("\"juliet@capulet.lit\""));
    assert_eq!(Store::in_file(path).expect("the same").pins().expect("read").len(), 1);
    for (peer, fingerprint, code) in
        [("@", "sha-256:00", Code::Address), ("a@b", "sha-256:00", Code::Fingerprint), ("a@b", "", Code::Fingerprint)]
    {
        assert_eq!(store.pin(peer, fingerprint).unwrap_err().code, code);
    }
    std::fs::write(path, "nonsense").expect("written");
    assert_eq!(Store::in_file(path).unwrap_err().code, Code::Store);
}

#[test]
fn an_identity_in_a_file_is_made_once_and_a_damaged_file_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("me.pem");
    let name = path.to_str().unwrap();
    let [first, second] = [0, 1].map(|_| Identity::in_file(name, ROMEO, NOW).unwrap());
    assert_eq!(first.fingerprint(), second.fingerprint());
    assert_eq!((first.certificate, first.key), (second.certificate, second.key));
    std::fs::write(&path, "damaged").unwrap();
    let error = Identity::in_file(name, ROMEO, NOW).unwrap_err();
    assert_eq!(error.code, Code::Identity);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "damaged");
}
