//! The scripts and pages that the command makes of its own definition, in the programs that read them.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use xtls_interop::Xtls;

/// Runs a program on this input.
fn run(program: &str, args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|e| panic!("{program} cannot be started: {e}; tests/run installs it"));
    child.stdin.take().expect("the input is piped").write_all(input).expect("it reads its input");
    child.wait_with_output().expect("it ends")
}

#[test]
fn bash_takes_its_completions_and_every_shell_has_some() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Xtls::output(&["completions", shell]);
        for word in ["listen", "close-on-eof", "accept-from"] {
            assert!(String::from_utf8_lossy(&script).contains(word), "{word} is missing for {shell}");
        }
    }
    let script = Xtls::output(&["completions", "bash"]);
    let checked = run("bash", &["-n"], &script);
    assert!(checked.status.success() && checked.stderr.is_empty(), "{}", String::from_utf8_lossy(&checked.stderr));
    // And they do complete.
    let asks = b"\nCOMP_WORDS=(xtls pipe --close); COMP_CWORD=2; _xtls xtls --close pipe; echo \"${COMPREPLY[@]}\"\n";
    let completed = run("bash", &["--norc"], &[&script, &asks[..]].concat());
    assert_eq!(String::from_utf8_lossy(&completed.stdout).trim(), "--close-on-eof");
}

#[test]
fn groff_renders_every_page_without_a_warning() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("man1");
    let written = Xtls::output(&["man", "--out", &path.display().to_string()]);
    assert!(written.is_empty());
    let mut pages = vec![Xtls::output(&["man"])];
    for entry in fs::read_dir(path).expect("the pages are there") {
        pages.push(fs::read(entry.expect("a page").path()).expect("it is read"));
    }
    assert!(pages.len() > 10);
    for page in pages {
        let rendered = run("groff", &["-man", "-ww", "-Tascii", "-P-cbou"], &page);
        let text = String::from_utf8_lossy(&rendered.stdout);
        assert!(rendered.status.success(), "{text}");
        assert_eq!(String::from_utf8_lossy(&rendered.stderr), "", "{text}");
        let sections: Vec<&str> =
            text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase())).collect();
        for section in ["NAME", "SYNOPSIS", "OPTIONS", "EXIT STATUS"] {
            assert!(sections.contains(&section), "{section} is missing: {text}");
        }
    }
}
