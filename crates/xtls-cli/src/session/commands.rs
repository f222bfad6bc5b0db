//! Lines that are commands.

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Message(String),
    /// `/to ADDRESS`
    Choice(String),
    /// `/to`
    Question,
    /// `/help`
    Help,
    /// `/quit`
    Quit,
    /// It is for whoever has the tunnels.
    Command(Command),
}

/// What is asked of the tunnels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `/who`: whom there are tunnels with.
    Who,
    /// `/verify`: a string is to be compared with the peer that lines go to.
    Verify,
    /// `/verify yes`, `/verify no`: how it went.
    Answer(bool),
    /// `/verify stop`: it is not to go on.
    Stop,
    /// `/send FILE…`: files go to the peer that lines go to. They are still as they were typed.
    Send(String),
    /// `/take`, `/take NUMBER`: what a peer offers is wanted.
    Take(Option<u64>),
    /// `/refuse`, `/refuse NUMBER`: it is not, or what is on its way is to be broken off.
    Refuse(Option<u64>),
    /// `/files`: what is on its way.
    Files,
}

/// The commands as Tab completes them.
pub(super) const COMMANDS: [&str; 12] = [
    "/files",
    "/help",
    "/quit",
    "/refuse",
    "/send",
    "/take",
    "/to",
    "/verify",
    "/verify no",
    "/verify stop",
    "/verify yes",
    "/who",
];

/// What files are named after: Tab completes those.
pub(crate) const SEND: &str = "/send ";

/// What `/help` says.
pub(super) const HELP: &str = "\
/to PEER      lines go to this peer from now on; /to alone says whom they go to
/who          whom you are connected with, and by which certificates
/verify       compare a short string with a peer met by a leap of faith;
              /verify yes or /verify no says whether it is the same there,
              and /verify stop that you will not say
/send FILE... send files or directories to the peer that lines go to; quotes,
              or a backslash, for blanks in a name; ~/ is your home directory
/take 1       take what a peer offers as number 1; /refuse 1 says no to it, or
              breaks it off once it is on its way, whoever sends it
/files        what is on its way, with numbers
/help         these lines
/quit         end, once everything is sent; Ctrl-D does the same
//to ...      the message /to ...; so for each of these
Everything else is a message.";

impl Line {
    /// With one more `/` before it a line that would be a command is a message, and so is a command that there is none of.
    pub(super) fn of(mut text: String, commands: bool) -> Self {
        if !commands {
            return Self::Message(text);
        }
        // However many slashes there are: one less is sent.
        let name = text.trim_start_matches('/').len();
        let one = text.len().saturating_sub(name + 1);
        match text.get(one..).and_then(Self::command) {
            Some(command) if one == 0 => command,
            Some(_) => Self::Message(text.split_off(1)),
            None => Self::Message(text),
        }
    }

    fn command(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        Some(match (name, rest.trim()) {
            ("/to", "") => Self::Question,
            ("/to", address) => Self::Choice(address.to_owned()),
            ("/help", "") => Self::Help,
            ("/quit", "") => Self::Quit,
            ("/who", "") => Self::Command(Command::Who),
            ("/files", "") => Self::Command(Command::Files),
            ("/send", files) => Self::Command(Command::Send(files.to_owned())),
            ("/take", number) => Self::Command(Command::Take(self::number(number)?)),
            ("/refuse", number) => Self::Command(Command::Refuse(self::number(number)?)),
            ("/verify", "") => Self::Command(Command::Verify),
            ("/verify", "stop") => Self::Command(Command::Stop),
            ("/verify", answer) => Self::Command(Command::Answer(self::answer(answer)?)),
            _ => return None,
        })
    }
}

/// A number, or none; `None` for anything else.
fn number(typed: &str) -> Option<Option<u64>> {
    match typed {
        "" => Some(None),
        typed if typed.bytes().all(|byte| byte.is_ascii_digit()) => typed.parse().ok().map(Some),
        _ => None,
    }
}

/// What the user has said of two strings.
pub(crate) fn answer(typed: &str) -> Option<bool> {
    match typed.trim().to_ascii_lowercase().as_str() {
        "yes" | "y" => Some(true),
        "no" | "n" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_command_is_a_message_and_so_is_one_with_another_slash() {
        let line = |text: &str| Line::of(text.to_owned(), true);
        let message = |text: &str| Line::Message(text.to_owned());
        assert_eq!(line("/to"), Line::Question);
        assert_eq!(line("/to \t "), Line::Question);
        assert_eq!(line("/to  romeo "), Line::Choice("romeo".to_owned()));
        assert_eq!(line("/help"), Line::Help);
        assert_eq!(line("/quit "), Line::Quit);
        assert_eq!(line("/who"), Line::Command(Command::Who));
        assert_eq!(line("/verify"), Line::Command(Command::Verify));
        assert_eq!(line("/verify stop"), Line::Command(Command::Stop));
        assert_eq!(line("/verify Yes"), Line::Command(Command::Answer(true)));
        assert_eq!(line("/verify n"), Line::Command(Command::Answer(false)));
        assert_eq!(line("/send"), Line::Command(Command::Send(String::new())));
        assert_eq!(line("/send  a 'b c' "), Line::Command(Command::Send("a 'b c'".to_owned())));
        assert_eq!(line("/take"), Line::Command(Command::Take(None)));
        assert_eq!(line("/take 12"), Line::Command(Command::Take(Some(12))));
        assert_eq!(line("/refuse 7"), Line::Command(Command::Refuse(Some(7))));
        assert_eq!(line("/files"), Line::Command(Command::Files));
        assert_eq!(line("//send it"), message("/send it"));
        for text in ["/take it", "/take +1", "/refuse 1 2", "/take 18446744073709551616", "/files now", "/sending"] {
            assert_eq!(line(text), message(text));
        }
        for text in ["/tomorrow", "/quit it", "/verify maybe", "/me waves", "/usr/bin", "to", " /to", "//", "/", ""] {
            assert_eq!(line(text), message(text));
        }
        assert_eq!(line("//to romeo"), message("/to romeo"));
        assert_eq!(line("//quit"), message("/quit"));
        assert_eq!(line("///quit"), message("//quit"));
        assert_eq!(Line::of("/quit".to_owned(), false), message("/quit"));
    }

    #[test]
    fn every_command_that_tab_completes_is_one_and_is_explained() {
        for name in COMMANDS {
            assert!(Line::command(name).is_some() && HELP.contains(name), "{name}");
        }
        assert!(HELP.lines().all(|line| line.len() < 80), "it fits into 80 columns");
    }
}
