//! A session that is negotiated inside of another tunnel, and the tunnel around it.

use xtls_channel::Fault;
use xtls_jingle::{Action, Session, SessionState};
use xtls_stanza::{Element, ElementRef, Iq, IqType, Limits, SecurityOffer, ns};

use super::{Inside, TunnelCore};
use crate::shared::Shared;

/// What a session has to say inside of another tunnel.
pub(crate) enum Passed {
    Nothing,
    Stanza(Element),
}

impl TunnelCore {
    /// The tunnel that the session is negotiated in.
    pub(crate) fn inside_of(&self) -> Option<u64> {
        self.inside_of
    }

    /// The session is negotiated in that tunnel.
    pub(crate) fn go_inside(&mut self, around: u64, shared: &mut Shared) {
        self.inside_of = Some(around);
        shared.inside_sids.insert(self.session_sid().to_owned());
    }

    /// Whether sessions can be negotiated in this one: an XML stream that is open.
    pub(crate) fn carries_sessions(&self) -> bool {
        self.is_secured() && matches!(&self.inside, Some(Inside::Stream(xml)) if xml.is_open())
    }

    /// The next stanza of the session, which goes by the tunnel around it; `is_there` if that is there. Otherwise the session is over
    /// unless this tunnel is secured, and what is left to say goes as ever: there are no candidates in that.
    pub(crate) fn pass(&mut self, is_there: bool, shared: &mut Shared) -> Passed {
        if !is_there {
            self.inside_of = None;
            if self.security().is_none() && self.ended.is_none() {
                self.fail(Fault::Gone, shared);
            }
            return Passed::Nothing;
        }
        let mut text = String::new();
        if !self.negotiation.session.as_ref().is_some_and(Session::wants_to_send) || !self.say(shared, &mut text) {
            return Passed::Nothing;
        }
        self.after_sending(shared);
        if self.negotiation.session.as_ref().is_some_and(|session| session.state() == SessionState::Ended) {
            self.after_farewell();
        }
        match Element::parse(&text, &Limits::default()) {
            Ok(stanza) => Passed::Stanza(stanza),
            Err(_) => {
                self.fail(Fault::Internal("a session's own stanza cannot be read"), shared);
                Passed::Nothing
            }
        }
    }

    /// The tunnel around it did not take what was to be said.
    pub(crate) fn inside_lost(&mut self, shared: &Shared) {
        self.inside_of = None;
        self.fail(Fault::Gone, shared);
    }

    /// Says in the XML stream what a session has to say. It is bounded by that: a few stanzas at most.
    pub(crate) fn send_session(&mut self, stanza: &Element, shared: &mut Shared) -> bool {
        let Some(xml) = self.xml() else { return false };
        let mut text = Vec::new();
        let sent = xml.send(stanza, &mut text);
        if sent {
            self.make_room(text.len(), shared);
            self.seal_answer(&text);
        }
        sent
    }
}

/// Whether a stanza from inside of a tunnel is about a session that is negotiated there, or offers one of those.
pub(super) fn is_session(stanza: &Element, shared: &Shared) -> bool {
    if !shared.config.socks5 {
        return false;
    }
    let Some(Ok(Iq { iq_type: IqType::Set, payload: Some(jingle), .. })) = Iq::parse(stanza) else { return false };
    if jingle.ns() != ns::JINGLE {
        return false;
    }
    let is_known = jingle.attribute("sid").is_some_and(|sid| shared.inside_sids.contains(sid));
    is_known || offers_socks5(jingle)
}

/// Whether it offers a SOCKS5 bytestream with our security.
fn offers_socks5(jingle: ElementRef<'_>) -> bool {
    let is_offer = jingle.attribute("action").and_then(Action::parse) == Some(Action::SessionInitiate);
    let has = |is: fn(ElementRef<'_>) -> bool| {
        jingle.children().filter(|child| child.is("content", ns::JINGLE)).flat_map(ElementRef::children).any(is)
    };
    is_offer && has(|child| child.is("transport", ns::JINGLE_S5B)) && has(|child| SecurityOffer::parse(child).is_some())
}
