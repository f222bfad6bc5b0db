//! The `xtls` command as a child process.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use crate::{schema, wait};

/// A running `xtls --json`.
#[derive(Debug)]
pub struct Xtls {
    child: Child,
    stdin: Option<ChildStdin>,
    /// The other end of a terminal that is its standard input.
    terminal: Option<File>,
    /// Of `xtls pipe` and `xtls link … --pipe`, which tell their events on standard error.
    stdout: Option<ChildStdout>,
    events: Arc<Mutex<Vec<Value>>>,
    readers: Vec<JoinHandle<()>>,
    errors: Arc<Mutex<String>>,
    /// How many events [`Xtls::event`] went past.
    passed: usize,
    name: String,
}

/// How a command ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Every event it printed.
    pub events: Vec<Value>,
    /// Its standard error.
    pub stderr: String,
}

/// Both open a stream, each says something to the other, the first ends it in order, and neither has anything to complain of: one
/// tunnel is all there was.
///
/// # Panics
///
/// When that is not so.
pub fn chat_once(mut ends: [Xtls; 2]) {
    for end in &mut ends {
        end.event("stream_open");
    }
    let [one, other] = &mut ends;
    one.line("hello");
    assert_eq!(other.event("message")["body"], "hello");
    other.line("hello");
    assert_eq!(one.event("message")["body"], "hello");
    one.end_input();
    for end in ends {
        let ended = end.wait();
        assert_eq!((ended.code, ended.named("error").count()), (Some(0), 0), "{}", ended.stderr);
        assert_eq!(ended.named("secured").count(), 1);
    }
}

impl Ended {
    /// The events of one name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |event| is_named(event, name))
    }
}

impl Xtls {
    /// Starts `xtls --json --data-dir DIR ARGS` with the password of an account, if one is given.
    ///
    /// # Panics
    ///
    /// When the command cannot be built or started.
    #[must_use]
    pub fn start<I: AsRef<OsStr>>(data_dir: &Path, password: Option<&str>, args: &[I]) -> Self {
        Self::start_as(Command::new(Self::program()), data_dir, password, args)
    }

    /// The same where this runs the program.
    pub(crate) fn start_as<I: AsRef<OsStr>>(
        program: Command,
        data_dir: &Path,
        password: Option<&str>,
        args: &[I],
    ) -> Self {
        Self::start_with(program, data_dir, password, args, Stdio::piped())
    }

    /// The same with a terminal as standard input, at which nobody types.
    ///
    /// # Panics
    ///
    /// When there is no terminal to be had, or as [`Xtls::start`].
    #[must_use]
    pub fn start_at_a_terminal<I: AsRef<OsStr>>(data_dir: &Path, password: Option<&str>, args: &[I]) -> Self {
        let (master, slave) = terminal();
        let mut started = Self::start_with(Command::new(Self::program()), data_dir, password, args, slave.into());
        started.terminal = Some(master);
        started
    }

    /// Runs a command for people to its end, at a terminal where all of this is typed at once. Gives its exit code, and all that
    /// it said.
    ///
    /// # Panics
    ///
    /// When there is no terminal to be had, or the command cannot be run.
    #[must_use]
    pub fn converse<I: AsRef<OsStr>>(data_dir: &Path, args: &[I], typed: &str) -> (Option<i32>, String) {
        let (mut master, slave) = terminal();
        master.write_all(typed.as_bytes()).expect("the terminal takes it");
        let output = Self::command(data_dir).args(args).stdin(slave).output().expect("xtls runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// The command as it is run here, without any arguments but the data directory. It does not know of the configuration of
    /// whoever runs the tests: that is in the data directory.
    #[must_use]
    pub fn command(data_dir: &Path) -> Command {
        let mut command = Command::new(Self::program());
        Self::prepare(&mut command, data_dir);
        command
    }

    /// What all of them are told.
    pub(crate) fn prepare(command: &mut Command, data_dir: &Path) {
        command.env_remove("XTLS_PASSWORD").env("XDG_CONFIG_HOME", data_dir).arg("--data-dir").arg(data_dir);
    }

    /// The program: the one that `XTLS_COMMAND` names, or else built once for each test process.
    #[must_use]
    pub fn program() -> &'static Path {
        static BINARY: OnceLock<PathBuf> = OnceLock::new();
        BINARY.get_or_init(|| std::env::var_os("XTLS_COMMAND").map_or_else(|| build("xtls"), PathBuf::from))
    }

    fn start_with<I: AsRef<OsStr>>(
        mut command: Command,
        data_dir: &Path,
        password: Option<&str>,
        args: &[I],
        stdin: Stdio,
    ) -> Self {
        Self::prepare(&mut command, data_dir);
        command.arg("--json").args(args);
        if let Some(password) = password {
            command.env("XTLS_PASSWORD", password);
        }
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("xtls starts");
        let stdin = child.stdin.take();
        let events = Arc::new(Mutex::new(Vec::new()));
        let errors = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");
        let name = args.first().map(|arg| arg.as_ref().to_string_lossy().into_owned()).unwrap_or_default();
        let has_data = name == "pipe" || args.iter().any(|arg| arg.as_ref() == "--pipe");
        let (stdout, readers) = if has_data {
            (Some(stdout), vec![read_events(stderr, Arc::clone(&events))])
        } else {
            (None, vec![read_events(stdout, Arc::clone(&events)), read_errors(stderr, Arc::clone(&errors))])
        };
        Self { child, stdin, terminal: None, stdout, events, readers, errors, passed: 0, name }
    }

    /// The same with this file as standard input.
    ///
    /// # Panics
    ///
    /// When it cannot be opened, or as [`Xtls::start`].
    #[must_use]
    pub fn start_with_file<I: AsRef<OsStr>>(data_dir: &Path, password: Option<&str>, args: &[I], file: &Path) -> Self {
        let file = File::open(file).expect("the file is there");
        Self::start_with(Command::new(Self::program()), data_dir, password, args, file.into())
    }

    /// Runs a command that needs no input to its end.
    #[must_use]
    pub fn run<I: AsRef<OsStr>>(data_dir: &Path, password: Option<&str>, args: &[I]) -> Ended {
        let mut running = Self::start(data_dir, password, args);
        running.end_input();
        running.wait()
    }

    /// What a command without data directory and events writes to standard output.
    ///
    /// # Panics
    ///
    /// When it fails or has something to complain of.
    #[must_use]
    pub fn output<I: AsRef<OsStr>>(args: &[I]) -> Vec<u8> {
        let output = Command::new(Self::program()).args(args).stdin(Stdio::null()).output().expect("xtls starts");
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Waits for the next event of this name; those before it are passed.
    ///
    /// # Panics
    ///
    /// When the command ends first, or nothing comes in time.
    pub fn event(&mut self, name: &str) -> Value {
        let what = format!("the event {name} of xtls {}", self.name);
        wait::until(&what, || {
            let ended = self.child.try_wait().expect("the state of the child is known").is_some();
            if ended {
                // What is still in the pipes counts.
                for reader in self.readers.drain(..) {
                    reader.join().expect("a reader ends without a panic");
                }
            }
            let found = {
                let events = self.events.lock().expect("no reader panics");
                let later = events.iter().enumerate().skip(self.passed);
                later.filter(|(_, event)| is_named(event, name)).map(|(at, event)| (at, event.clone())).next()
            };
            if let Some((at, event)) = found {
                self.passed = at + 1;
                return Some(event);
            }
            assert!(!ended, "{what} never came: {:?}\n{}", self.events.lock(), self.stderr());
            None
        })
    }

    /// Types a line at the terminal of [`Xtls::start_at_a_terminal`].
    ///
    /// # Panics
    ///
    /// When it was started without one.
    pub fn type_line(&mut self, text: &str) {
        let terminal = self.terminal.as_mut().expect("it was started at a terminal");
        writeln!(terminal, "{text}").expect("the terminal takes it");
    }

    /// Writes a line to its standard input.
    ///
    /// # Panics
    ///
    /// After [`Xtls::end_input`], or when the command is gone.
    pub fn line(&mut self, text: &str) {
        assert!(self.try_line(text), "xtls reads its input");
    }

    /// The same, to a command that may be gone; whether it was there to take it.
    ///
    /// # Panics
    ///
    /// After [`Xtls::end_input`].
    pub fn try_line(&mut self, text: &str) -> bool {
        let stdin = self.stdin.as_mut().expect("the input has not ended");
        writeln!(stdin, "{text}").and_then(|()| stdin.flush()).is_ok()
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// The standard input of `xtls pipe`.
    ///
    /// # Panics
    ///
    /// When it was taken or ended before.
    #[must_use]
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("the input is there")
    }

    /// The standard output of `xtls pipe`.
    ///
    /// # Panics
    ///
    /// When it was taken before, or the command tells its events there.
    #[must_use]
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.stdout.take().expect("the output is there")
    }

    /// Presses Ctrl-C.
    ///
    /// # Panics
    ///
    /// When the signal cannot be sent.
    pub fn interrupt(&self) {
        self.signal("-INT");
    }

    /// Closes the terminal that it runs in.
    ///
    /// # Panics
    ///
    /// When the signal cannot be sent.
    pub fn hang_up(&self) {
        self.signal("-HUP");
    }

    /// Stops it as a job that goes on later; a killed one goes on no more.
    ///
    /// # Panics
    ///
    /// When the signal cannot be sent.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Panics
    ///
    /// When the signal cannot be sent.
    pub fn unpause(&self) {
        self.signal("-CONT");
    }

    /// Up to where it has read this file, which it holds open. Sound only while it is paused.
    ///
    /// # Panics
    ///
    /// When it does not hold the file open, or is gone.
    #[must_use]
    pub fn position(&self, file: &Path) -> u64 {
        let process = Path::new("/proc").join(self.child.id().to_string());
        let mut held = std::fs::read_dir(process.join("fd")).expect("it runs").map(|entry| entry.expect("it runs"));
        let descriptor = held
            .find(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == file))
            .expect("it holds the file open");
        let information =
            std::fs::read_to_string(process.join("fdinfo").join(descriptor.file_name())).expect("it runs");
        let position = information.lines().find_map(|line| line.strip_prefix("pos:")?.trim().parse().ok());
        position.expect("the kernel says so")
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success(), "kill failed");
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The most memory that it has had so far, in bytes.
    ///
    /// # Panics
    ///
    /// When it is gone.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak.map(|kibibytes: u64| kibibytes * 1024).expect("the kernel says so")
    }

    /// Its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.errors.lock().expect("no reader panics").clone()
    }

    /// Waits until it ends; its standard input stays as it is.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    #[must_use]
    pub fn wait(mut self) -> Ended {
        let what = format!("the end of xtls {}", self.name);
        let status = wait::until(&what, || self.child.try_wait().expect("the state of the child is known"));
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader ends without a panic");
        }
        let events = self.events.lock().expect("no reader panics").clone();
        Ended { code: status.code(), events, stderr: self.stderr() }
    }
}

impl Drop for Xtls {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprint(&format!("--- xtls {}\n{:#?}\n{}", self.name, self.events.lock(), self.stderr()));
        }
    }
}

#[allow(clippy::print_stderr, reason = "shown with a failed test")]
fn eprint(text: &str) {
    eprintln!("{text}");
}

fn is_named(event: &Value, name: &str) -> bool {
    event.get("event").and_then(Value::as_str) == Some(name)
}

/// Events that are about a peer.
const ABOUT_A_PEER: [&str; 8] =
    ["incoming", "redirected", "secured", "stream_open", "recipient", "message", "not_sent", "closed"];

/// With `--json` every line of standard output (with `xtls pipe`, of standard error) is an event of the schema, with the
/// `time`, which is not kept, and the `peer` that it is about.
fn read_events(from: impl Read + Send + 'static, events: Arc<Mutex<Vec<Value>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let line = line.expect("events are UTF-8");
            let mut event: Value =
                serde_json::from_str(&line).unwrap_or_else(|e| panic!("no JSON on a line: {e}: {line:?}"));
            assert!(event.get("event").is_some_and(Value::is_string), "an object without event: {line}");
            schema::check(&event);
            assert!(event.get("peer").is_some() || !ABOUT_A_PEER.iter().any(|name| is_named(&event, name)), "{line}");
            let time = event.as_object_mut().and_then(|members| members.remove("time"));
            assert!(time.as_ref().and_then(Value::as_str).is_some_and(is_time), "an event without time: {line}");
            events.lock().expect("no reader panics").push(event);
        }
    })
}

/// Whether this is such as `2026-01-02T03:04:05.678Z`.
fn is_time(text: &str) -> bool {
    let shape = text.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    shape.eq(*b"0000-00-00T00:00:00.000Z")
}

fn read_errors(from: impl Read + Send + 'static, errors: Arc<Mutex<String>>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let line = line.expect("standard error is UTF-8");
            let mut errors = errors.lock().expect("no reader panics");
            errors.push_str(&line);
            errors.push('\n');
        }
    })
}

/// Writes a file that nobody else may read: what others can read is warned of.
pub(crate) fn write_private(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("it is in a directory")).expect("the directory is made");
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(path).expect("the file is made");
    file.write_all(text.as_bytes()).expect("the file is written");
}

/// Both ends of a terminal: where somebody types, and where that is read.
pub(crate) fn terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("the terminal is ours");
    let name = ptsname(&master, Vec::new()).expect("the terminal has a name");
    let name = OsStr::from_bytes(name.as_bytes());
    let slave = File::options().read(true).write(true).open(name).expect("the terminal opens");
    (master.into(), slave)
}

/// The packages whose programs are tested here. All are built at once, and so with the same features: what they stand on is
/// compiled once.
const PACKAGES: [&str; 4] = ["xtls-cli", "chat-client", "echo-client", "sasl-login"];

/// Builds a program of one of these packages as cargo builds these tests, since a dependency on a binary cannot be declared, and
/// gives its path. In a build of more packages, which `XTLS_PACKAGES` names as `tests/run` does, with what that has compiled.
///
/// # Panics
///
/// When it cannot be built.
#[must_use]
pub fn build(program: &str) -> PathBuf {
    static BUILT: OnceLock<String> = OnceLock::new();
    let messages = BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--bins", "--message-format", "json"]);
        match std::env::var("XTLS_PACKAGES") {
            // An example has dev-dependencies, and with them come the features that tests have.
            Ok(packages) => command.args(packages.split_whitespace()).args(["--example", "peer"]),
            Err(_) => command.args(PACKAGES.iter().flat_map(|package| ["--package", package])),
        };
        let output =
            command.arg("--manifest-path").arg(manifest).stderr(Stdio::inherit()).output().expect("cargo starts");
        assert!(output.status.success(), "cargo cannot build the programs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    let path = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message.pointer("/target/name").and_then(Value::as_str) == Some(program))
        .filter_map(|message| message.get("executable").and_then(Value::as_str).map(PathBuf::from))
        .next();
    path.expect("cargo names the executable")
}
