//! The situations of the three types of links, and the way to each.

use xtls::{
    Password, Terms, TrustPolicy,
    event::Side,
    link::{ClientTerms, LinkEvent, ServerTerms, Stage},
};
use xtls_stream::Features;
use xtls_testkit::LinkPair;

use super::super::{
    scripted::{FROM_JULIET, FROM_ROMEO, I, PROCEED, R, STARTTLS, Scripted},
    server,
};

/// The three types; links between peers in either role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Initiating,
    Receiving,
    /// To a server.
    Client,
    /// From a client.
    Server,
}

/// The types in their order.
pub const TYPES: [Type; 4] = [Type::Initiating, Type::Receiving, Type::Client, Type::Server];

/// Each stage, in order; the last one tells the open stream of a client that has authenticated from that of one that has not.
pub const SITUATIONS: [(Stage, bool); 12] = [
    (Stage::Greeting, false),
    (Stage::Deciding, false),
    (Stage::Password, false),
    (Stage::Asking, false),
    (Stage::Handshake, false),
    (Stage::Judging, false),
    (Stage::Restarting, false),
    (Stage::Offering, false),
    (Stage::Open, false),
    (Stage::Open, true),
    (Stage::Closing, false),
    (Stage::Ended, false),
];

impl Type {
    pub fn side(self) -> Side {
        if matches!(self, Self::Initiating | Self::Client) { I } else { R }
    }

    /// The header that the other end sends.
    pub fn header(self) -> String {
        match self {
            Self::Initiating => FROM_JULIET.to_owned(),
            Self::Receiving => FROM_ROMEO.to_owned(),
            Self::Client => server::HEADER.to_owned(),
            Self::Server => server::HEADER.replace("from='im.example.com' id='x'", "to='im.example.com'"),
        }
    }

    /// What stages there are: which a type has none of is what the documentation of [`Stage`] says.
    fn has(self, stage: Stage, authenticated: bool) -> bool {
        match stage {
            Stage::Deciding => self == Self::Receiving,
            Stage::Password => matches!(self, Self::Initiating | Self::Receiving),
            Stage::Judging => self != Self::Server,
            Stage::Offering => self == Self::Server,
            Stage::Open => !authenticated || self == Self::Server,
            _ => true,
        }
    }

    fn begin(self, terms: Terms, accepts: bool) -> Scripted {
        match self {
            Self::Client => {
                let mut pair = server::ends();
                if terms.trust == TrustPolicy::Pinned {
                    pair.trust(I);
                }
                let mut of = ServerTerms::new(terms.trust);
                of.present_certificate = true;
                Scripted::client(pair, &of)
            }
            Self::Server => Scripted::server(server::ends(), &ClientTerms::new(), None),
            Self::Initiating | Self::Receiving => {
                let mut pair = LinkPair::new(9);
                if terms.trust == TrustPolicy::Pinned && !terms.methods.contains(&xtls_stanza::Method::Srp) {
                    pair.trust(I);
                    pair.trust(R);
                }
                for end in [I, R] {
                    pair.tamper(end, Vec::clear);
                }
                pair.start(terms.clone(), accepts.then_some(terms));
                pair.run();
                Scripted::idle(pair, self.side())
            }
        }
    }

    /// A link at a stage; none where its type has no such stage.
    pub fn at(self, (stage, authenticated): (Stage, bool)) -> Option<Scripted> {
        if !self.has(stage, authenticated) {
            return None;
        }
        let pinned = Terms::new(TrustPolicy::Pinned);
        let terms = match stage {
            Stage::Password => pinned.asking_password(),
            Stage::Judging => Terms::new(TrustPolicy::Ask),
            _ => pinned,
        };
        let mut link = self.begin(terms, stage != Stage::Deciding);
        let steps: &[Stage] = match stage {
            Stage::Greeting => &[],
            Stage::Deciding | Stage::Asking => &[Stage::Asking],
            Stage::Password => &[Stage::Password],
            Stage::Handshake => &[Stage::Asking, Stage::Handshake],
            Stage::Judging | Stage::Restarting => &[Stage::Asking, Stage::Handshake, Stage::Restarting],
            Stage::Offering => &[Stage::Asking, Stage::Handshake, Stage::Restarting, Stage::Offering],
            _ => &[Stage::Asking, Stage::Handshake, Stage::Restarting, Stage::Offering, Stage::Open],
        };
        steps.iter().for_each(|step| self.go(&mut link, *step));
        if authenticated {
            let client = "romeo@im.example.com".parse().unwrap();
            link.pair.with_server(|link, now| link.client_authenticated(now, &client)).unwrap();
            [Stage::Offering, Stage::Open].iter().for_each(|step| self.go(&mut link, *step));
        }
        match stage {
            Stage::Closing => link.pair.with_any(self.side(), |link, now| link.close(now)),
            Stage::Ended => self.abort(&mut link.pair),
            _ => {}
        }
        link.pair.run();
        assert_eq!(link.pair.link(self.side()).stage(), stage, "{self:?}");
        link.take();
        link.events();
        Some(link)
    }

    /// The peer's part of the way from one stage to the next.
    fn go(self, link: &mut Scripted, step: Stage) {
        let side = self.side();
        let is_initiating = side == I;
        let mut say = |text: &str| {
            link.pair.inject(side, text.as_bytes());
            link.pair.run();
            // What comes in answer to <proceed/> is for the peer's TLS.
            if !(is_initiating && step == Stage::Handshake) {
                link.take();
            }
        };
        match step {
            Stage::Asking if is_initiating => {
                say(&format!("{}<stream:features>{STARTTLS}</stream:features>", self.header()));
            }
            Stage::Asking => say(&self.header()),
            Stage::Password => {
                let srp = "<offer xmlns='urn:xmpp:tmp:c2ctls'><srp/></offer>";
                let starttls = STARTTLS.replace("/>", &format!(">{srp}</starttls>"));
                say(&self.header());
                if is_initiating {
                    say(&format!("<stream:features>{starttls}</stream:features>"));
                } else {
                    say(&starttls);
                }
            }
            Stage::Handshake if is_initiating => say(PROCEED),
            Stage::Handshake => say(STARTTLS),
            Stage::Restarting => {
                link.begin_tls();
                let _ = link.exchange();
            }
            Stage::Offering => {
                let features = if is_initiating { "<stream:features/>" } else { "" };
                link.say_inside(&format!("{}{features}", self.header()));
            }
            Stage::Open if self == Self::Server => {
                let knows = link.pair.link(side).security().is_some();
                let mechanisms = if knows { Vec::new() } else { vec!["PLAIN".to_owned()] };
                let features = Features::new(mechanisms, Vec::new());
                link.pair.with_server(|link, now| link.send_features(now, &features)).unwrap();
                link.pair.run();
                link.exchange().unwrap();
            }
            _ => {}
        }
    }

    pub fn abort(self, pair: &mut LinkPair) {
        match self {
            Self::Client => pair.with_client(|link, now| link.abort(now)),
            Self::Server => pair.with_server(|link, now| link.abort(now)),
            Self::Initiating | Self::Receiving => pair.with(self.side(), |link, now| link.abort(now)),
        }
    }
}

/// What an end was told, in short.
pub fn told(event: &LinkEvent) -> String {
    let name = format!("{event:?}");
    let name = name.split([' ', '(', '{']).next().unwrap_or_default();
    let LinkEvent::Closed(closed) = event else { return name.to_owned() };
    let reason = match &closed.reason {
        xtls::CloseReason::Done => "done".to_owned(),
        xtls::CloseReason::Aborted => "aborted".to_owned(),
        xtls::CloseReason::Fault(fault) => format!("!{}", fault.as_str()),
        other => panic!("no reason of a link's: {other:?}"),
    };
    format!("Closed({}, {reason})", closed.by.as_str())
}

pub fn word() -> Password {
    Password::new("wherefore").unwrap()
}
