//! What the documents ask of a link between two entities, each test named by the section it is about.
mod client;
mod inside;
mod offers;
mod resumed;
mod scripted;
mod server;
mod starttls;
mod states;
