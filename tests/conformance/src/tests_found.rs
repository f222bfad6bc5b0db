//! The names of all tests of the workspace.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Each test's name, and the files (from the root on, with slashes) that have one of that name.
pub(crate) type Tests = BTreeMap<String, Vec<String>>;

/// Looks through every source file in the folders that have tests.
pub(crate) fn tests(root: &Path) -> io::Result<Tests> {
    let mut files = Vec::new();
    for folder in ["crates", "tests", "examples"] {
        sources(&root.join(folder), &mut files)?;
    }
    files.sort_unstable();
    let mut tests = Tests::new();
    for file in files {
        let shown: Vec<_> =
            file.strip_prefix(root).unwrap_or(&file).iter().map(|part| part.to_string_lossy()).collect();
        let source = fs::read_to_string(&file)?;
        let is_python = file.extension().is_some_and(|extension| extension == "py");
        for name in if is_python { names_in_python(&source) } else { names(&source) } {
            tests.entry(name.to_owned()).or_default().push(shown.join("/"));
        }
    }
    Ok(tests)
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "node_modules") {
                sources(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "py") {
            files.push(path);
        }
    }
    Ok(())
}

/// The functions that `#[test]` or `#[tokio::test]` stands before, those in `proptest!` included.
fn names(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            let name = function.and_then(|function| function.split('(').next()).filter(|_| marked);
            names.extend(name);
            marked = false;
        }
    }
    names
}

/// The functions that unittest runs.
fn names_in_python(source: &str) -> Vec<&str> {
    let function = |line| -> Option<&str> {
        let line = str::trim(line);
        line.strip_prefix("async ").unwrap_or(line).strip_prefix("def ")?.split('(').next()
    };
    source.lines().filter_map(function).filter(|name| name.starts_with("test_")).collect()
}

#[test]
fn names_are_those_of_tests_and_no_others() {
    let source =
        "#[test]\n#[ignore]\n// why\nfn one() {}\nfn helper() {}\n    #[tokio::test]\n    async fn two(\n a: u8) {}";
    assert_eq!(names(source), ["one", "two"]);
    let source = "class Tests:\n    def test_one(self):\n        pass\n    async def test_two(\n        self):\n    def helper(self):";
    assert_eq!(names_in_python(source), ["test_one", "test_two"]);
}
