//! Who is let in at a listener.

use core::{fmt, time::Duration};
use std::collections::BTreeMap;

use xtls_stanza::Instant;

/// The books of a listener: how many visitors are heard at once, and how long each may take to say which bytestream it has come
/// for. One listener serves any number of bytestreams.
///
/// It has no sockets and no bytes. Its owner [admits](Listener::admit) each connection that comes while there is
/// [room](Listener::has_room), runs SOCKS5 with it ([`Acceptor`](crate::socks::Acceptor)), and lets it go from here once it has what
/// it came for, or has ended. What [`Listener::poll_expired`] names is to be closed. That one connection and no second one gets a
/// bytestream is for [`Negotiation::incoming`](crate::negotiation::Negotiation::incoming) to see to.
///
/// Whoever knows the address of a listener can connect to it, and whoever has seen a negotiation knows the name of its bytestream
/// too. So this bounds what strangers cost; that they are strangers, TLS finds out.
#[derive(Debug, Default)]
pub struct Listener {
    /// When each of those that are still talking has had its time.
    open: BTreeMap<Visitor, Instant>,
    admitted: u64,
}

/// A connection that a [`Listener`] has admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Visitor(u64);

/// A [`Listener`] has no room: [`Listener::MAX_VISITORS`] are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoRoom;

impl Listener {
    /// How many are heard at once; leave others with the system meanwhile.
    pub const MAX_VISITORS: usize = 16;
    /// How long each may take until it has said what it wants, and has heard that it gets it.
    pub const VISIT_TIME: Duration = Duration::from_secs(10);

    /// One that nobody has come to.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether another one can be admitted.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.open.len() < Self::MAX_VISITORS
    }

    /// A connection has come.
    ///
    /// # Errors
    ///
    /// When there is no room for it.
    pub fn admit(&mut self, now: Instant) -> Result<Visitor, NoRoom> {
        if !self.has_room() {
            return Err(NoRoom);
        }
        self.admitted += 1;
        let visitor = Visitor(self.admitted);
        self.open.insert(visitor, now.checked_add(Self::VISIT_TIME).unwrap_or(now));
        Ok(visitor)
    }

    /// It has its bytestream, or has ended: another one has room.
    pub fn let_go(&mut self, visitor: Visitor) {
        self.open.remove(&visitor);
    }

    /// One whose time is over. Each is named once, and is not here any more.
    pub fn poll_expired(&mut self, now: Instant) -> Option<Visitor> {
        let (visitor, _) = self.open.iter().find(|(_, until)| now >= **until)?;
        let visitor = *visitor;
        self.open.remove(&visitor);
        Some(visitor)
    }

    /// When there is something to poll, if nothing else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.open.values().min().copied()
    }
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many connections are waiting to be heard")
    }
}

impl core::error::Error for NoRoom {}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "an arbitrary starting point")]
mod tests {
    use super::*;

    const NANOSECOND: Duration = Duration::from_nanos(1);

    #[test]
    fn s5b_a_listener_hears_sixteen_at_once_and_not_one_more() {
        let (mut listener, now) = (Listener::new(), Instant::now());
        let visitors: Vec<_> = (0..16).map(|_| listener.admit(now).unwrap()).collect();
        assert!(!listener.has_room());
        assert_eq!(listener.admit(now), Err(NoRoom));
        listener.let_go(visitors[3]);
        // Who has gone twice has made room once.
        listener.let_go(visitors[3]);
        let next = listener.admit(now).unwrap();
        assert!(!visitors.contains(&next));
        assert_eq!(listener.admit(now), Err(NoRoom));
    }

    #[test]
    fn s5b_each_has_ten_seconds_and_not_a_nanosecond_more() {
        let (mut listener, now) = (Listener::new(), Instant::now());
        let [first, second] = [0, 1].map(|_| listener.admit(now).unwrap());
        let third = listener.admit(now + NANOSECOND).unwrap();
        let end = now + Duration::from_secs(10);
        assert_eq!(listener.next_deadline(), Some(end));
        assert_eq!(listener.poll_expired(end - NANOSECOND), None);
        listener.let_go(first);
        assert_eq!(listener.poll_expired(end), Some(second));
        assert_eq!(listener.poll_expired(end), None);
        assert_eq!(listener.next_deadline(), Some(end + NANOSECOND));
        assert_eq!(listener.poll_expired(end + NANOSECOND), Some(third));
        assert_eq!(listener.next_deadline(), None);
    }
}
