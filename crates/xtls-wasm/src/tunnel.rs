//! What is done in a tunnel.

use js_sys::Uint8Array;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::engine::{Engine, whole};
use crate::error::Result;
use crate::event::secured;
use crate::object::Plain;
use crate::store::number;

#[wasm_bindgen]
impl Engine {
    /// Answers the question for a password; nothing says that there is none.
    ///
    /// # Errors
    ///
    /// `not-asked`, `ended`, `other-engine`, `busy`, and those about passwords.
    pub fn password(&self, now: f64, id: u64, password: Option<String>) -> Result<()> {
        let password = password.map(zeroize::Zeroizing::new);
        self.call(|engine| engine.password(whole(now), id, password.as_ref().map(|text| text.as_str())))
    }

    /// Answers the question about a certificate: `accept`, `accept-and-keep` or `refuse`.
    ///
    /// # Errors
    ///
    /// `not-asked`, `name`, `ended`, `other-engine`, `busy`.
    pub fn trust(&self, now: f64, id: u64, decision: &str) -> Result<()> {
        self.call(|engine| engine.trust(whole(now), id, decision))
    }

    /// Sends a stanza inside.
    ///
    /// # Errors
    ///
    /// `xml`, `busy`, and why it cannot be sent: `full` says to wait for `writable`.
    pub fn send(&self, now: f64, id: u64, stanza: &str) -> Result<()> {
        self.call(|engine| engine.send(whole(now), id, stanza))
    }

    /// Writes bytes, as many as there is room for, and tells how many: the rest when `writable` comes.
    ///
    /// # Errors
    ///
    /// `not-secured`, `not-raw`, `closing`, `ended`, `other-engine`, `busy`.
    pub fn write(&self, now: f64, id: u64, bytes: &[u8]) -> Result<usize> {
        self.call(|engine| engine.write(whole(now), id, bytes))
    }

    /// All bytes that have come.
    ///
    /// # Errors
    ///
    /// `ended`, `other-engine`, `busy`.
    pub fn read(&self, now: f64, id: u64) -> Result<Uint8Array> {
        let mut out = Vec::new();
        self.call(|engine| engine.read(whole(now), id, &mut out))?;
        Ok(Uint8Array::from(out.as_slice()))
    }

    /// No more bytes will be written.
    ///
    /// # Errors
    ///
    /// `not-secured`, `not-raw`, `not-in-this-tls`, `closing`, `ended`, `other-engine`, `busy`.
    pub fn finish(&self, now: f64, id: u64) -> Result<()> {
        self.call(|engine| engine.finish(whole(now), id))
    }

    /// Ends the tunnel in order.
    ///
    /// # Errors
    ///
    /// `ended`, `other-engine`, `busy`.
    pub fn close(&self, now: f64, id: u64) -> Result<()> {
        self.call(|engine| engine.close(whole(now), id))
    }

    /// Ends the tunnel at once, for a reason of XEP-0166 § 7.4.
    ///
    /// # Errors
    ///
    /// `name`, `ended`, `other-engine`, `busy`.
    pub fn abort(&self, now: f64, id: u64, why: &str) -> Result<()> {
        self.call(|engine| engine.abort(whole(now), id, why))
    }

    /// With whom a tunnel is.
    ///
    /// # Errors
    ///
    /// `ended`, `other-engine`, `busy`.
    pub fn peer(&self, id: u64) -> Result<String> {
        self.call(|engine| engine.peer(id))
    }

    /// How a tunnel is secured; nothing before it is.
    ///
    /// # Errors
    ///
    /// `ended`, `other-engine`, `busy`.
    #[wasm_bindgen(unchecked_return_type = "Security | undefined")]
    pub fn security(&self, id: u64) -> Result<JsValue> {
        let security = self.call(|engine| engine.security(id))?;
        Ok(security.as_ref().map_or(JsValue::UNDEFINED, secured))
    }

    /// How a tunnel is doing: an object with `phase`, `age` and `roundTrip` in milliseconds, `sent`, `acked`, `received` and
    /// `unacked` in bytes, `retries`, and `throttled` in bytes a second.
    ///
    /// # Errors
    ///
    /// `ended`, `other-engine`, `busy`.
    pub fn stats(&self, id: u64) -> Result<JsValue> {
        let stats = self.call(|engine| engine.stats(id))?;
        let numbers = [
            ("age", stats.age),
            ("sent", stats.sent),
            ("acked", stats.acked),
            ("received", stats.received),
            ("unacked", stats.unacked),
            ("retries", stats.retries.into()),
            ("throttled", stats.throttled),
            ("roundTrip", stats.round_trip),
        ];
        let object = Plain::new().with("phase", stats.phase);
        Ok(numbers.into_iter().fold(object, |object, (name, value)| object.with(name, number(value))).done())
    }

    /// Keying material that both ends share (RFC 5705); nothing before the tunnel is secured.
    ///
    /// # Errors
    ///
    /// `ended`, `other-engine`, `busy`.
    #[wasm_bindgen(js_name = exportKeyingMaterial)]
    pub fn export_keying_material(&self, id: u64, length: usize, label: &str) -> Result<Option<Vec<u8>>> {
        self.call(|engine| engine.export_keying_material(id, length, label.as_bytes()))
    }
}
