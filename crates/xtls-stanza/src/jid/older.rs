//! What RFC 6122, which RFC 7622 obsoletes, makes of an address: many servers still prepare by it (RFC 7622 § 5).

use std::borrow::Cow;

use stringprep::{Error, nameprep, nodeprep, resourceprep};

use super::Jid;

/// An address as RFC 6122 prepares it: localpart, domainpart and resourcepart.
pub(super) fn prepare(jid: &Jid) -> (Option<Cow<'_, str>>, Cow<'_, str>, Option<Cow<'_, str>>) {
    let local = jid.local().map(|local| or_itself(local, nodeprep(local)));
    let resource = jid.resource().map(|resource| or_itself(resource, resourceprep(resource)));
    (local, or_itself(jid.domain(), nameprep(jid.domain())), resource)
}

/// What it refuses, such as characters that it does not know, it changes into nothing else.
fn or_itself<'a>(text: &'a str, prepared: Result<Cow<'a, str>, Error>) -> Cow<'a, str> {
    prepared.unwrap_or(Cow::Borrowed(text))
}
