//! Messages that come outside of tunnels.

use xtls::Element;
use xtls_stanza::jid::{BareJid, Jid};

use super::body;

/// Most peers that are told of: whoever makes up more addresses does not fill the screen.
const MAX_PEERS: usize = 100;

/// The peers of whom it was told that they write outside of tunnels.
#[derive(Debug, Default)]
pub(super) struct Outside(Vec<BareJid>);

impl Outside {
    /// Who has sent this, if it is a message with text, and the first one of its sender (by the bare address).
    pub(super) fn first_of<'a>(&mut self, stanza: &'a Element) -> Option<&'a str> {
        body(stanza)?;
        let from = stanza.attribute("from")?;
        let bare = from.parse::<Jid>().ok()?.to_bare();
        if self.0.len() >= MAX_PEERS || self.0.contains(&bare) {
            return None;
        }
        self.0.push(bare);
        Some(from)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls_stanza::Limits;

    use super::*;

    fn told(outside: &mut Outside, from: &str, rest: &str) -> bool {
        let message = format!("<message from='{from}'{rest}</message>");
        outside.first_of(&Element::parse(&message, &Limits::default()).unwrap()) == Some(from)
    }

    const TEXT: &str = "><body>psst</body>";

    #[test]
    fn a_message_outside_of_tunnels_is_told_once_for_each_peer() {
        let mut outside = Outside::default();
        assert!(told(&mut outside, "romeo@montague.lit/phone", TEXT));
        assert!(!told(&mut outside, "romeo@montague.lit/phone", TEXT));
        assert!(!told(&mut outside, "romeo@montague.lit/laptop", TEXT));
        assert!(told(&mut outside, "montague.lit", TEXT));
    }

    #[test]
    fn what_says_nothing_is_not_told_of() {
        let mut outside = Outside::default();
        for rest in
            [">", "><composing xmlns='http://jabber.org/protocol/chatstates'/>", " type='error'><body>psst</body>"]
        {
            assert!(!told(&mut outside, "romeo@montague.lit/phone", rest), "{rest}");
        }
        assert!(told(&mut outside, "romeo@montague.lit/phone", TEXT));
    }

    #[test]
    fn a_hundred_peers_are_told_of_and_no_more() {
        let mut outside = Outside::default();
        let all = (0..=MAX_PEERS).filter(|number| told(&mut outside, &format!("{number}@montague.lit/x"), TEXT));
        assert_eq!(all.count(), MAX_PEERS);
    }
}
