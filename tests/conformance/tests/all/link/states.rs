//! Every stage of every type of link with everything that can happen to it.
//!
//! The tables are texts beside this file. A stage or an input that is added has no cell there, and the test fails. What it
//! prints then is the table as it is.

mod situation;

use core::{fmt::Write as _, time::Duration};

use xtls::{
    Terms, TrustDecision, TrustPolicy,
    config::Timers,
    link::{LinkEvent, Stage},
};
use xtls_stanza::{Element, ns};
use xtls_stream::Features;

use self::situation::{SITUATIONS, TYPES, Type, told, word};
use super::scripted::{PROCEED, STARTTLS, Scripted};

const FAILURE: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AAAA</auth>";

/// The columns: bytes in clear, then bytes in TLS, then the world, then commands.
const INPUTS: [&str; 36] = [
    "blank",
    "header",
    "features",
    "offer",
    "starttls",
    "proceed",
    "failure",
    "stanza",
    "auth",
    "broken",
    "end",
    "junk-record",
    "tls:header",
    "tls:features",
    "tls:starttls",
    "tls:stanza",
    "tls:auth",
    "tls:broken",
    "tls:end",
    "tls:close-notify",
    "CONNECTION-END",
    "TIMEOUT",
    "accept()",
    "refuse()",
    "trust(yes)",
    "trust(no)",
    "password(some)",
    "password(none)",
    "send()",
    "send_nonza()",
    "restart_stream()",
    "authenticate_external()",
    "send_features()",
    "client_authenticated()",
    "close()",
    "abort()",
];

fn text(of: Type, input: &str) -> Option<String> {
    Some(match input.trim_start_matches("tls:") {
        "blank" => " ".to_owned(),
        "header" => of.header(),
        "features" => "<stream:features/>".to_owned(),
        "offer" => format!("<stream:features>{STARTTLS}</stream:features>"),
        "starttls" => STARTTLS.to_owned(),
        "proceed" => PROCEED.to_owned(),
        "failure" => FAILURE.to_owned(),
        "stanza" => "<message/>".to_owned(),
        "auth" => AUTH.to_owned(),
        "broken" => "<!---->".to_owned(),
        "end" => "</stream:stream>".to_owned(),
        "junk-record" => "\u{16}\u{3}\u{3}\0\u{4}junk".to_owned(),
        _ => return None,
    })
}

fn said<E: core::fmt::Debug>(result: Result<(), E>) -> String {
    result.err().map_or_else(|| "ok".to_owned(), |slip| format!("{slip:?}"))
}

/// A command that a type of link does not have gives nothing.
fn command(of: Type, link: &mut Scripted, name: &str) -> Option<String> {
    let side = of.side();
    let is_peers = matches!(of, Type::Initiating | Type::Receiving);
    let message = Element::builder("message", ns::CLIENT).build().unwrap();
    let nonza = Element::builder("x", "urn:example:x").build().unwrap();
    let pair = &mut link.pair;
    Some(match name {
        "accept()" if is_peers => said(pair.with(side, |link, now| link.accept(now, Terms::new(TrustPolicy::Pinned)))),
        "refuse()" if is_peers => said(pair.with(side, |link, now| link.refuse(now))),
        "trust(yes)" | "trust(no)" => {
            let decision = if name == "trust(yes)" { TrustDecision::Accept } else { TrustDecision::Refuse };
            match of {
                Type::Server => return None,
                Type::Client => said(pair.with_client(|link, now| link.trust(now, decision))),
                Type::Initiating | Type::Receiving => said(pair.with(side, |link, now| link.trust(now, decision))),
            }
        }
        "password(some)" if is_peers => said(pair.with(side, |link, now| link.provide_password(now, Some(word())))),
        "password(none)" if is_peers => said(pair.with(side, |link, now| link.provide_password(now, None))),
        "send()" => said(pair.send(side, &message)),
        "send_nonza()" => match of {
            Type::Client => said(pair.with_client(|link, now| link.send_nonza(now, &nonza))),
            Type::Server => said(pair.with_server(|link, now| link.send_nonza(now, &nonza))),
            Type::Initiating | Type::Receiving => said(pair.with(side, |link, now| link.send_nonza(now, &nonza))),
        },
        "restart_stream()" if of == Type::Client => said(pair.with_client(|link, now| link.restart_stream(now))),
        "authenticate_external()" if of == Type::Client => {
            said(pair.with_client(|link, now| link.authenticate_external(now, None)))
        }
        "send_features()" if of == Type::Server => {
            let features = Features::new(vec!["PLAIN".to_owned()], Vec::new());
            said(pair.with_server(|link, now| link.send_features(now, &features)))
        }
        "client_authenticated()" if of == Type::Server => {
            let client = "romeo@im.example.com".parse().unwrap();
            said(pair.with_server(|link, now| link.client_authenticated(now, &client)))
        }
        "close()" => {
            pair.with_any(side, |link, now| link.close(now));
            "ok".to_owned()
        }
        "abort()" => {
            of.abort(pair);
            "ok".to_owned()
        }
        _ => return None,
    })
}

/// Lets it happen; none where the type of link has no such thing.
fn happens(of: Type, link: &mut Scripted, input: &str) -> Option<String> {
    if let Some(inside) = input.strip_prefix("tls:") {
        let mut records = Vec::new();
        let tls = link.tls.as_mut().filter(|tls| tls.parameters().is_some())?;
        match text(of, inside) {
            Some(text) => link.random.enter(|| tls.write(text.as_bytes(), &mut records)).ok()?,
            None => tls.close(&mut records),
        }
        link.pair.inject(of.side(), &records);
    } else if let Some(text) = text(of, input) {
        link.pair.inject(of.side(), text.as_bytes());
    } else if input == "CONNECTION-END" {
        link.pair.cut_off(of.side());
    } else if input == "TIMEOUT" {
        let due = link.pair.link(of.side()).poll_timeout()?;
        let now = link.pair.with_any(of.side(), |_, now| now);
        link.pair.run_for(due.at - now);
        return Some(due.timer.as_str().to_owned());
    } else {
        return command(of, link, input);
    }
    Some(String::new())
}

/// What the link has sent, in short: what is in clear, and what the peer's TLS makes of the rest.
fn sent(link: &mut Scripted) -> Vec<String> {
    let bytes = link.take();
    let at = bytes.iter().position(|byte| matches!(byte, 20..=23)).unwrap_or(bytes.len());
    let (clear, records) = bytes.split_at(at);
    let mut text = clear.to_vec();
    if let Some(tls) = &mut link.tls {
        let _ = link.random.enter(|| tls.read(records, &mut text, &mut Vec::new()));
    }
    let text = String::from_utf8(text).unwrap();
    let pieces = [
        ("<stream:stream", "header"),
        ("<stream:features", "features"),
        ("<starttls", "starttls"),
        ("<proceed", "proceed"),
        ("<failure", "failure"),
        ("<auth", "auth"),
        ("<message", "message"),
        ("<x ", "nonza"),
    ];
    let mut words: Vec<_> =
        pieces.iter().filter(|(piece, _)| text.contains(piece)).map(|(_, word)| (*word).to_owned()).collect();
    words
        .extend(text.split("<stream:error><").nth(1).and_then(|rest| rest.split([' ', '/']).next()).map(str::to_owned));
    if text.contains("</stream:stream>") {
        words.push("end".to_owned());
    }
    if !records.is_empty() {
        words.push("records".to_owned());
    }
    words
}

fn outcome(of: Type, mut link: Scripted, input: &str) -> Option<String> {
    let before = link.pair.link(of.side()).stage();
    let answer = happens(of, &mut link, input)?;
    link.pair.run();
    let mut words = vec![answer];
    let sent = sent(&mut link);
    if !sent.is_empty() {
        words.push(format!("> {}", sent.join(" ")));
    }
    let events: Vec<_> = link.events().iter().map(told).collect();
    if !events.is_empty() {
        words.push(format!("* {}", events.join(" ")));
    }
    let after = link.pair.link(of.side()).stage();
    if after != before && after != Stage::Ended {
        words.push(format!("→{after:?}"));
    }
    let ended = events.iter().any(|event| event.starts_with("Closed"));
    assert_eq!(after == Stage::Ended, ended || before == Stage::Ended, "{of:?} {before:?} {input}: {words:?}");
    words.retain(|word| !word.is_empty());
    Some(if words.is_empty() { "-".to_owned() } else { words.join(" ") })
}

#[test]
fn every_input_at_every_stage_of_every_type_of_link() {
    let mut table = String::new();
    for of in TYPES {
        for situation in SITUATIONS {
            if of.at(situation).is_none() {
                continue;
            }
            let (stage, authenticated) = situation;
            let known = if authenticated { ", authenticated" } else { "" };
            writeln!(table, "{of:?} {stage:?}{known}").unwrap();
            let mut outcomes: Vec<(String, Vec<&str>)> = Vec::new();
            for input in INPUTS {
                let Some(outcome) = outcome(of, of.at(situation).unwrap(), input) else { continue };
                match outcomes.iter_mut().find(|(seen, _)| *seen == outcome) {
                    Some((_, inputs)) => inputs.push(input),
                    None => outcomes.push((outcome, vec![input])),
                }
            }
            for (outcome, inputs) in outcomes {
                writeln!(table, "  {outcome} <- {}", inputs.join(", ")).unwrap();
            }
        }
    }
    assert!(table == include_str!("states/cells.txt"), "another table than states/cells.txt:\n{table}");
}

/// When a link ends whose peer is silent: by itself, and closed.
fn end(of: Type, link: &mut Scripted) -> Option<(String, Duration)> {
    let now = |link: &mut Scripted| link.pair.with_any(of.side(), |_, now| now);
    let start = now(link);
    let mut end = None;
    for _ in 0..100 {
        link.pair.run();
        for event in link.events() {
            assert!(end.is_none(), "nothing comes after the end: {event:?}");
            if matches!(event, LinkEvent::Closed(_)) {
                end = Some((told(&event), now(link) - start));
            }
        }
        let Some(due) = link.pair.link(of.side()).poll_timeout() else { break };
        let wait = due.at - now(link);
        link.pair.run_for(wait);
    }
    end
}

#[test]
fn every_stage_but_the_open_one_ends_by_itself_and_close_ends_each() {
    let mut table = String::new();
    for of in TYPES {
        for situation in SITUATIONS {
            let Some(mut link) = of.at(situation) else { continue };
            let (stage, authenticated) = situation;
            let known = if authenticated { ", authenticated" } else { "" };
            let now = link.pair.with_any(of.side(), |_, now| now);
            let next = link.pair.link(of.side()).poll_timeout();
            let timer = next.map_or_else(
                || "no timer".to_owned(),
                |due| format!("{} {} s", due.timer.as_str(), (due.at - now).as_secs()),
            );
            write!(table, "{of:?} {stage:?}{known}: next {timer}").unwrap();
            let mut closed = of.at(situation).unwrap();
            closed.pair.with_any(of.side(), |link, now| link.close(now));
            for (what, link) in [("left alone", &mut link), ("closed", &mut closed)] {
                let end = end(of, link);
                // A client that never authenticates does not stay.
                let stays = of != Type::Server || authenticated;
                let lasts = stage == Stage::Open && what == "left alone" && stays;
                assert_eq!(end.is_none(), lasts || stage == Stage::Ended, "{of:?} {stage:?} {what}: {end:?}");
                if what == "closed"
                    && let Some((_, after)) = &end
                {
                    assert!(*after <= Timers::default().close, "{of:?} {stage:?}: {after:?}");
                }
                let end = end
                    .map_or_else(|| "nothing".to_owned(), |(end, after)| format!("{end} after {} s", after.as_secs()));
                write!(table, "; {what}: {end}").unwrap();
            }
            table.push('\n');
        }
    }
    assert!(table == include_str!("states/ends.txt"), "another table than states/ends.txt:\n{table}");
}

/// A stage that is added to [`Stage`] stands in the list of situations too.
#[test]
fn the_situations_are_at_every_stage() {
    let next = |stage: Stage| match stage {
        Stage::Greeting => Some(Stage::Deciding),
        Stage::Deciding => Some(Stage::Password),
        Stage::Password => Some(Stage::Asking),
        Stage::Asking => Some(Stage::Handshake),
        Stage::Handshake => Some(Stage::Judging),
        Stage::Judging => Some(Stage::Restarting),
        Stage::Restarting => Some(Stage::Offering),
        Stage::Offering => Some(Stage::Open),
        Stage::Open => Some(Stage::Closing),
        Stage::Closing => Some(Stage::Ended),
        Stage::Ended => None,
        other => panic!("a stage without a row: {other:?}"),
    };
    let stages: Vec<_> = std::iter::successors(Some(Stage::Greeting), |stage| next(*stage)).collect();
    let seen: std::collections::BTreeSet<_> = SITUATIONS.iter().map(|(stage, _)| *stage).collect();
    assert!(seen.into_iter().eq(stages));
}
