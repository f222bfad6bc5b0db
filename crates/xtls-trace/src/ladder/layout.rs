//! How far down everything is.

use super::MAX_STEPS;
use super::story::{Fate, Shape, Sort, Story};

/// Where things begin.
pub(super) const TOP: u32 = 130;

/// From what begins to what begins next.
const ROW: u32 = 26;

/// To what arrives later.
const ARRIVAL: u32 = 14;

/// How far an arrow falls that takes time, with nothing in between.
const SLOPE: u32 = 10;

/// The room for a time in which nothing happens, and from how many milliseconds on it has room.
const QUIET: u32 = 20;
const QUIET_FROM: u64 = 1000;

/// The room for what is left out, and half of the band that says so.
const CUT: u32 = 52;
pub(super) const HALF: u32 = 14;

/// What a run needs more, for its thick arrows.
const RUN: u32 = 8;

/// What of a long history stays: so much of its beginning, and the rest of its end.
const HEAD: usize = MAX_STEPS * 2 / 5;

/// Where everything is.
#[derive(Debug)]
pub(super) struct Layout {
    /// By item: where it begins and where it arrives; none of what is left out.
    pub(super) places: Vec<Option<(u32, u32)>>,
    /// A time, and where it is.
    pub(super) times: Vec<(u32, u64)>,
    /// Between where and where nothing happens, and for how many milliseconds.
    pub(super) quiet: Vec<(u32, u32, u64)>,
    pub(super) cut: Option<Cut>,
    pub(super) bottom: u32,
    /// Lines, and where they are.
    steps: Vec<(usize, u32)>,
}

/// What is left out.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) y: u32,
    pub(super) items: usize,
    /// Of these.
    pub(super) faults: usize,
    pub(super) lost: usize,
    /// From when to when.
    pub(super) from: u64,
    pub(super) to: u64,
}

/// A moment that needs a place of its own.
#[derive(Debug, Clone, Copy)]
struct Step {
    line: usize,
    item: usize,
    /// It is where the item arrives.
    arrives: bool,
}

impl Layout {
    pub(super) fn of(story: &Story<'_>) -> Self {
        let steps = steps(story);
        let ms = |line: usize| story.lines.get(line).map_or(0, |line| line.ms);
        let mut layout = Self {
            places: vec![None; story.items.len()],
            times: Vec::new(),
            quiet: Vec::new(),
            cut: None,
            bottom: TOP,
            steps: Vec::new(),
        };
        let kept_from = if steps.len() > MAX_STEPS { steps.len() - (MAX_STEPS - HEAD) } else { 0 };
        let mut before: Option<Step> = None;
        for (at, step) in steps.iter().enumerate() {
            let moment = ms(step.line);
            if kept_from > 0 && (HEAD..kept_from).contains(&at) {
                layout.leave_out(story, *step, moment);
                before = None;
                continue;
            }
            let joined = step.arrives && before.is_some_and(|before| before.item == step.item && !before.arrives);
            let passed = before.map_or(0, |before| moment.saturating_sub(ms(before.line)));
            if passed >= QUIET_FROM && !joined {
                layout.quiet.push((layout.bottom, layout.bottom + QUIET, passed));
                layout.bottom += QUIET;
            }
            layout.bottom += match (joined, step.arrives) {
                (true, _) if passed == 0 => 0,
                (true, _) => SLOPE,
                (false, true) => ARRIVAL,
                (false, false) if is_run(story, step.item) => ROW + RUN,
                (false, false) => ROW,
            };
            layout.put(*step, moment, joined);
            before = Some(*step);
        }
        layout.bottom += ROW;
        layout
    }

    /// Where this line is, or the last one before it that has a place.
    pub(super) fn place_of(&self, line: usize) -> u32 {
        let after = self.steps.partition_point(|(at, _)| *at <= line);
        after.checked_sub(1).and_then(|at| self.steps.get(at)).map_or(TOP, |(_, y)| *y)
    }

    fn put(&mut self, step: Step, moment: u64, joined: bool) {
        let y = self.bottom;
        if let Some(place) = self.places.get_mut(step.item) {
            // What begins in what is left out comes from there.
            let begins = match (step.arrives, *place, &mut self.cut) {
                (true, Some((begins, _)), _) => begins,
                (true, None, Some(cut)) => {
                    cut.items -= 1;
                    cut.y + HALF
                }
                (false, _, _) | (true, None, None) => y,
            };
            *place = Some((begins, y));
        }
        self.steps.push((step.line, y));
        if !joined && self.times.last().is_none_or(|(_, last)| *last != moment) {
            self.times.push((y, moment));
        }
    }

    fn leave_out(&mut self, story: &Story<'_>, step: Step, moment: u64) {
        if self.cut.is_none() {
            self.bottom += CUT;
        }
        let y = self.bottom + 4 - CUT / 2;
        let cut = self.cut.get_or_insert(Cut { y, items: 0, faults: 0, lost: 0, from: moment, to: moment });
        cut.to = moment;
        self.steps.push((step.line, cut.y));
        if step.arrives {
            // What began before goes into it.
            if let Some(Some((_, arrives))) = self.places.get_mut(step.item) {
                *arrives = cut.y - HALF;
            }
            return;
        }
        cut.items += 1;
        match story.items.get(step.item).map(|item| &item.shape) {
            Some(Shape::Mark { sort: Sort::Fault | Sort::Failure, .. }) => cut.faults += 1,
            Some(Shape::Arrow { fate: Fate::Lost, .. }) => cut.lost += 1,
            _ => {}
        }
    }
}

fn is_run(story: &Story<'_>, item: usize) -> bool {
    story.items.get(item).is_some_and(|item| matches!(item.shape, Shape::Run(_)))
}

/// Every beginning and every arrival, in the order of the lines.
fn steps(story: &Story<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    for (at, item) in story.items.iter().enumerate() {
        steps.push(Step { line: item.start, item: at, arrives: false });
        steps.extend(item.end.map(|line| Step { line, item: at, arrives: true }));
    }
    steps.sort_by_key(|step| (step.line, step.arrives, step.item));
    steps
}
