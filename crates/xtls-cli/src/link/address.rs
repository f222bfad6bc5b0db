//! Where a link is listened for, and by which name an end goes.

use std::net::{IpAddr, SocketAddr};

use xtls_stanza::jid::BareJid;

use crate::exit::Failure;
use crate::platform::host_name;

/// The port of links, as it is registered for `presence` at IANA.
pub(super) const PORT: u16 = 5298;

/// Parses `ADDRESS`, `ADDRESS:PORT`, `[ADDRESS]` and `[ADDRESS]:PORT`.
///
/// # Errors
///
/// A usage failure.
pub(super) fn listening(text: &str) -> Result<SocketAddr, Failure> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let found = text.parse().ok().or_else(|| bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, PORT)));
    found.ok_or_else(|| {
        Failure::usage(format!("{text} is no IP address to listen at: give one such as 0.0.0.0, or [::]:{PORT}"))
    })
}

/// Who this end is by default: `user@machine` (XEP-0174 § 3).
///
/// # Errors
///
/// A usage failure when the system does not tell, or what it tells makes no address.
pub(super) fn own() -> Result<BareJid, Failure> {
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    name(user.as_deref(), machine().as_deref()).ok_or_else(|| {
        Failure::usage("the names of user and machine make no address: give your own with --jid, such as juliet@pronto")
    })
}

fn name(user: Option<&str>, machine: Option<&str>) -> Option<BareJid> {
    let user = user.filter(|user| !user.is_empty())?;
    format!("{user}@{}", machine?).parse().ok()
}

/// The first label of the machine's name.
pub(super) fn machine() -> Option<String> {
    let whole = host_name()?;
    let label = whole.split('.').next().unwrap_or_default();
    (!label.is_empty()).then(|| label.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::exit::Code;

    #[test]
    fn a_listener_is_an_address_with_or_without_a_port() {
        for (text, address) in [
            ("127.0.0.1", "127.0.0.1:5298"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("::1", "[::1]:5298"),
            ("[::]", "[::]:5298"),
            ("[::1]:7", "[::1]:7"),
        ] {
            assert_eq!(listening(text).unwrap(), address.parse().unwrap(), "{text}");
        }
        for text in ["", "localhost", ":5298", "127.0.0.1:", "127.0.0.1:65536", "[127.0.0.1", "[::1]x"] {
            assert_eq!(listening(text).unwrap_err().code, Code::Usage, "{text}");
        }
    }

    #[test]
    fn xep_0174_3_an_end_goes_by_user_and_machine() {
        assert_eq!(name(Some("juliet"), Some("pronto")).unwrap().as_str(), "juliet@pronto");
        for (user, machine) in [(None, Some("pronto")), (Some(""), Some("pronto")), (Some("a b@c"), Some("pronto"))] {
            assert_eq!(name(user, machine), None);
        }
        assert_eq!(name(Some("juliet"), None), None);
    }
}
