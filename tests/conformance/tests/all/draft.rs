//! The examples of draft-meyer-xmpp-e2e-encryption-02 §§ 3, 4, 5.1, 6 and 7, played through an engine.
//!
//! The well-formed reading of each example keeps the draft's ids, sids and addresses. The examples negotiate
//! `transports:ibb:0`; what is implemented is ibb:1, so that is what they say here, and an `<open/>` goes before the data.
//! The examples that are malformed as printed are played as printed too, and refused.
mod bytestream;
mod certificates;
mod ending;
mod negotiation;
mod stream;
mod support;
