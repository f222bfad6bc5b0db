use proptest::prelude::*;
use xtls_stanza::ParseErrorKind;

use super::*;
use crate::{FileHashAlgo, NameRefused};

fn hash() -> FileHash {
    FileHash::of(FileHashAlgo::Sha256, b"Capulet")
}

fn file(path: &str, size: u64) -> ManifestEntry {
    ManifestEntry::file(path.parse().unwrap(), size, hash())
}

fn directory(path: &str) -> ManifestEntry {
    ManifestEntry::directory(path.parse().unwrap())
}

fn build(entries: impl IntoIterator<Item = ManifestEntry>) -> Result<(Manifest, String), ManifestError> {
    let mut builder = ManifestBuilder::new(ManifestLimits::default());
    entries.into_iter().try_for_each(|entry| builder.push(entry))?;
    Ok(builder.finish())
}

fn parse_within(limits: ManifestLimits, text: &str) -> Result<Manifest, ManifestError> {
    let mut parser = ManifestParser::new(limits);
    parser.push(text.as_bytes())?;
    parser.finish()
}

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    parse_within(ManifestLimits::default(), text)
}

fn document(inside: &str) -> String {
    format!("<manifest xmlns='urn:xtls:files:0'>{inside}</manifest>")
}

/// What is refused of a document with this inside.
fn refused(inside: &str) -> ManifestError {
    parse(&document(inside)).unwrap_err()
}

fn of_a_file(rest: &str) -> String {
    format!("<file path='a' {rest}/>")
}

fn sample() -> (Manifest, String) {
    let mut script = file("bin/it's fine & well", 3);
    script.mode = Some(0o755);
    script.modified = Some(FileDate::from_unix(0));
    let mut empty = directory("empty");
    empty.mode = Some(0o700);
    build([script, file("none", 0), empty, file("ä/b", 1 << 40)]).unwrap()
}

#[test]
fn a_manifest_says_what_there_is() {
    let (manifest, text) = sample();
    let base64 = hash().base64();
    assert_eq!(
        text,
        format!(
            "<manifest xmlns='urn:xtls:files:0'>\n\
             <file path='bin/it&apos;s fine &amp; well' size='3' mode='755' modified='1970-01-01T00:00:00Z' sha-256='{base64}'/>\n\
             <file path='none' size='0' sha-256='{base64}'/>\n\
             <directory path='empty' mode='700'/>\n\
             <file path='ä/b' size='1099511627776' sha-256='{base64}'/>\n\
             </manifest>\n"
        )
    );
    assert_eq!(parse(&text), Ok(manifest.clone()));
    assert_eq!((manifest.files(), manifest.size(), manifest.entries().len()), (3, 3 + (1 << 40), 4));
}

#[test]
fn how_it_is_cut_makes_no_difference() {
    let (manifest, text) = sample();
    for size in 1..text.len() {
        let mut parser = ManifestParser::new(ManifestLimits::default());
        text.as_bytes().chunks(size).for_each(|piece| parser.push(piece).unwrap());
        assert_eq!(parser.finish().unwrap(), manifest);
    }
    let whole = text.trim_end().len();
    for cut in 0..whole {
        assert_eq!(
            parse(std::str::from_utf8(&text.as_bytes()[..cut]).unwrap_or("")),
            Err(ManifestError::Truncated),
            "{cut}"
        );
    }
}

#[test]
fn what_is_not_known_is_left_out_where_that_is_harmless() {
    let hash = hash().base64();
    let text = format!(
        "<?xml version='1.0'?><manifest xmlns='urn:xtls:files:0' xmlns:o='other' o:a='b' c='d'>\
         <o:note>since <b/> long</o:note><file path='a' size='1' sha-256='{hash}' colour='red'><o:comment/></file></manifest> \n"
    );
    assert_eq!(parse(&text).unwrap().entries(), [file("a", 1)]);
    assert_eq!(parse(&document("")).unwrap().size(), 0);
}

#[test]
fn each_fault_is_told_by_name() {
    let good = format!("size='1' sha-256='{}'", hash().base64());
    let named = || "a".to_owned();
    assert_eq!(parse("<manifest xmlns='urn:other'/>"), Err(ManifestError::NoManifest));
    assert_eq!(parse("<files xmlns='urn:xtls:files:0'/>"), Err(ManifestError::NoManifest));
    assert_eq!(parse(&(document("") + "<more/>")), Err(ManifestError::Trailing));
    assert_eq!(refused("<link path='a' to='/etc'/>"), ManifestError::Kind("link".into()));
    assert_eq!(refused(&format!("<file {good}/>")), ManifestError::NoPath);
    for size in ["", "size=''", "size='-1'", "size='+1'", "size='1.0'", "size='18446744073709551616'", "size='٣'"] {
        let rest = format!("{size} sha-256='{}'", hash().base64());
        assert_eq!(refused(&of_a_file(&rest)), ManifestError::Size(named()), "{size}");
    }
    let short = FileHash::of(FileHashAlgo::Sha512, b"").base64();
    for digest in ["", "sha-256=''", "sha-256='AAAA'", "sha-256='?'", &format!("sha-256='{short}'")] {
        assert_eq!(refused(&of_a_file(&format!("size='1' {digest}"))), ManifestError::Hash(named()), "{digest}");
    }
    for mode in ["", "8", "-1", "0o7", "00644", "rw-"] {
        assert_eq!(refused(&of_a_file(&format!("{good} mode='{mode}'"))), ManifestError::Mode(named()), "{mode}");
    }
    for date in ["", "yesterday", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z"] {
        assert_eq!(refused(&of_a_file(&format!("{good} modified='{date}'"))), ManifestError::Date(named()), "{date}");
    }
    for path in ["", "/etc/passwd", "../a", "a/../../b", "a\\b", "C:/a", "nul", "a/", "&#x202e;a", "a.xtls-part"] {
        let error = refused(&format!("<file path='{path}' {good}/>"));
        assert!(matches!(error, ManifestError::Path { .. }), "{path}: {error}");
    }
    for text in ["x", "<!-- a -->", "<!DOCTYPE a>", "<file path='&#0;'/>", "<o:file/>", "<file path='a' path='b'/>"] {
        let error = refused(text);
        assert!(matches!(error, ManifestError::Xml(_)), "{text}: {error}");
    }
    let other = FileHash::of(FileHashAlgo::Sha512, b"");
    let entry = ManifestEntry::file("a".parse().unwrap(), 1, other);
    assert_eq!(build([entry]).unwrap_err(), ManifestError::Hash(named()));
}

#[test]
fn what_a_peer_calls_its_files_cannot_steer_the_terminal() {
    let error = refused("<directory path='a&#x202e;b'/>");
    assert!(matches!(error, ManifestError::Path { why: NameRefused::Invisible('\u{202e}'), .. }));
    assert!(error.to_string().contains("a\\u{202e}b"), "{error}");
}

#[test]
fn permissions_never_let_anything_run_as_somebody_else() {
    for (mode, masked) in [("4755", 0o755), ("7777", 0o777), ("0644", 0o644), ("1000", 0), ("7", 0o7)] {
        let text = document(&format!("<directory path='a' mode='{mode}'/>"));
        assert_eq!(parse(&text).unwrap().entries()[0].mode, Some(masked));
    }
    let mut entry = directory("a");
    entry.mode = Some(0o6711);
    let (manifest, text) = build([entry]).unwrap();
    assert_eq!(manifest.entries()[0].mode, Some(0o711));
    assert!(text.contains("mode='711'"));
}

#[test]
fn a_path_is_there_once_however_it_is_spelt() {
    let twice = |path: &str| ManifestError::Twice(path.to_owned());
    let alike = |other: &str, path: &str| ManifestError::Alike { path: path.to_owned(), other: other.to_owned() };
    let in_file = |file: &str, path: &str| ManifestError::FileInPath { file: file.to_owned(), path: path.to_owned() };
    for (one, other, error) in [
        (file("a", 1), file("a", 1), twice("a")),
        (directory("a"), directory("a"), twice("a")),
        (directory("a"), file("a", 1), twice("a")),
        (file("README", 1), file("readme", 1), alike("README", "readme")),
        (file("é", 1), file("e\u{301}", 1), alike("é", "e\u{301}")),
        (file("straße", 1), file("STRASSE", 1), alike("straße", "STRASSE")),
        (file("я\u{200d}b", 1), file("яb", 1), alike("я\u{200d}b", "яb")),
        (file("a/x", 1), file("A/y", 1), alike("a/x", "A/y")),
        (directory("a/b"), file("a/B/c", 1), alike("a/b", "a/B/c")),
        (file("a", 1), file("a/b", 1), in_file("a", "a/b")),
        (file("a/b/c", 1), file("a/b", 1), in_file("a/b", "a/b/c")),
        (file("a", 1), directory("a/b/c"), in_file("a", "a/b/c")),
        (file("a", 1), file("A/b", 1), alike("a", "A/b")),
    ] {
        // Whatever else stands near them.
        let others = ["a!", "a-", "a0", "az", "ä", "b", "0"].map(|path| file(path, 1));
        let all = others.into_iter().chain([one, other]);
        assert_eq!(build(all).unwrap_err(), error);
    }
    let fine = [file("a/b", 1), directory("a"), directory("a/c"), file("a/c/d", 1), file("a.b", 1), file("ab", 1)];
    assert!(build(fine).is_ok());
}

#[test]
fn the_size_of_all_files_cannot_overflow() {
    assert_eq!(build([file("a", u64::MAX - 1), file("b", 1)]).unwrap().0.size(), u64::MAX);
    assert_eq!(build([file("a", u64::MAX), file("b", 1)]).unwrap_err(), ManifestError::Total);
    let text = |size: u64| {
        let hash = hash().base64();
        document(&format!("<file path='a' size='{size}' sha-256='{hash}'/><file path='b' size='1' sha-256='{hash}'/>"))
    };
    assert!(parse(&text(u64::MAX - 1)).is_ok());
    assert_eq!(parse(&text(u64::MAX)), Err(ManifestError::Total));
}

#[test]
fn entries_are_counted_at_the_limit_and_one_past_it() {
    assert_eq!(ManifestLimits::default(), ManifestLimits { entries: 100_000, bytes: 32 * 1024 * 1024 });
    let limits = ManifestLimits { entries: 3, ..ManifestLimits::default() };
    let inside = |count: usize| (0..count).map(|n| format!("<directory path='{n}'/>")).collect::<String>();
    assert!(parse_within(limits, &document(&inside(3))).is_ok());
    assert_eq!(parse_within(limits, &document(&inside(4))), Err(ManifestError::TooMany(3)));
    let mut builder = ManifestBuilder::new(limits);
    for path in ["a", "b", "c"] {
        builder.push(directory(path)).unwrap();
    }
    assert_eq!(builder.push(directory("d")), Err(ManifestError::TooMany(3)));
    assert_eq!(parse(&builder.finish().1).unwrap().entries().len(), 3, "what was refused is not in the document");
}

#[test]
fn bytes_are_counted_at_the_limit_and_one_past_it() {
    let (manifest, text) = sample();
    let limits = |bytes: usize| ManifestLimits { bytes, ..ManifestLimits::default() };
    assert_eq!(parse_within(limits(text.len()), &text), Ok(manifest.clone()));
    assert_eq!(parse_within(limits(text.len() - 1), &text), Err(ManifestError::TooLarge(text.len() - 1)));
    let build = |bytes: usize| {
        let mut builder = ManifestBuilder::new(limits(bytes));
        manifest.entries().iter().try_for_each(|entry| builder.push(entry.clone()))
    };
    assert_eq!(build(text.len()), Ok(()));
    assert_eq!(build(text.len() - 1), Err(ManifestError::TooLarge(text.len() - 1)));
    // White space without end is not kept, and counts.
    let mut parser = ManifestParser::new(limits(100_000));
    parser.push(document("").trim_end_matches("</manifest>").as_bytes()).unwrap();
    let error = (0..100).find_map(|_| parser.push(&[b' '; 1024]).err());
    assert_eq!(error, Some(ManifestError::TooLarge(100_000)));
}

#[test]
fn one_entry_cannot_be_endless() {
    let error = refused(&format!("<file path='{}'/>", "a".repeat(17 * 1024)));
    assert!(matches!(error, ManifestError::Xml(e) if matches!(e.kind, ParseErrorKind::Limit(_))));
    let longest = ["&amp;".repeat(255), "&amp;".repeat(255), "&amp;".repeat(255), "&amp;".repeat(256)].join("/");
    let error = refused(&format!("<directory path='{longest}'/>"));
    assert!(
        matches!(error, ManifestError::Path { why: NameRefused::NameTooLong, .. }),
        "it is read, and refused as a name"
    );
}

/// Feeds entries of these paths until something is refused; how many were fed, what it was, and the most bytes of memory.
fn feed(limits: ManifestLimits, path: impl Fn(usize) -> String) -> (usize, Option<ManifestError>, u64) {
    let (mut pushed, mut error) = (0, None);
    let used = allocation_counter::measure(|| {
        let mut parser = ManifestParser::new(limits);
        parser.push(b"<manifest xmlns='urn:xtls:files:0'>").unwrap();
        while error.is_none() && pushed < 10_000_000 {
            let piece: String = (pushed..pushed + 100).map(|n| format!("<directory path='{}'/>", path(n))).collect();
            pushed += 100;
            error = parser.push(piece.as_bytes()).err();
        }
    });
    (pushed, error, used.bytes_max)
}

#[test]
fn ten_million_entries_end_early_and_by_name_in_bounded_memory() {
    let (pushed, error, bytes) = feed(ManifestLimits::default(), |n| n.to_string());
    assert_eq!((pushed, error), (100_100, Some(ManifestError::TooMany(100_000))));
    assert!(bytes < 32 << 20, "{bytes}");
}

#[test]
fn the_longest_document_costs_five_times_its_length_at_most() {
    // A character of two bytes that is six when case and normal form count for nothing.
    let long = ["ΐ".repeat(127), "ΐ".repeat(127), "ΐ".repeat(127), "ΐ".repeat(126)].join("/");
    let limits = ManifestLimits { bytes: 4 << 20, ..ManifestLimits::default() };
    let (_, error, bytes) = feed(limits, |n| format!("{n:06}/{long}"));
    assert_eq!(error, Some(ManifestError::TooLarge(4 << 20)));
    assert!(bytes < 5 * (4 << 20), "{bytes}");
}

#[test]
fn a_byte_of_all_files_is_in_one_of_them() {
    let (manifest, _) =
        build([file("0", 0), file("a", 3), directory("d"), file("b", 0), file("c", 2), file("e", 0)]).unwrap();
    let place = |position| manifest.place(position).map(|place| (place.entry, place.offset, place.left));
    let places: Vec<_> = (0..7).map(place).collect();
    assert_eq!(
        places,
        [Some((1, 0, 3)), Some((1, 1, 2)), Some((1, 2, 1)), Some((4, 0, 2)), Some((4, 1, 1)), None, None]
    );
    assert_eq!(manifest.place(u64::MAX), None);
    assert_eq!(
        (0..7).map(|entry| manifest.range(entry)).collect::<Vec<_>>(),
        [Some(0..0), Some(0..3), Some(3..3), Some(3..3), Some(3..5), Some(5..5), None]
    );
    assert_eq!(build([]).unwrap().0.place(0), None);
}

#[test]
#[allow(clippy::single_range_in_vec_init, reason = "there is one run, of several bytes")]
fn what_is_missing_is_asked_for_in_as_few_runs_as_there_are() {
    let (manifest, _) = build([file("a", 3), directory("d"), file("b", 0), file("c", 2), file("e", 4)]).unwrap();
    for (there, missing) in [
        (vec![], vec![0..9]),
        (vec![3, 0, 0, 2, 4], vec![]),
        (vec![1], vec![1..9]),
        (vec![3, 0, 0, 1], vec![4..9]),
        (vec![0, 0, 0, 2, 0], vec![0..3, 5..9]),
        (vec![2, 0, 0, 1, 3], vec![2..3, 4..5, 8..9]),
        (vec![u64::MAX, u64::MAX, u64::MAX, 0, 0, 7, 7], vec![3..9]),
    ] {
        assert_eq!(manifest.missing(there.clone()), missing, "{there:?}");
    }
}

fn entries() -> impl Strategy<Value = Vec<ManifestEntry>> {
    let entry = ("[a-cA-B](/[a-c&'ä]){0,3}", 0..5_u64, any::<Option<u16>>(), any::<Option<i64>>(), any::<bool>());
    prop::collection::vec(entry, 0..12).prop_map(|entries| {
        let make = |(path, size, mode, date, is_file): (String, _, _, Option<i64>, bool)| {
            let mut entry = if is_file { file(&path, size) } else { directory(&path) };
            (entry.mode, entry.modified) = (mode, date.map(FileDate::from_unix));
            entry
        };
        entries.into_iter().map(make).collect()
    })
}

/// What [`Manifest::missing`] is, byte by byte.
fn missing_bytes(manifest: &Manifest, there: &[u64]) -> Vec<u64> {
    let is_there = |position: &u64| {
        let place = manifest.place(*position).unwrap();
        place.offset < there.get(place.entry).copied().unwrap_or(0)
    };
    (0..manifest.size()).filter(|position| !is_there(position)).collect()
}

proptest! {
    #[test]
    fn what_is_built_is_parsed(entries in entries(), there in prop::collection::vec(0..6_u64, 0..12)) {
        let mut builder = ManifestBuilder::new(ManifestLimits::default());
        let mut kept = Vec::new();
        for entry in entries {
            // A look at all that is there tells the same as the one at the neighbours.
            let clash = kept.iter().any(|kept: &ManifestEntry| clashes(kept, &entry));
            prop_assert_eq!(builder.push(entry.clone()).is_err(), clash, "{:?} {:?}", kept, entry);
            if !clash {
                kept.push(entry);
            }
        }
        let (manifest, text) = builder.finish();
        prop_assert_eq!(parse(&text), Ok(manifest.clone()));
        let runs = manifest.missing(there.iter().copied());
        prop_assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
        prop_assert!(runs.iter().all(|run| run.start < run.end));
        prop_assert_eq!(runs.into_iter().flatten().collect::<Vec<_>>(), missing_bytes(&manifest, &there));
    }

    #[test]
    fn no_document_makes_it_panic(text: String, inside in "(<file|<directory| path='[a-c/.]{0,4}'| size='[0-9]{0,3}'|/>|</file>|x| ){0,12}") {
        let _ = (parse(&text), parse(&document(&inside)));
    }
}

/// Whether two entries cannot stand beside one another: the rule itself.
fn clashes(one: &ManifestEntry, other: &ManifestEntry) -> bool {
    let names = |entry: &ManifestEntry| entry.path.as_str().split('/').map(str::to_owned).collect::<Vec<_>>();
    let fold = |names: &[String]| names.iter().map(|name| crate::name::folded(name)).collect::<Vec<_>>();
    let (a, b) = (names(one), names(other));
    let same = fold(&a).iter().zip(fold(&b)).take_while(|(a, b)| *a == b).count();
    let contains = |outer: &ManifestEntry, (outer_names, inner_names): (&[String], &[String])| {
        !outer.is_directory() && inner_names.len() > outer_names.len() && inner_names.starts_with(outer_names)
    };
    a == b || a[..same] != b[..same] || contains(one, (&a, &b)) || contains(other, (&b, &a))
}
