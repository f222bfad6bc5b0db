//! An attacker in the middle: a connection that speaks in another's name and gets what was sent to that name.

use super::Relay;

impl Relay {
    /// Puts the connection `impostor` in the place of `address`, for `victim` alone: what the victim sends there is delivered to
    /// the impostor, and what the impostor sends is from `address`. Two impostors, each with an engine of its own, are a man in
    /// the middle.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// # let now = Instant::now();
    /// let mut relay = xtls_testkit::Relay::new(Duration::ZERO);
    /// for connection in ["romeo@a/1", "juliet@b/2", "mallory"] {
    ///     relay.set_online(connection, true);
    /// }
    /// relay.impersonate("mallory", "juliet@b/2", "romeo@a/1");
    /// relay.handle_stanza(now, "romeo@a/1", "<message to='juliet@b/2'/>");
    /// assert_eq!(relay.poll_delivery(now).expect("it arrives").to, "mallory");
    /// relay.handle_stanza(now, "mallory", "<message to='romeo@a/1'/>");
    /// let answer = relay.poll_delivery(now).expect("it arrives").stanza;
    /// assert_eq!(answer, "<message from='juliet@b/2' to='romeo@a/1'/>");
    /// ```
    pub fn impersonate(&mut self, impostor: &str, address: &str, victim: &str) {
        self.impostors.insert(impostor.to_owned(), address.to_owned());
        self.diverted.insert((victim.to_owned(), address.to_owned()), impostor.to_owned());
    }

    /// Nobody speaks in another's name any more.
    pub fn unmask(&mut self) {
        self.impostors.clear();
        self.diverted.clear();
    }

    /// The address that a connection's stanzas are from.
    pub(super) fn name_of<'a>(&'a self, connection: &'a str) -> &'a str {
        self.impostors.get(connection).map_or(connection, String::as_str)
    }
}
