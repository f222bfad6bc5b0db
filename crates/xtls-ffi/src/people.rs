//! Who is known, who is there, and being found.

use core::ffi::c_char;

use crate::abi::{XtlsCode, XtlsEngine, XtlsSetting};
use crate::border::{self, Out, Room};
use crate::engine::with;

/// Pins a certificate to a peer, on the user's word: its bare address, and a fingerprint such as `sha-256:…`.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_pin(engine: XtlsEngine, peer: *const c_char, fingerprint: *const c_char) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises texts.
        let peer = unsafe { border::text(peer, "peer") }?;
        // SAFETY: the same.
        let fingerprint = unsafe { border::text(fingerprint, "fingerprint") }?;
        held.engine.store().pin(peer, fingerprint)
    })
}

/// Forgets a peer, but for wrong guesses at a password, which `xtls_forgive` takes off. `XTLS_NOTHING` if nothing was known of it.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_forget(engine: XtlsEngine, peer: *const c_char) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let peer = unsafe { border::text(peer, "peer") }?;
        if held.engine.store().forget(peer)? { Ok(()) } else { Err(xtls_bindings::Code::Nothing.into()) }
    })
}

/// Lifts the locks that wrong guesses at a password have put on an address. `XTLS_NOTHING` if there were none.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_forgive(engine: XtlsEngine, peer: *const c_char) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let peer = unsafe { border::text(peer, "peer") }?;
        if held.engine.store().forgive(peer)? { Ok(()) } else { Err(xtls_bindings::Code::Nothing.into()) }
    })
}

/// All certificates that are pinned: a line for each, with the address, the fingerprint, and how it came to be known.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_pins(
    engine: XtlsEngine,
    buffer: *mut c_char,
    size: usize,
    length: *mut usize,
) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises that so much can be written.
        let room = unsafe { Room::new(buffer.cast(), size, length) }?;
        let line = |pin: &xtls_bindings::Pin| format!("{} {} {}\n", pin.peer, pin.fingerprint, pin.learned);
        let lines: String = held.engine.store().pins()?.iter().map(line).collect();
        room.put_text(&lines)
    })
}

/// From now on the engine answers questions for features itself (XEP-0030, XEP-0115), and `xtls_presence` tells of them. `node` is the
/// address of your software, `category` and `kind` such as `client` and `pc`, and `features` those of yours.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_set_features(
    engine: XtlsEngine,
    node: *const c_char,
    category: *const c_char,
    kind: *const c_char,
    features: *const *const c_char,
    features_count: usize,
) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises texts.
        let node = unsafe { border::text(node, "node") }?;
        // SAFETY: the same.
        let category = unsafe { border::text(category, "category") }?;
        // SAFETY: the same.
        let kind = unsafe { border::text(kind, "kind") }?;
        // SAFETY: the caller promises so many pointers.
        let features = unsafe { border::slice(features, features_count, "features") }?;
        // SAFETY: each of which is a text.
        let features = features.iter().map(|feature| unsafe { border::text(*feature, "features") });
        let features = features.collect::<xtls_bindings::Result<Vec<_>>>()?;
        held.engine.set_features(node, category, kind, &features)
    })
}

/// The presence that tells of the features, to everybody, or to this address alone if it is not null. It ends with a zero, which its
/// length counts. `XTLS_NOTHING` before `xtls_set_features`.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_presence(
    engine: XtlsEngine,
    to: *const c_char,
    buffer: *mut c_char,
    size: usize,
    length: *mut usize,
) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let to = unsafe { border::optional_text(to, "to") }?;
        // SAFETY: the caller promises that so much can be written.
        let room = unsafe { Room::new(buffer.cast(), size, length) }?;
        room.put_text(&held.engine.presence(to)?)
    })
}

/// The full addresses of an account that are online, as presence has told, a line for each, those with XTLS first.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_resources(
    engine: XtlsEngine,
    peer: *const c_char,
    buffer: *mut c_char,
    size: usize,
    length: *mut usize,
) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let peer = unsafe { border::text(peer, "peer") }?;
        // SAFETY: the caller promises that so much can be written.
        let room = unsafe { Room::new(buffer.cast(), size, length) }?;
        let lines: String = held.engine.resources(peer)?.iter().map(|jid| format!("{jid}\n")).collect();
        room.put_text(&lines)
    })
}

/// Asks a full address what it is ready for, with settings as for `xtls_initiate`, and says the id that `XTLS_EVENT_PROBED` will have.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_probe(
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
        id.set(held.engine.probe(now, peer, &settings)?);
        Ok(())
    })
}

/// Lets this account learn what you are ready for, and that you are there; or does not.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_allow_offers(engine: XtlsEngine, peer: *const c_char, allowed: bool) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let peer = unsafe { border::text(peer, "peer") }?;
        held.engine.allow_offers(peer, allowed)
    })
}

/// The largest stanza that the server takes, in bytes (XEP-0478), after each login; 0 where it does not say.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_set_stanza_limit(engine: XtlsEngine, now: u64, bytes: u32) -> XtlsCode {
    with(engine, |held| {
        held.engine.set_stanza_limit(now, Some(bytes).filter(|bytes| *bytes > 0));
        Ok(())
    })
}

/// Changes how many blocks may be on their way: `adaptive`, or a number.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_set_window(engine: XtlsEngine, now: u64, window: *const c_char) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises a text.
        let window = unsafe { border::text(window, "window") }?;
        held.engine.set_window(now, window)
    })
}
