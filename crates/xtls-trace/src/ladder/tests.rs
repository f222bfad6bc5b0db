#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use xtls_stanza::{Element, ElementRef, Limits};

use super::*;
use crate::json::tests::line;
use crate::{Connection, Direction};

const ROMEO: &str = "romeo@montague.lit/orchard";
const JULIET: &str = "juliet@capulet.lit/balcony";
const IBB: &str = "http://jabber.org/protocol/ibb";

/// How many bytes a picture may have.
const MAX_BYTES: usize = 1 << 20;

fn parsed(picture: &str) -> Element {
    let mut limits = Limits::default();
    limits.stanza_bytes = MAX_BYTES;
    limits.nodes = MAX_BYTES;
    Element::parse(picture, &limits).unwrap_or_else(|e| panic!("{e} in {picture}"))
}

fn class<'a>(element: ElementRef<'a>) -> Vec<&'a str> {
    element.attribute("class").unwrap_or_default().split(' ').collect()
}

/// The groups that have all these classes.
fn groups<'a>(picture: &'a Element, classes: &[&str]) -> Vec<ElementRef<'a>> {
    let groups = picture.children().filter(|child| child.name() == "g");
    groups.filter(|group| classes.iter().all(|wanted| class(*group).contains(wanted))).collect()
}

fn count(picture: &Element, classes: &[&str]) -> usize {
    groups(picture, classes).len()
}

/// Every text in it.
fn words(element: ElementRef<'_>) -> String {
    element.children().fold(element.text(), |text, child| text + &words(child))
}

/// What stands over the picture.
fn labels(picture: &Element) -> Vec<String> {
    let texts = picture.children().filter(|child| child.name() == "text" && class(*child).contains(&"label"));
    texts.map(|text| text.text()).collect()
}

fn number(element: ElementRef<'_>, name: &str) -> u32 {
    element.attribute(name).unwrap().parse().unwrap()
}

/// Where the line of an arrow begins and ends.
fn ends(arrow: ElementRef<'_>) -> [u32; 4] {
    let line = arrow.children().find(|child| child.name() == "line").unwrap();
    ["x1", "y1", "x2", "y2"].map(|name| number(line, name))
}

/// The class of an arrow's line: its phase.
fn phases(picture: &Element) -> Vec<String> {
    let arrows = groups(picture, &["arrow"]);
    arrows
        .iter()
        .filter_map(|arrow| arrow.children().find(|child| child.name() == "line"))
        .map(|line| class(line)[0].to_owned())
        .collect()
}

/// A stanza that Romeo sends to Juliet, or she to him.
fn stanza(ms: u64, way: Direction, romeos: bool, text: &str) -> Line {
    let (from, to) = if romeos { (ROMEO, JULIET) } else { (JULIET, ROMEO) };
    let own = if way == Direction::Out { from } else { to };
    let text = text.replacen(' ', &format!(" from='{from}' to='{to}' "), 1);
    Line::stanza_text(ms, own, way, &text).unwrap()
}

/// One that is sent and arrives.
fn pass(lines: &mut Vec<Line>, ms: [u64; 2], romeos: bool, text: &str) {
    lines.push(stanza(ms[0], Direction::Out, romeos, text));
    lines.push(stanza(ms[1], Direction::In, romeos, text));
}

fn data(seq: usize) -> String {
    format!("<iq type='set' id='d{seq}'><data xmlns='{IBB}' sid='s' seq='{seq}'>AAAA</data></iq>")
}

fn result(id: &str) -> String {
    format!("<iq type='result' id='{id}'/>")
}

fn jingle(action: &str) -> String {
    format!("<iq type='set' id='{action}'><jingle xmlns='urn:xmpp:jingle:1' action='{action}'/></iq>")
}

fn event(ms: u64, own: &str, name: &'static str, peer: &str) -> Line {
    Line::new(ms, own, crate::What::Event { event: name.into(), stanza: None, end: None }).with_peer(peer)
}

#[test]
fn a_stanza_is_one_arrow_from_its_sender_to_whom_it_reached() {
    let mut lines = Vec::new();
    pass(&mut lines, [1, 51], true, &jingle("session-initiate"));
    pass(&mut lines, [60, 60], false, &result("session-initiate"));
    let picture = parsed(&svg(&lines));
    let arrows = groups(&picture, &["arrow"]);
    let [there, back] = [ends(arrows[0]), ends(arrows[1])];
    assert_eq!(arrows.len(), 2);
    assert!(there[0] < there[2] && there[1] < there[3], "to the right, and it takes time: {there:?}");
    assert!(back[0] > back[2] && back[1] == back[3], "to the left, at once: {back:?}");
    assert!(there[3] < back[1], "one after the other: {there:?} {back:?}");
    assert_eq!(labels(&picture), ["jingle session-initiate", "iq result"]);
    assert_eq!(
        arrows[0].child("title", arrows[0].ns()).unwrap().text().split(';').next(),
        Some("0.001 to 0.051 s: jingle session-initiate")
    );
    assert_eq!((count(&picture, &["lost"]), count(&picture, &["forged"])), (0, 0));
}

#[test]
fn arrows_cross_when_stanzas_overtake_one_another() {
    let lines = [
        stanza(0, Direction::Out, true, &data(0)),
        stanza(1, Direction::Out, true, &data(1)),
        stanza(2, Direction::In, true, &data(1)),
        stanza(3, Direction::In, true, &data(0)),
    ];
    let picture = parsed(&svg(&lines));
    let arrows = groups(&picture, &["arrow"]);
    let [first, second] = [ends(arrows[0]), ends(arrows[1])];
    assert!(first[1] < second[1] && first[3] > second[3], "{first:?} {second:?}");
}

#[test]
fn what_does_not_arrive_and_what_was_not_sent_is_told_apart() {
    let lines = [
        stanza(0, Direction::Out, true, &data(0)),
        Line::fault(1, "server", "drop").with_peer(JULIET),
        stanza(2, Direction::In, false, &data(7)),
        event(3, JULIET, "incoming", ROMEO),
    ];
    let picture = parsed(&svg(&lines));
    let (lost, forged) = (groups(&picture, &["arrow", "lost"]), groups(&picture, &["arrow", "forged"]));
    assert_eq!((lost.len(), forged.len(), count(&picture, &["arrow"])), (1, 1, 2));
    assert!(lost[0].children().any(|child| class(child) == ["cross"]));
    assert_eq!(count(&picture, &["mark", "fault"]), 1);
    assert!(labels(&picture).contains(&"drop (juliet)".to_owned()), "{:?}", labels(&picture));
    // The server stands between the two.
    let heads: Vec<String> = groups(&picture, &["head"])
        .iter()
        .step_by(2)
        .map(|head| head.children().find(|child| child.name() == "text").unwrap().text())
        .collect();
    assert_eq!(heads, [ROMEO, "server", JULIET]);
    // Neither comes from or gets to a lifeline that has nothing to do with it.
    let reach = |arrow: ElementRef<'_>| ends(arrow)[0].abs_diff(ends(arrow)[2]);
    assert!(reach(lost[0]) < 500 && reach(forged[0]) < 500, "half the way between the two");
}

#[test]
fn the_second_of_two_is_nobodys() {
    let mut lines = Vec::new();
    pass(&mut lines, [0, 1], true, &data(0));
    lines.push(stanza(2, Direction::In, true, &data(0)));
    let picture = parsed(&svg(&lines));
    assert_eq!((count(&picture, &["arrow"]), count(&picture, &["forged"])), (2, 1));
}

#[test]
fn a_peer_without_lines_of_its_own_loses_and_forges_nothing() {
    let lines = [stanza(0, Direction::Out, true, &data(0)), stanza(1, Direction::In, false, &result("d0"))];
    let picture = parsed(&svg(&lines));
    assert_eq!((count(&picture, &["arrow"]), count(&picture, &["lost"]), count(&picture, &["forged"])), (2, 0, 0));
}

#[test]
fn presence_reaches_everybody_and_a_bare_address_every_resource() {
    let line = |own: &str, way, text: &str| Line::stanza_text(0, own, way, text).unwrap();
    let lines = [
        Line::connection(0, "a@x/1", Connection::Online),
        Line::connection(0, "b@x/1", Connection::Online),
        line("a@x/1", Direction::Out, "<presence/>"),
        line("b@x/1", Direction::In, "<presence from='a@x/1' to='b@x/1'/>"),
        line("b@x/2", Direction::In, "<presence from='a@x/1' to='b@x/2'/>"),
        line("a@x/1", Direction::Out, "<message to='b@x' id='1'/>"),
        line("b@x/1", Direction::In, "<message from='a@x/1' to='b@x' id='1'/>"),
        line("b@x/2", Direction::In, "<message from='a@x/1' to='b@x' id='1'/>"),
    ];
    let picture = parsed(&svg(&lines));
    assert_eq!((count(&picture, &["arrow"]), count(&picture, &["forged"]), count(&picture, &["lost"])), (4, 0, 0));
    assert_eq!((count(&picture, &["mark", "alone"]), count(&picture, &["mark", "connection"])), (2, 2));
}

#[test]
fn an_account_that_answers_for_itself_has_a_lifeline() {
    let text = "<iq type='result' id='r' from='b@x' to='b@x/1'/>";
    let lines = [Line::op(0, "a@x/1", "close"), Line::stanza_text(1, "b@x/1", Direction::In, text).unwrap()];
    let picture = parsed(&svg(&lines));
    assert_eq!(count(&picture, &["head"]), 2 * 3);
    let arrow = ends(groups(&picture, &["arrow"])[0]);
    assert!(arrow[0] > arrow[2], "from the third to the second: {arrow:?}");
}

#[test]
fn the_colours_follow_the_tunnel_of_each_end() {
    let mut lines = Vec::new();
    pass(&mut lines, [0, 1], true, "<iq type='get' id='0'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
    pass(&mut lines, [2, 3], true, &jingle("session-initiate"));
    pass(&mut lines, [4, 5], true, &data(0));
    pass(&mut lines, [6, 7], false, &data(0));
    lines.push(event(8, JULIET, "secured", ROMEO));
    pass(&mut lines, [9, 10], false, &data(1));
    pass(&mut lines, [11, 12], true, &data(1));
    lines.push(event(13, ROMEO, "secured", JULIET));
    lines.push(event(14, ROMEO, "stream_opened", JULIET));
    pass(&mut lines, [15, 16], true, &data(2));
    pass(&mut lines, [17, 18], true, &jingle("session-terminate"));
    lines.push(event(19, ROMEO, "closed", JULIET));
    pass(&mut lines, [20, 21], false, &result("session-terminate"));
    pass(&mut lines, [22, 23], true, "<message id='m'><body/></message>");
    let picture = parsed(&svg(&lines));
    assert_eq!(
        phases(&picture),
        [
            "outside",
            "negotiation",
            "handshake",
            "handshake",
            "secured",
            "handshake",
            "stream",
            "closing",
            "closing",
            "outside"
        ]
    );
    let bars: Vec<&str> =
        picture.children().filter(|child| class(*child)[0] == "bar").map(|bar| class(bar)[1]).collect();
    let ways = [
        ["negotiation", "handshake", "secured", "stream", "closing"].as_slice(),
        &["negotiation", "handshake", "secured", "closing"],
    ];
    assert_eq!(bars, ways.concat());
}

#[test]
fn long_runs_of_blocks_are_folded_and_counted() {
    let mut lines = vec![event(0, ROMEO, "secured", JULIET)];
    for seq in 0..37 {
        let ms = u64::try_from(seq).unwrap();
        pass(&mut lines, [ms, ms], true, &data(seq));
        lines.push(event(ms, JULIET, "readable", ROMEO));
        pass(&mut lines, [ms, ms], false, &result(&format!("d{seq}")));
    }
    pass(&mut lines, [40, 41], false, &data(9));
    pass(&mut lines, [42, 42], true, &jingle("session-terminate"));
    let picture = parsed(&svg(&lines));
    let runs = groups(&picture, &["run"]);
    assert_eq!((runs.len(), count(&picture, &["arrow"]), count(&picture, &["mark"])), (1, 1, 1));
    let title = runs[0].child("title", runs[0].ns()).unwrap().text();
    assert_eq!(
        title,
        "0.000 to 0.041 s: 75 arrows and 37 events, folded; 37 and 1 blocks, 111 and 3 bytes, 37 answers"
    );
    assert!(
        labels(&picture).contains(&"→ 37 blocks, 111 bytes; ← 1 blocks, 3 bytes; 37 answers".to_owned()),
        "{:?}",
        labels(&picture)
    );
}

#[test]
fn short_runs_are_not_folded_and_faults_are_not_in_runs() {
    let mut lines = Vec::new();
    for seq in 0..FOLDED_FROM - 1 {
        pass(&mut lines, [0, 0], true, &data(seq));
    }
    lines.push(Line::fault(0, "server", "drop"));
    lines.push(stanza(0, Direction::Out, true, &data(50)));
    for seq in 0..FOLDED_FROM {
        pass(&mut lines, [1, 1], true, &data(100 + seq));
    }
    let picture = parsed(&svg(&lines));
    assert_eq!((count(&picture, &["arrow"]), count(&picture, &["run"])), (FOLDED_FROM, 1));
    assert_eq!((count(&picture, &["fault", "mark"]), count(&picture, &["lost"])), (1, 1));
}

#[test]
fn bytes_of_links_arrive_when_as_many_have_come() {
    let bytes = |ms, own, way, bytes| {
        let peer = if own == "a@x" { "b@x" } else { "a@x" };
        Line::bytes(ms, own, way, bytes).with_peer(peer)
    };
    let lines = [
        bytes(0, "a@x", Direction::Out, 100),
        bytes(1, "a@x", Direction::Out, 200),
        bytes(2, "b@x", Direction::In, 150),
        bytes(3, "b@x", Direction::In, 150),
        bytes(4, "b@x", Direction::In, 5),
        bytes(5, "b@x", Direction::Out, 7),
    ];
    let picture = parsed(&svg(&lines));
    let titles: Vec<String> =
        groups(&picture, &["arrow"]).iter().map(|arrow| arrow.child("title", arrow.ns()).unwrap().text()).collect();
    assert_eq!(
        titles,
        [
            "0.000 to 0.002 s: 100 bytes; peer b@x",
            "0.001 to 0.003 s: 200 bytes; peer b@x",
            "0.004 s: 5 bytes; peer a@x",
            "0.005 s: 7 bytes; peer a@x"
        ]
    );
    assert_eq!((count(&picture, &["forged"]), count(&picture, &["lost"])), (1, 1));
    assert_eq!(phases(&picture), ["negotiation"; 4]);
}

#[test]
fn of_a_long_history_the_middle_is_left_out_and_counted() {
    let mut lines = Vec::new();
    for at in 0..10_000_u64 {
        pass(&mut lines, [at, at + 40], true, &format!("<message id='{at}'><body/></message>"));
        if at % 200 == 0 {
            lines.push(Line::fault(at, "server", "spoof"));
            lines.push(stanza(at, Direction::Out, false, &format!("<message id='lost{at}'/>")));
        }
    }
    let text = svg(&lines);
    assert!(text.len() < MAX_BYTES, "{}", text.len());
    let picture = parsed(&text);
    let cut = groups(&picture, &["cut"]);
    assert_eq!(cut.len(), 1);
    let words = words(cut[0]);
    let numbers: Vec<usize> =
        words.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    let (left_out, faults, lost) = (numbers[0], numbers[numbers.len() - 2], numbers[numbers.len() - 1]);
    assert_eq!(count(&picture, &["arrow"]) + count(&picture, &["mark"]) + left_out, 10_000 + 2 * 50, "{words}");
    assert_eq!((count(&picture, &["mark", "fault"]) + faults, count(&picture, &["lost"]) + lost), (50, 50), "{words}");
    let steps = count(&picture, &["arrow"]) + count(&picture, &["mark"]);
    assert!((MAX_STEPS / 2..=MAX_STEPS).contains(&steps), "{steps}");
    // Everything goes down, and nothing out of the picture.
    let height = number(picture.root(), "height");
    assert!(
        groups(&picture, &["arrow"]).iter().all(|arrow| ends(*arrow)[1] <= ends(*arrow)[3] && ends(*arrow)[3] < height)
    );
}

#[test]
fn the_order_of_the_lines_does_not_matter_but_their_times() {
    let mut lines = Vec::new();
    for at in 0..20 {
        pass(&mut lines, [10 * at, 10 * at + 5], true, &format!("<message id='{at}'/>"));
    }
    let picture = svg(&lines);
    assert_eq!(svg(&lines), picture);
    lines.reverse();
    assert_eq!(svg(&lines), picture);
}

#[test]
fn who_has_no_room_shares_a_lifeline() {
    let lines: Vec<Line> = (0..30).map(|at| Line::op(at, &format!("e{at}@x/1"), "close")).collect();
    let picture = parsed(&svg(&lines));
    assert_eq!(count(&picture, &["head"]), 2 * (MAX_LIFELINES + 1));
    assert_eq!(count(&picture, &["mark", "op"]), 30);
    assert!(words(picture.root()).contains("the others share one line"));
}

#[test]
fn a_time_in_which_nothing_happens_has_no_length() {
    let lines = [Line::op(0, "a@x/1", "close"), Line::op(86_400_000, "a@x/1", "close")];
    let picture = parsed(&titled("day & <night>", &lines));
    assert!(number(picture.root(), "height") < 400);
    assert!(words(picture.root()).contains("+86400 s") && words(picture.root()).contains("day & <night>"));
    assert!(number(parsed(&svg(&[])).root(), "height") < 400);
}

#[test]
fn names_from_outside_stay_text() {
    let name = "</text><script>\u{1b}\u{202e}\u{ffff}'\"&";
    let mut lines = vec![Line::fault(0, name, name).with(name, name), Line::failure(1, name, name)];
    let mut line = stanza(2, Direction::Out, true, &data(0));
    if let crate::What::Stanza { stanza, .. } = &mut line.what {
        (stanza.id, stanza.payload, stanza.kind) = (Some(name.into()), Some(name.into()), Some(name.into()));
    }
    lines.push(line);
    let text = titled(name, &lines);
    let picture = parsed(&text);
    assert!(!text.contains("<script") && !text.contains('\u{202e}') && !text.contains('\u{1b}'));
    assert!(words(picture.root()).contains("<script>\\u{1b}\\u{202e}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_lines_make_a_picture(lines in proptest::collection::vec(line(), 0..30)) {
        let picture = svg(&lines);
        prop_assert!(picture.len() < MAX_BYTES);
        let _ = parsed(&picture);
    }
}
