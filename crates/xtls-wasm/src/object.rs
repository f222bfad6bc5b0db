//! Plain objects of JavaScript, and the settings that are read from them.

use js_sys::{Array, Object, Reflect};
use wasm_bindgen::{JsCast as _, JsValue};
use xtls_bindings::{Code, Error};

use crate::error::{Result, thrown};

/// Sets a property.
pub(crate) fn set(object: &JsValue, name: &str, value: &JsValue) {
    // It fails for what is no object, and for frozen ones: these are new.
    let _ = Reflect::set(object, &name.into(), value);
}

/// A plain object that is being made. What says nothing is left out.
pub(crate) struct Plain(Object);

impl Plain {
    pub(crate) fn new() -> Self {
        Self(Object::new())
    }

    pub(crate) fn with(self, name: &str, value: impl Into<JsValue>) -> Self {
        set(&self.0, name, &value.into());
        self
    }

    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        if value.is_empty() { self } else { self.with(name, value) }
    }

    pub(crate) fn texts<T: AsRef<str>>(self, name: &str, values: &[T]) -> Self {
        if values.is_empty() {
            return self;
        }
        self.with(name, values.iter().map(|value| JsValue::from(value.as_ref())).collect::<Array>())
    }

    pub(crate) fn done(self) -> JsValue {
        self.0.into()
    }
}

/// Settings, as an object has them: texts, numbers, and true or false.
pub(crate) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Of an object; `undefined` and `null` have none.
    pub(crate) fn of(settings: &JsValue) -> Result<Self> {
        if settings.is_undefined() || settings.is_null() {
            return Ok(Self(Vec::new()));
        }
        let Some(object) = settings.dyn_ref::<Object>() else {
            return Err(wrong("settings are an object, whose properties are texts, numbers, true or false"));
        };
        let entries = Object::entries(object).into_iter().map(|entry| {
            let entry = Array::from(&entry);
            let name = entry.get(0).as_string().unwrap_or_default();
            let value = entry.get(1);
            let number = || value.as_f64().map(|number| number.to_string());
            let text = value.as_string().or_else(number).or_else(|| value.as_bool().map(|yes| yes.to_string()));
            let text = text.ok_or_else(|| wrong(&format!("`{name}` is no text, no number, and not true or false")))?;
            Ok((name, text))
        });
        entries.collect::<Result<_>>().map(Self)
    }

    /// The pairs.
    pub(crate) fn settings(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// Passwords are among them.
impl Drop for Pairs {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            zeroize::Zeroize::zeroize(value);
        }
    }
}

fn wrong(words: &str) -> JsValue {
    thrown(&Error::new(Code::Setting, words))
}
