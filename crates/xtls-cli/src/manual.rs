//! `xtls man` and `xtls completions`: what the definition of the command line says of itself.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::{Cli, EXIT_CODES};
use crate::exit::Failure;

/// Writes the page of the whole command to standard output, or the pages of it and all subcommands into a directory.
pub(crate) fn man(directory: Option<&Path>) -> Result<(), Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    match directory {
        None => page(command).and_then(|page| to_stdout(&page)).map_err(|e| unwritable(&e)),
        Some(directory) => pages(command, directory).map_err(|e| {
            Failure::other(format!("the manual cannot be written to {}: {e}; give another --out", directory.display()))
        }),
    }
}

/// Writes the script of a shell to standard output.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "xtls", &mut script);
    to_stdout(&script).map_err(|e| unwritable(&e))
}

fn pages(command: clap::Command, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        pages(subcommand.clone(), directory)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    std::fs::write(directory.join(format!("{name}.1")), page(command)?)
}

/// A page in roff.
fn page(command: clap::Command) -> io::Result<Vec<u8>> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let (has_subcommands, has_version) = (command.has_subcommands(), command.get_version().is_some());
    let synopsis = synopsis(&command);
    let man = Man::new(command).title(name);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    // No option is hyphenated.
    write!(page, ".SH SYNOPSIS\n.nh\n.ad l\n{synopsis}.ad b\n.hy\n")?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_subcommands {
        man.render_subcommands_section(&mut page)?;
    }
    writeln!(page, ".SH \"EXIT STATUS\"")?;
    for (code, meaning) in EXIT_CODES {
        writeln!(page, ".TP\n{code}\n{meaning}")?;
    }
    writeln!(page, ".SH ENVIRONMENT\n.TP\nXTLS_PASSWORD\nThe password of the account, where no file gives it.")?;
    if has_version {
        man.render_version_section(&mut page)?;
    }
    Ok(page)
}

/// How the command is called: every option with its value, which clap_mangen leaves out.
fn synopsis(command: &clap::Command) -> String {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let roff = |text: &str| text.replace('-', "\\-");
    let mut lines = vec![format!("\\fB{}\\fR", roff(name))];
    let is_shown = |arg: &&clap::Arg| !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version");
    for arg in command.get_arguments().filter(is_shown) {
        let values = arg.get_value_names().unwrap_or_default().iter().map(|value| format!("\\fI{}\\fR", roff(value)));
        let values = if arg.get_action().takes_values() { values.collect::<Vec<_>>().join(" ") } else { String::new() };
        let more = if matches!(arg.get_action(), clap::ArgAction::Append) { "..." } else { "" };
        let call = match arg.get_long() {
            Some(long) => format!("\\fB{}\\fR {values}", roff(&format!("--{long}"))).trim_end().to_owned(),
            None => values,
        };
        lines.push(if arg.is_required_set() { format!("{call}{more}") } else { format!("[{call}]{more}") });
    }
    if command.has_subcommands() {
        lines.push("\\fICOMMAND\\fR".to_owned());
    }
    lines.join("\n") + "\n"
}

fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

fn unwritable(e: &io::Error) -> Failure {
    Failure::other(format!("standard output cannot be written: {e}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_sections() {
        let dir = tempfile::tempdir().unwrap();
        man(Some(dir.path())).unwrap();
        let mut names: Vec<String> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected = [
            "xtls-account-add.1",
            "xtls-account-default.1",
            "xtls-account-list.1",
            "xtls-account-remove.1",
            "xtls-account-show.1",
            "xtls-account.1",
            "xtls-chat.1",
            "xtls-completions.1",
            "xtls-demo.1",
            "xtls-identity.1",
            "xtls-link-connect.1",
            "xtls-link-list.1",
            "xtls-link-listen.1",
            "xtls-link.1",
            "xtls-listen.1",
            "xtls-man.1",
            "xtls-pair.1",
            "xtls-pipe.1",
            "xtls-probe.1",
            "xtls-receive.1",
            "xtls-send.1",
            "xtls-subscribe.1",
            "xtls-trust-add.1",
            "xtls-trust-list.1",
            "xtls-trust-remove.1",
            "xtls-trust-reset.1",
            "xtls-trust-show.1",
            "xtls-trust.1",
            "xtls-verify.1",
            "xtls.1",
        ];
        assert_eq!(names, expected);
        for name in names {
            let text = std::fs::read_to_string(dir.path().join(&name)).unwrap();
            for section in ["NAME", "SYNOPSIS", "OPTIONS", "\"EXIT STATUS\""] {
                assert!(text.contains(&format!(".SH {section}\n")), "{name} has no {section}:\n{text}");
            }
        }
        let add = std::fs::read_to_string(dir.path().join("xtls-trust-add.1")).unwrap();
        let called = [
            "\\fBxtls trust add\\fR",
            "\\fIJID\\fR",
            "\\fIFINGERPRINT\\-OR\\-PEM\\fR...",
            "[\\fB\\-\\-keep\\fR]",
            "[\\fB\\-\\-replace\\fR]",
            "[\\fB\\-\\-json\\fR]",
            "[\\fB\\-\\-data\\-dir\\fR \\fIDIR\\fR]",
            "[\\fB\\-\\-config\\fR \\fIFILE\\fR]",
            ".ad b",
        ];
        let mut lines = add.lines().skip_while(|line| *line != ".SH SYNOPSIS").skip(3);
        for (line, expected) in lines.by_ref().zip(called) {
            assert!(line.starts_with(expected), "{line}: {expected}\n{add}");
        }
        let pipe = std::fs::read_to_string(dir.path().join("xtls-pipe.1")).unwrap();
        assert!(pipe.contains("close\\-on\\-eof") && pipe.contains("xtls pipe"), "{pipe}");
    }
}
