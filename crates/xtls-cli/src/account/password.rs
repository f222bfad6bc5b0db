//! Where the password of an account comes from.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use xtls_stanza::jid::BareJid;
use zeroize::Zeroizing;

use crate::args::LoginArgs;
use crate::config::StoredPassword;
use crate::exit::Failure;
use crate::output::Output;
use crate::platform;

/// Longest first line of a password file, or of what a command prints, in bytes.
const MAX_LINE: usize = 4096;
/// The most that a command may print after that, in bytes.
const MAX_REST: usize = 64 * 1024;
/// What a file with a password is called.
pub(crate) const PASSWORD_FILE: &str = "password file";
/// The variable that may hold the password.
const PASSWORD_VARIABLE: &str = "XTLS_PASSWORD";

/// Warns of a secret in a file that other users of the machine can read; `what` is the kind of file.
pub(crate) fn warn_if_exposed(output: Output, what: &str, path: &Path) {
    if xtls_store::is_readable_by_all(path) {
        let name = path.display();
        output.warn(&format!("the {what} {name} can be read by every user of this machine: chmod 600 {name}"));
    }
}

/// Reads the password from the file that an option names, the environment, what the configuration file says, or the terminal, in
/// this order.
///
/// # Errors
///
/// When there is none: the file cannot be read or is empty, the command fails, or nobody can be asked.
pub(crate) fn password(output: Output, account: &BareJid, login: &LoginArgs) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = &login.password_file {
        return from_file(output, path);
    }
    if let Some(value) = std::env::var_os(PASSWORD_VARIABLE) {
        let value = value.into_string().map_err(|_| Failure::usage(format!("{PASSWORD_VARIABLE} is not UTF-8")))?;
        return not_empty(Zeroizing::new(value), PASSWORD_VARIABLE);
    }
    if let Some(source) = &login.stored_password {
        return stored_password(output, account, source);
    }
    if !crate::output::is_somebody_there() {
        return Err(Failure::usage(format!(
            "no password for {account}: give --password-file FILE or set {PASSWORD_VARIABLE}"
        )));
    }
    let typed = rpassword::prompt_password(format!("Password of {account}: "))
        .map_err(|e| Failure::other(format!("the password cannot be read from the terminal: {e}")))?;
    not_empty(Zeroizing::new(typed), "the password typed")
}

/// Reads the password from where the configuration file says.
///
/// # Errors
///
/// When the file cannot be read or is empty, or the command fails or prints nothing.
pub(crate) fn stored_password(
    output: Output,
    account: &BareJid,
    source: &StoredPassword,
) -> Result<Zeroizing<String>, Failure> {
    match source {
        StoredPassword::File(path) => from_file(output, path),
        StoredPassword::Shell(line) => from_command(platform::shell(line), account),
        StoredPassword::Program(words) => {
            let (program, arguments) = words.split_first().ok_or_else(|| Failure::usage("there is no command"))?;
            let mut command = Command::new(program);
            command.args(arguments);
            from_command(command, account)
        }
    }
}

fn from_file(output: Output, path: &Path) -> Result<Zeroizing<String>, Failure> {
    warn_if_exposed(output, PASSWORD_FILE, path);
    not_empty(first_line(PASSWORD_FILE, path)?, &format!("the first line of {}", path.display()))
}

/// The first line that a command prints; what else it prints does not matter, and is shown nowhere.
fn from_command(mut command: Command, account: &BareJid) -> Result<Zeroizing<String>, Failure> {
    let name = format!("the output of the password-command of {account}");
    let fails = |why: String| Failure::other(format!("the password-command of {account} {why}"));
    // Our own input is for other things. What the command complains of is for the user.
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|e| fails(format!("cannot be run: {e}")))?;
    let mut out = child.stdout.take().ok_or_else(|| fails("has no output".to_owned()))?;
    let line = line_of(&mut out, &name, |e| fails(format!("cannot be read: {e}"))).and_then(|line| {
        pass_over(&mut out).map_err(|e| fails(format!("cannot be read: {e}")))?;
        Ok(line)
    });
    drop(out);
    if line.is_err() {
        // It may have ended by itself.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|e| fails(format!("is lost: {e}")))?;
    let line = line?;
    if !status.success() {
        let how =
            status.code().map_or_else(|| "was ended by a signal".to_owned(), |code| format!("failed with code {code}"));
        return Err(fails(format!("{how}: run it by hand to see why")));
    }
    not_empty(line, &name)
}

/// Reads what comes after the line, so that the command can end as it wants to.
fn pass_over(from: &mut impl Read) -> io::Result<()> {
    let mut buffer = Zeroizing::new([0; MAX_LINE]);
    let mut rest = MAX_REST;
    while rest > 0 {
        match from.read(buffer.as_mut_slice()) {
            Ok(0) => return Ok(()),
            Ok(count) => rest = rest.saturating_sub(count),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::other(format!("it is longer than {} KiB", MAX_REST / 1024)))
}

/// The first line of a file with a secret, without its end and a byte order mark before it; it may be empty. No other copy of it is left in memory.
///
/// # Errors
///
/// When the file cannot be read, or the line is longer than 4096 bytes or not UTF-8.
pub(crate) fn first_line(what: &str, path: &Path) -> Result<Zeroizing<String>, Failure> {
    let name = path.display();
    let unreadable = |e: io::Error| Failure::other(format!("the {what} {name} cannot be read: {e}; give another file"));
    let mut file = File::open(path).map_err(unreadable)?;
    line_of(&mut file, &name.to_string(), unreadable)
}

/// The same of whatever can be read. A little more than the line may have been read.
fn line_of(
    from: &mut impl Read,
    name: &str,
    unreadable: impl Fn(io::Error) -> Failure,
) -> Result<Zeroizing<String>, Failure> {
    let mut buffer = Zeroizing::new([0; MAX_LINE + 1]);
    let mut filled = 0;
    let line = loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        let count = match from.read(room) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            count => count.map_err(&unreadable)?,
        };
        filled += count;
        let read = buffer.get(..filled).unwrap_or_default();
        if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            break read.get(..end).unwrap_or_default();
        }
        if filled > MAX_LINE {
            return Err(Failure::usage(format!("the first line of {name} is longer than {MAX_LINE} bytes")));
        }
        if count == 0 {
            break read;
        }
    };
    match std::str::from_utf8(line) {
        // Some editors write a byte order mark, which nobody types.
        Ok(line) => Ok(Zeroizing::new(line.trim_start_matches('\u{feff}').trim_end_matches('\r').to_owned())),
        Err(_) => Err(Failure::usage(format!("the first line of {name} is not UTF-8"))),
    }
}

fn not_empty(password: Zeroizing<String>, source: &str) -> Result<Zeroizing<String>, Failure> {
    if password.is_empty() {
        Err(Failure::usage(format!("{source} is empty, a password was expected")))
    } else {
        Ok(password)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_the_first_line_of_the_password_file_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, " secret \r\nsecond\n").unwrap();
        assert_eq!(first_line(PASSWORD_FILE, &path).unwrap().as_str(), " secret ");
        std::fs::write(&path, "\u{feff} secret \r\nsecond\n").unwrap();
        assert_eq!(first_line(PASSWORD_FILE, &path).unwrap().as_str(), " secret ");
        std::fs::write(&path, "\nsecond\n").unwrap();
        assert_eq!(first_line(PASSWORD_FILE, &path).unwrap().as_str(), "");
        assert!(not_empty(first_line(PASSWORD_FILE, &path).unwrap(), "it").unwrap_err().message.contains("is empty"));
        assert!(first_line(PASSWORD_FILE, &dir.path().join("absent")).is_err());
    }

    #[test]
    fn a_line_is_never_cut_short() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        for end in ["", "\n", "\nsecond"] {
            std::fs::write(&path, "x".repeat(MAX_LINE) + end).unwrap();
            assert_eq!(first_line(PASSWORD_FILE, &path).unwrap().len(), MAX_LINE);
            std::fs::write(&path, "x".repeat(MAX_LINE + 1) + end).unwrap();
            assert_eq!(first_line(PASSWORD_FILE, &path).unwrap_err().code, crate::exit::Code::Usage);
        }
        std::fs::write(&path, b"\xff\n").unwrap();
        assert_eq!(first_line(PASSWORD_FILE, &path).unwrap_err().code, crate::exit::Code::Usage);
    }
    #[cfg(unix)]
    #[test]
    fn a_command_prints_the_password_in_its_first_line_and_whatever_it_likes_after_it() {
        let from = |line: &str| from_command(platform::shell(line), &"a@b".parse().unwrap());
        assert_eq!(from("echo ' secret '; echo second").unwrap().as_str(), " secret ");
        assert_eq!(from("printf secret").unwrap().as_str(), "secret");
        // All of it is read: the command is not killed by a pipe that nobody reads.
        assert_eq!(from("echo secret; head -c 60000 /dev/zero").unwrap().as_str(), "secret");
        for (line, why) in [
            ("echo secret; exit 3", "the password-command of a@b failed with code 3"),
            ("echo secret; kill -9 $$", "the password-command of a@b was ended by a signal"),
            ("echo; echo secret", "the output of the password-command of a@b is empty"),
            (
                "head -c 4097 /dev/zero",
                "the first line of the output of the password-command of a@b is longer than 4096",
            ),
            ("echo secret; cat /dev/zero", "the password-command of a@b cannot be read: it is longer than 64 KiB"),
            ("printf '\\377\\n'", "the first line of the output of the password-command of a@b is not UTF-8"),
        ] {
            let failure = from(line).unwrap_err();
            assert!(failure.message.starts_with(why), "{line}: {failure}");
            assert!(!failure.message.contains("secret"), "{failure}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let failure = from_command(Command::new("/nowhere/at/all"), &"a@b".parse().unwrap()).unwrap_err();
        assert!(failure.message.starts_with("the password-command of a@b cannot be run: "), "{failure}");
    }
}
