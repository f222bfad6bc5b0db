//! Every situation of either role with every kind of input and every command: a row for each, a word for each outcome.

use super::*;

/// Where a stream is; the peer's header, where it has come, was `header`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Situation {
    Fresh,
    HalfAHeader,
    HeaderSent,
    ClosedBeforeAnswer,
    Open,
    HalfAStanza,
    Closing,
    /// A stream was closed in both directions.
    Reusable,
    OpenedAgain,
    Failed,
}

use Situation::*;

const SITUATIONS: [Situation; 10] =
    [Fresh, HalfAHeader, HeaderSent, ClosedBeforeAnswer, Open, HalfAStanza, Closing, Reusable, OpenedAgain, Failed];

const BACK: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    from='juliet@capulet.lit/balcony' to='romeo@montague.lit/orchard' version='1.0'>";

/// The columns: what comes, then the commands.
const INPUTS: [(&str, &str); 16] = [
    ("blank", " "),
    ("header", "HEADER"),
    ("foreign", "FOREIGN"),
    ("feat", "<stream:features/>"),
    ("stanza", "<message/>"),
    ("spoofed", "<message from='mallory@verona.lit/square'/>"),
    ("astray", "<message to='mallory@verona.lit/square'/>"),
    ("nonza", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
    ("error", "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"),
    ("other", "<stream:other/>"),
    ("broken", "<!---->"),
    ("nul", "\0"),
    ("end", END),
    ("open()", ""),
    ("send()", ""),
    ("close()", ""),
];

/// The header that the peer of this role sends.
fn header(role: StreamRole) -> &'static str {
    if role == StreamRole::Responder { HEADER } else { BACK }
}

fn side(role: StreamRole, situation: Situation) -> Option<Side> {
    let mut side = if role == StreamRole::Responder { Side::juliet() } else { Side::romeo() };
    match (role, situation) {
        (_, Fresh) => {}
        (_, HalfAHeader) => drop(side.handle(&header(role)[..20])),
        (StreamRole::Initiator, HeaderSent) => side.open(),
        (StreamRole::Initiator, ClosedBeforeAnswer) => {
            side.open();
            side.close();
        }
        // A responder's first header is its answer.
        (StreamRole::Responder, HeaderSent | ClosedBeforeAnswer) => return None,
        _ => {
            if role == StreamRole::Initiator {
                side.open();
            }
            side.handle(header(role));
        }
    }
    match situation {
        HalfAStanza => drop(side.handle("<message><bo")),
        Closing => side.close(),
        Reusable => drop(side.handle(END)),
        OpenedAgain => {
            side.handle(END);
            side.open();
        }
        Failed => drop(side.handle("<!---->")),
        Fresh | HalfAHeader | HeaderSent | ClosedBeforeAnswer | Open => {}
    }
    side.out.clear();
    Some(side)
}

/// What came of it: the command's slip, what was written, the events.
fn outcome(mut side: Side, name: &str, input: &str, role: StreamRole) -> String {
    let mut words = Vec::new();
    let slip = match name {
        "open()" => side.stream.open(&mut side.out).err().map(|slip| format!("{slip:?}")),
        "send()" => side.send("<message/>").err().map(|slip| format!("{slip:?}")),
        "close()" => side.stream.close(&mut side.out).err().map(|slip| format!("{slip:?}")),
        _ => {
            let input = input.replace("HEADER", header(role));
            let foreign = header(role).replace(if role == StreamRole::Responder { ROMEO } else { JULIET }, "m@v.lit/s");
            let used =
                side.stream.handle_bytes(input.replace("FOREIGN", &foreign).as_bytes(), &mut side.ids, &mut side.out);
            assert!(used > 0);
            None
        }
    };
    words.extend(slip);
    let events = side.events();
    let written = side.written();
    let pieces = [("<stream:stream", "header"), ("<stream:features", "features"), ("<message", "message")];
    words.extend(pieces.iter().filter(|(text, _)| written.contains(text)).map(|(_, word)| format!(">{word}")));
    if let Some(error) = written.split("<stream:error><").nth(1).and_then(|rest| rest.split(' ').next()) {
        words.push(format!(">{error}"));
    }
    if written.contains(END) {
        words.push(">end".to_owned());
    }
    for event in events {
        words.push(match event {
            StreamEvent::Opened => "opened".to_owned(),
            StreamEvent::Stanza(_) => "stanza".to_owned(),
            StreamEvent::Impersonation { .. } => "impersonation".to_owned(),
            StreamEvent::Misaddressed { .. } => "misaddressed".to_owned(),
            StreamEvent::NegotiationMatches => "matches".to_owned(),
            StreamEvent::Closed => "closed".to_owned(),
            StreamEvent::Failed(_) => "failed".to_owned(),
        });
    }
    // What is open, awaited or idle is never two of these at once, and nothing of them once it has failed.
    let is = [side.stream.is_open(), side.stream.awaits_header(), side.stream.is_idle()];
    assert!(is.iter().filter(|is| **is).count() <= usize::from(!side.stream.is_failed()), "{name}: {words:?}");
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

#[test]
fn every_input_in_every_situation_of_either_role() {
    let mut table = String::new();
    for role in [StreamRole::Initiator, StreamRole::Responder] {
        for situation in SITUATIONS {
            if side(role, situation).is_none() {
                continue;
            }
            table += &format!("{role:?} {situation:?}\n");
            let mut outcomes: Vec<(String, Vec<&str>)> = Vec::new();
            for (name, input) in INPUTS {
                let outcome = outcome(side(role, situation).unwrap(), name, input, role);
                match outcomes.iter_mut().find(|(seen, _)| *seen == outcome) {
                    Some((_, inputs)) => inputs.push(name),
                    None => outcomes.push((outcome, vec![name])),
                }
            }
            for (outcome, inputs) in outcomes {
                table += &format!("  {outcome} <- {}\n", inputs.join(", "));
            }
        }
    }
    assert!(table == include_str!("cells.txt"), "another table than cells.txt:\n{table}");
}
