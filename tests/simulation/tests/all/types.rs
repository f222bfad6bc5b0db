//! What the types promise before anything runs.

use xtls::link::{ClientLink, LinkEvent, PeerLink, ServerLink};
use xtls::{Engine, Event, Fault};

#[test]
fn engines_and_links_and_what_they_tell_go_to_any_thread_and_are_seen_by_any() {
    const fn is_for_any_thread<T: Send + Sync>() {}
    is_for_any_thread::<Engine>();
    is_for_any_thread::<PeerLink>();
    is_for_any_thread::<ClientLink>();
    is_for_any_thread::<ServerLink>();
    is_for_any_thread::<Event>();
    is_for_any_thread::<LinkEvent>();
    is_for_any_thread::<Fault>();
}
