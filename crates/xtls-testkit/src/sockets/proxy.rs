//! SOCKS5 proxies, honest ones and others.

use std::time::Instant;

use xtls::transports::DstAddr;
use xtls_stanza::{Condition, Element, Iq, IqType, Limits, StanzaError, jid::FullJid};

use super::{Sockets, wire::End};
use crate::{EntityId, World};

/// How a proxy does its duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conduct {
    /// It carries what it is given.
    Honest,
    /// It changes a bit of what it carries, after so many bytes in a direction.
    Changes(usize),
    /// It leaves out the byte after so many in a direction.
    Swallows(usize),
    /// Of more than so many bytes at once it keeps as many back until more comes, as that of Prosody 0.12 does. What has piled up while the
    /// other end read nothing comes at once.
    Hoards(usize),
    /// It says that it has connected both, and carries nothing.
    Stalls,
    /// It does not connect anybody.
    Refuses,
    /// It does not answer.
    Silent,
    /// It connects whoever came last in place of the requester, as Prosody's does (0.12).
    Replaces,
    /// It says that it has connected both, and connects whoever came last with the requester in the place of the target.
    ServesStrangers,
    /// It says something to both before it connects them.
    Speaks,
}

#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) entity: EntityId,
    pub(super) conduct: Conduct,
}

impl Sockets {
    /// The end of a proxied wire that is not the proxy's.
    pub(super) fn far_from_proxy(&self, wire: usize) -> usize {
        usize::from(matches!(self.wires[wire].ends[0], End::Proxy { .. }))
    }

    /// Whether this end is that of a proxy that hoards.
    pub(super) fn hoards(&self, wire: usize, end: usize) -> bool {
        let End::Proxy { proxy, with: Some(_), .. } = &self.wires[wire].ends[end] else { return false };
        matches!(self.proxies[*proxy].conduct, Conduct::Hoards(_))
    }

    /// A proxy takes bytes.
    pub(super) fn serve(&mut self, now: Instant, wire: usize, end: usize, bytes: &[u8]) {
        let End::Proxy { proxy, acceptor, asked, with, carried, hoard } = &mut self.wires[wire].ends[end] else {
            return;
        };
        let conduct = self.proxies[*proxy].conduct;
        let Some(other) = *with else {
            if acceptor.handle_bytes(bytes).is_err() {
                return self.hang_up(now, wire, end);
            }
            if let Some(dst_addr) = acceptor.asked() {
                *asked = Some(dst_addr);
                acceptor.accept().expect("it has asked");
                if conduct == Conduct::Speaks {
                    let mut reply = Vec::new();
                    acceptor.poll(&mut reply);
                    reply.extend_from_slice(b"220 at your service\r\n");
                    self.put(now, wire, 1 - end, reply);
                }
            }
            return;
        };
        let before = *carried;
        *carried += bytes.len();
        let at = |place: usize| place.checked_sub(before).filter(|at| *at < bytes.len());
        let mut passed = bytes.to_vec();
        match conduct {
            Conduct::Stalls => return,
            Conduct::Hoards(most) => {
                hoard.append(&mut passed);
                // What comes after a piece that was kept back sends that on.
                let keep = hoard.len().saturating_sub(most).min(most);
                passed = hoard.drain(..hoard.len() - keep).collect();
            }
            Conduct::Changes(place) => at(place).into_iter().for_each(|at| passed[at] ^= 1),
            Conduct::Swallows(place) => passed.drain(at(place).map_or(0..0, |at| at..at + 1)).for_each(drop),
            Conduct::Honest
            | Conduct::Refuses
            | Conduct::Silent
            | Conduct::Replaces
            | Conduct::ServesStrangers
            | Conduct::Speaks => {}
        }
        let far = self.far_from_proxy(other);
        self.put(now, other, far, passed);
    }

    /// Answers requests to activate.
    pub(super) fn activate(&mut self, world: &mut World, proxy: usize) -> bool {
        let Proxy { entity, conduct, .. } = self.proxies[proxy];
        let others = world.take_others(entity);
        let happened = !others.is_empty();
        for (_, stanza) in others {
            if conduct == Conduct::Silent {
                continue;
            }
            let Ok(element) = Element::parse(&stanza, &Limits::default()) else { continue };
            let Some(Ok(iq)) = Iq::parse(&element) else { continue };
            let (IqType::Set, Some(from), Some(query)) = (iq.iq_type, iq.from, iq.payload) else { continue };
            let target = query.children().find(|child| child.name() == "activate").map(|child| child.text());
            let asked = target.zip(query.attribute("sid")).and_then(|(target, sid)| name(sid, from, &target));
            let waiting = asked.map(|asked| self.waiting(proxy, &asked)).unwrap_or_default();
            let joined = match (conduct, waiting.as_slice()) {
                (Conduct::Refuses, _) | (_, [] | [_]) => None,
                (Conduct::Replaces, [target, .., last]) => Some((*target, *last)),
                (Conduct::ServesStrangers, [_, requester, .., last]) => Some((*requester, *last)),
                (_, [target, requester, ..]) => Some((*target, *requester)),
            };
            let mut answer = String::new();
            match joined {
                Some((one, other)) => {
                    self.join(one, other);
                    Iq::write_result(&mut answer, iq.id, from, None);
                }
                None => {
                    let error = StanzaError::from(Condition::NotAllowed);
                    Iq::write_error(&mut answer, iq.id, from, None, &error);
                }
            }
            world.client_mut(entity).say(answer);
        }
        happened
    }

    /// The wires at a proxy that ask for this, in the order in which they came.
    fn waiting(&self, proxy: usize, wanted: &DstAddr) -> Vec<usize> {
        let is_it = |end: &End| matches!(end, End::Proxy { proxy: at, asked: Some(asked), with: None, .. } if *at == proxy && asked == wanted);
        (0..self.wires.len()).filter(|wire| self.wires[*wire].ends.iter().any(is_it)).collect()
    }

    fn join(&mut self, one: usize, other: usize) {
        for (wire, far) in [(one, other), (other, one)] {
            for end in &mut self.wires[wire].ends {
                if let End::Proxy { with, .. } = end {
                    *with = Some(far);
                }
            }
        }
    }
}

/// What a proxy makes of the addresses as it sees them.
fn name(sid: &str, requester: &str, target: &str) -> Option<DstAddr> {
    let [requester, target] = [requester, target].map(|jid| jid.parse::<FullJid>().ok());
    Some(DstAddr::new(sid, &requester?.into(), &target?.into()))
}
