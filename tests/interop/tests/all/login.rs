//! Logging in: what servers are believed, and what they may say.

mod elsewhere;
mod last_words;
mod proxy;
mod resolution;
mod sasl;
pub(crate) mod scripted;
mod servers;

use xtls_interop::{Ended, Person};

/// Somebody logs in, and ends.
#[track_caller]
fn assert_logs_in(person: &Person) {
    let listening = person.listen(&[]);
    listening.interrupt();
    let ended = listening.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

/// It ended with code 4 and one line that has all these words.
#[track_caller]
fn assert_fails(ended: &Ended, words: &[&str]) {
    assert_ends(ended, 4, words);
}

/// It ended with code 3 and one line that has all these words: the server is not who it should be.
#[track_caller]
fn assert_distrusts(ended: &Ended, words: &[&str]) {
    assert_ends(ended, 3, words);
}

#[track_caller]
fn assert_ends(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{word} is not in: {}", ended.stderr);
    }
}
