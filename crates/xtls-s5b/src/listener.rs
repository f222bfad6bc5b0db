//! What a listener for one bytestream lets in.

use core::{fmt, time::Duration};
use std::collections::{BTreeMap, BTreeSet};

use xtls_stanza::Instant;

use crate::DstAddr;

/// The books of a listener that waits for one connection: how many may try, how long each may take, and who may have it.
///
/// It has no sockets and no bytes. Its owner [admits](Listener::admit) each connection that comes, runs SOCKS5 with it
/// ([`Acceptor`](crate::socks::Acceptor)), and [claims](Listener::claim) the bytestream that is asked for. What
/// [`Listener::poll_expired`] names is to be closed.
///
/// Whoever knows the address of a listener can connect to it, and whoever has seen the negotiation knows the name of its
/// bytestream too. So this bounds what strangers cost; that they are strangers, TLS finds out.
#[derive(Debug)]
pub struct Listener {
    expected: BTreeSet<DstAddr>,
    /// When each of those that are still talking has had its time.
    open: BTreeMap<Attempt, Instant>,
    admitted: u32,
    is_taken: bool,
}

/// A connection that a [`Listener`] has admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(u32);

/// Why a [`Listener`] does not let a connection in, or does not give it the bytestream. It is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejected {
    /// [`Listener::MAX_ATTEMPTS`] have come already.
    TooMany,
    /// Another connection has the bytestream.
    Taken,
    /// It asks for a bytestream that is not expected here.
    Unexpected,
    /// It has taken longer than [`Listener::ATTEMPT_TIME`], or has ended.
    Late,
}

impl Listener {
    /// How many connections are let in, whatever becomes of them.
    pub const MAX_ATTEMPTS: u32 = 16;
    /// How long each may take until it has said what it wants.
    pub const ATTEMPT_TIME: Duration = Duration::from_secs(10);

    /// One that waits for a connection by any of these names: those of [`DstAddr::of_either_order`].
    #[must_use]
    pub fn new(expected: impl IntoIterator<Item = DstAddr>) -> Self {
        let expected = expected.into_iter().collect();
        Self { expected, open: BTreeMap::new(), admitted: 0, is_taken: false }
    }

    /// A connection has come.
    ///
    /// # Errors
    ///
    /// When it is not wanted.
    pub fn admit(&mut self, now: Instant) -> Result<Attempt, Rejected> {
        if self.is_taken {
            return Err(Rejected::Taken);
        }
        if self.admitted == Self::MAX_ATTEMPTS {
            return Err(Rejected::TooMany);
        }
        self.admitted += 1;
        let attempt = Attempt(self.admitted);
        self.open.insert(attempt, now.checked_add(Self::ATTEMPT_TIME).unwrap_or(now));
        Ok(attempt)
    }

    /// It asks for this bytestream. Where it gets it, accept it, and close the listener and all other connections to it.
    ///
    /// # Errors
    ///
    /// When it does not get it: refuse it.
    pub fn claim(&mut self, now: Instant, attempt: Attempt, dst_addr: &DstAddr) -> Result<(), Rejected> {
        let deadline = self.open.remove(&attempt);
        if self.is_taken {
            return Err(Rejected::Taken);
        }
        if deadline.is_none_or(|deadline| now >= deadline) {
            return Err(Rejected::Late);
        }
        if !self.expected.contains(dst_addr) {
            return Err(Rejected::Unexpected);
        }
        self.is_taken = true;
        Ok(())
    }

    /// It has ended, or has failed. Its place is not given to another one.
    pub fn handle_end(&mut self, attempt: Attempt) {
        self.open.remove(&attempt);
    }

    /// One whose time is over, or, once the bytestream is taken, one that is left. Each is named once.
    pub fn poll_expired(&mut self, now: Instant) -> Option<Attempt> {
        let is_over = |deadline: &Instant| self.is_taken || now >= *deadline;
        let attempt = self.open.iter().find_map(|(attempt, deadline)| is_over(deadline).then_some(*attempt))?;
        self.open.remove(&attempt);
        Some(attempt)
    }

    /// When there is something to poll, if nothing else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.open.values().min().copied()
    }

    /// Whether a connection has the bytestream.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.is_taken
    }

    /// Whether nothing more can come of it: nobody has the bytestream, all attempts were made, and none is under way.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        !self.is_taken && self.admitted == Self::MAX_ATTEMPTS && self.open.is_empty()
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMany => "too many have connected",
            Self::Taken => "another connection has the bytestream",
            Self::Unexpected => "it asks for a bytestream that is not expected here",
            Self::Late => "it has taken too long to ask for a bytestream",
        })
    }
}

impl core::error::Error for Rejected {}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "an arbitrary starting point")]
mod tests {
    use super::*;

    const NANOSECOND: Duration = Duration::from_nanos(1);

    fn name(digit: char) -> DstAddr {
        String::from_iter([digit; DstAddr::LEN]).parse().unwrap()
    }

    fn listener() -> (Listener, Instant) {
        (Listener::new([name('a'), name('b')]), Instant::now())
    }

    #[test]
    fn s5b_a_listener_lets_sixteen_in_and_not_one_more() {
        let (mut listener, now) = listener();
        for number in 0..16 {
            assert!(!listener.is_exhausted());
            let attempt = listener.admit(now).unwrap();
            // Whatever becomes of them.
            match number % 3 {
                0 => listener.handle_end(attempt),
                1 => assert_eq!(listener.claim(now, attempt, &name('c')), Err(Rejected::Unexpected)),
                _ => {}
            }
        }
        assert_eq!(listener.admit(now), Err(Rejected::TooMany));
        assert!(!listener.is_exhausted(), "some may still claim it");
        let later = now + Listener::ATTEMPT_TIME;
        while listener.poll_expired(later).is_some() {}
        assert!(listener.is_exhausted());
        assert_eq!(listener.next_deadline(), None);
    }

    #[test]
    fn the_sixteenth_can_have_it() {
        let (mut listener, now) = listener();
        let attempts: Vec<_> = (0..16).map(|_| listener.admit(now).unwrap()).collect();
        assert_eq!(listener.claim(now, attempts[15], &name('b')), Ok(()));
        assert!(listener.is_taken() && !listener.is_exhausted());
    }

    #[test]
    fn s5b_each_has_ten_seconds_and_not_a_nanosecond_more() {
        let (mut listener, now) = listener();
        let [first, second] = [0, 1].map(|_| listener.admit(now).unwrap());
        let third = listener.admit(now + NANOSECOND).unwrap();
        let end = now + Duration::from_secs(10);
        assert_eq!(listener.next_deadline(), Some(end));
        assert_eq!(listener.poll_expired(end - NANOSECOND), None);
        assert_eq!(listener.claim(end, first, &name('a')), Err(Rejected::Late));
        assert_eq!(listener.poll_expired(end), Some(second));
        assert_eq!(listener.poll_expired(end), None);
        assert_eq!(listener.claim(end, second, &name('a')), Err(Rejected::Late));
        assert_eq!(listener.next_deadline(), Some(end + NANOSECOND));
        assert_eq!(listener.claim(end, third, &name('a')), Ok(()));
    }

    #[test]
    fn s5b_one_gets_it_and_nobody_after_it() {
        let (mut listener, now) = listener();
        let [first, second, third] = [0, 1, 2].map(|_| listener.admit(now).unwrap());
        assert_eq!(listener.claim(now, second, &name('a')), Ok(()));
        assert_eq!(listener.claim(now, second, &name('a')), Err(Rejected::Taken));
        assert_eq!(listener.claim(now, third, &name('a')), Err(Rejected::Taken));
        assert_eq!(listener.admit(now), Err(Rejected::Taken));
        // Those that are left are to be closed at once.
        assert_eq!(listener.poll_expired(now), Some(first));
        assert_eq!(listener.poll_expired(now), None);
    }

    #[test]
    fn s5b_another_sessions_name_is_refused_and_costs_the_attempt() {
        let (mut listener, now) = listener();
        let attempt = listener.admit(now).unwrap();
        assert_eq!(listener.claim(now, attempt, &name('c')), Err(Rejected::Unexpected));
        assert_eq!(listener.claim(now, attempt, &name('a')), Err(Rejected::Late), "there is no second guess");
    }
}
