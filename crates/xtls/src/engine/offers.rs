//! Offers of others: which are put before the embedder, and how the rest is answered.

use xtls_jingle::{
    Content, Description, Jingle, JingleCondition, OfferRefusal, Reason, ReasonCondition, Session, Winner, tie_break,
};
use xtls_stanza::{Condition, ErrorType, StanzaError, jid::FullJid};

use super::Engine;
use crate::{
    answer::Answer,
    application::Application,
    event::Disposition,
    tunnel::{Place, TunnelCore},
};

/// What is to become of an offer.
enum Admission {
    /// It is put before the embedder.
    Ring(Box<Admitted>),
    /// It is answered so.
    Answer(Answer),
    /// It may be for another Jingle stack. If it is not, it is answered so.
    Elsewhere(Answer),
}

/// An offer that is put before the embedder.
struct Admitted {
    session: Session,
    application: Application,
    /// The tunnel of ours that gives way to it.
    loser: Option<u64>,
    /// Whose place it takes.
    place: Place,
}

/// What a second XML stream with the same peer runs into.
enum Conflict {
    /// Nothing.
    None,
    /// It is answered so.
    Refuse(Answer),
    /// This tunnel of ours gives way to it.
    GiveWay(u64),
}

impl Engine {
    /// A session-initiate from a peer that has no session of that sid with us.
    pub(super) fn handle_offer(&mut self, id: &str, peer: FullJid, jingle: &Jingle) -> Disposition {
        match self.admit(&peer, jingle) {
            Admission::Ring(admitted) => {
                self.answers.push(peer.as_str(), id, Answer::Result);
                self.ring(peer, *admitted, &jingle.sid);
            }
            Admission::Answer(answer) => self.answers.push(peer.as_str(), id, answer),
            Admission::Elsewhere(answer) => return self.nobodys(peer.as_str(), id, answer, false),
        }
        Disposition::Consumed
    }

    /// Judges an offer; nothing is done.
    fn admit(&self, peer: &FullJid, jingle: &Jingle) -> Admission {
        let session = match Session::incoming(jingle) {
            Ok(session) if session.in_band().is_none() && !self.shared.config.socks5 => {
                let reason = Reason::new(ReasonCondition::UnsupportedTransports).with_text("in-band bytestreams only");
                return refused(OfferRefusal::Unsupported(reason), jingle, || self.is_known(&peer.to_bare()));
            }
            Ok(session) => session.with_dialect(self.shared.dialect),
            Err(refusal) => return refused(refusal, jingle, || self.is_known(&peer.to_bare())),
        };
        let application = Application::of(&session.offer().description);
        let conflict = match application {
            Application::XmlStream => self.conflict(peer, jingle),
            Application::Bytes(_) => Conflict::None,
        };
        // The tunnel that gives way leaves its place, and with it the right to its sid.
        let loser = match conflict {
            Conflict::GiveWay(number) => Some(number),
            Conflict::None | Conflict::Refuse(_) => None,
        };
        let leaves = usize::from(loser.is_some());
        let is_free = |place| self.tunnels.index().places.find(peer, place, leaves, &self.shared.config).is_ok();
        // XEP-0166 § 6.3.2.
        let is_full = || Admission::Answer(Answer::Error(Condition::ResourceConstraint.into()));
        let bytestream = session.in_band().map_or("", |in_band| in_band.sid.as_str());
        if self.tunnels.index().with_bytestream(bytestream, peer.canonical()).any(|number| Some(number) != loser) {
            // Two bytestreams of one peer under one sid could not be told apart.
            Admission::Answer(Answer::Error(StanzaError::new(Condition::NotAcceptable).with_type(ErrorType::Cancel)))
        } else if let Conflict::Refuse(answer) = conflict {
            Admission::Answer(answer)
        } else if !is_free(Place::Known) {
            is_full()
        } else {
            let place = self.place_of(&peer.to_bare());
            if is_free(place) {
                Admission::Ring(Box::new(Admitted { session, application, loser, place }))
            } else {
                is_full()
            }
        }
    }

    /// Makes the tunnel of an offer.
    fn ring(&mut self, peer: FullJid, admitted: Admitted, sid: &str) {
        let Admitted { session, application, loser, place } = admitted;
        if let Some(number) = loser {
            self.with_tunnel(number, |tunnel, shared| tunnel.lose_tie_break(sid, shared));
        }
        let id = self.new_id();
        let mut tunnel = TunnelCore::incoming(id, peer, session, application, place, &mut self.shared);
        if let Some(around) = self.inside {
            tunnel.go_inside(around, &mut self.shared);
        }
        self.add(tunnel);
    }

    /// What becomes of a second XML stream with the same peer: both may have begun at once (XEP-0166 § 7.2.16), or there
    /// is one already.
    fn conflict(&self, peer: &FullJid, jingle: &Jingle) -> Conflict {
        let with_peer = self.tunnels.with_peer(peer.canonical());
        let with_peer = || with_peer.iter().filter_map(|number| self.tunnels.get(*number));
        if let Some(tunnel) = with_peer().find(|tunnel| tunnel.is_pending_stream()) {
            let own = self.shared.jid.canonical();
            let ours_stands = tunnel.has_offered()
                && tie_break(tunnel.session_sid(), &jingle.sid, own, peer.canonical()) != Winner::Theirs;
            return if ours_stands {
                Conflict::Refuse(Answer::Error(JingleCondition::TieBreak.stanza_error(jingle.version)))
            } else {
                Conflict::GiveWay(tunnel.id.number)
            };
        }
        let live = with_peer().find(|tunnel| tunnel.is_live_stream());
        match live.filter(|_| !self.shared.config.replace_tunnels) {
            Some(live) => Conflict::Refuse(terminate(jingle, Reason::alternative_session(live.session_sid()))),
            None => Conflict::None,
        }
    }
}

/// An offer that no session can be made of.
fn refused(refusal: OfferRefusal, jingle: &Jingle, is_known: impl FnOnce() -> bool) -> Admission {
    match refusal {
        // Without XTLS it may be for another Jingle stack. An end-to-end stream in the clear makes no sense
        // (draft-meyer-xmpp-e2e-encryption-02 § 3), so that one is ended with security-error if nobody takes it.
        OfferRefusal::NotXtls => {
            let describes_stream =
                |content: &Content| content.description.as_ref().is_some_and(Description::is_xmlstream);
            Admission::Elsewhere(if jingle.contents.iter().any(describes_stream) {
                terminate(jingle, Reason::new(ReasonCondition::SecurityError))
            } else if is_known() {
                // XEP-0166 § 6.3.1: there are clients that keep the session for ever otherwise.
                terminate(jingle, Reason::new(ReasonCondition::UnsupportedApplications))
            } else {
                // § 6.3.2: the answer to whom is unknown, which is that of one without Jingle.
                Answer::Error(Condition::ServiceUnavailable.into())
            })
        }
        OfferRefusal::Unsupported(reason) => Admission::Answer(terminate(jingle, reason)),
        OfferRefusal::Fault(fault) => Admission::Answer(Answer::Error(fault.stanza_error(jingle.version))),
        _ => Admission::Answer(Answer::Error(Condition::ServiceUnavailable.into())),
    }
}

fn terminate(jingle: &Jingle, reason: Reason) -> Answer {
    Answer::Terminate { sid: jingle.sid.clone(), version: jingle.version, reason }
}
