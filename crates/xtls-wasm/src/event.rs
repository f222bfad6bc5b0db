//! Events, as plain objects.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use xtls_bindings::{Certificate, Event, Security};

use crate::object::Plain;
use crate::store::number;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** How a tunnel is secured. */
export interface Security {
  method: string;
  authentication: string;
  tls: string;
  cipherSuite: string;
  group: string;
  fingerprint?: string;
  changedFrom?: string[];
  outOfDate: boolean;
  confirmed: boolean;
  words: string;
}

/** What happened. Which properties are there depends on the kind: docs/guide/browser.md has them. */
export interface XtlsEvent {
  kind: string;
  id: bigint;
  peer?: string;
  application?: string;
  sid?: string;
  text?: string;
  fingerprint?: string;
  fingerprints?: string[];
  methods?: string[];
  side?: string;
  security?: Security;
  by?: string;
  reason?: string;
  condition?: string;
  fault?: string;
  blame?: string;
  isSecurity?: boolean;
  truncated?: boolean;
  receipt?: string;
  bytes?: number;
  certificates?: { fingerprint: string; der: Uint8Array; held: boolean }[];
  takesInsecure?: boolean;
  takesPassword?: boolean;
}
"#;

/// An event as an object. What says nothing is left out; of `closed` everything is there that can be false or zero.
pub(crate) fn object(event: &Event) -> JsValue {
    let kind = event.as_str();
    let mut object = Plain::new()
        .with("kind", kind)
        .with("id", event.id)
        .text("peer", &event.peer)
        .text("application", &event.application)
        .text("sid", &event.sid)
        .text("text", &event.text)
        .text("fingerprint", &event.fingerprint)
        .texts("fingerprints", &event.fingerprints)
        .texts("methods", &event.methods)
        .text("side", event.side)
        .text("by", event.by)
        .text("reason", event.reason)
        .text("condition", event.condition)
        .text("fault", event.fault)
        .text("blame", event.blame)
        .text("receipt", event.receipt);
    if let Some(security) = &event.security {
        object = object.with("security", secured(security));
    }
    if kind == "closed" {
        object = object.with("isSecurity", event.is_security).with("truncated", event.truncated);
    }
    if kind == "probed" {
        object = object.with("takesInsecure", event.takes_insecure).with("takesPassword", event.takes_password);
    }
    if matches!(kind, "closed" | "receipt" | "throttled") {
        object = object.with("bytes", number(event.bytes));
    }
    if kind == "certificates-received" && event.fault.is_empty() {
        object = object.with("certificates", event.certificates.iter().map(certificate).collect::<Array>());
    }
    object.done()
}

/// How a tunnel is secured, as an object.
pub(crate) fn secured(security: &Security) -> JsValue {
    Plain::new()
        .text("method", security.method)
        .text("authentication", security.authentication)
        .text("tls", &security.tls)
        .text("cipherSuite", security.cipher_suite)
        .text("group", security.group)
        .text("fingerprint", &security.fingerprint)
        .texts("changedFrom", &security.changed_from)
        .with("outOfDate", security.out_of_date)
        .with("confirmed", security.confirmed)
        .text("words", &security.words)
        .done()
}

fn certificate(certificate: &Certificate) -> JsValue {
    let object = Plain::new().text("fingerprint", &certificate.fingerprint);
    object.with("der", Uint8Array::from(certificate.der.as_slice())).with("held", certificate.held).done()
}
