//! What goes in is looked at here, and what goes out is written here: nothing else touches a pointer of the caller's.

use core::cell::RefCell;
use core::ffi::{CStr, c_char};
use core::mem::size_of;
use core::ptr::NonNull;
use std::panic::{AssertUnwindSafe, catch_unwind};

use xtls_bindings::{Code, Error, Result};

use crate::abi::{XtlsCode, XtlsSetting};

thread_local! {
    /// What was wrong, of the last call on this thread that did nothing.
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the body of a call: what it refuses becomes a code and words, and so does a panic.
pub(crate) fn call(body: impl FnOnce() -> Result<()>) -> XtlsCode {
    poll(|| body().map(|()| Code::Ok))
}

/// The same of a call that may find nothing, which is no error and has no words.
pub(crate) fn poll(body: impl FnOnce() -> Result<Code>) -> XtlsCode {
    // A panic leaves nothing half-done that can be used again: an engine that it went through is poisoned.
    let error = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(code)) => return code.number(),
        Ok(Err(error)) => error,
        Err(payload) => {
            // Whoever panics with a value whose drop panics again gets no second chance.
            core::mem::forget(payload);
            Error::from(Code::Panicked)
        }
    };
    let code = error.code.number();
    set_last_words(error.words);
    code
}

/// The words of the last call on this thread that did nothing.
pub(crate) fn last_words() -> String {
    LAST.try_with(|last| last.borrow().clone()).unwrap_or_default()
}

pub(crate) fn set_last_words(words: String) {
    // While a thread ends there is nowhere to keep them.
    let _ = LAST.try_with(|last| *last.borrow_mut() = words);
}

fn null(what: &str) -> Error {
    Error::new(Code::NullPointer, format_args!("`{what}` is null"))
}

/// A text of the caller's, which must not be null.
///
/// # Safety
///
/// `text` is null, or ends with a zero and does not change during `'t`.
pub(crate) unsafe fn text<'t>(text: *const c_char, what: &str) -> Result<&'t str> {
    // SAFETY: the same that the caller promises.
    unsafe { optional_text(text, what) }?.ok_or_else(|| null(what))
}

/// A text of the caller's, or nothing for null.
///
/// # Safety
///
/// As for [`text`].
pub(crate) unsafe fn optional_text<'t>(text: *const c_char, what: &str) -> Result<Option<&'t str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not null, and the caller promises that it ends with a zero and stays.
    let text = unsafe { CStr::from_ptr(text) }.to_str();
    text.map(Some).map_err(|error| Error::new(Code::NotUtf8, format_args!("`{what}` is not UTF-8: {error}")))
}

/// Values of the caller's in a row; null is none.
///
/// # Safety
///
/// `first` is null, or points to `count` values, which are all there and do not change during `'t`.
pub(crate) unsafe fn slice<'t, T>(first: *const T, count: usize, what: &str) -> Result<&'t [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if first.is_null() {
        return Err(null(what));
    }
    if count > isize::MAX.unsigned_abs() / size_of::<T>().max(1) {
        return Err(Error::new(Code::TooLarge, format_args!("`{what}` has more than there is memory")));
    }
    // SAFETY: it is not null, and not longer than any object can be; the caller promises that so many are there and stay.
    Ok(unsafe { core::slice::from_raw_parts(first, count) })
}

/// Settings of the caller's.
///
/// # Safety
///
/// As for [`slice`] and, for the texts in it, [`text`].
pub(crate) unsafe fn settings<'t>(first: *const XtlsSetting, count: usize) -> Result<Vec<(&'t str, &'t str)>> {
    // SAFETY: the same that the caller promises.
    let all = unsafe { slice(first, count, "settings") }?;
    let mut settings = Vec::with_capacity(all.len());
    for setting in all {
        // SAFETY: the caller promises that each name is a text that stays.
        let name = unsafe { text(setting.name, "settings.name") }?;
        // SAFETY: and so is each value.
        let value = unsafe { text(setting.value, name) }?;
        settings.push((name, value));
    }
    Ok(settings)
}

/// A struct of the caller's, as much of it as the caller knows: it begins with its size, and what it is too short for is zero.
///
/// # Safety
///
/// `given` is null, or points to a struct of the size that it begins with; all zeros are a `T`, and it begins with its size.
pub(crate) unsafe fn sized<T: Copy>(given: *const T, what: &str) -> Result<T> {
    if given.is_null() {
        return Err(null(what));
    }
    // SAFETY: it is not null, and the caller promises that it begins with its size.
    let size = unsafe { given.cast::<usize>().read() };
    let size = check_size(size, size_of::<T>(), what)?;
    let mut whole = core::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: the caller promises that so much is there; it is no longer than `whole`, which is another place.
    unsafe { core::ptr::copy_nonoverlapping(given.cast::<u8>(), whole.as_mut_ptr().cast::<u8>(), size) };
    // SAFETY: all zeros are a value, and what was copied over them is part of one.
    Ok(unsafe { whole.assume_init() })
}

/// A size that a struct says it has: at least itself, and no more than is known here.
fn check_size(size: usize, known: usize, what: &str) -> Result<usize> {
    if (size_of::<usize>()..=known).contains(&size) {
        return Ok(size);
    }
    let words = format_args!("`{what}.size` is {size}: set it to sizeof, which is at most {known} in this version");
    Err(Error::new(Code::Setting, words))
}

/// A place of the caller's for one value.
pub(crate) struct Out<T>(NonNull<T>);

impl<T: Copy> Out<T> {
    /// The place, which must not be null.
    ///
    /// # Safety
    ///
    /// `place` is null, or a `T` can be written there as long as this lives.
    pub(crate) unsafe fn new(place: *mut T, what: &str) -> Result<Self> {
        NonNull::new(place).map(Self).ok_or_else(|| null(what))
    }

    /// Writes the value.
    pub(crate) fn set(&self, value: T) {
        // SAFETY: whoever made this has promised that a `T` can be written there.
        unsafe { self.0.as_ptr().write(value) };
    }
}

/// A place of the caller's for a struct that begins with its size.
pub(crate) struct SizedOut<T> {
    place: NonNull<T>,
    size: usize,
}

impl<T: Copy> SizedOut<T> {
    /// The place, which must not be null.
    ///
    /// # Safety
    ///
    /// `place` is null, or points to so many bytes as it begins with, which can be written as long as this lives; a `T` begins with its
    /// size.
    pub(crate) unsafe fn new(place: *mut T, what: &str) -> Result<Self> {
        let place = NonNull::new(place).ok_or_else(|| null(what))?;
        // SAFETY: it is not null, and the caller promises that it begins with its size.
        let size = unsafe { place.cast::<usize>().read() };
        Ok(Self { place, size: check_size(size, size_of::<T>(), what)? })
    }

    /// Writes as much of the value as the caller knows. `make` is told how much that is, for the value to say so.
    pub(crate) fn set(&self, make: impl FnOnce(usize) -> T) {
        let value = make(self.size);
        let (from, to) = ((&raw const value).cast::<u8>(), self.place.as_ptr().cast::<u8>());
        // SAFETY: the value has at least so many bytes, whoever made this has promised that they can be written, and the value is another
        // place.
        unsafe { core::ptr::copy_nonoverlapping(from, to, self.size) };
    }
}

/// A buffer of the caller's, which may be too small, or nothing at all.
pub(crate) struct Room {
    buffer: *mut u8,
    size: usize,
    length: Out<usize>,
}

impl Room {
    /// The buffer, and the place for the length of what is written, or would be.
    ///
    /// # Safety
    ///
    /// `buffer` is null, or `size` bytes can be written there as long as this lives; `length` is null, or so can a `size_t` there. They
    /// are different places.
    pub(crate) unsafe fn new(buffer: *mut u8, size: usize, length: *mut usize) -> Result<Self> {
        if buffer.is_null() && size > 0 {
            return Err(null("buffer"));
        }
        // SAFETY: the same that the caller promises.
        Ok(Self { buffer, size, length: unsafe { Out::new(length, "length") }? })
    }

    /// Its size.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> *const c_char {
        self.buffer.cast_const().cast()
    }

    /// Writes these bytes if they fit, and says in any case how many they are.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<()> {
        self.length.set(bytes.len());
        if bytes.len() > self.size {
            let words = format_args!("the buffer has {} bytes, and {} are needed", self.size, bytes.len());
            return Err(Error::new(Code::BufferTooSmall, words));
        }
        if !bytes.is_empty() {
            // SAFETY: the buffer is not null, since its size is not 0; whoever made this has promised that so many bytes can be written
            // there; `bytes` are the library's, and so another place.
            unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.buffer, bytes.len()) };
        }
        Ok(())
    }

    /// Writes a text with a zero after it. The length is that with the zero.
    pub(crate) fn put_text(&self, text: &str) -> Result<()> {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(text.len() + 1));
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        self.put(&bytes)
    }

    /// Writes as many of these bytes as fit, and says how many.
    pub(crate) fn put_some(&self, bytes: &[u8]) -> Result<usize> {
        let some = bytes.get(..bytes.len().min(self.size)).unwrap_or_default();
        self.put(some).map(|()| some.len())
    }
}
