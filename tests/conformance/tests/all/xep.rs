//! What XEP-0047, XEP-0166, XEP-0250 and XEP-0261 oblige to, played through an engine: every error condition with its type and
//! Jingle's own condition, and bad input.
mod bytestream;
mod jingle;
mod offers;
mod sizes;
