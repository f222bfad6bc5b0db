//! Your certificate and its key.

use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::{Result, thrown};

/// Your certificate and its key. Whoever has the key is you to your peers: keep it where no other page of the same origin reads it.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Identity(pub(crate) xtls_bindings::Identity);

#[wasm_bindgen]
impl Identity {
    /// What was kept from an earlier time, in PEM.
    #[must_use]
    #[wasm_bindgen(constructor)]
    pub fn new(certificate: &str, key: &str) -> Self {
        Self(xtls_bindings::Identity::new(certificate, key))
    }

    /// A new key, and a certificate for it. `algorithm` is `ecdsa-p256` or `ed25519`; the time is in seconds since 1970.
    ///
    /// # Errors
    ///
    /// `address`, `name`, `identity`.
    pub fn generate(jid: &str, algorithm: &str, #[wasm_bindgen(js_name = unixTime)] unix_time: f64) -> Result<Self> {
        let generated = xtls_bindings::Identity::generate(jid, algorithm, crate::engine::whole(unix_time));
        generated.map(Self).map_err(|error| thrown(&error))
    }

    /// The certificate in PEM: public.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn certificate(&self) -> String {
        self.0.certificate.clone()
    }

    /// The private key in PEM: secret.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn key(&self) -> String {
        self.0.key.to_string()
    }

    /// The fingerprint of the certificate, as `sha-256:…`.
    ///
    /// # Errors
    ///
    /// `identity`.
    pub fn fingerprint(&self) -> Result<String> {
        self.0.fingerprint().map_err(|error| thrown(&error))
    }
}
