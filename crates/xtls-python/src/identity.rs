//! Your certificate and its key.

use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::sole::without;
use crate::values::unix_time;

/// Your certificate and its key. The key is wiped with this.
#[pyclass(frozen, module = "xtls")]
#[derive(Debug)]
pub(crate) struct Identity(pub(crate) xtls_bindings::Identity);

#[pymethods]
impl Identity {
    #[new]
    fn new(py: Python<'_>, certificate: &str, key: &str) -> PyResult<Self> {
        let identity = xtls_bindings::Identity::new(certificate, key);
        // What is no certificate is said here, and not only by an engine.
        without(py, || identity.fingerprint())?;
        Ok(Self(identity))
    }

    /// A new key, and a certificate for it. `algorithm` is `ecdsa-p256`, `ed25519` or `rsa-3072`.
    #[staticmethod]
    #[pyo3(signature = (jid, algorithm = "ecdsa-p256", *, unix_time = None))]
    fn generate(py: Python<'_>, jid: &str, algorithm: &str, unix_time: Option<u64>) -> PyResult<Self> {
        let time = unix_time.unwrap_or_else(self::unix_time);
        without(py, || xtls_bindings::Identity::generate(jid, algorithm, time)).map(Self)
    }

    /// The one in this file, which its owner alone can read. The first time it is made.
    #[staticmethod]
    #[pyo3(signature = (path, jid, *, unix_time = None))]
    fn in_file(py: Python<'_>, path: PathBuf, jid: &str, unix_time: Option<u64>) -> PyResult<Self> {
        let (time, path) = (unix_time.unwrap_or_else(self::unix_time), name(&path)?);
        without(py, || xtls_bindings::Identity::in_file(path, jid, time)).map(Self)
    }

    /// The certificate, in PEM.
    #[getter]
    fn certificate(&self) -> &str {
        &self.0.certificate
    }

    /// The private key, in PEM: a secret.
    #[getter]
    fn key(&self) -> &str {
        &self.0.key
    }

    /// The fingerprint of the certificate, as `sha-256:…`.
    #[getter]
    fn fingerprint(&self, py: Python<'_>) -> PyResult<String> {
        without(py, || self.0.fingerprint())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<xtls.Identity {}>", self.fingerprint(py)?))
    }
}

/// The name of a file, which is text.
pub(crate) fn name(path: &std::path::Path) -> PyResult<&str> {
    path.to_str().ok_or_else(|| PyValueError::new_err(format!("the name of the file is no UTF-8: {}", path.display())))
}
