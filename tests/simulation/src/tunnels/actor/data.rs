//! What an entity sends and gets through its tunnels, and what has to hold of it.

use std::time::Instant;

use xtls::{Element, Tunnel};
use xtls_stanza::Fingerprint;

use super::Actor;
use crate::ledger::{self, Exported};

/// What both ends of a secured tunnel derive, and nobody else; none once it has ended.
pub(super) fn keys_of(tunnel: &Tunnel<'_>) -> Option<Exported> {
    let exported = tunnel.export_keying_material(16, b"EXPERIMENTAL-xtls-simulation", None)?;
    exported.as_slice().try_into().ok()
}

impl Actor {
    /// Whoever the tunnel is secured with has to be who its address says.
    pub(super) fn secured(&mut self, now: Instant, at: usize, certificate: Option<&Fingerprint>) {
        let (id, side) = (self.tunnels[at].id, self.tunnels[at].side);
        let Self { client, live, .. } = self;
        let Some(tunnel) = client.engine().tunnel(id) else {
            // It has ended since, and an application that was slow has not seen that yet.
            self.tunnels[at].gone = true;
            return;
        };
        let peer = tunnel.peer().map(ToString::to_string).unwrap_or_default();
        let Some(keys) = live.measure(|| keys_of(&tunnel)) else {
            // It has broken since, and its keys are gone.
            self.tunnels[at].gone = true;
            return;
        };
        if let Some(shown) = certificate
            && !self.truth.iter().any(|(address, fingerprint)| *address == peer && fingerprint == shown)
        {
            self.fail(format!("a tunnel with {peer} is secured by a certificate that is not that one's"));
        }
        if self.tunnels[at].keys.replace(keys).is_some() {
            self.fail("a tunnel is secured twice".to_owned());
        }
        if let Err(words) = self.ledger.secure(keys, side, self.place) {
            self.fail(words);
        }
        self.pump(now, at);
    }

    /// Sends what the application wants to send, as far as it is taken.
    pub(super) fn pump(&mut self, now: Instant, at: usize) {
        let Self { client, live, tunnels, ledger, .. } = self;
        let tracked = &mut tunnels[at];
        let Some(keys) = tracked.keys else {
            // Row L1: nothing is taken before the tunnel is secured.
            let tunnel = client.engine().tunnel(tracked.id).filter(|tunnel| tunnel.security().is_none());
            if tunnel.is_some_and(|mut tunnel| tunnel.write(now, b"early").is_ok()) {
                self.fail("a tunnel takes data before it is secured".to_owned());
            }
            return;
        };
        while tracked.wants > 0 && (!tracked.xml || tracked.stream_open) {
            if tracked.xml {
                let text = format!("{} {}", ledger::CANARY, tracked.sent);
                let padding = "y".repeat(usize::try_from(tracked.size).unwrap_or(0));
                let message = Element::builder("message", "jabber:client")
                    .open("body", "jabber:client")
                    .text(&text)
                    .text(" ")
                    .text(&padding)
                    .close()
                    .build();
                let Ok(message) = message else { return };
                let id = tracked.id;
                let taken =
                    live.measure(|| client.engine().tunnel(id).is_some_and(|mut it| it.send(now, &message).is_ok()));
                if !taken {
                    return;
                }
                tracked.wants -= 1;
                tracked.sent += 1;
            } else {
                let most = tracked.wants.min(16_384);
                let bytes = ledger::stream(keys, tracked.side, tracked.sent, tracked.sent + most);
                let id = tracked.id;
                let taken = live
                    .measure(|| client.engine().tunnel(id).and_then(|mut it| it.write(now, &bytes).ok()))
                    .unwrap_or(0);
                if taken == 0 {
                    return;
                }
                let taken = u64::try_from(taken).unwrap_or(0);
                tracked.wants -= taken;
                tracked.sent += taken;
            }
            let (sent, size) = (tracked.sent, u64::from(tracked.size));
            ledger.with_end(keys, tracked.side, |end| {
                end.sent = sent;
                end.size = end.size.max(size);
            });
        }
        if tracked.wants_finish && tracked.wants == 0 && !tracked.finished {
            let id = tracked.id;
            tracked.finished = live.measure(|| client.engine().tunnel(id).is_some_and(|mut it| it.finish(now).is_ok()));
            tracked.wants_finish = false;
        }
    }

    pub(super) fn read(&mut self, now: Instant, at: usize) {
        let Self { client, live, tunnels, ledger, .. } = self;
        let tracked = &mut tunnels[at];
        let id = tracked.id;
        let mut bytes = Vec::new();
        live.measure(|| {
            let mut read = Vec::new();
            if let Some(mut tunnel) = client.engine().tunnel(id) {
                tunnel.read(now, &mut read);
            }
            allocation_counter::opt_out(|| bytes.extend_from_slice(&read));
        });
        let Some(keys) = tracked.keys else {
            if !bytes.is_empty() && !tracked.gone {
                self.fail("data arrives before the tunnel is secured".to_owned());
            }
            return;
        };
        let count = u64::try_from(bytes.len()).unwrap_or(0);
        let expected = ledger::stream(keys, ledger::other(tracked.side), tracked.got, tracked.got + count);
        tracked.got += count;
        let got = tracked.got;
        ledger.with_end(keys, tracked.side, |end| end.got = got);
        let sent = ledger.end(keys, ledger::other(tracked.side)).map_or(0, |end| end.sent);
        ledger.deliver(bytes.len());
        if bytes != expected || got > sent {
            self.fail(format!("what arrives is not what was sent, from byte {} on", got - count));
        } else if tracked.peer_finished && count > 0 {
            self.fail("data arrives after the peer's last byte".to_owned());
        }
    }

    pub(super) fn take_message(&mut self, at: usize, stanza: &Element) {
        let tracked = &mut self.tunnels[at];
        let Some(keys) = tracked.keys else {
            if !tracked.gone {
                self.fail("a stanza arrives before the tunnel is secured".to_owned());
            }
            return;
        };
        let Some(body) = stanza.child("body", "jabber:client") else { return };
        let text = body.text();
        let number = text.split(' ').nth(1).and_then(|number| number.parse::<u64>().ok());
        let expected = tracked.got;
        tracked.got += 1;
        self.ledger.with_end(keys, tracked.side, |end| end.got = expected + 1);
        self.ledger.deliver(text.len());
        let sent = self.ledger.end(keys, ledger::other(tracked.side)).map_or(0, |end| end.sent);
        if number != Some(expected) || expected >= sent {
            self.fail(format!("message {number:?} arrives where {expected} of {sent} is expected"));
        }
    }

    /// The peer has ended the tunnel in order, and nothing that it sent before that is missing.
    pub(super) fn ended_in_order(&self, at: usize) {
        let tracked = &self.tunnels[at];
        let sent = tracked.keys.and_then(|keys| self.ledger.end(keys, ledger::other(tracked.side)));
        if let Some(end) = sent.filter(|end| end.sent != tracked.got) {
            self.fail(format!("the peer ended in order, and {} of {} came", tracked.got, end.sent));
        }
    }
}
