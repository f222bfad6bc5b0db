//! The engine: everything but what is done in a tunnel.

use core::cell::RefCell;

use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use xtls_bindings::{Code, Setup};

use crate::error::{Result, of_code, thrown};
use crate::event::object;
use crate::identity::Identity;
use crate::object::{Pairs, Plain};
use crate::store::{Store, number};

/// Holds all tunnels of one full address. Every `now` is in milliseconds of a clock that does not go backwards, such as
/// `performance.now()`. A call from inside the store's methods throws `busy`.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Engine(RefCell<xtls_bindings::Engine>);

/// A number of JavaScript as a whole one; what is none, or less than 0, is 0.
#[allow(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}

impl Engine {
    /// Calls the engine, unless that is what is happening already.
    pub(crate) fn call<R>(
        &self,
        call: impl FnOnce(&mut xtls_bindings::Engine) -> xtls_bindings::Result<R>,
    ) -> Result<R> {
        let mut engine = self.0.try_borrow_mut().map_err(|_| of_code(Code::Busy))?;
        call(&mut engine).map_err(|error| thrown(&error))
    }
}

#[wasm_bindgen]
impl Engine {
    /// An engine for one full address. `settings` is an object, or nothing; the time is in seconds since 1970.
    ///
    /// # Errors
    ///
    /// `address`, `identity`, `setting`, `config`, `minimum-tls`, `provider`.
    #[wasm_bindgen(constructor)]
    pub fn new(
        jid: &str,
        identity: &Identity,
        store: &Store,
        settings: &JsValue,
        #[wasm_bindgen(js_name = unixTime)] unix_time: f64,
        now: f64,
    ) -> Result<Self> {
        let pairs = Pairs::of(settings)?;
        let setup = Setup {
            jid,
            identity: &identity.0,
            store: &store.0,
            settings: &pairs.settings(),
            authorities: None,
            unix_time: whole(unix_time),
            now: whole(now),
        };
        let engine = xtls_bindings::Engine::new(&setup).map_err(|error| thrown(&error))?;
        Ok(Self(RefCell::new(engine)))
    }

    /// Hands in a stanza of the stream: each one, presence too. Gives an object with `disposition`: `consumed`, `observed`,
    /// `not-ours`, `unclaimed` (with `refusal`), or `malformed` (with `words`).
    ///
    /// # Errors
    ///
    /// `busy`.
    #[wasm_bindgen(js_name = handleStanza)]
    pub fn handle_stanza(&self, now: f64, stanza: &str) -> Result<JsValue> {
        let handled = self.call(|engine| Ok(engine.handle_stanza(whole(now), stanza.as_bytes())))?;
        let mut object = Plain::new().with("disposition", handled.disposition.as_str()).text("words", &handled.words);
        if handled.refusal != 0 {
            object = object.with("refusal", handled.refusal);
        }
        Ok(object.done())
    }

    /// Refuses a stanza that was `unclaimed`, and that nobody took.
    ///
    /// # Errors
    ///
    /// `gone`, `busy`.
    pub fn refuse(&self, now: f64, refusal: u64) -> Result<()> {
        self.call(|engine| engine.refuse(whole(now), refusal))
    }

    /// Time has passed.
    ///
    /// # Errors
    ///
    /// `busy`.
    #[wasm_bindgen(js_name = handleTimeout)]
    pub fn handle_timeout(&self, now: f64) -> Result<()> {
        self.call(|engine| {
            engine.handle_timeout(whole(now));
            Ok(())
        })
    }

    /// The stream is gone for good.
    ///
    /// # Errors
    ///
    /// `busy`.
    #[wasm_bindgen(js_name = handleDisconnect)]
    pub fn handle_disconnect(&self, now: f64) -> Result<()> {
        self.call(|engine| {
            engine.handle_disconnect(whole(now));
            Ok(())
        })
    }

    /// The stream is away, and is to be resumed.
    ///
    /// # Errors
    ///
    /// `busy`.
    #[wasm_bindgen(js_name = handleSuspended)]
    pub fn handle_suspended(&self, now: f64) -> Result<()> {
        self.call(|engine| {
            engine.handle_suspended(whole(now));
            Ok(())
        })
    }

    /// It is back, with nothing lost.
    ///
    /// # Errors
    ///
    /// `busy`.
    #[wasm_bindgen(js_name = handleResumed)]
    pub fn handle_resumed(&self, now: f64) -> Result<()> {
        self.call(|engine| {
            engine.handle_resumed(whole(now));
            Ok(())
        })
    }

    /// The next stanza to send, or nothing.
    ///
    /// # Errors
    ///
    /// `busy`.
    #[wasm_bindgen(js_name = pollTransmit)]
    pub fn poll_transmit(&self, now: f64) -> Result<Option<String>> {
        let mut out = Vec::new();
        let sent = self.call(|engine| Ok(engine.poll_transmit(whole(now), &mut out)))?;
        Ok(sent.map(|_| String::from_utf8(out).unwrap_or_default()))
    }

    /// The next event, or nothing.
    ///
    /// # Errors
    ///
    /// `busy`.
    #[wasm_bindgen(js_name = pollEvent, unchecked_return_type = "XtlsEvent | undefined")]
    pub fn poll_event(&self) -> Result<JsValue> {
        let event = self.call(|engine| Ok(engine.poll_event()))?;
        Ok(event.as_ref().map_or(JsValue::UNDEFINED, object))
    }

    /// In how many milliseconds to call `handleTimeout`; nothing when nothing waits.
    ///
    /// # Errors
    ///
    /// `busy`.
    #[wasm_bindgen(js_name = pollTimeout)]
    pub fn poll_timeout(&self, now: f64) -> Result<Option<f64>> {
        let due = self.call(|engine| Ok(engine.poll_timeout(whole(now))))?;
        Ok(due.map(|due| number(due.after)))
    }

    /// Offers a tunnel to a full address. Gives its id. `settings` has `trust`.
    ///
    /// # Errors
    ///
    /// `address`, `setting`, `busy`, those about passwords, and why the terms cannot be met with this peer.
    pub fn initiate(&self, now: f64, peer: &str, settings: &JsValue) -> Result<u64> {
        let pairs = Pairs::of(settings)?;
        self.call(|engine| engine.initiate(whole(now), peer, &pairs.settings()))
    }

    /// Accepts an offer; the application is what is offered.
    ///
    /// # Errors
    ///
    /// `gone`, `other-engine`, and those of `initiate`. With wrong settings it still stands.
    pub fn accept(&self, now: f64, id: u64, settings: &JsValue) -> Result<()> {
        let pairs = Pairs::of(settings)?;
        self.call(|engine| engine.accept(whole(now), id, &pairs.settings()))
    }

    /// Rejects an offer, for a reason of XEP-0166 § 7.4 such as `decline` or `busy`.
    ///
    /// # Errors
    ///
    /// `gone`, `other-engine`, `name`, `busy`.
    pub fn reject(&self, now: f64, id: u64, why: &str) -> Result<()> {
        self.call(|engine| engine.reject(whole(now), id, why))
    }

    /// Asks a full address what it is ready for. Gives the id of the question, which `probed` will have.
    ///
    /// # Errors
    ///
    /// As for `initiate`.
    pub fn probe(&self, now: f64, peer: &str, settings: &JsValue) -> Result<u64> {
        let pairs = Pairs::of(settings)?;
        self.call(|engine| engine.probe(whole(now), peer, &pairs.settings()))
    }

    /// Lets this account learn what you are ready for, and that you are there; or does not.
    ///
    /// # Errors
    ///
    /// `address`, `busy`.
    #[wasm_bindgen(js_name = allowOffers)]
    pub fn allow_offers(&self, peer: &str, allowed: bool) -> Result<()> {
        self.call(|engine| engine.allow_offers(peer, allowed))
    }

    /// The full addresses of an account that are online, as presence has told, those with XTLS first.
    ///
    /// # Errors
    ///
    /// `address`, `busy`.
    pub fn resources(&self, peer: &str) -> Result<Vec<String>> {
        self.call(|engine| engine.resources(peer))
    }

    /// From now on the engine answers questions for features itself, with these features of yours besides its own, and has a
    /// presence that tells of them. `node` is the address of your software.
    ///
    /// # Errors
    ///
    /// `setting`, `busy`.
    #[wasm_bindgen(js_name = setFeatures)]
    #[allow(clippy::needless_pass_by_value, reason = "JavaScript gives an array of its own")]
    pub fn set_features(&self, node: &str, category: &str, kind: &str, features: Vec<String>) -> Result<()> {
        let features: Vec<&str> = features.iter().map(String::as_str).collect();
        self.call(|engine| engine.set_features(node, category, kind, &features))
    }

    /// The presence that tells of the features.
    ///
    /// # Errors
    ///
    /// `nothing` before `setFeatures`, `busy`.
    pub fn presence(&self) -> Result<String> {
        self.call(|engine| engine.presence(None))
    }

    /// The largest stanza that the server takes, in bytes; nothing where it does not say.
    ///
    /// # Errors
    ///
    /// `busy`.
    #[wasm_bindgen(js_name = setStanzaLimit)]
    pub fn set_stanza_limit(&self, now: f64, bytes: Option<u32>) -> Result<()> {
        self.call(|engine| {
            engine.set_stanza_limit(whole(now), bytes);
            Ok(())
        })
    }

    /// The ids of the tunnels that have not ended.
    ///
    /// # Errors
    ///
    /// `busy`.
    pub fn tunnels(&self) -> Result<Vec<u64>> {
        self.call(|engine| Ok(engine.tunnels()))
    }
}
