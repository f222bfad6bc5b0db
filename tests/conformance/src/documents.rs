//! The documents that tests are named after, and which place in one a name means.

/// A document and its places, in order.
#[derive(Debug)]
pub(crate) struct Document {
    /// What the names of its tests begin with.
    pub(crate) prefix: String,
    pub(crate) title: String,
    pub(crate) address: String,
    /// Sections, appendices and examples, as `(place, title)`: `2.2`, `appendix B`, `example 3`.
    pub(crate) places: Vec<(String, String)>,
}

/// Reads `data/documents.txt`.
pub(crate) fn documents(text: &str) -> Result<Vec<Document>, String> {
    let mut documents: Vec<Document> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with(';')) {
        if let Some(head) = line.strip_prefix("# ") {
            let [prefix, title, address] = head.split(" | ").collect::<Vec<_>>()[..] else {
                return Err(format!("documents.txt: {line}"));
            };
            let [prefix, title, address] = [prefix, title, address].map(str::to_owned);
            documents.push(Document { prefix, title, address, places: Vec::new() });
            continue;
        }
        let numbered = line.starts_with("example ") || line.starts_with("appendix ");
        let mut words = line.splitn(if numbered { 3 } else { 2 }, ' ');
        let place = if numbered {
            words.by_ref().take(2).collect::<Vec<_>>().join(" ")
        } else {
            words.next().unwrap_or_default().to_owned()
        };
        let (Some(document), Some(title)) = (documents.last_mut(), words.next()) else {
            return Err(format!("documents.txt: {line}"));
        };
        document.places.push((place, title.to_owned()));
    }
    Ok(documents)
}

/// docs/wire.md as a document: its sections, and each numbered decision by the words in bold that it begins with.
pub(crate) fn wire(text: &str) -> Document {
    let mut places: Vec<(String, String)> = Vec::new();
    let mut section = String::new();
    for line in text.lines() {
        if let Some((number, title)) = line.strip_prefix("## ").and_then(|line| line.split_once(". ")) {
            number.clone_into(&mut section);
            places.push((section.clone(), title.to_owned()));
        } else if let Some((number, rest)) = line.split_once(". **")
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            let title = rest.split("**").next().unwrap_or_default();
            places.push((format!("{section}.{number}"), title.to_owned()));
        }
    }
    Document { prefix: "wire".into(), title: "On the wire".into(), address: "wire.md".into(), places }
}

impl Document {
    /// The place that a test's name means, as an index into the places, and what is left of the name. `None` if the name
    /// is of something else, `Some(Err)` if it names no place of this document.
    pub(crate) fn place<'n>(&self, name: &'n str) -> Option<Result<(usize, &'n str), ()>> {
        let rest = name.strip_prefix(self.prefix.as_str())?.strip_prefix('_')?;
        let words: Vec<&str> = rest.split('_').collect();
        let longest = (1..words.len()).rev().find_map(|count| {
            let place = match words[..count] {
                [kind @ ("example" | "appendix"), which] => format!("{kind} {}", which.to_uppercase()),
                ["example" | "appendix", ..] => return None,
                // Numbers may be written with zeros in front, so that the names are in order.
                _ => words[..count]
                    .iter()
                    .map(|word| word.parse().ok().map(|n: u16| n.to_string()))
                    .collect::<Option<Vec<_>>>()?
                    .join("."),
            };
            Some((self.places.iter().position(|(known, _)| *known == place)?, count))
        });
        let Some((at, count)) = longest else { return Some(Err(())) };
        let used: usize = words[..count].iter().map(|word| word.len() + 1).sum();
        Some(Ok((at, &rest[used..])))
    }
}

#[test]
fn a_name_means_the_longest_place_that_there_is() {
    let text = "; of\n# xep_1 | A | address\n7 Seven\n7.2 Two\nexample 3 E\nappendix B C\n";
    let document = &documents(text).unwrap_or_default()[0];
    assert_eq!(document.place("xep_1_07_2_16_a"), Some(Ok((1, "16_a"))));
    assert_eq!(document.place("xep_1_7_b"), Some(Ok((0, "b"))));
    assert_eq!(document.place("xep_1_example_3_c"), Some(Ok((2, "c"))));
    assert_eq!(document.place("xep_1_appendix_b_c"), Some(Ok((3, "c"))));
    assert_eq!(document.place("xep_1_8_c"), Some(Err(())));
    assert_eq!(document.place("xep_12_7_c"), None);
}
