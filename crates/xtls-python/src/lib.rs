//! The module `xtls._native` of Python: a thin skin over `xtls-bindings`. What users see of it is in `python/xtls`, and its types are in
//! `python/xtls/_native.pyi`; docs/guide/python.md of the repository says how it is used.

mod engine;
mod error;
mod event;
mod identity;
mod log;
mod sole;
mod store;
mod values;

/// What is written in Rust of the module `xtls`.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;
    use pyo3::types::{PyDict, PyTuple};
    use xtls_bindings::{CONFIG_SETTINGS, Code, OPTION_SETTINGS};

    #[pymodule_export]
    use crate::engine::{Engine, Stats};
    #[pymodule_export]
    use crate::event::{Certificate, Deadline, Event, Handled, Security};
    #[pymodule_export]
    use crate::identity::Identity;
    #[pymodule_export]
    use crate::store::{FileStore, MemoryStore, Pin, Store};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        crate::error::add(module)?;
        let names = PyDict::new(py);
        for (of, all) in xtls_bindings::names() {
            names.set_item(of, PyTuple::new(py, all)?)?;
        }
        module.add("NAMES", names)?;
        let codes = PyDict::new(py);
        for code in Code::ALL {
            codes.set_item(code.as_str(), code.number())?;
        }
        module.add("CODES", codes)?;
        module.add("CONFIG_SETTINGS", PyTuple::new(py, CONFIG_SETTINGS)?)?;
        module.add("OPTION_SETTINGS", PyTuple::new(py, OPTION_SETTINGS)?)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
