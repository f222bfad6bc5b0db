//! What RFC 6122, which RFC 7622 obsoletes, makes of an address: many servers still prepare by it (RFC 7622 § 5).

use std::borrow::Cow;

use stringprep::{Error, nameprep, nodeprep, resourceprep};

use super::Jid;

/// The canonical form as RFC 6122 prepares it.
pub(super) fn prepare(jid: &Jid) -> Cow<'_, str> {
    // Of ASCII, that form is one already.
    if jid.canonical().is_ascii() {
        return Cow::Borrowed(jid.canonical());
    }
    let mut text = String::new();
    if let Some(local) = jid.local() {
        text.push_str(&or_itself(local, nodeprep(local)));
        text.push('@');
    }
    text.push_str(&or_itself(jid.domain(), nameprep(jid.domain())));
    if let Some(resource) = jid.resource() {
        text.push('/');
        text.push_str(&or_itself(resource, resourceprep(resource)));
    }
    Cow::Owned(text)
}

/// What it refuses, such as characters that it does not know, it changes into nothing else.
fn or_itself<'a>(text: &'a str, prepared: Result<Cow<'a, str>, Error>) -> Cow<'a, str> {
    prepared.unwrap_or(Cow::Borrowed(text))
}
