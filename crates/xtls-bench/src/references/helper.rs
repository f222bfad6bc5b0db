//! A process that does the same with something else: a line with the work goes in, a line with the seconds comes out.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::failure::{Failure, Missing};

/// The process; it ends with this.
pub(crate) struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts it, and waits until it says that it is ready.
    ///
    /// # Errors
    ///
    /// When there is no such program, or it says on standard error why it cannot do the work here.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Missing> {
        let program = command.get_program().to_string_lossy().into_owned();
        let missing = |why: &dyn std::fmt::Display| Missing::new(format!("{program}: {why}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| missing(&error))?;
        let (input, output) = child.stdin.take().zip(child.stdout.take()).ok_or_else(|| missing(&"no pipes"))?;
        let mut helper = Self { child, input, output: BufReader::new(output) };
        let mut line = String::new();
        let read = helper.output.read_line(&mut line);
        if read.is_ok() && line.trim() == "ready" {
            return Ok(helper);
        }
        let mut why = String::new();
        if let Some(mut stderr) = helper.child.stderr.take() {
            let _ = stderr.read_to_string(&mut why);
        }
        let last = why.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it does not say that it is ready");
        Err(missing(&last))
    }

    /// Lets it do some work, and gives the seconds that it took.
    pub(crate) fn ask(&mut self, work: &str) -> Result<f64, Failure> {
        let failed = |why: &dyn std::fmt::Display| Failure::new(format!("a helper process failed at {work:?}: {why}"));
        writeln!(self.input, "{work}").map_err(|error| failed(&error))?;
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| failed(&error))?;
        line.trim().parse().map_err(|_| failed(&format!("it answers {:?}", line.trim())))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Helper, Missing> {
        Helper::start(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn a_helper_answers_with_seconds() {
        let mut helper = shell("echo ready; while read n; do echo $n.5; done").expect("there is a shell");
        assert_eq!(helper.ask("3").expect("it answers"), 3.5);
        assert_eq!(helper.ask("4").expect("it answers"), 4.5);
    }

    #[test]
    fn what_is_missing_says_why() {
        let why = |helper: Result<Helper, Missing>| helper.err().map(|missing| missing.to_string());
        assert_eq!(why(shell("echo 'there is none' >&2; exit 1")), Some("sh: there is none".to_owned()));
        assert_eq!(why(shell("true")), Some("sh: it does not say that it is ready".to_owned()));
        assert!(why(Helper::start(&mut Command::new("/nowhere/helper"))).is_some());
    }

    #[test]
    fn a_helper_that_dies_or_talks_nonsense_is_a_failure() {
        assert!(shell("echo ready; read n").expect("there is a shell").ask("1").is_err());
        assert!(shell("echo ready; read n; echo soon").expect("there is a shell").ask("1").is_err());
    }
}
