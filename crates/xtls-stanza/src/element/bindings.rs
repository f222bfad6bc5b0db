//! The namespace declarations in force where an element is read.

use std::collections::BTreeMap;

use super::Span;

/// Declarations in force, the innermost last.
///
/// A prefix is looked up for each name, so many declarations are found by an index, while the few of an honest stanza are looked
/// through.
#[derive(Default)]
pub(super) struct Bindings {
    all: Vec<Binding>,
    /// Where the innermost declaration of each prefix is; absent while there are few.
    index: Option<BTreeMap<Box<str>, usize>>,
}

/// Declared in the text itself: where the prefix and the namespace were kept.
#[derive(Clone, Copy)]
pub(super) struct Binding {
    pub(super) prefix: Span,
    pub(super) namespace: Span,
    /// The declaration of the same prefix that this one hides; known while there is an index.
    hides: Option<usize>,
}

impl Bindings {
    /// Up to this many are looked through.
    const FEW: usize = 16;

    /// Forgets all, and keeps the memory of so many.
    pub(super) fn clear(&mut self, kept: usize) {
        self.all.clear();
        self.all.shrink_to(kept);
        self.index = None;
    }

    /// How many bytes it holds in memory, while there is no index.
    pub(super) fn held_bytes(&self) -> usize {
        self.all.capacity() * size_of::<Binding>()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.all.iter()
    }

    /// Puts a declaration in force. `text` is where prefixes are kept.
    pub(super) fn push(&mut self, prefix: Span, namespace: Span, text: &str) {
        let at = self.all.len();
        let hides = self.index.as_mut().and_then(|index| index.insert(prefix.of(text).into(), at));
        self.all.push(Binding { prefix, namespace, hides });
        if self.index.is_none() && self.all.len() > Self::FEW {
            let mut index = BTreeMap::new();
            for (at, binding) in self.all.iter_mut().enumerate() {
                binding.hides = index.insert(binding.prefix.of(text).into(), at);
            }
            self.index = Some(index);
        }
    }

    /// Takes those after the first `length` out of force.
    pub(super) fn truncate(&mut self, length: usize, text: &str) {
        if let Some(index) = &mut self.index {
            while self.all.len() > length
                && let Some(Binding { prefix, hides, .. }) = self.all.pop()
            {
                let prefix = prefix.of(text);
                match (index.get_mut(prefix), hides) {
                    (Some(innermost), Some(outer)) => *innermost = outer,
                    _ => drop(index.remove(prefix)),
                }
            }
        }
        self.all.truncate(length);
        if length <= Self::FEW {
            self.index = None;
        }
    }

    /// The innermost declaration of a prefix, and where it is among all.
    pub(super) fn find(&self, prefix: &str, text: &str) -> Option<(usize, Binding)> {
        let at = match &self.index {
            Some(index) => index.get(prefix).copied(),
            None => self.all.iter().rposition(|binding| binding.prefix.of(text) == prefix),
        }?;
        self.all.get(at).map(|binding| (at, *binding))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::stored, *};

    #[test]
    fn many_are_found_as_few_are_whatever_comes_and_goes() {
        // Each prefix is one letter.
        let text: String = ('a'..='z').collect();
        let span = |at: usize| Span { start: stored(at), end: stored(at + 1) };
        let (mut bindings, mut plain): (_, Vec<usize>) = (Bindings::default(), Vec::new());
        for step in 0..2000_usize {
            let grows = plain.len() < 5 || (step / 60).is_multiple_of(2);
            if grows {
                let prefix = step * 7 % 26;
                bindings.push(span(prefix), Span::default(), &text);
                plain.push(prefix);
            } else {
                let length = plain.len() - step % 5;
                bindings.truncate(length, &text);
                plain.truncate(length);
            }
            assert_eq!(bindings.len(), plain.len());
            assert_eq!(bindings.index.is_some(), plain.len() > Bindings::FEW, "{step}");
            for prefix in 0..26 {
                let expected = plain.iter().rposition(|one| *one == prefix);
                let found = bindings.find(span(prefix).of(&text), &text).map(|(at, _)| at);
                assert_eq!(found, expected, "{step}");
            }
        }
    }
}
