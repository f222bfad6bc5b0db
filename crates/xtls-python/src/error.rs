//! Exceptions: a class for each code, made from the table of codes.

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use xtls_bindings::{Code, Error};

static CLASSES: PyOnceLock<Vec<(Code, Py<PyType>)>> = PyOnceLock::new();

/// The exception for an error.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let class = CLASSES.get(py).and_then(|all| all.iter().find(|(code, _)| *code == error.code));
    match class {
        Some((_, class)) => PyErr::from_type(class.bind(py).clone(), error.words.clone()),
        // `ok` alone has none, and is no error.
        None => PyValueError::new_err(error.words.clone()),
    }
}

/// Makes the classes, and puts them into the module, as `ERRORS`: `Error`, and one of it for each code.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let base = class(
        &py.get_type::<PyException>(),
        "Error",
        "What a call refused: `code` is the short name of the reason.",
        "",
        0,
    )?;
    let all = PyDict::new(py);
    all.set_item("Error", &base)?;
    let mut classes = Vec::new();
    for &code in Code::ALL.iter().filter(|code| **code != Code::Ok) {
        let class = class(&base, &name(code), code.words(), code.as_str(), code.number())?;
        all.set_item(name(code), &class)?;
        classes.push((code, class.unbind()));
    }
    CLASSES.get_or_init(py, || classes);
    module.add("ERRORS", all)
}

/// By `type` itself: `PyErr::new_type` of PyO3 0.30 uses the fields after it has let go of them.
fn class<'py>(
    base: &Bound<'py, PyType>,
    name: &str,
    words: &str,
    code: &str,
    number: i32,
) -> PyResult<Bound<'py, PyType>> {
    let py = base.py();
    let fields = PyDict::new(py);
    fields.set_item("__module__", "xtls.errors")?;
    fields.set_item("__doc__", words)?;
    fields.set_item("code", code)?;
    fields.set_item("number", number)?;
    Ok(py.get_type::<PyType>().call1((name, (base,), fields))?.cast_into::<PyType>()?)
}

/// `not-asked` as `NotAskedError`.
fn name(code: Code) -> String {
    let capital = |part: &str| part.chars().take(1).flat_map(char::to_uppercase).chain(part.chars().skip(1)).collect();
    code.as_str().split('-').map(capital).collect::<Vec<String>>().concat() + "Error"
}
