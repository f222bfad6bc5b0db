//! The picture itself.

use std::fmt::Write as _;

use xtls_stanza::write;

use super::layout::{HALF, Layout, TOP};
use super::phase::Phase;
use super::story::{Fate, Item, Lifeline, Run, Shape, Sort, Story};
use super::words::{describe, is_answer, said, seconds, shortened};
use super::{FOLDED_FROM, MAX_LIFELINES, style};
use crate::line::{Direction, Line, What};

/// Where the first lifeline is, how far the next one is from it, and how much room is right of the last one.
const LEFT: u32 = 236;
const SPACING: u32 = 320;
const RIGHT: u32 = 340;

/// How far from a lifeline arrows end, and words begin.
const GAP: u32 = 6;
const WORDS: u32 = 14;

/// How many characters have room: between two lifelines, at a mark, in a name, and in the words that a mouse brings up.
const ARROW_CHARS: usize = 40;
const MARK_CHARS: usize = 44;
const NAME_CHARS: usize = 38;
const TITLE_CHARS: usize = 200;
const HEADING_CHARS: usize = 100;

/// The whole picture.
pub(super) fn draw(title: &str, story: &Story<'_>, layout: &Layout) -> String {
    let columns = u32::try_from(story.lifelines.len().max(2)).unwrap_or(u32::MAX);
    let width = LEFT + (columns - 1) * SPACING + RIGHT;
    let bottom = layout.bottom;
    let mut picture = Picture { out: String::new(), labels: String::new(), width };
    let _ = write!(
        picture.out,
        "<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{0}' viewBox='0 0 {width} {0}'>",
        bottom + 56
    );
    picture.style();
    picture.head(title, story);
    picture.lifelines(story, layout);
    for (from, to, passed) in &layout.quiet {
        picture.quiet(story.lifelines.len(), *from, *to, *passed);
    }
    if let Some(cut) = &layout.cut {
        let mut words = format!("{} more from {} to {} left out", cut.items, seconds(cut.from), seconds(cut.to));
        for (count, what) in [(cut.faults, "faults"), (cut.lost, "lost")] {
            if count > 0 {
                let _ = write!(words, ", {count} {what} among them");
            }
        }
        let (y, height) = (cut.y - HALF, 2 * HALF);
        let _ = write!(picture.out, "<g class='cut'><rect x='0' y='{y}' width='{width}' height='{height}'/>");
        picture.text("middle", width / 2, cut.y + 4, &words);
        picture.out.push_str("</g>\n");
    }
    for (y, ms) in &layout.times {
        picture.text("time", 78, y + 4, &seconds(*ms));
        picture.out.push('\n');
    }
    for (item, place) in story.items.iter().zip(&layout.places) {
        if let Some((from, to)) = place {
            picture.item(story, item, *from, *to, layout.cut.as_ref().is_some_and(|cut| *from == cut.y + HALF));
        }
    }
    picture.out + &picture.labels + "</svg>\n"
}

struct Picture {
    out: String,
    /// What is written over everything else: lines do not cross it.
    labels: String,
    width: u32,
}

impl Picture {
    fn style(&mut self) {
        self.out.push_str("<style>");
        write::text(&mut self.out, style::LIGHT);
        let _ = write!(self.out, "@media (prefers-color-scheme:dark){{{0}}}</style>\n<defs>", style::DARK);
        for phase in Phase::ALL {
            let class = phase.class();
            let _ = write!(
                self.out,
                "<marker id='{class}' class='{class}' viewBox='0 0 10 8' refX='9' refY='4' markerWidth='10' \
                 markerHeight='8' markerUnits='userSpaceOnUse' orient='auto'><path stroke='none' d='M0 0L10 4L0 8z'/>\
                 </marker>"
            );
        }
        self.out.push_str("</defs>\n<rect class='back' width='100%' height='100%'/>\n");
    }

    /// The title, what is in the picture, and what its colours and signs are.
    fn head(&mut self, title: &str, story: &Story<'_>) {
        let count = |of: fn(&What) -> bool| story.lines.iter().filter(|line| of(&line.what)).count();
        let passed = count(|what| matches!(what, What::Stanza { direction: Direction::Out, .. }));
        let faults = count(|what| matches!(what, What::Fault(_)));
        let end = story.lines.last().map_or(0, |line| line.ms);
        let mut facts = format!("{passed} stanzas sent, {faults} faults, {} s", seconds(end));
        let links = count(|what| matches!(what, What::Bytes { direction: Direction::Out, .. }));
        if links > 0 {
            let _ = write!(facts, ", {links} writes to links");
        }
        if story.items.iter().any(|item| matches!(item.shape, Shape::Run(_))) {
            let _ = write!(facts, "; thick arrows are runs of {FOLDED_FROM} arrows or more, folded");
        }
        if story.lifelines.len() > MAX_LIFELINES {
            let _ = write!(facts, "; more than {MAX_LIFELINES} entities: the others share one line");
        }
        if title.is_empty() {
            self.text("heading", 20, 30, &facts);
        } else {
            self.text("heading", 20, 24, &shortened(title, HEADING_CHARS));
            self.text("note", 20, 42, &facts);
        }
        self.out.push_str("<g class='legend'>");
        let mut x = 20;
        for phase in Phase::ALL {
            let _ = write!(self.out, "<rect class='{}' x='{x}' y='54' width='18' height='6'/>", phase.class());
            self.text("note", x + 24, 62, phase.title());
            x += 24 + width_of(phase.title()) + 18;
        }
        let signs: [(&str, &str); 2] =
            [("M-6 -6L6 6M6 -6L-6 6", "sent, did not come"), ("M-9 0L-3 0M3 0L9 0", "came, not sent by whom it names")];
        x = 20;
        for (at, (path, words)) in signs.iter().enumerate() {
            let class = if at == 0 { "cross" } else { "life" };
            let _ = write!(self.out, "<path class='{class}' transform='translate({} 77)' d='{path}'/>", x + 9);
            self.text("note", x + 24, 81, words);
            x += 24 + width_of(words) + 18;
        }
        let marks = [
            ("fault", "fault"),
            ("op", "the application did"),
            ("event", "the engine told"),
            ("connection", "connection to the server"),
        ];
        x = 20;
        for (class, words) in marks {
            let _ = write!(self.out, "<g class='{class}'>");
            self.sign(Phase::Outside, class, x + 9, 96);
            self.out.push_str("</g>");
            self.text("note", x + 24, 100, words);
            x += 24 + width_of(words) + 18;
        }
        self.out.push_str("</g>\n");
    }

    fn lifelines(&mut self, story: &Story<'_>, layout: &Layout) {
        let bottom = layout.bottom;
        for (at, lifeline) in story.lifelines.iter().enumerate() {
            let x = x_of(at);
            let _ = write!(self.out, "<line class='life' x1='{x}' y1='{TOP}' x2='{x}' y2='{bottom}'/>");
            for y in [TOP - 16, bottom] {
                self.name(lifeline, x, y);
            }
            self.bars(story, layout, at);
            self.out.push('\n');
        }
    }

    fn name(&mut self, lifeline: &Lifeline<'_>, x: u32, y: u32) {
        let full = lifeline.name.unwrap_or("others");
        let class = if lifeline.server { "server head" } else { "head" };
        let _ = write!(self.out, "<g class='{class}'>");
        self.title(full);
        let _ = write!(self.out, "<rect x='{}' y='{y}' width='288' height='22' rx='4'/>", x - 144);
        self.text("", x, y + 15, &shortened(full, NAME_CHARS));
        self.out.push_str("</g>");
    }

    /// The phases that an entity goes through.
    fn bars(&mut self, story: &Story<'_>, layout: &Layout, lifeline: usize) {
        let mut changes: Vec<(u32, Option<Phase>)> = Vec::new();
        for (line, _, phase) in story.bars.iter().filter(|(_, at, _)| *at == lifeline) {
            let y = layout.place_of(*line);
            if changes.last().is_some_and(|(last, _)| *last == y) {
                changes.pop();
            }
            changes.push((y, *phase));
        }
        let ends = changes.iter().skip(1).map(|(y, _)| *y).chain([layout.bottom]);
        for ((y, phase), end) in changes.iter().zip(ends) {
            if let Some(phase) = phase {
                let (class, x, height) = (phase.class(), x_of(lifeline) - 4, end.saturating_sub(*y));
                let _ = write!(self.out, "<rect class='bar {class}' x='{x}' y='{y}' width='8' height='{height}'/>");
            }
        }
    }

    fn quiet(&mut self, lifelines: usize, from: u32, to: u32, passed: u64) {
        for at in 0..lifelines {
            let x = x_of(at);
            let (from, to) = (from + 10, to + 8);
            let _ = write!(self.out, "<line class='quiet' x1='{x}' y1='{from}' x2='{x}' y2='{to}'/>");
        }
        self.text("pause", 78, from + 22, &format!("+{} s", passed / 1000));
        self.out.push('\n');
    }

    fn item(&mut self, story: &Story<'_>, item: &Item, y: u32, end: u32, begun: bool) {
        let Some(line) = story.lines.get(item.start) else { return };
        match &item.shape {
            Shape::Arrow { from, to, fate } => self.arrow(story, item, (*from, *to), *fate, (y, end), begun),
            Shape::Mark { at, sort } => self.mark(item, line, *at, *sort, y),
            Shape::Run(run) => self.run(story, item, line, run, y),
        }
        self.out.push_str("</g>\n");
    }

    /// An arrow; `begun` in what is left out.
    fn arrow(
        &mut self,
        story: &Story<'_>,
        item: &Item,
        (from, to): (usize, usize),
        fate: Fate,
        (y, end): (u32, u32),
        begun: bool,
    ) {
        let Some(line) = story.lines.get(item.start) else { return };
        let fate_class = match fate {
            Fate::Arrived | Fate::Unknown => "",
            Fate::Lost => " lost",
            Fate::Forged => " forged",
        };
        let answer = if is_answer(line) { " answer" } else { "" };
        let class = item.phase.class();
        let _ = write!(self.out, "<g class='arrow{fate_class}{answer}'>");
        self.title(&said(story, item, line));
        let right = from < to;
        let (x1, x2) = between(from, to);
        let middle = x1.midpoint(x2);
        let (x1, x2) = match fate {
            Fate::Arrived | Fate::Unknown => (x1, x2),
            Fate::Lost => (x1, if right { middle + 40 } else { middle - 40 }),
            Fate::Forged => (if right { middle - 40 } else { middle + 40 }, x2),
        };
        let head = if fate == Fate::Lost { String::new() } else { format!(" marker-end='url(#{class})'") };
        let _ = write!(self.out, "<line class='{class}' x1='{x1}' y1='{y}' x2='{x2}' y2='{end}'{head}/>");
        if fate == Fate::Lost {
            let _ = write!(self.out, "<path class='cross' transform='translate({x2} {y})' d='M-6 -6L6 6M6 -6L-6 6'/>");
        }
        let words = shortened(&line.label(), ARROW_CHARS * from.abs_diff(to));
        // What falls deep has its words where it begins, where nothing else is; if that is left out, where it arrives.
        let steep = end.saturating_sub(y) > 12;
        let (y, at_end) = if begun { (end, true) } else { (y, fate == Fate::Forged) };
        let (place, x) = match (at_end, steep || fate == Fate::Lost, right) {
            (true, _, true) => (" left", x2 - 8),
            (true, _, false) => ("", x2 + 8),
            (false, true, true) => ("", x1 + 8),
            (false, true, false) => (" left", x1 - 8),
            (false, false, _) => (" middle", middle),
        };
        let soft = if fate == Fate::Lost { " red" } else { answer };
        self.label(&format!("{place}{soft}"), x, y - 5, &words);
    }

    fn mark(&mut self, item: &Item, line: &Line, at: usize, sort: Sort, y: u32) {
        let (class, before) = match sort {
            Sort::Event => ("event", ""),
            Sort::Fault => ("fault", ""),
            Sort::Op => ("op", ""),
            Sort::Connection => ("connection", ""),
            Sort::Failure => ("failure", ""),
            Sort::Alone(Direction::Out) => ("alone", "→ "),
            Sort::Alone(Direction::In) => ("alone", "← "),
        };
        let _ = write!(self.out, "<g class='mark {class}'>");
        self.title(&describe(line));
        if matches!(sort, Sort::Fault | Sort::Failure) {
            let (y, width) = (y - 11, self.width - 90);
            let _ = write!(self.out, "<rect x='86' y='{y}' width='{width}' height='22'/>");
        }
        let x = x_of(at);
        self.sign(item.phase, class, x, y);
        let whom = match (&line.what, &line.peer) {
            (What::Fault(_) | What::Op(_) | What::Stanza { .. } | What::Bytes { .. }, Some(peer)) => {
                format!(" ({})", peer.split('@').next().unwrap_or(peer))
            }
            _ => String::new(),
        };
        let words = shortened(&format!("{before}{}{whom}", line.label()), MARK_CHARS);
        let colour = if matches!(sort, Sort::Fault | Sort::Failure) { " red" } else { "" };
        let colour = if sort == Sort::Op { " said" } else { colour };
        self.label(colour, x + WORDS, y + 4, &words);
    }

    fn run(&mut self, story: &Story<'_>, item: &Item, line: &Line, run: &Run, y: u32) {
        self.out.push_str("<g class='run'>");
        let last = story.lines.get(run.last).map_or(line.ms, |line| line.ms);
        let (arrows, marks) = (run.arrows, run.marks);
        self.title(&format!(
            "{} to {} s: {arrows} arrows and {marks} events, folded; {} and {} blocks, {} and {} bytes, {} answers",
            seconds(line.ms),
            seconds(last),
            run.blocks[0],
            run.blocks[1],
            run.bytes[0],
            run.bytes[1],
            run.answers,
        ));
        let (there, back) = (between(run.from, run.to), between(run.to, run.from));
        let class = item.phase.class();
        let middle = there.0.midpoint(there.1);
        let mut words = Vec::new();
        for (way, (x1, x2)) in [there, back].into_iter().enumerate() {
            if run.blocks[way] > 0 {
                let y = y - 3 + if way == 0 { 0 } else { 7 };
                let inset = |x: u32| if x2 > x1 { x - 8 } else { x + 8 };
                let _ = write!(self.out, "<line class='{class}' x1='{x1}' y1='{y}' x2='{}' y2='{y}'/>", inset(x2));
                let _ = write!(
                    self.out,
                    "<line class='{class} tip' x1='{}' y1='{y}' x2='{x2}' y2='{y}' marker-end='url(#{class})'/>",
                    inset(x2)
                );
                let sign = if x2 > x1 { "→" } else { "←" };
                words.push(format!("{sign} {} blocks, {} bytes", run.blocks[way], run.bytes[way]));
            }
        }
        if run.answers > 0 {
            words.push(format!("{} answers", run.answers));
        }
        let words = shortened(&words.join("; "), ARROW_CHARS * 2);
        self.label(" middle", middle, y - 9, &words);
    }

    /// What stands on a lifeline.
    fn sign(&mut self, phase: Phase, class: &str, x: u32, y: u32) {
        let (path, colour) = match class {
            "fault" | "failure" => ("M0 -8L8 6L-8 6z", ""),
            "op" => ("M-5 -6L6 0L-5 6z", ""),
            "connection" => ("M-5 -5L5 -5L5 5L-5 5z", phase.class()),
            "alone" => ("M-5 0L0 -5L5 0L0 5z", phase.class()),
            _ => ("M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0z", phase.class()),
        };
        let _ = write!(self.out, "<path class='{colour}' transform='translate({x} {y})' d='{path}'/>");
    }

    /// What comes up under a mouse.
    fn title(&mut self, words: &str) {
        self.out.push_str("<title>");
        write::text(&mut self.out, &shortened(words, TITLE_CHARS));
        self.out.push_str("</title>");
    }

    fn text(&mut self, class: &str, x: u32, y: u32, words: &str) {
        text(&mut self.out, class, x, y, words);
    }

    fn label(&mut self, class: &str, x: u32, y: u32, words: &str) {
        text(&mut self.labels, &format!("label{class}"), x, y, words);
        self.labels.push('\n');
    }
}

fn text(out: &mut String, class: &str, x: u32, y: u32, words: &str) {
    let _ = write!(out, "<text class='{class}' x='{x}' y='{y}'>");
    write::text(out, words);
    out.push_str("</text>");
}

/// Where an arrow begins and ends.
fn between(from: usize, to: usize) -> (u32, u32) {
    let (x1, x2) = (x_of(from), x_of(to));
    if x1 < x2 { (x1 + GAP, x2 - GAP) } else { (x1 - GAP, x2 + GAP) }
}

fn x_of(lifeline: usize) -> u32 {
    LEFT + u32::try_from(lifeline).unwrap_or_default() * SPACING
}

/// About how wide a text is.
fn width_of(words: &str) -> u32 {
    u32::try_from(words.chars().count()).unwrap_or_default() * 73 / 10
}
