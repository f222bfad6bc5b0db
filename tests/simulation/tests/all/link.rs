//! Links: two entities over a connection of their own, and whoever is on the wire between them.
mod common;
mod full;
mod lock;
mod middle;
mod peers;
mod refused;
mod rules;
mod store;
mod table;
mod time;
mod whole;
