//! Jingle: elements under every profile, and sessions that are told them.

use xtls_jingle::{
    Acceptance, Action, Content, Description, Dialect, Jingle, Offer, ReasonCondition, Redirect, Role, Session,
    SessionEvent, SessionState,
};
use xtls_stanza::{
    Condition, Element, ElementRef, Fingerprint, Ids, Iq, Limits, Method, SecurityOffer, StanzaError, XtlsVersion,
    jid::FullJid,
};

use crate::input::Input;

const DIALECTS: [Dialect; 3] = [Dialect::STRICT, Dialect::DRAFT_02, Dialect::TOLERANT];
const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";
/// The session that the input may speak of.
const SID: &str = "s";

/// What a session sends because of what its peer sent.
const REPLIES: [Action; 4] =
    [Action::ContentReject, Action::ContentModify, Action::TransportReject, Action::SessionTerminate];

/// The first byte says which end of a session there is, the second which dialect. Then come lines: one that begins with `<`
/// is what the peer sends, the first letter of any other is what the application does.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut end = End::new(input.byte(), DIALECTS[input.below(3)]);
    while !input.is_empty() {
        let line = input.line();
        match core::str::from_utf8(line) {
            Ok(xml) if xml.starts_with('<') => {
                let Ok(element) = Element::parse(xml, &Limits::default()) else { continue };
                check_element(element.root());
                end.hear(element.root());
            }
            Ok(_) | Err(_) => {
                end.act(line.first().copied().unwrap_or_default(), line.get(1).copied().unwrap_or_default())
            }
        }
        end.check();
    }
}

/// What is read under any profile is written and read as the same.
fn check_element(element: ElementRef<'_>) {
    for child in element.children().chain([element]) {
        if let Some(redirect) = Redirect::parse(child) {
            assert!(!redirect.target.as_str().is_empty());
        }
    }
    for dialect in DIALECTS {
        match Jingle::parse_with(element, &dialect) {
            Some(Ok(jingle)) => {
                assert!(jingle.contents.len() <= Jingle::MAX_CONTENTS);
                assert!(
                    jingle
                        .contents
                        .iter()
                        .all(|content| content.name.as_deref().map_or(0, str::len) <= Content::MAX_NAME)
                );
                check_written(jingle, &dialect);
            }
            Some(Err(malformed)) => {
                let condition = malformed.stanza_error().condition;
                assert!(matches!(condition, Condition::BadRequest | Condition::NotAcceptable), "{condition:?}");
            }
            None => {}
        }
    }
}

fn check_written(mut jingle: Jingle, dialect: &Dialect) {
    // A reason that nobody knows is written as one that everybody does.
    if let Some(reason) = jingle.reason.as_mut().filter(|reason| reason.condition == ReasonCondition::Undefined) {
        reason.condition = ReasonCondition::GeneralError;
    }
    let mut out = String::new();
    jingle.write(&mut out);
    let mut limits = Limits::default();
    limits.stanza_bytes = 1 << 28;
    limits.attributes = 1 << 10;
    let element = Element::parse(&out, &limits).expect("what is written can be read");
    let again = Jingle::parse_with(element.root(), dialect).expect("it is Jingle").expect("it is sound");
    assert_eq!(again, jingle);
}

/// One end of a session, and what was seen of it.
struct End {
    session: Session,
    ids: Ids,
    open: Vec<xtls_jingle::Sent>,
    has_tls: bool,
    state: SessionState,
}

impl End {
    fn new(kind: u8, dialect: Dialect) -> Self {
        let offer = Offer::new(Description::xmlstream(), "b", 4096, security(&[Method::X509, Method::Srp]));
        let mut initiator = Session::initiate(SID, &jid(ROMEO), offer).expect("a sound offer").with_dialect(dialect);
        let mut ids = Ids::new([3; 32]);
        let mut out = String::new();
        let sent = initiator.poll(&mut ids, JULIET, None, &mut out).expect("the offer goes out");
        let mut open = vec![sent];
        let mut session = initiator;
        if kind & 1 == 1 {
            let stanza = Element::parse(&out, &Limits::default()).expect("a stanza");
            let offered = Iq::parse(&stanza).and_then(Result::ok).and_then(|iq| iq.payload).expect("an IQ");
            let offered = Jingle::parse(offered).and_then(Result::ok).expect("Jingle");
            session = Session::incoming(&offered).expect("it can be taken").with_dialect(dialect);
            open.clear();
        }
        let state = session.state();
        Self { session, ids, open, has_tls: false, state }
    }

    fn hear(&mut self, element: ElementRef<'_>) {
        let Some(Ok(jingle)) = Jingle::parse_with(element, &DIALECTS[2]) else { return };
        let (before, method) = (format!("{:?}", self.session), self.session.method());
        match self.session.handle_request(&jingle) {
            Err(fault) => {
                assert_eq!(format!("{:?}", self.session), before, "a fault changes nothing");
                let _ = fault.stanza_error(self.session.version());
            }
            Ok(Some(SessionEvent::MethodChosen(chosen))) => {
                assert_eq!((self.session.role(), self.session.state()), (Role::Responder, SessionState::Active));
                assert!(self.session.method() == Some(chosen) && !self.has_tls);
            }
            Ok(_) => {}
        }
        assert!(method.is_none() || self.session.method() == method, "no peer changes a method");
        if let Ok(session) = Session::incoming(&jingle) {
            assert_eq!((session.role(), session.state()), (Role::Responder, SessionState::Pending));
            assert!(session.in_band().is_none_or(|in_band| in_band.block_size > 0) && session.sid() == jingle.sid);
        }
    }

    fn act(&mut self, letter: u8, argument: u8) {
        match letter {
            b'a' => {
                let methods: &[Method] = if argument & 1 == 0 { &[Method::X509, Method::Srp] } else { &[Method::Srp] };
                let size = 1 << (argument >> 4);
                let _ = self.session.accept(Acceptance::new(jid(JULIET), size, security(methods)));
            }
            b'x' => drop(self.session.choose(Method::X509)),
            b's' => drop(self.session.choose(Method::Srp)),
            b't' => {
                self.session.tls_started(if argument & 1 == 0 { Method::X509 } else { Method::Srp });
                self.has_tls = true;
            }
            b'i' => drop(self.session.ping()),
            b'q' => self.session.terminate(ReasonCondition::Success.into()),
            b'r' if !self.open.is_empty() => {
                let sent = self.open.remove(usize::from(argument) % self.open.len());
                assert_eq!(self.session.handle_result(sent.id.as_str()), Some(sent.action));
                assert_eq!(self.session.handle_result(sent.id.as_str()), None, "an answer counts once");
            }
            b'e' if !self.open.is_empty() => {
                let sent = self.open.remove(usize::from(argument) % self.open.len());
                let condition = Condition::ALL[usize::from(argument) % Condition::ALL.len()];
                let refused = self.session.handle_error(sent.id.as_str(), &StanzaError::new(condition));
                assert_eq!(refused.map(|refused| refused.action), Some(sent.action));
            }
            _ => {}
        }
    }

    fn check(&mut self) {
        let mut out = String::new();
        while let Some(sent) = self.session.poll(&mut self.ids, JULIET, None, &mut out) {
            let stanza = Element::parse(&out, &Limits::default()).expect("a stanza");
            let payload = Iq::parse(&stanza).and_then(Result::ok).and_then(|iq| iq.payload).expect("an IQ");
            let jingle = Jingle::parse_with(payload, &DIALECTS[2]).expect("Jingle").expect("sound Jingle");
            assert_eq!((jingle.action, &*jingle.sid), (sent.action, self.session.sid()));
            let is_reply = REPLIES.contains(&sent.action);
            let names_methods = |content: &Content| content.xtls().is_some_and(|offer| !offer.is_empty());
            assert!(
                is_reply || sent.action == Action::SessionInfo || jingle.contents.iter().all(names_methods),
                "nothing is offered or accepted without security"
            );
            self.open.push(sent);
            out.clear();
        }
        assert!(self.open.len() <= 7, "few requests are open: {:?}", self.open);
        assert_eq!(self.session.unanswered().count(), self.open.len());
        assert!(
            self.session.in_band().is_none_or(|in_band| (1..=4096).contains(&in_band.block_size)),
            "a peer cannot enlarge blocks"
        );
        match (self.state, self.session.state()) {
            (SessionState::Ended, now) => assert_eq!(now, SessionState::Ended, "the end is final"),
            (SessionState::Active, now) => assert_ne!(now, SessionState::Pending, "there is no way back"),
            _ => {}
        }
        self.state = self.session.state();
    }
}

fn security(methods: &[Method]) -> SecurityOffer {
    SecurityOffer::new(XtlsVersion::Xtls0, vec![Fingerprint::sha256(b"certificate")], methods.to_vec())
}

fn jid(jid: &str) -> FullJid {
    FullJid::new(jid).expect("a full JID")
}
