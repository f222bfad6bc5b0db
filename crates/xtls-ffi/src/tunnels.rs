//! What is done in a tunnel.

use core::ffi::c_char;

use xtls_bindings::{Code, Error};
use zeroize::Zeroizing;

use crate::abi::{XtlsCode, XtlsEngine, XtlsSetting, XtlsStats};
use crate::border::{self, Out, Room, SizedOut};
use crate::engine::with;

/// Offers a tunnel to a full address, and says its id. The settings are `trust` (`pinned`, `ask`, `leap-of-faith` or `authorities`:
/// there is no default), `application` (`xml-stream`, `bytes`, or a namespace), `password`, `ask_password`, `allow_downgrade`,
/// `check_support` and `sid`.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_initiate(
    engine: XtlsEngine,
    now: u64,
    peer: *const c_char,
    settings: *const XtlsSetting,
    settings_count: usize,
    id: *mut u64,
) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let peer = unsafe { border::text(peer, "peer") }?;
        // SAFETY: the caller promises so many settings of texts.
        let settings = unsafe { border::settings(settings, settings_count) }?;
        // SAFETY: the caller promises that it can be written there.
        let id = unsafe { Out::new(id, "id") }?;
        id.set(held.engine.initiate(now, peer, &settings)?);
        Ok(())
    })
}

/// Accepts an offer, with settings as for `xtls_initiate`; the application is what is offered, unless it is named.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_accept(
    engine: XtlsEngine,
    now: u64,
    id: u64,
    settings: *const XtlsSetting,
    settings_count: usize,
) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises so many settings of texts.
        let settings = unsafe { border::settings(settings, settings_count) }?;
        held.engine.accept(now, id, &settings)
    })
}

/// Rejects an offer, for a reason of XEP-0166, 7.4, such as `decline` or `busy`.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_reject(engine: XtlsEngine, now: u64, id: u64, reason: *const c_char) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let reason = unsafe { border::text(reason, "reason") }?;
        held.engine.reject(now, id, reason)
    })
}

/// Answers the question for a password; null says that there is none. Wipe your own copy.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_password(engine: XtlsEngine, now: u64, id: u64, password: *const c_char) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let password = unsafe { border::optional_text(password, "password") }?;
        held.engine.password(now, id, password)
    })
}

/// Answers the question about a certificate: `accept`, `accept-and-keep` or `refuse`.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_trust(engine: XtlsEngine, now: u64, id: u64, decision: *const c_char) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let decision = unsafe { border::text(decision, "decision") }?;
        held.engine.trust(now, id, decision)
    })
}

/// Sends a stanza inside. `XTLS_FULL` says to wait for `XTLS_EVENT_WRITABLE`.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_send(engine: XtlsEngine, now: u64, id: u64, stanza: *const c_char) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let stanza = unsafe { border::text(stanza, "stanza") }?;
        held.engine.send(now, id, stanza)
    })
}

/// Writes bytes, as many as there is room for, and says how many: the rest after `XTLS_EVENT_WRITABLE`.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_write(
    engine: XtlsEngine,
    now: u64,
    id: u64,
    bytes: *const u8,
    length: usize,
    written: *mut usize,
) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises that so many bytes are there and stay.
        let bytes = unsafe { border::slice(bytes, length, "bytes") }?;
        // SAFETY: the caller promises that it can be written there.
        let written = unsafe { Out::new(written, "written") }?;
        written.set(held.engine.write(now, id, bytes)?);
        Ok(())
    })
}

/// Copies bytes that have come, and says how many; 0 if there are none at the moment. What does not fit stays, also when the tunnel ends
/// meanwhile: go on until there are none.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_read(
    engine: XtlsEngine,
    now: u64,
    id: u64,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises that so much can be written.
        let room = unsafe { Room::new(buffer, size, length) }?;
        let count = room.put_some(held.engine.left(now, id)?)?;
        held.engine.taken(id, count);
        Ok(())
    })
}

/// No more bytes will be written; those of the peer still come.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_finish(engine: XtlsEngine, now: u64, id: u64) -> XtlsCode {
    with(engine, |held| held.engine.finish(now, id))
}

/// Ends the tunnel in order.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_close(engine: XtlsEngine, now: u64, id: u64) -> XtlsCode {
    with(engine, |held| held.engine.close(now, id))
}

/// Ends the tunnel at once, for a reason of XEP-0166, 7.4, such as `cancel`.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_abort(engine: XtlsEngine, now: u64, id: u64, reason: *const c_char) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let reason = unsafe { border::text(reason, "reason") }?;
        held.engine.abort(now, id, reason)
    })
}

/// Opens an XML stream in the tunnel again, after one was closed.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_open_stream(engine: XtlsEngine, now: u64, id: u64) -> XtlsCode {
    with(engine, |held| held.engine.open_stream(now, id))
}

/// Closes the XML stream; the tunnel stays.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_close_stream(engine: XtlsEngine, now: u64, id: u64) -> XtlsCode {
    with(engine, |held| held.engine.close_stream(now, id))
}

/// When the peer is given a receipt: `when-read`, `when-told` or `never`.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_set_give_receipt(engine: XtlsEngine, now: u64, id: u64, when: *const c_char) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let when = unsafe { border::text(when, "when") }?;
        held.engine.set_give_receipt(now, id, when)
    })
}

/// Gives the peer a receipt: everything has come, and is stored.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_give_receipt(engine: XtlsEngine, now: u64, id: u64) -> XtlsCode {
    with(engine, |held| held.engine.give_receipt(now, id))
}

/// Says how a tunnel is doing.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_tunnel_stats(engine: XtlsEngine, id: u64, stats: *mut XtlsStats) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises that it begins with its size, and that so much can be written there.
        let out = unsafe { SizedOut::new(stats, "stats") }?;
        let stats = held.engine.stats(id)?;
        out.set(|size| XtlsStats {
            size,
            age: stats.age,
            sent: stats.sent,
            acked: stats.acked,
            received: stats.received,
            unacked: stats.unacked,
            throttled: stats.throttled,
            round_trip: stats.round_trip,
            retries: stats.retries,
        });
        Ok(())
    })
}

/// Derives keying material that both ends share (RFC 5705), so much as the buffer has; `XTLS_NOT_SECURED` before there is any. It is
/// secret: wipe it.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_export_keying_material(
    engine: XtlsEngine,
    id: u64,
    label: *const c_char,
    buffer: *mut u8,
    size: usize,
) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let label = unsafe { border::text(label, "label") }?;
        let mut length = 0;
        // SAFETY: the caller promises that so much can be written; `length` is here, and lives longer.
        let room = unsafe { Room::new(buffer, size, &raw mut length) }?;
        let secret = held.engine.export_keying_material(id, room.size(), label.as_bytes())?;
        let words = "the tunnel is not secured, or TLS cannot derive so much";
        let secret = Zeroizing::new(secret.ok_or_else(|| Error::new(Code::NotSecured, words))?);
        room.put(&secret)
    })
}
