//! Names of files, manifests of directories, and records of partial files.

use core::cmp::Ordering;
use std::path::{Component, Path};

use xtls_files::{
    Manifest, PartialRecord, SafeName, SafePath,
    manifest::{ManifestBuilder, ManifestError, ManifestLimits, ManifestParser},
};

use crate::input::{Input, pieces};

/// The first byte chooses what the rest is.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.below(4) {
        0 => check_names(input.rest()),
        1 => check_record(input.rest()),
        2 => check_document(&mut input, None),
        _ => {
            let limits = (usize::from(input.byte() % 8), usize::from(input.number()));
            check_document(&mut input, Some(limits));
        }
    }
}

/// Whatever is accepted stays where it is put, on any system.
fn check_names(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let base = Path::new("/base");
    let name = SafeName::new(text);
    let path = SafePath::new(text);
    if let Ok(name) = &name {
        assert_eq!(path.as_ref().map(SafePath::as_str), Ok(name.as_str()), "a name is a path");
        assert_eq!(base.join(name.as_str()).parent(), Some(base));
        for number in [1, 77, u32::MAX] {
            assert_eq!(SafeName::new(name.numbered(number).as_str()), Ok(name.numbered(number)));
        }
    }
    match path {
        Ok(path) => {
            assert!(path.as_str().len() <= SafePath::MAX && path.names().count() <= SafePath::MAX_DEPTH);
            assert!(path.names().all(|name| SafeName::new(name).is_ok()));
            let joined = base.join(path.as_str());
            let rest = joined.strip_prefix(base).expect("it is below");
            assert!(rest.components().all(|part| matches!(part, Component::Normal(_))));
            let has_reserved = |c: char| c < ' ' || "\\<>:\"|?*\u{7f}\u{202e}\u{200b}".contains(c);
            assert!(!path.as_str().contains(has_reserved), "{path:?}");
        }
        Err(why) => {
            assert!(name.is_err());
            assert!(!why.to_string().contains(char::is_control), "{why}");
        }
    }
}

/// What is read is written and read as the same.
fn check_record(bytes: &[u8]) {
    let Some(record) = PartialRecord::from_text(bytes) else { return };
    assert!(bytes.len() <= PartialRecord::MAX);
    let again = PartialRecord::from_text(record.to_text().as_bytes());
    assert_eq!(again.as_ref(), Some(&record));
    assert_eq!(record.difference(&record), None);
}

/// The same however it is cut; what is read is built again as the same; positions and what is missing, by the book.
fn check_document(input: &mut Input<'_>, limits: Option<(usize, usize)>) {
    let mut within = ManifestLimits::default();
    if let Some((entries, bytes)) = limits {
        (within.entries, within.bytes) = (entries, bytes);
    }
    let pattern = input.byte();
    let held = input.number();
    let document = input.rest();
    let parse = |pieces: &[&[u8]]| {
        let mut parser = ManifestParser::new(within);
        pieces.iter().try_for_each(|piece| parser.push(piece))?;
        parser.finish()
    };
    let whole = parse(&[document]);
    assert_eq!(parse(&pieces(document, pattern)), whole);
    match whole {
        Ok(manifest) => check_manifest(&manifest, within, held),
        Err(ManifestError::TooMany(limit)) => assert_eq!(limit, within.entries),
        Err(ManifestError::TooLarge(limit)) => assert!(limit == within.bytes && document.len() > limit),
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
}

fn check_manifest(manifest: &Manifest, within: ManifestLimits, held: u16) {
    assert!(manifest.entries().len() <= within.entries);
    let mut builder = ManifestBuilder::new(ManifestLimits::default());
    for entry in manifest.entries() {
        assert!(entry.mode.is_none_or(|mode| mode <= 0o777));
        builder.push(entry.clone()).expect("what was read can be written");
    }
    let (built, document) = builder.finish();
    assert_eq!(&built, manifest);
    let mut parser = ManifestParser::new(ManifestLimits::default());
    parser.push(document.as_bytes()).expect("what is written can be read");
    assert_eq!(parser.finish().as_ref(), Ok(manifest));
    // Of each entry as much is there as a bit says: nothing, or all but one byte.
    let there = manifest
        .entries()
        .iter()
        .enumerate()
        .map(|(at, entry)| if held >> (at % 16) & 1 == 0 { 0 } else { entry.size().saturating_sub(1) });
    let there: Vec<u64> = there.collect();
    let runs = manifest.missing(there.iter().copied());
    let missing: u128 = runs.iter().map(|run| u128::from(run.end - run.start)).sum();
    let expected = manifest.entries().iter().zip(&there).map(|(entry, there)| u128::from(entry.size() - there)).sum();
    assert_eq!(missing, expected);
    assert!(runs.is_sorted_by(|one, other| one.end < other.start));
    for run in runs {
        let place = manifest.place(run.start).expect("it is in one of the files");
        assert_eq!(place.offset, there[place.entry]);
        let range = manifest.range(place.entry).expect("there is such an entry");
        assert_eq!(range.start + place.offset, run.start);
        assert_eq!(place.left, range.end - run.start);
        let last = manifest.place(run.end - 1).expect("it is in one of the files");
        assert_eq!((last.left, last.entry.cmp(&place.entry) != Ordering::Less), (1, true));
    }
    assert_eq!(manifest.place(manifest.size()), None);
}
