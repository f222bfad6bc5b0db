//! An event as one struct.

use core::ffi::c_char;

use xtls_bindings::{Event, Result};

use crate::abi::XtlsEvent;
use crate::border::{Room, SizedOut};

/// Texts for a buffer of the caller's, one after the other.
struct Texts<'b> {
    /// It begins with the empty text, which all that say nothing share.
    bytes: &'b mut Vec<u8>,
    start: *const c_char,
}

impl Texts<'_> {
    fn add(&mut self, text: &str) -> *const c_char {
        if text.is_empty() {
            return self.start;
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        // Nothing is read by it here; and it is told only if all of it fits.
        self.start.wrapping_add(at)
    }

    fn list<T: AsRef<str>>(&mut self, texts: &[T]) -> *const c_char {
        if texts.is_empty() {
            return self.start;
        }
        let all: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        self.add(&all.join(" "))
    }
}

/// Writes an event and its texts, if they fit. What they are made in is kept for the next one.
pub(crate) fn tell(event: &Event, out: &SizedOut<XtlsEvent>, room: &Room, bytes: &mut Vec<u8>) -> Result<()> {
    bytes.clear();
    bytes.push(0);
    let mut texts = Texts { bytes, start: room.start() };
    let whole = flat(event, &mut texts);
    room.put(texts.bytes)?;
    out.set(|size| XtlsEvent { size, ..whole });
    Ok(())
}

fn flat(event: &Event, texts: &mut Texts<'_>) -> XtlsEvent {
    let security = event.security.as_deref();
    let of = |field: fn(&xtls_bindings::Security) -> &str| security.map_or("", field);
    let fingerprint =
        if event.fingerprint.is_empty() { of(|security| &security.fingerprint) } else { &event.fingerprint };
    let fingerprints = match (security, event.certificates.is_empty()) {
        (Some(security), _) => texts.list(&security.changed_from),
        (None, true) => texts.list(&event.fingerprints),
        (None, false) => texts.list(&event.certificates.iter().map(|one| &*one.fingerprint).collect::<Vec<_>>()),
    };
    let methods = if let Some(security) = security { texts.add(security.method) } else { texts.list(&event.methods) };
    let tls = security.map(|security| format!("{}, {}, {}", security.tls, security.cipher_suite, security.group));
    let words = if event.text.is_empty() { of(|security| &security.words) } else { &event.text };
    XtlsEvent {
        size: 0,
        kind: event.kind.number(),
        id: event.id,
        name: texts.add(event.as_str()),
        peer: texts.add(&event.peer),
        application: texts.add(&event.application),
        sid: texts.add(&event.sid),
        text: texts.add(words),
        fingerprint: texts.add(fingerprint),
        fingerprints,
        methods,
        side: texts.add(event.side),
        authentication: texts.add(of(|security| security.authentication)),
        tls: texts.add(tls.as_deref().unwrap_or_default()),
        by: texts.add(event.by),
        reason: texts.add(event.reason),
        condition: texts.add(event.condition),
        fault: texts.add(event.fault),
        blame: texts.add(event.blame),
        receipt: texts.add(event.receipt),
        bytes: event.bytes,
        is_security: event.is_security,
        truncated: event.truncated,
        confirmed: security.is_some_and(|security| security.confirmed),
        out_of_date: security.is_some_and(|security| security.out_of_date),
        takes_insecure: event.takes_insecure,
        takes_password: event.takes_password,
    }
}
