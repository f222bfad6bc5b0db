//! What Python passes, as what the bindings take.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyMemoryView, PySlice, PyString};
use xtls_bindings::{Code, Error};
use zeroize::Zeroizing;

use crate::error::raise;

/// An id. A number that cannot be one names nothing of any engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub(crate) u64);

impl<'a, 'py> FromPyObject<'a, 'py> for Id {
    type Error = PyErr;

    fn extract(any: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if !any.is_instance_of::<PyInt>() {
            return Err(PyTypeError::new_err(format!("an id is an int, and not {}", any.get_type().name()?)));
        }
        any.extract().map(Self).map_err(|_| raise(any.py(), &Error::from(Code::OtherEngine)))
    }
}

/// A stanza: text, or text in UTF-8.
pub(crate) fn text<'a>(any: &'a Bound<'_, PyAny>, what: &str) -> PyResult<&'a [u8]> {
    if let Ok(text) = any.cast::<PyString>() {
        return Ok(text.to_str()?.as_bytes());
    }
    match any.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes()),
        Err(_) => Err(PyTypeError::new_err(format!("{what} is str or bytes, and not {}", any.get_type().name()?))),
    }
}

/// Settings and options, by name. Nothing stands for a value that is left out.
#[derive(Debug)]
pub(crate) struct Pairs(Vec<(String, Zeroizing<String>)>);

impl Pairs {
    pub(crate) fn of(dict: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut pairs = Vec::new();
        for (name, value) in dict.into_iter().flatten().filter(|(_, value)| !value.is_none()) {
            let name: String = name.extract()?;
            // A yes or no is a number too in Python.
            let value = if let Ok(yes) = value.cast::<PyBool>() {
                yes.is_true().to_string()
            } else if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyString>() {
                value.str()?.to_str()?.to_owned()
            } else {
                let kind = value.get_type().name()?.to_string();
                return Err(PyTypeError::new_err(format!("{name} is str, int or bool, and not {kind}")));
            };
            pairs.push((name, Zeroizing::new(value)));
        }
        Ok(Self(pairs))
    }

    pub(crate) fn as_settings(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// How much of bytes that can change is copied at once.
const PIECE: usize = 256 * 1024;

/// Writes anything that has bytes, piece by piece, until less is taken than there is. Tells how much was. Bytes that can change while the
/// interpreter is released are copied.
pub(crate) fn write(data: &Bound<'_, PyAny>, mut write: impl FnMut(&[u8]) -> PyResult<usize>) -> PyResult<usize> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return write(bytes.as_bytes());
    }
    let view = PyMemoryView::from(data)?.call_method1("cast", ("B",))?;
    let (mut written, all) = (0, view.len()?);
    while written < all {
        let end = all.min(written + PIECE);
        let piece = view.get_item(slice(data.py(), written, end)?)?.call_method0("tobytes")?;
        let piece = piece.cast::<PyBytes>()?.as_bytes();
        let count = write(piece)?;
        written += count;
        if count < piece.len() {
            break;
        }
    }
    Ok(written)
}

fn slice(py: Python<'_>, start: usize, end: usize) -> PyResult<Bound<'_, PySlice>> {
    Ok(PySlice::new(py, start.try_into()?, end.try_into()?, 1))
}

/// Seconds of a clock as milliseconds.
pub(crate) fn millis(seconds: f64) -> PyResult<u64> {
    let is_time = seconds.is_finite() && (0.0..1e15).contains(&seconds);
    // Nothing else makes a whole number of a float.
    #[allow(clippy::as_conversions, reason = "it is in bounds")]
    let whole = (seconds * 1000.0) as u64;
    if is_time { Ok(whole) } else { Err(PyValueError::new_err(format!("a clock shows seconds, and not {seconds}"))) }
}

/// Milliseconds as seconds.
#[allow(clippy::as_conversions, reason = "a time that is not exact beyond 285 000 years")]
pub(crate) fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// The time of day, in seconds since 1970.
#[allow(clippy::disallowed_methods, reason = "a library that does no I/O ends here")]
pub(crate) fn unix_time() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
