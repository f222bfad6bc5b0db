//! What is known of peers.

use js_sys::{Array, Function, Reflect};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use xtls_bindings::{Code, Error, Keeper};

use crate::error::{Result, thrown};
use crate::object::Plain;

/// What is known of peers.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Store(pub(crate) xtls_bindings::Store);

#[wasm_bindgen]
impl Store {
    /// One that forgets all when the page is left.
    #[must_use]
    #[wasm_bindgen(js_name = inMemory)]
    pub fn in_memory() -> Self {
        Self(xtls_bindings::Store::in_memory())
    }

    /// One whose text an object of yours keeps: `load()` gives the text that was saved last, or nothing if none ever was;
    /// `save(text)` keeps another one, all of it or nothing. Either throws where it cannot. They are called from inside the engine's
    /// calls, and so cannot wait: `localStorage` can be asked so, `IndexedDB` cannot.
    ///
    /// # Errors
    ///
    /// `store` when the text is damaged or cannot be read, `setting` for an object without these methods.
    #[wasm_bindgen(js_name = keptBy)]
    pub fn kept_by(keeper: &JsValue) -> Result<Self> {
        let keeper = Kept::of(keeper).map_err(|error| thrown(&error))?;
        xtls_bindings::Store::kept_by(keeper).map(Self).map_err(|error| thrown(&error))
    }

    /// Pins a certificate to a peer, on the user's word.
    ///
    /// # Errors
    ///
    /// `address`, `fingerprint`, `store`.
    pub fn pin(&self, peer: &str, fingerprint: &str) -> Result<()> {
        self.0.pin(peer, fingerprint).map_err(|error| thrown(&error))
    }

    /// Forgets a peer, but for wrong guesses at a password. Tells whether anything was known of it.
    ///
    /// # Errors
    ///
    /// `address`, `store`.
    pub fn forget(&self, peer: &str) -> Result<bool> {
        self.0.forget(peer).map_err(|error| thrown(&error))
    }

    /// Lifts the locks that wrong guesses have put on an address. Tells whether there were any.
    ///
    /// # Errors
    ///
    /// `address`, `store`.
    pub fn forgive(&self, peer: &str) -> Result<bool> {
        self.0.forgive(peer).map_err(|error| thrown(&error))
    }

    /// All certificates that are pinned: objects with `peer`, `fingerprint`, `learned` and `since`, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// `store`.
    pub fn pins(&self) -> Result<Array> {
        let pins = self.0.pins().map_err(|error| thrown(&error))?;
        let object = |pin: &xtls_bindings::Pin| {
            let object = Plain::new().text("peer", &pin.peer).text("fingerprint", &pin.fingerprint);
            object.text("learned", pin.learned).with("since", number(pin.since)).done()
        };
        Ok(pins.iter().map(object).collect())
    }
}

/// A number of JavaScript. Those above 2^53 are rounded, which no count and no time of here reaches.
#[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "there is no other way")]
pub(crate) fn number(value: u64) -> f64 {
    value as f64
}

/// The object that keeps the text. WebAssembly has one thread here.
struct Kept {
    keeper: SendWrapper<JsValue>,
    load: SendWrapper<Function>,
    save: SendWrapper<Function>,
}

impl Kept {
    fn of(keeper: &JsValue) -> core::result::Result<Self, Error> {
        let method = |name: &str| {
            let found = Reflect::get(keeper, &name.into()).ok().and_then(|found| found.dyn_into::<Function>().ok());
            found
                .map(SendWrapper::new)
                .ok_or_else(|| Error::new(Code::Setting, format!("a store has a method `{name}`")))
        };
        Ok(Self { load: method("load")?, save: method("save")?, keeper: SendWrapper::new(keeper.clone()) })
    }
}

impl Keeper for Kept {
    fn load(&self) -> core::result::Result<Option<Vec<u8>>, String> {
        let text = self.load.call0(&self.keeper).map_err(|error| words(&error))?;
        if text.is_null() || text.is_undefined() {
            return Ok(None);
        }
        let text = text.as_string().ok_or("`load` of the store gave something else than a text")?;
        Ok(Some(text.into_bytes()))
    }

    fn save(&self, text: &[u8]) -> core::result::Result<(), String> {
        let text = String::from_utf8_lossy(text);
        self.save.call1(&self.keeper, &JsValue::from(&*text)).map_err(|error| words(&error))?;
        Ok(())
    }
}

/// What was thrown, in words.
fn words(thrown: &JsValue) -> String {
    let error = thrown.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    error.or_else(|| thrown.as_string()).unwrap_or_else(|| "the store threw something that is no error".to_owned())
}
