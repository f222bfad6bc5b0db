//! The log, for a function of Python.

use core::fmt;

use pyo3::prelude::*;
use xtls_bindings::{Level, Log};

/// A function that is called with a level, a target and a line.
pub(crate) struct Function(pub(crate) Py<PyAny>);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").finish_non_exhaustive()
    }
}

impl Log for Function {
    fn line(&self, level: Level, target: &str, line: &str) {
        let level = if level == Level::Debug { "debug" } else { "trace" };
        // Where Python is ending there is nobody to tell; what the function raises is told as in a destructor.
        let _ = Python::try_attach(|py| {
            if let Err(raised) = self.0.call1(py, (level, target, line)) {
                raised.write_unraisable(py, Some(self.0.bind(py)));
            }
        });
    }
}
