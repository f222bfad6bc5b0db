//! XTLS for browsers and Node.js: a thin skin over `xtls-bindings`, which has the rules.
//!
//! It is empty for every other target. `cargo run -p xtls-wasm-build` makes a package for JavaScript of it; docs/guide/browser.md tells
//! how that is used.

#![cfg(target_family = "wasm")]

mod engine;
mod error;
mod event;
mod identity;
mod object;
mod store;
mod tunnel;

pub use self::engine::Engine;
pub use self::identity::Identity;
pub use self::store::Store;
use wasm_bindgen::prelude::wasm_bindgen;
use xtls_bindings::{CONFIG_SETTINGS, Code, EventKind, OPTION_SETTINGS};

/// The short names of all events.
#[must_use]
#[wasm_bindgen(js_name = eventKinds)]
pub fn event_kinds() -> Vec<String> {
    EventKind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect()
}

/// The short names of all errors, as they are in `error.code`.
#[must_use]
#[wasm_bindgen(js_name = errorCodes)]
pub fn error_codes() -> Vec<String> {
    Code::ALL.iter().map(|code| code.as_str().to_owned()).collect()
}

/// The names of what an engine can be set to.
#[must_use]
#[wasm_bindgen(js_name = configSettings)]
pub fn config_settings() -> Vec<String> {
    CONFIG_SETTINGS.iter().map(|&name| name.to_owned()).collect()
}

/// The names of what a tunnel can be set to.
#[must_use]
#[wasm_bindgen(js_name = tunnelSettings)]
pub fn tunnel_settings() -> Vec<String> {
    OPTION_SETTINGS.iter().map(|&name| name.to_owned()).collect()
}
