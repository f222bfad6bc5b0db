//! What happens, as plain classes.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::values::seconds;

/// What happened.
#[pyclass(frozen, get_all, module = "xtls")]
#[derive(Debug)]
pub(crate) struct Event {
    kind: &'static str,
    id: u64,
    peer: String,
    application: String,
    sid: String,
    text: String,
    fingerprint: String,
    fingerprints: Vec<String>,
    methods: Vec<&'static str>,
    side: &'static str,
    security: Option<Security>,
    by: &'static str,
    reason: &'static str,
    condition: &'static str,
    fault: &'static str,
    blame: &'static str,
    is_security: bool,
    truncated: bool,
    receipt: &'static str,
    bytes: u64,
    certificates: Vec<Certificate>,
    takes_insecure: bool,
    takes_password: bool,
    host: String,
    port: u16,
    held: u64,
}

/// How a tunnel is secured.
#[pyclass(frozen, get_all, module = "xtls")]
#[derive(Debug, Clone)]
pub(crate) struct Security {
    method: &'static str,
    authentication: &'static str,
    tls: String,
    cipher_suite: &'static str,
    group: &'static str,
    fingerprint: String,
    changed_from: Vec<String>,
    out_of_date: bool,
    confirmed: bool,
    words: String,
}

/// A certificate that a peer has given.
#[pyclass(frozen, module = "xtls")]
#[derive(Debug, Clone)]
pub(crate) struct Certificate(xtls_bindings::Certificate);

/// What became of a stanza.
#[pyclass(frozen, get_all, module = "xtls")]
#[derive(Debug)]
pub(crate) struct Handled {
    disposition: &'static str,
    refusal: u64,
    words: String,
}

/// When an engine wants to be called next.
#[pyclass(frozen, get_all, module = "xtls")]
#[derive(Debug)]
pub(crate) struct Deadline {
    after: f64,
    timer: &'static str,
}

#[pymethods]
impl Event {
    /// Which tunnel, and with whom; nothing that was said.
    fn __repr__(&self) -> String {
        let peer = if self.peer.is_empty() { String::new() } else { format!(" {}", self.peer) };
        format!("<xtls.Event {} {}{peer}>", self.kind, self.id)
    }
}

#[pymethods]
impl Security {
    fn __str__(&self) -> &str {
        &self.words
    }

    fn __repr__(&self) -> String {
        format!("<xtls.Security {}>", self.words)
    }
}

#[pymethods]
impl Certificate {
    #[getter]
    fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    #[getter]
    fn der<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.der)
    }

    #[getter]
    fn held(&self) -> bool {
        self.0.held
    }

    fn __repr__(&self) -> String {
        format!("<xtls.Certificate {}>", self.0.fingerprint)
    }
}

#[pymethods]
impl Handled {
    fn __repr__(&self) -> String {
        format!("<xtls.Handled {}>", self.disposition)
    }
}

#[pymethods]
impl Deadline {
    fn __repr__(&self) -> String {
        format!("<xtls.Deadline {} in {} s>", self.timer, self.after)
    }
}

impl Event {
    /// An event, and the number of what it holds.
    pub(crate) fn new(event: xtls_bindings::Event, held: u64) -> Self {
        Self {
            kind: event.kind.as_str(),
            id: event.id,
            peer: event.peer,
            application: event.application,
            sid: event.sid,
            text: event.text,
            fingerprint: event.fingerprint,
            fingerprints: event.fingerprints,
            methods: event.methods,
            side: event.side,
            security: event.security.map(|security| Security::from(*security)),
            by: event.by,
            reason: event.reason,
            condition: event.condition,
            fault: event.fault,
            blame: event.blame,
            is_security: event.is_security,
            truncated: event.truncated,
            receipt: event.receipt,
            bytes: event.bytes,
            certificates: event.certificates.into_iter().map(Certificate).collect(),
            takes_insecure: event.takes_insecure,
            takes_password: event.takes_password,
            host: event.host,
            port: event.port,
            held,
        }
    }
}

impl From<xtls_bindings::Security> for Security {
    fn from(security: xtls_bindings::Security) -> Self {
        Self {
            method: security.method,
            authentication: security.authentication,
            tls: security.tls,
            cipher_suite: security.cipher_suite,
            group: security.group,
            fingerprint: security.fingerprint,
            changed_from: security.changed_from,
            out_of_date: security.out_of_date,
            confirmed: security.confirmed,
            words: security.words,
        }
    }
}

impl From<xtls_bindings::Handled> for Handled {
    fn from(handled: xtls_bindings::Handled) -> Self {
        Self { disposition: handled.disposition.as_str(), refusal: handled.refusal, words: handled.words }
    }
}

impl From<xtls_bindings::Deadline> for Deadline {
    fn from(deadline: xtls_bindings::Deadline) -> Self {
        Self { after: seconds(deadline.after), timer: deadline.timer }
    }
}
