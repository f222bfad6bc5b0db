//! Whatever arrives: no panic, no growth, and the rules that always hold.

use proptest::prelude::*;
use xtls_jingle::{
    Acceptance, Action, Content, Dialect, Jingle, JingleVersion, ReasonCondition, Redirect, Role, Session,
    SessionEvent, SessionState,
};
use xtls_stanza::{Condition, Element, Ids, Iq, Limits, Method, SecurityOffer, StanzaError};

use super::{BOTH, JULIET, ROMEO, SID, active, jid, offer, pending, security, write};

const DIALECTS: &[Dialect] = &[Dialect::STRICT, Dialect::DRAFT_02, Dialect::TOLERANT];

/// What a session sends because of what its peer sent.
const REPLIES: &[Action] =
    &[Action::ContentReject, Action::ContentModify, Action::TransportReject, Action::SessionTerminate];

const NAMES: &[&str] = &[
    "jingle",
    "content",
    "description",
    "transport",
    "security",
    "method",
    "fingerprint",
    "reason",
    "success",
    "text",
    "alternative-session",
    "sid",
    "other",
];
const NAMESPACES: &[&str] = &[
    "urn:xmpp:jingle:1",
    "urn:xmpp:jingle:security:xtls:0",
    "urn:xmpp:jingle:security:xtls:1",
    "urn:xmpp:jingle:apps:xmlstream:0",
    "urn:xmpp:jingle:transports:ibb:1",
    "urn:xmpp:jingle:transports:ibb:0",
    "urn:xmpp:jingle:0",
    "urn:xmpp:tmp:jingle",
    "urn:xmpp:tmp:jingle:apps:xmlstream",
    "urn:xmpp:tmp:jingle:transports:ibb",
    "urn:other",
    "",
];
const ATTRIBUTES: &[&str] = &[
    "action",
    "sid",
    "initiator",
    "responder",
    "creator",
    "name",
    "senders",
    "disposition",
    "block-size",
    "stanza",
    "algo",
];
const VALUES: &[&str] = &[
    SID,
    "ch3d9s71",
    "session-initiate",
    "session-accept",
    "security-info",
    "session-info",
    "session-terminate",
    "content-add",
    "initiator",
    "responder",
    "xmlstream",
    "both",
    "session",
    "4096",
    "0",
    "65536",
    "iq",
    "message",
    "x509",
    "srp",
    "sha1",
    ROMEO,
    "",
];

#[derive(Debug, Clone)]
struct Tree {
    name: &'static str,
    ns: &'static str,
    attributes: Vec<(&'static str, String)>,
    text: String,
    children: Vec<Self>,
}

fn tree() -> impl Strategy<Value = Tree> {
    let value = prop_oneof![4 => prop::sample::select(VALUES).prop_map(str::to_owned), 1 => ".{0,8}"];
    let parts = move || {
        let attributes = prop::collection::vec((prop::sample::select(ATTRIBUTES), value.clone()), 0..5);
        (prop::sample::select(NAMES), prop::sample::select(NAMESPACES), attributes, ".{0,6}")
    };
    let leaf = parts().prop_map(|(name, ns, attributes, text)| Tree { name, ns, attributes, text, children: vec![] });
    leaf.prop_recursive(4, 32, 5, move |inner| {
        (parts(), prop::collection::vec(inner, 0..5)).prop_map(|((name, ns, attributes, text), children)| Tree {
            name,
            ns,
            attributes,
            text,
            children,
        })
    })
}

impl Tree {
    fn write(&self, out: &mut String) {
        use xtls_stanza::write;
        out.push('<');
        out.push_str(self.name);
        write::attribute(out, "xmlns", self.ns);
        let mut seen = Vec::new();
        for (name, value) in &self.attributes {
            if !seen.contains(name) {
                seen.push(name);
                write::attribute(out, name, value);
            }
        }
        out.push('>');
        write::text(out, &self.text);
        for child in &self.children {
            child.write(out);
        }
        out.push_str("</");
        out.push_str(self.name);
        out.push('>');
    }
}

/// A `<jingle/>` element that has a sound action and sid more often than not.
fn any_jingle() -> impl Strategy<Value = Element> {
    let action = prop_oneof![
        9 => prop::sample::select(Action::ALL).prop_map(|action| action.to_string()),
        1 => ".{0,6}",
    ];
    let sid = prop_oneof![9 => Just(SID.to_owned()), 1 => ".{0,6}"];
    let version = prop_oneof![3 => Just(JingleVersion::Jingle1), 1 => prop::sample::select(JingleVersion::ALL)];
    (version, action, sid, prop::collection::vec(tree(), 0..4)).prop_map(|(version, action, sid, children)| {
        let attributes = vec![("action", action), ("sid", sid)];
        let root = Tree { name: "jingle", ns: version.ns(), attributes, text: String::new(), children };
        let mut xml = String::new();
        root.write(&mut xml);
        Element::parse(&xml, &Limits::default()).unwrap()
    })
}

/// A request that sessions understand, or nearly.
fn likely_jingle() -> impl Strategy<Value = Jingle> {
    let senders = prop::sample::select(&["both", "none"][..]);
    let part = |text: &'static str| prop_oneof![6 => Just(text), 1 => Just("")];
    let methods = prop::collection::vec(prop::sample::select(&["x509", "srp", "openpgp"][..]), 0..3);
    let description = part("<description xmlns='urn:xmpp:jingle:apps:xmlstream:0'/>");
    let size = prop::sample::select(&["1", "2048", "4096", "65535"][..]);
    let action = prop::sample::select(Action::ALL);
    let likely = prop::sample::select(&[Action::SessionAccept, Action::SecurityInfo, Action::SessionInfo][..]);
    let action = prop_oneof![3 => likely, 1 => action];
    let name = prop_oneof![4 => Just("xmlstream"), 1 => Just("another")];
    (action, name, senders, description, size, methods, 0_usize..3).prop_map(|parts| {
        let (action, name, senders, description, size, methods, contents) = parts;
        let methods: String = methods.iter().map(|name| format!("<method name='{name}'/>")).collect();
        let content = format!(
            "<content creator='initiator' name='{name}' senders='{senders}'>{description}\
             <transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='{size}'/>\
             <security xmlns='urn:xmpp:jingle:security:xtls:1'>{methods}</security></content>"
        );
        super::jingle(action, &content.repeat(contents.min(usize::from(action != Action::SessionInfo) * 2)))
    })
}

#[derive(Debug, Clone)]
enum Operation {
    Request(Box<Jingle>),
    Accept(u16, bool),
    Choose(Method),
    TlsStarted(Method),
    Ping,
    Terminate,
    Poll,
    Result(usize),
    Error(usize, Condition),
}

fn operation() -> impl Strategy<Value = Operation> {
    let method = || prop::sample::select(BOTH);
    prop_oneof![
        6 => likely_jingle().prop_map(|jingle| Operation::Request(Box::new(jingle))),
        2 => (any::<u16>(), any::<bool>()).prop_map(|(size, empty)| Operation::Accept(size, empty)),
        2 => method().prop_map(Operation::Choose),
        1 => method().prop_map(Operation::TlsStarted),
        2 => Just(Operation::Ping),
        1 => Just(Operation::Terminate),
        6 => Just(Operation::Poll),
        2 => (0_usize..8).prop_map(Operation::Result),
        2 => (0_usize..8, prop::sample::select(Condition::ALL)).prop_map(|(at, c)| Operation::Error(at, c)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_element_is_read_without_a_panic(tree in tree()) {
        let mut xml = String::new();
        tree.write(&mut xml);
        let element = Element::parse(&xml, &Limits::default()).unwrap();
        for dialect in DIALECTS {
            let _ = Jingle::parse_with(element.root(), dialect);
        }
        let _ = Redirect::parse(element.root());
    }

    #[test]
    fn what_was_read_survives_the_wire(element in any_jingle()) {
        match Jingle::parse_with(element.root(), &Dialect::TOLERANT).unwrap() {
            Ok(mut jingle) => {
                if let Some(reason) = jingle.reason.as_mut().filter(|r| r.condition == ReasonCondition::Undefined) {
                    reason.condition = ReasonCondition::GeneralError;
                }
                let again = Element::parse(&write(&jingle), &Limits::default()).unwrap();
                prop_assert_eq!(Jingle::parse_with(again.root(), &Dialect::TOLERANT).unwrap().unwrap(), jingle);
            }
            Err(malformed) => {
                prop_assert!(matches!(
                    malformed.stanza_error().condition,
                    Condition::BadRequest | Condition::NotAcceptable
                ));
            }
        }
    }

    #[test]
    fn any_request_is_taken_or_refused_without_a_panic(elements in prop::collection::vec(any_jingle(), 1..4)) {
        let ((a, b), (c, d)) = (pending(offer()), active());
        let read = |element: &Element| Jingle::parse_with(element.root(), &Dialect::TOLERANT).unwrap().ok();
        for mut session in [a, b, c, d].map(|session| session.with_dialect(Dialect::TOLERANT)) {
            for jingle in elements.iter().filter_map(read) {
                let before = super::picture(&session);
                if session.handle_request(&jingle).is_err() {
                    prop_assert_eq!(super::picture(&session), before);
                }
                let _ = Session::incoming(&jingle);
            }
            let mut sent = Vec::new();
            while let Some((request, _)) = super::next_xml(&mut session) {
                prop_assert!(REPLIES.contains(&request.action) && !sent.contains(&request.action));
                sent.push(request.action);
            }
        }
    }

    #[test]
    fn the_rules_hold_after_any_operations(
        is_initiator in any::<bool>(),
        dialect in prop::sample::select(DIALECTS),
        operations in prop::collection::vec(operation(), 0..40),
    ) {
        let (initiator, responder) = pending(offer());
        let mut session = if is_initiator { initiator } else { responder }.with_dialect(dialect);
        let mut ids = Ids::new([3; 32]);
        let mut open = Vec::new();
        let mut has_tls = false;
        for operation in operations {
            let (state, method) = (session.state(), session.method());
            let is_peers = matches!(operation, Operation::Request(_));
            match operation {
                Operation::Request(request) => {
                    let event = session.handle_request(&request);
                    if let Ok(Some(SessionEvent::MethodChosen(chosen))) = event {
                        prop_assert_eq!((session.role(), session.state()), (Role::Responder, SessionState::Active));
                        prop_assert_eq!(session.method(), Some(chosen));
                        prop_assert!(!has_tls);
                    }
                }
                Operation::Accept(size, is_empty) => {
                    let methods = if is_empty { &[][..] } else { BOTH };
                    let _ = session.accept(Acceptance::new(jid(JULIET), size, security(methods)));
                }
                Operation::Choose(method) => {
                    let _ = session.choose(method);
                }
                Operation::TlsStarted(method) => {
                    session.tls_started(method);
                    has_tls = true;
                }
                Operation::Ping => {
                    let _ = session.ping();
                }
                Operation::Terminate => session.terminate(ReasonCondition::Success.into()),
                Operation::Poll => {
                    let mut out = String::new();
                    if let Some(sent) = session.poll(&mut ids, JULIET, None, &mut out) {
                        open.push(sent);
                        let stanza = Element::parse(&out, &Limits::default()).unwrap();
                        let payload = Iq::parse(&stanza).unwrap().unwrap().payload.unwrap();
                        let jingle = Jingle::parse(payload).unwrap().unwrap();
                        prop_assert_eq!(jingle.action, sent.action);
                        let has_security =
                            !REPLIES.contains(&sent.action) && sent.action != Action::SessionInfo;
                        let is_empty = |c: &Content| c.xtls().is_none_or(SecurityOffer::is_empty);
                        prop_assert!(!has_security || !jingle.contents.iter().any(is_empty));
                    }
                }
                Operation::Result(at) if at < open.len() => {
                    let sent = open.remove(at);
                    prop_assert_eq!(session.handle_result(sent.id.as_str()), Some(sent.action));
                }
                Operation::Error(at, condition) if at < open.len() => {
                    let sent = open.remove(at);
                    let refused = session.handle_error(sent.id.as_str(), &StanzaError::new(condition));
                    prop_assert_eq!(refused.map(|refused| refused.action), Some(sent.action));
                }
                Operation::Result(_) | Operation::Error(..) => {}
            }
            prop_assert!(open.len() <= 7, "few requests are open");
            prop_assert!(session.in_band().unwrap().block_size >= 1 && session.in_band().unwrap().block_size <= 4096);
            match (state, session.state()) {
                (SessionState::Ended, now) => prop_assert_eq!(now, SessionState::Ended, "the end is final"),
                (SessionState::Active, now) => prop_assert_ne!(now, SessionState::Pending, "no way back"),
                _ => {}
            }
            if is_peers && method.is_some() {
                prop_assert_eq!(session.method(), method, "m7: no peer changes a method");
            }
        }
    }
}
