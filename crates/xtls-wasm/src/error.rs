//! What calls throw: an `Error` whose `code` is a short name.

use wasm_bindgen::JsValue;
use xtls_bindings::{Code, Error};

use crate::object::set;

/// What calls give, or throw.
pub(crate) type Result<T> = core::result::Result<T, JsValue>;

/// The error to throw.
pub(crate) fn thrown(error: &Error) -> JsValue {
    let thrown = js_sys::Error::new(&error.words);
    thrown.set_name("XtlsError");
    set(&thrown, "code", &error.code.as_str().into());
    thrown.into()
}

/// The error of this code, with its words.
pub(crate) fn of_code(code: Code) -> JsValue {
    thrown(&Error::from(code))
}
