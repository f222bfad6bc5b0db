//! Delivery receipts inside of tunnels and links (XEP-0184): the peer's end confirms what it has.

use std::collections::VecDeque;

use xtls::Element;
use xtls_stanza::ns;

use super::body;
use crate::output::Output;

/// Its namespace, and its feature (XEP-0184 § 6).
pub(crate) const RECEIPTS: &str = "urn:xmpp:receipts";

/// Most lines of a tunnel that are remembered until they are confirmed.
const MAX_OPEN: usize = 256;

/// Lines that the peer's end has not confirmed, the oldest first: an end that confirms nothing costs no more than these.
#[derive(Debug, Default)]
pub(crate) struct Unconfirmed {
    lines: VecDeque<(u64, String)>,
}

impl Unconfirmed {
    /// This line was handed to the tunnel; `excerpt` is what the user knows it by.
    pub(crate) fn sent(&mut self, line: u64, excerpt: String) {
        if self.lines.len() == MAX_OPEN {
            self.lines.pop_front();
        }
        self.lines.push_back((line, excerpt));
    }

    /// It was not sent.
    pub(crate) fn forget(&mut self, line: u64) {
        self.lines.retain(|(other, _)| *other != line);
    }

    /// The line that this stanza confirms, once.
    pub(crate) fn confirmed_by(&mut self, stanza: &Element) -> Option<(u64, String)> {
        if !stanza.is("message", ns::CLIENT) || stanza.attribute("type") == Some("error") {
            return None;
        }
        let id: u64 = stanza.child("received", RECEIPTS)?.attribute("id")?.parse().ok()?;
        let at = self.lines.iter().position(|(line, _)| *line == id)?;
        self.lines.remove(at)
    }

    /// Tells of what was never confirmed.
    pub(crate) fn tell(&self, output: Output, peer: &str) {
        for (line, excerpt) in &self.lines {
            let message = format!("line {line} for {peer} was not confirmed, and may not have arrived: {excerpt}");
            output.undelivered(*line, peer, &message);
        }
    }
}

/// A chat message with this text that asks for a receipt; `None` if XML cannot carry it.
pub(crate) fn line(number: u64, text: &str) -> Option<Element> {
    // XEP-0184 § 7: what asks for a receipt has an id.
    let message =
        Element::builder("message", ns::CLIENT).attribute("type", "chat").attribute("id", &number.to_string());
    let message = message.open("body", ns::CLIENT).text(text).close();
    message.open("request", RECEIPTS).close().build().ok()
}

/// The receipt that a message asks for. What has no id, or is a receipt itself, gets none (XEP-0184 §§ 5.4, 7).
pub(crate) fn receipt_for(stanza: &Element) -> Option<Element> {
    body(stanza)?;
    stanza.child("request", RECEIPTS)?;
    if stanza.child("received", RECEIPTS).is_some() {
        return None;
    }
    let id = stanza.attribute("id")?;
    let receipt = Element::builder("message", ns::CLIENT).attribute("type", "chat");
    receipt.open("received", RECEIPTS).attribute("id", id).close().build().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use xtls_stanza::Limits;

    use super::*;

    #[test]
    fn a_line_is_confirmed_once_by_the_receipt_for_it() {
        let message = line(7, "a <b> & c").unwrap();
        assert_eq!(body(&message).unwrap(), "a <b> & c");
        let receipt = receipt_for(&message).unwrap();
        // XEP-0184 §§ 5.4, 7: a receipt asks for none, and has no text.
        assert!(body(&receipt).is_none() && receipt_for(&receipt).is_none());
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.sent(6, "six".to_owned());
        unconfirmed.sent(7, "seven".to_owned());
        assert_eq!(unconfirmed.confirmed_by(&receipt), Some((7, "seven".to_owned())));
        assert_eq!(unconfirmed.confirmed_by(&receipt), None);
        assert_eq!(unconfirmed.lines, [(6, "six".to_owned())]);
    }

    #[test]
    fn what_has_no_id_or_does_not_ask_gets_no_receipt() {
        let receipt = |text: &str| receipt_for(&Element::parse(text, &Limits::default()).unwrap());
        let asks = "<body>x</body><request xmlns='urn:xmpp:receipts'/>";
        assert!(receipt(&format!("<message id='1'>{asks}</message>")).is_some());
        assert!(receipt(&format!("<message>{asks}</message>")).is_none());
        assert!(receipt(&format!("<message id='1' type='error'>{asks}</message>")).is_none());
        assert!(receipt("<message id='1'><request xmlns='urn:xmpp:receipts'/></message>").is_none());
        assert!(receipt("<message id='1'><body>x</body></message>").is_none());
        let both = format!("<message id='1'>{asks}<received xmlns='urn:xmpp:receipts' id='2'/></message>");
        assert!(receipt(&both).is_none());
    }

    #[test]
    fn the_oldest_of_too_many_lines_is_forgotten() {
        let mut unconfirmed = Unconfirmed::default();
        for number in 0..257 {
            unconfirmed.sent(number, String::new());
        }
        assert!(unconfirmed.lines.iter().map(|(line, _)| *line).eq(1..257));
    }
}
