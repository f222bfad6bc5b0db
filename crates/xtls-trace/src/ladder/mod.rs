//! A ladder picture of a trace: who sent what to whom when, as SVG.
//!
//! Each entity has a lifeline; time goes down, and is not to scale where nothing happens. A stanza that one trace has as sent
//! and another as come is one arrow, from when it was sent to when it came. What was sent and did not come ends in a cross;
//! what came and was not sent by whom it names begins between the two, where servers are. Faults are red. The colour of an
//! arrow says in which phase its sender was, that of a lifeline in which phase its entity was.
//!
//! Long runs of blocks are folded into one arrow, and of a long history the middle is left out; the picture says so. It has
//! its own background, in light and in dark.

mod draw;
mod fold;
mod layout;
mod phase;
mod story;
mod style;
#[cfg(test)]
mod tests;
mod words;

use crate::line::Line;

/// How many lifelines have room in a picture; everybody else shares one more.
pub const MAX_LIFELINES: usize = 12;

/// How many things that happen have room in a picture, as lines of the trace: of more the middle is left out.
pub const MAX_STEPS: usize = 600;

/// From how many arrows on a run of blocks and their answers is folded.
pub const FOLDED_FROM: usize = 8;

/// The picture of a trace. The lines need not be sorted, but one clock must have given all times.
///
/// It is well-formed XML of less than 1 MiB, and the same for the same lines.
#[must_use]
pub fn svg(lines: &[Line]) -> String {
    titled("", lines)
}

/// The same with words above it, of which at most 100 characters are shown.
#[must_use]
pub fn titled(title: &str, lines: &[Line]) -> String {
    let story = story::Story::of(lines);
    let story = fold::fold(story);
    let layout = layout::Layout::of(&story);
    draw::draw(title, &story, &layout)
}
