//! What is used by one call at a time, and says so to a second one.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, TryLockError};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use xtls_bindings::{Code, Error, Result};

use crate::error::raise;

/// An object whose calls release the interpreter, and which therefore may be met by another thread, or by a callback of its own. Neither
/// waits: a wait could be for ever.
#[derive(Debug)]
pub(crate) struct Sole<T> {
    inner: Mutex<T>,
    /// The thread that uses it; 0 for none.
    user: AtomicU64,
}

thread_local! {
    /// The number of this thread, since those of the standard library cannot be put into an atomic.
    static THREAD: u64 = {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
    /// What a callback raised, in the call that is made on this thread.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
    /// Whether a callback of a store runs on this thread.
    static IN_STORE: Cell<bool> = const { Cell::new(false) };
}

impl<T: Send> Sole<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner: Mutex::new(inner), user: AtomicU64::new(0) }
    }

    /// Makes a call, without the interpreter.
    pub(crate) fn with<R: Send>(&self, py: Python<'_>, call: impl FnOnce(&mut T) -> Result<R> + Send) -> PyResult<R> {
        without(py, || {
            let mut inner = match self.inner.try_lock() {
                Ok(inner) => inner,
                Err(TryLockError::Poisoned(_)) => return Err(Code::Poisoned.into()),
                Err(TryLockError::WouldBlock) => {
                    let by = if self.user.load(Ordering::Relaxed) == THREAD.with(|thread| *thread) {
                        "it is in use by the call that this one was made from: a store or a log must not call back"
                    } else {
                        "it is in use by another thread: use it from one at a time"
                    };
                    return Err(Error::new(Code::Busy, by));
                }
            };
            self.user.store(THREAD.with(|thread| *thread), Ordering::Relaxed);
            let result = call(&mut inner);
            self.user.store(0, Ordering::Relaxed);
            result
        })
    }
}

/// Does something without the interpreter. What a callback raised meanwhile is the cause of an error, and what is no error (such as
/// `KeyboardInterrupt`) goes on.
pub(crate) fn without<R: Send>(py: Python<'_>, call: impl FnOnce() -> Result<R> + Send) -> PyResult<R> {
    let result = py.detach(|| catch_unwind(AssertUnwindSafe(call))).unwrap_or_else(|_| Err(Code::Panicked.into()));
    let raised = RAISED.take();
    if let Some(interrupt) = raised.as_ref().filter(|raised| !raised.is_instance_of::<PyException>(py)) {
        return Err(interrupt.clone_ref(py));
    }
    result.map_err(|error| {
        let exception = raise(py, &error);
        exception.set_cause(py, raised.filter(|_| error.code == Code::Store));
        exception
    })
}

/// Calls something of Python's from inside a call that is made without the interpreter. What it raises is kept, and told in words.
pub(crate) fn call_back<R>(call: impl FnOnce(Python<'_>) -> PyResult<R>) -> core::result::Result<R, String> {
    let done = Python::try_attach(|py| {
        let outer = IN_STORE.replace(true);
        let result = call(py);
        IN_STORE.set(outer);
        result.map_err(|raised| {
            let words = raised.to_string();
            RAISED.set(Some(raised));
            words
        })
    });
    done.unwrap_or_else(|| Err("Python is ending".to_owned()))
}

/// Refuses what is called from inside a store.
pub(crate) fn not_in_store(py: Python<'_>) -> PyResult<()> {
    if IN_STORE.get() {
        let words = "a store is in use by the call that this one was made from: it must not call back";
        return Err(raise(py, &Error::new(Code::Busy, words)));
    }
    Ok(())
}
