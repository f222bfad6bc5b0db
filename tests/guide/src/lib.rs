//! The code in the README and in the guide is compiled and run: `cargo test -p xtls-guide`. It is in a package of its own since the
//! pages are in no package that is published.

/// Has rustdoc run the code of these pages, and tells which they are.
macro_rules! pages {
    ($($name:ident = $path:literal,)*) => {
        $(
            #[doc = concat!("The code of ", $path, ".")]
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../../", $path))]
            struct $name;
        )*

        #[cfg(test)]
        const PAGES: &[&str] = &[$($path),*];
    };
}

pages! {
    Readme = "README.md",
    BeingFound = "docs/guide/being-found.md",
    C = "docs/guide/c.md",
    Browser = "docs/guide/browser.md",
    Building = "docs/guide/building.md",
    Bytes = "docs/guide/bytes.md",
    Connections = "docs/guide/connections.md",
    Cryptography = "docs/guide/cryptography.md",
    Files = "docs/guide/files.md",
    FirstTunnel = "docs/guide/first-tunnel.md",
    Limits = "docs/guide/limits.md",
    Links = "docs/guide/links.md",
    Logging = "docs/guide/logging.md",
    Migrating = "docs/guide/migrating.md",
    OtherStacks = "docs/guide/other-stacks.md",
    Passwords = "docs/guide/passwords.md",
    Python = "docs/guide/python.md",
    Resumption = "docs/guide/resumption.md",
    Testing = "docs/guide/testing.md",
    Threads = "docs/guide/threads.md",
    Time = "docs/guide/time.md",
    Tokio = "docs/guide/tokio.md",
    Trust = "docs/guide/trust.md",
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use super::PAGES;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// The pages in these folders, as paths from the root.
    fn pages_in(folders: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for folder in folders {
            for entry in fs::read_dir(root().join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.ends_with(".md") {
                    found.push(format!("{folder}/{name}").trim_start_matches("./").to_owned());
                }
            }
        }
        found.sort();
        found
    }

    /// The anchors of a page's headings, as forges make them.
    fn anchors(text: &str) -> Vec<String> {
        let headings =
            text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
        let anchor = |heading: &str| {
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
        };
        headings.map(anchor).collect()
    }

    /// Where the links of a page go that go to no other site.
    fn links(text: &str) -> Vec<&str> {
        let after = text.split("](").skip(1).filter_map(|rest| rest.split([')', '\n']).next());
        after.filter(|link| !link.contains("://") && !link.is_empty()).collect()
    }

    #[test]
    fn no_page_with_code_is_forgotten() {
        for page in pages_in(&[".", "docs", "docs/guide"]) {
            let has_code = fs::read_to_string(root().join(&page)).unwrap().contains("```rust");
            assert!(PAGES.contains(&page.as_str()) || !has_code, "{page} has code that nobody runs");
        }
    }

    #[test]
    fn every_page_of_the_guide_has_code_and_is_in_its_index() {
        let index = fs::read_to_string(root().join("docs/embedding.md")).unwrap();
        for page in pages_in(&["docs/guide"]) {
            assert!(PAGES.contains(&page.as_str()), "{page}");
            assert!(index.contains(page.trim_start_matches("docs/")), "{page} is not in the index");
            let lines = fs::read_to_string(root().join(&page)).unwrap().lines().count();
            assert!(lines <= 500, "{page} has {lines} lines");
        }
    }

    #[test]
    fn what_the_guide_has_optimized_is_optimized_here() {
        let page = fs::read_to_string(root().join("docs/guide/building.md")).unwrap();
        let ours = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let named: Vec<&str> = page.lines().filter(|line| line.starts_with("[profile.dev.package.")).collect();
        assert!(named.len() >= 4 && named.iter().all(|package| ours.contains(package)), "{named:?}");
    }

    #[test]
    fn no_link_of_a_page_leads_nowhere() {
        let mut checked = 0;
        for page in pages_in(&[".", "docs", "docs/guide", "fuzz"]) {
            let path = root().join(&page);
            let text = fs::read_to_string(&path).unwrap();
            for link in links(&text) {
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
                assert!(target.exists(), "{page}: {link}");
                if !anchor.is_empty() {
                    let there = anchors(&fs::read_to_string(&target).unwrap());
                    assert!(there.iter().any(|known| known == anchor), "{page}: {link} is not among {there:?}");
                }
                checked += 1;
            }
        }
        assert!(checked > 100, "{checked}");
    }
}
