//! Attributes of the outermost element changed in place: the addresses that a stream stamps or leaves out.

use super::{BuildError, Element, Entry, MAX_BYTES, Span, chars, index, stored};

impl Element {
    /// Gives the outermost element an attribute without a namespace, in place of one of that name if there is one.
    ///
    /// The cost is linear in the number of nodes at most; an old value's text is not given back.
    ///
    /// # Errors
    ///
    /// When XML does not allow the name or a character of the value, or the element would grow too large. Nothing is
    /// changed then.
    pub fn set_attribute(&mut self, name: &str, value: &str) -> Result<(), BuildError> {
        if !chars::is_attribute_name(name) {
            return Err(BuildError::Name);
        }
        if !chars::are_xml(value) {
            return Err(BuildError::Character);
        }
        if self.text.len().saturating_add(name.len()).saturating_add(value.len()) > MAX_BYTES {
            return Err(BuildError::TooLarge);
        }
        // What is kept of a peer's stanza would be twice as much otherwise.
        self.text.reserve_exact(name.len() + value.len());
        let value = self.push_str(value);
        match self.find_attribute(name) {
            Some(at) => {
                if let Some(Entry::Attribute { value: old, .. }) = self.nodes.get_mut(at) {
                    *old = value;
                }
            }
            None => {
                let name = self.push_str(name);
                let at = 1 + self.root_attributes();
                self.nodes.insert(at, Entry::Attribute { ns: Span::default(), name, value });
                self.shift(|count| count + 1);
            }
        }
        Ok(())
    }

    /// Takes away the outermost element's attribute of this name that has no namespace, and tells whether there was one.
    pub fn remove_attribute(&mut self, name: &str) -> bool {
        let Some(at) = self.find_attribute(name) else { return false };
        self.nodes.remove(at);
        self.shift(|count| count.saturating_sub(1));
        true
    }

    fn find_attribute(&self, name: &str) -> Option<usize> {
        (1..=self.root_attributes()).find(|&at| {
            matches!(self.nodes[at], Entry::Attribute { ns, name: found, .. }
                if self.str(ns).is_empty() && self.str(found) == name)
        })
    }

    fn root_attributes(&self) -> usize {
        match self.nodes.first() {
            Some(Entry::Element { attributes, .. }) => index(*attributes),
            Some(Entry::Attribute { .. } | Entry::Text(_)) | None => 0,
        }
    }

    /// After a row of the root's attributes was added or taken away: every end lies after it.
    fn shift(&mut self, change: impl Fn(u32) -> u32) {
        for (at, entry) in self.nodes.iter_mut().enumerate() {
            if let Entry::Element { attributes, end, .. } = entry {
                *end = change(*end);
                if at == 0 {
                    *attributes = change(*attributes);
                }
            }
        }
    }

    fn push_str(&mut self, text: &str) -> Span {
        let start = stored(self.text.len());
        self.text.push_str(text);
        Span { start, end: stored(self.text.len()) }
    }
}
