//! Events are as docs/events.schema.json says: as much of JSON Schema as that has, and nothing in an object that it does not name.

use std::sync::LazyLock;

use serde_json::Value;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../docs/events.schema.json")).expect("the schema is JSON")
});

/// Panics unless it is an event.
pub(crate) fn check(event: &Value) {
    let branches = SCHEMA["oneOf"].as_array().expect("the schema has a branch for each event");
    let branch = branches.iter().find(|branch| branch["properties"]["event"]["const"] == event["event"]);
    let branch = branch.unwrap_or_else(|| panic!("the schema has no such event: {event}"));
    assert!(is_valid(event, &[&*SCHEMA, branch]), "the schema says otherwise: {event}\n{branch:#}");
}

/// Whether a value is what all of these ask for together.
fn is_valid(value: &Value, schemas: &[&Value]) -> bool {
    let mut schemas = schemas.to_vec();
    let referred = |schema: &&Value| schema.get("$ref").and_then(Value::as_str).map(definition);
    schemas.extend(schemas.clone().iter().filter_map(referred));
    schemas.iter().all(|schema| {
        let type_fits = schema.get("type").is_none_or(|types| {
            types.as_array().map_or_else(|| is_of(value, types), |types| types.iter().any(|one| is_of(value, one)))
        });
        let const_fits = schema.get("const").is_none_or(|constant| constant == value);
        let any_fits = schema.get("anyOf").and_then(Value::as_array);
        let any_fits = any_fits.is_none_or(|any| any.iter().any(|one| is_valid(value, &[one])));
        let items = schema.get("items").zip(value.as_array());
        let items_fit = items.is_none_or(|(schema, items)| items.iter().all(|item| is_valid(item, &[schema])));
        let required = schema.get("required").and_then(Value::as_array).zip(value.as_object());
        let has_required = required
            .is_none_or(|(names, object)| names.iter().filter_map(Value::as_str).all(|name| object.contains_key(name)));
        type_fits && const_fits && any_fits && items_fit && has_required
    }) && value.as_object().is_none_or(|object| object.iter().all(|(name, member)| member_fits(name, member, &schemas)))
}

/// Whether a member of an object is what any of these has under its name.
fn member_fits(name: &str, member: &Value, schemas: &[&Value]) -> bool {
    let named = schemas.iter().filter_map(|schema| schema.get("properties")?.get(name));
    let other =
        schemas.iter().filter_map(|schema| schema.get("additionalProperties")).filter(|other| other.is_object());
    let is_union = schemas.iter().any(|schema| schema.get("anyOf").is_some());
    let mut fitting: Vec<&Value> = named.collect();
    if fitting.is_empty() {
        fitting.extend(other);
    }
    // Of a union its parts have looked at it.
    if fitting.is_empty() { is_union } else { is_valid(member, &fitting) }
}

fn definition(reference: &str) -> &'static Value {
    let pointer = reference.strip_prefix('#').expect("it refers to itself");
    SCHEMA.pointer(pointer).unwrap_or_else(|| panic!("the schema has no {reference}"))
}

fn is_of(value: &Value, name: &Value) -> bool {
    match name.as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("null") => value.is_null(),
        _ => panic!("the schema has a type that is none: {name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_event_is_not_taken_for_one() {
        let time = "2026-01-02T03:04:05.678Z";
        for sound in [
            json!({"time": time, "event": "online", "jid": "a@b/c"}),
            json!({"time": time, "event": "recipient", "peer": null, "there": false}),
            json!({"time": time, "event": "closed", "peer": null, "by": "remote", "reason": "", "truncated": true, "unacked": 0, "receipt": "given"}),
            json!({"time": time, "event": "found", "name": "", "host": "", "port": 1, "addresses": ["x"], "txt": {"a": "b"}}),
        ] {
            check(&sound);
        }
        for wrong in [
            json!({"time": time, "event": "no such event"}),
            json!({"time": time, "event": "online"}),
            json!({"event": "online", "jid": "a@b/c"}),
            json!({"time": time, "event": "online", "jid": "a@b/c", "more": 1}),
            json!({"time": time, "event": "online", "jid": 7}),
            json!({"time": time, "event": "closed", "peer": null, "by": "remote", "reason": "", "truncated": true, "unacked": "0", "receipt": null}),
            json!({"time": time, "event": "closed", "peer": null, "by": "remote", "reason": "", "truncated": true, "receipt": null}),
            json!({"time": time, "event": "found", "name": "", "host": "", "port": 1, "addresses": [1], "txt": {}}),
            json!({"time": time, "event": "found", "name": "", "host": "", "port": 1, "addresses": [], "txt": {"a": 1}}),
        ] {
            assert!(catch_unwind(|| check(&wrong)).is_err(), "{wrong}");
        }
    }
}
