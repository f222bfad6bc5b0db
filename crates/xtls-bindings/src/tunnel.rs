//! What is done in a tunnel.

use std::collections::{BTreeMap, VecDeque};

use xtls::xml::{Limits, Scope, ns};
use xtls::{Element, GiveReceipt, Password, TrustDecision, Tunnel, TunnelId};

use crate::engine::{Engine, reason};
use crate::{Code, Error, Result, Security};

/// How a tunnel is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How far it has come, by its short name.
    pub phase: &'static str,
    /// Milliseconds since it began.
    pub age: u64,
    /// Bytes that were encrypted for the peer, of which some are acknowledged: servers say so.
    pub sent: u64,
    /// How many of these are.
    pub acked: u64,
    /// Bytes that came.
    pub received: u64,
    /// Bytes that were written and are not acknowledged: the application's alone.
    pub unacked: u64,
    /// How many times blocks came back.
    pub retries: u32,
    /// The bytes a second that a server lets through, if one holds it back; otherwise 0.
    pub throttled: u64,
    /// Milliseconds until a block is acknowledged, of late; 0 before one was.
    pub round_trip: u64,
}

impl Engine {
    /// Answers the question for a password; nothing says that there is none.
    ///
    /// # Errors
    ///
    /// [`Code::NotAsked`], [`Code::Ended`], [`Code::OtherEngine`], and those about passwords.
    pub fn password(&mut self, now: u64, id: u64, password: Option<&str>) -> Result<()> {
        let (at, password) = (self.clock.at(now), password.map(Password::new).transpose()?);
        Ok(self.tunnel(id)?.provide_password(at, password)?)
    }

    /// Answers the question about a certificate: `accept`, `accept-and-keep` or `refuse`.
    ///
    /// # Errors
    ///
    /// [`Code::NotAsked`], [`Code::Name`], [`Code::Ended`], [`Code::OtherEngine`].
    pub fn trust(&mut self, now: u64, id: u64, decision: &str) -> Result<()> {
        let all = [TrustDecision::Accept, TrustDecision::AcceptAndKeep, TrustDecision::Refuse];
        let found = all.into_iter().find(|one| one.as_str() == decision);
        let words = || Error::new(Code::Name, format_args!("an answer is {}", TrustDecision::NAMES.join(", ")));
        let (at, decision) = (self.clock.at(now), found.ok_or_else(words)?);
        Ok(self.tunnel(id)?.trust(at, decision)?)
    }

    /// Sends a stanza inside. Without a namespace of its own it is in `jabber:client`, as it is in the events.
    ///
    /// # Errors
    ///
    /// [`Code::Xml`], and why it cannot be sent: [`Code::Full`] says to wait for `writable`.
    pub fn send(&mut self, now: u64, id: u64, stanza: &str) -> Result<()> {
        let at = self.clock.at(now);
        let mut tunnel = self.tunnel(id)?;
        let element = Element::parse_in(stanza, &Limits::default(), &Scope::new(ns::CLIENT))?;
        Ok(tunnel.send(at, &element)?)
    }

    /// Writes bytes, as many as there is room for, and tells how many: the rest when `writable` comes.
    ///
    /// # Errors
    ///
    /// [`Code::NotSecured`], [`Code::NotRaw`], [`Code::Closing`], [`Code::Ended`], [`Code::OtherEngine`].
    pub fn write(&mut self, now: u64, id: u64, bytes: &[u8]) -> Result<usize> {
        let at = self.clock.at(now);
        Ok(self.tunnel(id)?.write(at, bytes)?)
    }

    /// Appends all bytes that have come.
    ///
    /// # Errors
    ///
    /// [`Code::Ended`], [`Code::OtherEngine`].
    pub fn read(&mut self, now: u64, id: u64, out: &mut Vec<u8>) -> Result<usize> {
        let at = self.clock.at(now);
        let rest = self.rests.take(id);
        out.extend_from_slice(&rest);
        match self.tunnel(id) {
            Ok(mut tunnel) => Ok(rest.len() + tunnel.read(at, out)),
            Err(_) if !rest.is_empty() => Ok(rest.len()),
            Err(error) => Err(error),
        }
    }

    /// Fills this room with bytes that have come, and tells how many; the others stay, also when the tunnel ends meanwhile.
    ///
    /// # Errors
    ///
    /// [`Code::Ended`], [`Code::OtherEngine`].
    pub fn read_into(&mut self, now: u64, id: u64, room: &mut [u8]) -> Result<usize> {
        let left = self.left(now, id)?;
        let count = left.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..count), left.get(..count)) {
            to.copy_from_slice(from);
        }
        self.taken(id, count);
        Ok(count)
    }

    /// Bytes that have come and are left to be taken: for whoever copies them to a place of another language. [`taken`](Self::taken) says
    /// how many that was.
    ///
    /// # Errors
    ///
    /// [`Code::Ended`], [`Code::OtherEngine`].
    pub fn left(&mut self, now: u64, id: u64) -> Result<&[u8]> {
        if self.rests.is_empty(id) {
            let at = self.clock.at(now);
            let mut all = self.rests.spare();
            self.tunnel(id)?.read(at, &mut all);
            self.rests.keep(id, all);
        }
        Ok(self.rests.left(id))
    }

    /// So many of the bytes that were [`left`](Self::left) have been taken.
    pub fn taken(&mut self, id: u64, count: usize) {
        self.rests.taken(id, count);
    }

    /// No more bytes will be written.
    ///
    /// # Errors
    ///
    /// [`Code::NotSecured`], [`Code::NotRaw`], [`Code::NotInThisTls`], [`Code::Closing`], [`Code::Ended`], [`Code::OtherEngine`].
    pub fn finish(&mut self, now: u64, id: u64) -> Result<()> {
        let at = self.clock.at(now);
        Ok(self.tunnel(id)?.finish(at)?)
    }

    /// Ends the tunnel in order.
    ///
    /// # Errors
    ///
    /// [`Code::Ended`], [`Code::OtherEngine`].
    pub fn close(&mut self, now: u64, id: u64) -> Result<()> {
        let at = self.clock.at(now);
        self.tunnel(id)?.close(at);
        Ok(())
    }

    /// Ends the tunnel at once, for a reason of XEP-0166 § 7.4.
    ///
    /// # Errors
    ///
    /// [`Code::Name`], [`Code::Ended`], [`Code::OtherEngine`].
    pub fn abort(&mut self, now: u64, id: u64, why: &str) -> Result<()> {
        let (at, why) = (self.clock.at(now), reason(why)?);
        self.tunnel(id)?.abort(at, why);
        Ok(())
    }

    /// Opens an XML stream in the tunnel, after one was closed.
    ///
    /// # Errors
    ///
    /// [`Code::NotSecured`], [`Code::NotXml`], [`Code::Closing`], [`Code::WrongState`], [`Code::Ended`], [`Code::OtherEngine`].
    pub fn open_stream(&mut self, now: u64, id: u64) -> Result<()> {
        let at = self.clock.at(now);
        Ok(self.tunnel(id)?.open_stream(at)?)
    }

    /// Closes the XML stream; the tunnel stays.
    ///
    /// # Errors
    ///
    /// As for [`open_stream`](Self::open_stream).
    pub fn close_stream(&mut self, now: u64, id: u64) -> Result<()> {
        let at = self.clock.at(now);
        Ok(self.tunnel(id)?.close_stream(at)?)
    }

    /// When the peer is given a receipt: `when-read`, `when-told` or `never`.
    ///
    /// # Errors
    ///
    /// [`Code::Name`], [`Code::Ended`], [`Code::OtherEngine`].
    pub fn set_give_receipt(&mut self, now: u64, id: u64, when: &str) -> Result<()> {
        let when = match when {
            "when-read" => GiveReceipt::WhenRead,
            "when-told" => GiveReceipt::WhenTold,
            "never" => GiveReceipt::Never,
            _ => return Err(Error::new(Code::Name, "a receipt is given when-read, when-told or never")),
        };
        let at = self.clock.at(now);
        self.tunnel(id)?.set_give_receipt(at, when);
        Ok(())
    }

    /// Gives the peer a receipt: everything has come, and is stored.
    ///
    /// # Errors
    ///
    /// [`Code::NotRaw`], [`Code::Unsupported`], [`Code::Early`], [`Code::Ended`], [`Code::OtherEngine`].
    pub fn give_receipt(&mut self, now: u64, id: u64) -> Result<()> {
        let at = self.clock.at(now);
        if !self.rests.is_empty(id) {
            return Err(Code::Early.into());
        }
        Ok(self.tunnel(id)?.give_receipt(at)?)
    }

    /// Asks the peer for its certificates.
    ///
    /// # Errors
    ///
    /// [`Code::NotSecured`], [`Code::NotXml`], [`Code::NoStream`], [`Code::Closing`], [`Code::AlreadyAsked`], [`Code::Full`],
    /// [`Code::Ended`], [`Code::OtherEngine`].
    pub fn request_certificates(&mut self, now: u64, id: u64) -> Result<()> {
        let at = self.clock.at(now);
        Ok(self.tunnel(id)?.request_certificates(at)?)
    }

    /// With whom a tunnel is.
    ///
    /// # Errors
    ///
    /// [`Code::Ended`], [`Code::OtherEngine`].
    pub fn peer(&mut self, id: u64) -> Result<String> {
        Ok(self.tunnel(id)?.peer().map(ToString::to_string).unwrap_or_default())
    }

    /// How a tunnel is secured; nothing before it is.
    ///
    /// # Errors
    ///
    /// [`Code::Ended`], [`Code::OtherEngine`].
    pub fn security(&mut self, id: u64) -> Result<Option<Security>> {
        Ok(self.tunnel(id)?.security().map(Security::from))
    }

    /// How a tunnel is doing.
    ///
    /// # Errors
    ///
    /// [`Code::Ended`], [`Code::OtherEngine`].
    pub fn stats(&mut self, id: u64) -> Result<Stats> {
        let tunnel = self.tunnel(id)?;
        let stats = tunnel.stats().ok_or(Code::Ended)?;
        let millis = |time: core::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Ok(Stats {
            phase: stats.phase.as_str(),
            age: millis(stats.age),
            sent: stats.sent,
            acked: stats.acked,
            received: stats.received,
            unacked: tunnel.unacked(),
            retries: stats.retries,
            throttled: stats.throttled.unwrap_or_default(),
            round_trip: stats.round_trip.map(millis).unwrap_or_default(),
        })
    }

    /// Keying material that both ends share (RFC 5705); nothing before the tunnel is secured.
    ///
    /// # Errors
    ///
    /// [`Code::Ended`], [`Code::OtherEngine`].
    pub fn export_keying_material(&mut self, id: u64, length: usize, label: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.tunnel(id)?.export_keying_material(length, label, None))
    }

    fn tunnel(&mut self, id: u64) -> Result<Tunnel<'_>> {
        // Looked up twice, since the first look would be borrowed for the error too.
        if self.inner.tunnel(TunnelId::from_u64(id)).is_none() {
            return Err(self.unknown(id));
        }
        self.inner.tunnel(TunnelId::from_u64(id)).ok_or_else(|| Code::Ended.into())
    }
}

/// What was read and did not fit into the caller's room, by tunnel.
#[derive(Debug, Default)]
pub(crate) struct Rests {
    of: BTreeMap<u64, Rest>,
    /// Tunnels that have ended with something left, the oldest first.
    ended: VecDeque<u64>,
    spare: Vec<u8>,
}

#[derive(Debug)]
struct Rest {
    bytes: Vec<u8>,
    taken: usize,
}

impl Rests {
    /// How many tunnels may have ended with something left to read. Of one more, the oldest one's is thrown away.
    const MOST_ENDED: usize = 64;

    /// The most memory that is kept for the next one.
    const SPARE: usize = 256 * 1024;

    fn is_empty(&self, id: u64) -> bool {
        !self.of.contains_key(&id)
    }

    /// All that is left.
    fn take(&mut self, id: u64) -> Vec<u8> {
        let Some(mut rest) = self.of.remove(&id) else { return Vec::new() };
        rest.bytes.split_off(rest.taken)
    }

    /// Memory for the next one, empty.
    fn spare(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.spare)
    }

    fn keep(&mut self, id: u64, bytes: Vec<u8>) {
        if bytes.is_empty() {
            self.spare = bytes;
        } else {
            self.of.insert(id, Rest { bytes, taken: 0 });
        }
    }

    fn left(&self, id: u64) -> &[u8] {
        self.of.get(&id).and_then(|rest| rest.bytes.get(rest.taken..)).unwrap_or_default()
    }

    fn taken(&mut self, id: u64, count: usize) {
        let Some(rest) = self.of.get_mut(&id) else { return };
        rest.taken = rest.taken.saturating_add(count).min(rest.bytes.len());
        if rest.taken == rest.bytes.len()
            && let Some(Rest { mut bytes, .. }) = self.of.remove(&id)
            && bytes.capacity() <= Self::SPARE
        {
            bytes.clear();
            self.spare = bytes;
        }
    }

    /// This tunnel has ended: what is left of it can be read once more.
    pub(crate) fn ended(&mut self, id: u64) {
        if self.is_empty(id) {
            return;
        }
        self.ended.retain(|id| self.of.contains_key(id));
        self.ended.push_back(id);
        if self.ended.len() > Self::MOST_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.of.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_64_tunnels_that_have_ended_can_be_read_and_of_no_more() {
        let mut rests = Rests::default();
        for id in 1..=65 {
            rests.keep(id, vec![7; 3]);
            rests.ended(id);
            // What has been read takes no place.
            if id <= 32 {
                rests.keep(1000 + id, vec![8]);
                rests.ended(1000 + id);
                rests.taken(1000 + id, 1);
            }
        }
        assert!(rests.left(1).is_empty(), "the oldest is thrown away");
        rests.taken(2, 2);
        assert_eq!(rests.left(2), [7]);
        rests.taken(2, usize::MAX);
        assert!(rests.left(2).is_empty() && rests.is_empty(2));
        assert_eq!(rests.take(65), [7; 3]);
    }
}
