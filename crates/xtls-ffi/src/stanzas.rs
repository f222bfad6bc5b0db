//! What comes in and what goes out.

use core::ffi::c_char;

use xtls_bindings::Code;

use crate::abi::{XtlsCode, XtlsEngine, XtlsEvent, XtlsHandled};
use crate::border::{self, Out, Room, SizedOut};
use crate::engine::{poll, with};
use crate::event;

/// A stanza of the outer stream, with its length: hand in each one, presence too. `handled` says what became of it.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_handle_stanza(
    engine: XtlsEngine,
    now: u64,
    stanza: *const c_char,
    length: usize,
    handled: *mut XtlsHandled,
) -> XtlsCode {
    with(engine, |held| {
        // SAFETY: the caller promises that so many bytes are there and stay.
        let stanza = unsafe { border::slice(stanza.cast::<u8>(), length, "stanza") }?;
        // SAFETY: the caller promises that it can be written there.
        let out = unsafe { Out::new(handled, "handled") }?;
        let done = held.engine.handle_stanza(now, stanza);
        out.set(XtlsHandled { disposition: done.disposition.number(), refusal: done.refusal });
        Ok(())
    })
}

/// Refuses a stanza that was `XTLS_UNCLAIMED`, and that nobody else took: otherwise its sender waits in vain.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_refuse(engine: XtlsEngine, now: u64, refusal: u64) -> XtlsCode {
    with(engine, |held| held.engine.refuse(now, refusal))
}

/// Time has passed: call this when `xtls_poll_timeout` says so.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_handle_timeout(engine: XtlsEngine, now: u64) -> XtlsCode {
    with(engine, |held| {
        held.engine.handle_timeout(now);
        Ok(())
    })
}

/// The outer stream is gone for good: all tunnels end.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_handle_disconnect(engine: XtlsEngine, now: u64) -> XtlsCode {
    with(engine, |held| {
        held.engine.handle_disconnect(now);
        Ok(())
    })
}

/// The outer stream is away, and is to be resumed (XEP-0198).
#[unsafe(no_mangle)]
pub extern "C" fn xtls_handle_suspended(engine: XtlsEngine, now: u64) -> XtlsCode {
    with(engine, |held| {
        held.engine.handle_suspended(now);
        Ok(())
    })
}

/// It was resumed. Call this before the first stanza that waited at the server.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_handle_resumed(engine: XtlsEngine, now: u64) -> XtlsCode {
    with(engine, |held| {
        held.engine.handle_resumed(now);
        Ok(())
    })
}

/// Copies the next stanza to send, without a zero after it, and says its length; `XTLS_NOTHING` if there is none. Where the buffer is too
/// small the stanza stays.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_poll_transmit(
    engine: XtlsEngine,
    now: u64,
    buffer: *mut c_char,
    size: usize,
    length: *mut usize,
) -> XtlsCode {
    poll(engine, |held| {
        // SAFETY: the caller promises that so much can be written.
        let room = unsafe { Room::new(buffer.cast(), size, length) }?;
        let Some(stanza) = held.next_stanza(now) else { return Ok(Code::Nothing) };
        room.put(stanza)?;
        stanza.clear();
        Ok(Code::Ok)
    })
}

/// The same without a copy: lends the next stanza. It is the library's memory, and good until the next call of this engine by
/// whichever thread: write it to where it goes at once.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_lend_transmit(
    engine: XtlsEngine,
    now: u64,
    stanza: *mut *const c_char,
    length: *mut usize,
) -> XtlsCode {
    poll(engine, |held| {
        // SAFETY: the caller promises that a pointer can be written there.
        let start = unsafe { Out::new(stanza, "stanza") }?;
        // SAFETY: the caller promises that a length can be written there.
        let length = unsafe { Out::new(length, "length") }?;
        let Some(stanza) = held.next_stanza(now) else { return Ok(Code::Nothing) };
        start.set(stanza.as_ptr().cast());
        length.set(stanza.len());
        held.is_lent = true;
        Ok(Code::Ok)
    })
}

/// Says in how many milliseconds `xtls_handle_timeout` is to be called, 0 for at once; `XTLS_NOTHING` if nothing waits.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_poll_timeout(engine: XtlsEngine, now: u64, after: *mut u64) -> XtlsCode {
    poll(engine, |held| {
        // SAFETY: the caller promises that it can be written there.
        let after = unsafe { Out::new(after, "after") }?;
        let Some(due) = held.engine.poll_timeout(now) else { return Ok(Code::Nothing) };
        after.set(due.after);
        Ok(Code::Ok)
    })
}

/// Tells the next event, with its texts in the buffer, and says how much of that they take; `XTLS_NOTHING` if there is none. Where the
/// buffer is too small the event stays.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_poll_event(
    engine: XtlsEngine,
    event: *mut XtlsEvent,
    buffer: *mut c_char,
    size: usize,
    length: *mut usize,
) -> XtlsCode {
    poll(engine, |held| {
        // SAFETY: the caller promises that it begins with its size, and that so much can be written there.
        let out = unsafe { SizedOut::new(event, "event") }?;
        // SAFETY: the caller promises that so much can be written.
        let room = unsafe { Room::new(buffer.cast(), size, length) }?;
        let Some(next) = held.event.take().or_else(|| held.engine.poll_event()) else { return Ok(Code::Nothing) };
        if let Err(error) = event::tell(&next, &out, &room, &mut held.texts) {
            held.event = Some(next);
            return Err(error);
        }
        Ok(Code::Ok)
    })
}
