//! Long runs of data become one thing.

use super::FOLDED_FROM;
use super::story::{Fate, Item, Part, Run, Shape, Story};

/// The same story with its runs folded.
pub(super) fn fold(mut story: Story<'_>) -> Story<'_> {
    let items = std::mem::take(&mut story.items);
    let mut run: Vec<Item> = Vec::new();
    for item in items {
        if !joins(&run, &item) {
            flush(&mut run, &mut story.items);
        }
        if run.is_empty() && ends(&item).is_none() {
            story.items.push(item);
        } else {
            run.push(item);
        }
    }
    flush(&mut run, &mut story.items);
    story
}

/// Between whom an arrow is that can be in a run.
fn ends(item: &Item) -> Option<(usize, usize)> {
    match (&item.shape, item.part) {
        (Shape::Arrow { from, to, fate: Fate::Arrived | Fate::Unknown }, Some(Part::Block(_) | Part::Answer)) => {
            Some((*from, *to))
        }
        _ => None,
    }
}

fn joins(run: &[Item], item: &Item) -> bool {
    let Some((one, other)) = run.first().and_then(ends) else { return true };
    match (&item.shape, item.part) {
        (Shape::Mark { at, .. }, Some(Part::Event)) => *at == one || *at == other,
        _ => ends(item).is_some_and(|between| between == (one, other) || between == (other, one)),
    }
}

fn flush(run: &mut Vec<Item>, items: &mut Vec<Item>) {
    let arrows = run.iter().filter(|item| ends(item).is_some()).count();
    if arrows < FOLDED_FROM {
        return items.append(run);
    }
    let Some((from, to)) = run.first().and_then(ends) else { return items.append(run) };
    let Some((start, phase)) = run.first().map(|item| (item.start, item.phase)) else { return };
    let mut folded = Run { from, to, blocks: [0; 2], bytes: [0; 2], answers: 0, arrows: 0, marks: 0, last: start };
    for item in run.drain(..) {
        folded.last = folded.last.max(item.end.unwrap_or(item.start));
        match (ends(&item), item.part) {
            (Some(between), Some(Part::Block(bytes))) => {
                let way = usize::from(between != (from, to));
                folded.arrows += 1;
                folded.blocks[way] += 1;
                folded.bytes[way] = folded.bytes[way].saturating_add(bytes);
            }
            (Some(_), _) => {
                folded.arrows += 1;
                folded.answers += 1;
            }
            (None, _) => folded.marks += 1,
        }
    }
    items.push(Item { start, end: None, phase, shape: Shape::Run(folded), part: None });
}
