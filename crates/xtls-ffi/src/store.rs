//! Functions of the caller's.

use core::ffi::{CStr, c_char, c_void};
use std::ffi::CString;

use xtls_bindings::{Code, Error, Keeper, Level, Log, Result};

use crate::abi::XtlsStore;
use crate::border;

/// What the caller's functions are handed, on whichever thread they are called.
struct User(*mut c_void);

// SAFETY: the library does nothing with it but hand it back. The header says that the functions are called on the thread that calls the
// engine, one at a time, so whoever moves an engine to another thread moves this too.
unsafe impl Send for User {}
// SAFETY: as above: nothing is called but inside of a call of the engine, which is used by one at a time.
unsafe impl Sync for User {}

/// A store of the caller's.
pub(crate) struct Functions {
    user: User,
    load: unsafe extern "C" fn(*mut c_void, *mut u8, usize, *mut usize) -> i32,
    save: unsafe extern "C" fn(*mut c_void, *const u8, usize) -> i32,
    lock: Option<unsafe extern "C" fn(*mut c_void) -> i32>,
    unlock: Option<unsafe extern "C" fn(*mut c_void)>,
}

impl Functions {
    /// The most bytes that are taken for a text, and how often a store may say another length.
    const MOST: usize = 64 << 20;
    const TRIES: usize = 8;

    /// The functions of this store.
    ///
    /// # Safety
    ///
    /// `store` begins with its size; its functions do what the header says when they are handed its `user`, as long as this lives.
    pub(crate) unsafe fn new(store: *const XtlsStore) -> Result<Self> {
        // SAFETY: the caller promises that it begins with its size; zeros are null and nothing.
        let store = unsafe { border::sized(store, "store") }?;
        let null = |what: &str| Error::new(Code::NullPointer, format_args!("`store.{what}` is null"));
        if store.lock.is_some() != store.unlock.is_some() {
            return Err(null(if store.lock.is_none() { "lock" } else { "unlock" }));
        }
        Ok(Self {
            user: User(store.user),
            load: store.load.ok_or_else(|| null("load"))?,
            save: store.save.ok_or_else(|| null("save"))?,
            lock: store.lock,
            unlock: store.unlock,
        })
    }
}

/// What a function has said, if it did not do what it was called for.
fn said(what: &str, code: i32) -> String {
    let name =
        Code::ALL.iter().find(|known| known.number() == code).map_or("an error of its own", |code| code.as_str());
    format!("the trust store's {what} has failed: {code} ({name})")
}

impl Keeper for Functions {
    fn load(&self) -> core::result::Result<Option<Vec<u8>>, String> {
        let mut buffer = vec![0_u8; 16 * 1024];
        for _ in 0..Self::TRIES {
            let mut length = 0_usize;
            // SAFETY: whoever made this has promised that the function may be called with its `user`; the buffer has so many bytes.
            let code = unsafe { (self.load)(self.user.0, buffer.as_mut_ptr(), buffer.len(), &raw mut length) };
            match code {
                code if code == Code::Nothing.number() => return Ok(None),
                code if code != Code::Ok.number() => return Err(said("load", code)),
                _ if length > Self::MOST => return Err(format!("the trust store's text has {length} bytes")),
                _ if length > buffer.len() => buffer.resize(length, 0),
                _ => {
                    buffer.truncate(length);
                    return Ok(Some(buffer));
                }
            }
        }
        Err("the trust store says another length each time".to_owned())
    }

    fn save(&self, text: &[u8]) -> core::result::Result<(), String> {
        // SAFETY: whoever made this has promised that the function may be called with its `user`; the text has so many bytes.
        let code = unsafe { (self.save)(self.user.0, text.as_ptr(), text.len()) };
        if code == Code::Ok.number() { Ok(()) } else { Err(said("save", code)) }
    }

    fn lock(&self) -> core::result::Result<(), String> {
        let Some(lock) = self.lock else { return Ok(()) };
        // SAFETY: whoever made this has promised that the function may be called with its `user`.
        let code = unsafe { lock(self.user.0) };
        if code == Code::Ok.number() { Ok(()) } else { Err(said("lock", code)) }
    }

    fn unlock(&self) {
        if let Some(unlock) = self.unlock {
            // SAFETY: whoever made this has promised that the function may be called with its `user`.
            unsafe { unlock(self.user.0) };
        }
    }
}

/// A log of the caller's.
pub(crate) struct Lines {
    user: User,
    line: unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char),
}

impl Lines {
    /// # Safety
    ///
    /// The function does what the header says when it is handed `user`, as long as this lives.
    pub(crate) unsafe fn new(
        line: unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char),
        user: *mut c_void,
    ) -> Self {
        Self { user: User(user), line }
    }
}

impl Log for Lines {
    fn line(&self, level: Level, target: &str, line: &str) {
        // No text of the library has a zero in it; one that had would not be a line.
        let [target, line] = [target, line].map(|text| CString::new(text).unwrap_or_default());
        let level = if level == Level::Debug { 1 } else { 2 };
        let [target, line]: [&CStr; 2] = [&target, &line];
        // SAFETY: whoever made this has promised that the function may be called with its `user`; both texts end with a zero and live
        // until it returns.
        unsafe { (self.line)(self.user.0, level, target.as_ptr(), line.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says that there are so many bytes as its `user` says, and copies none.
    unsafe extern "C" fn load(user: *mut c_void, _: *mut u8, _: usize, length: *mut usize) -> i32 {
        // SAFETY: the test hands in the place of a length.
        let said = unsafe { user.cast::<usize>().read() };
        // SAFETY: the library hands in a place for the length.
        unsafe { length.write(said) };
        0
    }

    unsafe extern "C" fn save(_: *mut c_void, _: *const u8, _: usize) -> i32 {
        0
    }

    #[test]
    fn a_text_of_a_store_has_64_mib_and_not_one_byte_more() {
        let mut said = Functions::MOST;
        let user = (&raw mut said).cast();
        let size = size_of::<XtlsStore>();
        let store = XtlsStore { size, user, load: Some(load), save: Some(save), lock: None, unlock: None };
        // SAFETY: the struct has its size, and `said` lives longer than the functions that are handed it.
        let functions = unsafe { Functions::new(&raw const store) }.expect("a store");
        assert_eq!(functions.load().map(|text| text.map(|text| text.len())), Ok(Some(Functions::MOST)));
        // SAFETY: nothing else has it in hand.
        unsafe { user.cast::<usize>().write(Functions::MOST + 1) };
        assert!(functions.load().is_err_and(|words| words.contains("67108865 bytes")));
    }
}
