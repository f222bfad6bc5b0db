//! Logging in: what servers are believed, and what they may say.

mod last_words;
mod sasl;
pub(crate) mod scripted;
mod servers;

use xtls_interop::Ended;

/// It ended with code 4 and one line that has all these words.
#[track_caller]
fn assert_fails(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{word} is not in: {}", ended.stderr);
    }
}
