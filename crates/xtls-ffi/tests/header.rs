//! `include/xtls.h` is what the sources make. `XTLS_WRITE_HEADER=1 cargo test -p xtls-ffi --test header` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use cbindgen::{Builder, Config, DocumentationStyle, Language, SortKey, Style};
use xtls_bindings::{Code, Disposition, EventKind};

/// In the order in which a reader wants them.
const SOURCES: &[&str] = &["abi", "names", "identity", "engine", "stanzas", "tunnels", "people"];

const TOP: &str = "/* XTLS for C: end-to-end encrypted tunnels between XMPP entities.
 *
 * docs/guide/c.md of the repository shows a whole client. What holds for all of it:
 *
 * - The library does no I/O and starts no thread. Stanzas, bytes and the time go in; stanzas, bytes, events and the next deadline
 *   come out. All calls return at once, but for your own store and log.
 * - Every function returns XTLS_OK, or a code that says why it did nothing; xtls_strerror has words for it, and xtls_last_error says
 *   on the same thread what it was about.
 * - Texts that go in end with a zero and are UTF-8, unless a length stands beside them. A pointer must point to what it is said to;
 *   one that is null where it must not be is XTLS_NULL_POINTER.
 * - What comes out is copied into your buffer. Where that is too small, the call says XTLS_BUFFER_TOO_SMALL and, in `length`, how much
 *   is needed; nothing is lost, and the call can be made again. A null buffer of size 0 asks for the length alone.
 * - An engine may be used from any thread, and by one call at a time: any other is XTLS_BUSY, and so is one from inside of your
 *   store or log. Nothing waits.
 * - Structs that begin with their size can grow. Set all to zero, and the size to sizeof.
 * - A fault of the library that would end a program written in Rust ends the call with XTLS_PANICKED, and the engine says
 *   XTLS_POISONED from then on: free it.
 */";

fn constants() -> String {
    let mut text = String::new();
    let mut table = |title: &str, prefix: &str, rows: Vec<(i32, &str, &str)>| {
        writeln!(text, "\n/* {title} */\nenum {{").expect("text");
        for (number, name, words) in rows {
            let name = name.to_uppercase().replace('-', "_");
            writeln!(text, "  {prefix}{name} = {number}, /* {words} */").expect("text");
        }
        writeln!(text, "}};").expect("text");
    };
    let codes = Code::ALL.iter().map(|one| (one.number(), one.as_str(), one.words())).collect();
    table("What a call did, or why it did nothing: xtls_code.", "XTLS_", codes);
    let kinds = EventKind::ALL.iter().map(|one| (one.number(), one.as_str(), one.words())).collect();
    table("What an event is: xtls_event.kind.", "XTLS_EVENT_", kinds);
    let dispositions = Disposition::ALL.iter().map(|one| (one.number(), one.as_str(), one.words())).collect();
    table("What became of a stanza: xtls_handled.disposition.", "XTLS_", dispositions);
    text
}

fn header(root: &Path) -> String {
    let mut config = Config {
        language: Language::C,
        cpp_compat: true,
        header: Some(TOP.to_owned()),
        after_includes: Some(constants()),
        include_guard: Some("XTLS_H".to_owned()),
        no_includes: true,
        sys_includes: ["stdbool.h", "stddef.h", "stdint.h"].map(str::to_owned).to_vec(),
        style: Style::Type,
        sort_by: SortKey::None,
        usize_is_size_t: true,
        documentation: true,
        documentation_style: DocumentationStyle::C,
        line_length: 100,
        tab_width: 2,
        ..Config::default()
    };
    config.function.sort_by = Some(SortKey::None);
    config.constant.sort_by = Some(SortKey::None);
    for (rust, c) in [
        ("XtlsEngine", "xtls_engine"),
        ("XtlsCode", "xtls_code"),
        ("XtlsSetting", "xtls_setting"),
        ("XtlsStore", "xtls_store"),
        ("XtlsLog", "xtls_log"),
        ("XtlsSetup", "xtls_setup"),
        ("XtlsHandled", "xtls_handled"),
        ("XtlsEvent", "xtls_event"),
        ("XtlsStats", "xtls_stats"),
    ] {
        config.export.rename.insert(rust.to_owned(), c.to_owned());
    }
    let mut builder = Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root.join(format!("src/{source}.rs")));
    }
    let mut made = Vec::new();
    builder.generate().expect("the sources can be read").write(&mut made);
    let made = String::from_utf8(made).expect("UTF-8");
    // What is said of safety is for readers of Rust. What is one line stands on one.
    let made = made.replace("\n\n # Safety\n\n The pointers are as the header says.\n", "\n");
    let lines: Vec<&str> = made.lines().collect();
    let (mut short, mut at) = (String::new(), 0);
    while let Some(line) = lines.get(at) {
        let next = |ahead: usize| lines.get(at + ahead).map_or("", |line| line.trim());
        if line.trim() == "/*" && next(2) == "*/" {
            writeln!(short, "{line} {} */", next(1)).expect("text");
            at += 3;
        } else {
            writeln!(short, "{line}").expect("text");
            at += 1;
        }
    }
    short
}

#[test]
fn the_header_is_what_the_sources_make() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (path, made) = (root.join("include/xtls.h"), header(root));
    if std::env::var_os("XTLS_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).expect("written");
    }
    let kept = std::fs::read_to_string(&path).expect("include/xtls.h");
    let first = made.lines().zip(kept.lines()).position(|(one, other)| one != other);
    assert!(
        made == kept,
        "include/xtls.h is old, from line {first:?}: XTLS_WRITE_HEADER=1 cargo test -p xtls-ffi --test header"
    );
}

#[test]
fn the_header_has_every_code_and_kind_once_and_every_function() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = header(root);
    let codes = Code::ALL.iter().map(|one| format!("XTLS_{} = {},", upper(one.as_str()), one.number()));
    let kinds = EventKind::ALL.iter().map(|one| format!("XTLS_EVENT_{} = {},", upper(one.as_str()), one.number()));
    let dispositions = Disposition::ALL.iter().map(|one| format!("XTLS_{} = {},", upper(one.as_str()), one.number()));
    let all: Vec<_> = codes.chain(kinds).chain(dispositions).collect();
    for constant in &all {
        assert_eq!(kept.matches(&format!("  {constant}")).count(), 1, "{constant}");
    }
    let names: std::collections::BTreeSet<_> = all.iter().map(|constant| constant.split(' ').next()).collect();
    assert_eq!(names.len(), all.len(), "the constants of C are in one space");
    for source in SOURCES {
        let text = std::fs::read_to_string(root.join(format!("src/{source}.rs"))).expect("a source");
        for function in text.split("extern \"C\" fn xtls_").skip(1) {
            let name = function.split('(').next().expect("a name");
            assert!(kept.contains(&format!(" xtls_{name}(")) || kept.contains(&format!("*xtls_{name}(")), "{name}");
        }
    }
}

fn upper(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
