//! What is known of peers, where Python keeps it.

use std::path::PathBuf;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use xtls_bindings::Keeper;

use crate::sole::{call_back, not_in_store, without};
use crate::values::text;

/// What is known of peers, kept by an object with `load` and `save`.
#[pyclass(frozen, subclass, module = "xtls")]
#[derive(Debug)]
pub(crate) struct Store(pub(crate) xtls_bindings::Store);

/// One that forgets all when the program ends.
#[pyclass(frozen, extends = Store, module = "xtls")]
#[derive(Debug)]
pub(crate) struct MemoryStore;

/// One in a file, which several processes may share.
#[pyclass(frozen, extends = Store, module = "xtls")]
#[derive(Debug)]
pub(crate) struct FileStore;

/// A certificate that a peer is known by.
#[pyclass(frozen, get_all, module = "xtls")]
#[derive(Debug)]
pub(crate) struct Pin {
    peer: String,
    fingerprint: String,
    learned: &'static str,
    since: u64,
}

#[pymethods]
impl Store {
    #[new]
    fn new(keeper: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = keeper.py();
        for method in ["load", "save"] {
            if !keeper.getattr_opt(method)?.is_some_and(|method| method.is_callable()) {
                let kind = keeper.get_type().name()?.to_string();
                return Err(PyTypeError::new_err(format!(
                    "a store has the methods load and save, and {kind} has no {method}"
                )));
            }
        }
        let locks = keeper.hasattr("lock")?;
        let kept = Kept { object: keeper.clone().unbind(), locks };
        not_in_store(py)?;
        without(py, || xtls_bindings::Store::kept_by(kept)).map(Self)
    }

    /// Pins a certificate to a peer, on the user's word.
    fn pin(&self, py: Python<'_>, peer: &str, fingerprint: &str) -> PyResult<()> {
        self.call(py, |store| store.pin(peer, fingerprint))
    }

    /// Forgets a peer, but for wrong guesses at a password. Tells whether anything was known.
    fn forget(&self, py: Python<'_>, peer: &str) -> PyResult<bool> {
        self.call(py, |store| store.forget(peer))
    }

    /// Lifts the locks that wrong guesses have put on an address. Tells whether there were any.
    fn forgive(&self, py: Python<'_>, peer: &str) -> PyResult<bool> {
        self.call(py, |store| store.forgive(peer))
    }

    /// All certificates that are pinned.
    fn pins(&self, py: Python<'_>) -> PyResult<Vec<Pin>> {
        let pins = self.call(py, xtls_bindings::Store::pins)?;
        let pin = |pin: xtls_bindings::Pin| Pin {
            peer: pin.peer,
            fingerprint: pin.fingerprint,
            learned: pin.learned,
            since: pin.since,
        };
        Ok(pins.into_iter().map(pin).collect())
    }
}

impl Store {
    fn call<R: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&xtls_bindings::Store) -> xtls_bindings::Result<R> + Send,
    ) -> PyResult<R> {
        not_in_store(py)?;
        without(py, || call(&self.0))
    }
}

#[pymethods]
impl MemoryStore {
    #[new]
    fn new() -> PyClassInitializer<Self> {
        PyClassInitializer::from(Store(xtls_bindings::Store::in_memory())).add_subclass(Self)
    }
}

#[pymethods]
impl FileStore {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<PyClassInitializer<Self>> {
        let name = crate::identity::name(&path)?;
        let store = Store(without(py, || xtls_bindings::Store::in_file(name))?);
        Ok(PyClassInitializer::from(store).add_subclass(Self))
    }
}

#[pymethods]
impl Pin {
    fn __repr__(&self) -> String {
        format!("<xtls.Pin {} {}>", self.peer, self.fingerprint)
    }
}

/// An object of Python's that keeps a text.
struct Kept {
    object: Py<PyAny>,
    locks: bool,
}

impl Keeper for Kept {
    fn load(&self) -> Result<Option<Vec<u8>>, String> {
        call_back(|py| {
            let kept = self.object.bind(py).call_method0("load")?;
            if kept.is_none() { Ok(None) } else { Ok(Some(text(&kept, "what load returns")?.to_vec())) }
        })
    }

    fn save(&self, saved: &[u8]) -> Result<(), String> {
        call_back(|py| {
            let saved = String::from_utf8_lossy(saved);
            self.object.bind(py).call_method1("save", (&*saved,)).map(drop)
        })
    }

    fn lock(&self) -> Result<(), String> {
        if !self.locks {
            return Ok(());
        }
        call_back(|py| self.object.bind(py).call_method0("lock").map(drop))
    }

    fn unlock(&self) {
        if self.locks {
            // What it raises is told as in a destructor: the change is done.
            let _ = call_back(|py| {
                let object = self.object.bind(py);
                if let Err(raised) = object.call_method0("unlock") {
                    raised.write_unraisable(py, Some(object));
                }
                Ok(())
            });
        }
    }
}
