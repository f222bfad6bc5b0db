//! Versions, names and words. Nothing here needs an engine.

use core::ffi::{CStr, c_char};

use xtls_bindings::{Code, Disposition, EventKind};

use crate::abi::{XTLS_ABI, XtlsCode};
use crate::border::{self, Room, call};

/// The version of the library, such as `0.1.0`.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };
    VERSION.as_ptr()
}

/// The version of its binary interface: `XTLS_ABI` of the header that it was made with.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_abi() -> u32 {
    XTLS_ABI
}

/// What a code means, in words. It is never null, and need not be freed.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_strerror(code: XtlsCode) -> *const c_char {
    Code::numbered(code).map_or(c"no error of this version", Code::c_words).as_ptr()
}

/// The short name of a code, the same in all languages; empty if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_code_name(code: XtlsCode) -> *const c_char {
    Code::numbered(code).map_or(c"", Code::c_str).as_ptr()
}

/// The short name of a kind of event, the same in all languages; empty if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_event_name(kind: i32) -> *const c_char {
    EventKind::numbered(kind).map_or(c"", EventKind::c_str).as_ptr()
}

/// The short name of what became of a stanza; empty if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn xtls_disposition_name(disposition: i32) -> *const c_char {
    Disposition::numbered(disposition).map_or(c"", Disposition::c_str).as_ptr()
}

/// What was wrong with the last call on this thread that did nothing, and with what. It ends with a zero, which its length counts.
///
/// # Safety
///
/// The pointers are as the header says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xtls_last_error(buffer: *mut c_char, size: usize, length: *mut usize) -> XtlsCode {
    let words = border::last_words();
    let code = call(|| {
        // SAFETY: the caller promises that so much can be written.
        let room = unsafe { Room::new(buffer.cast(), size, length) }?;
        room.put_text(&words)
    });
    // A buffer that is too small does not take its place.
    border::set_last_words(words);
    code
}
