//! What a peer may name a file.
//!
//! XEP-0234 § 12: a name could lead anywhere. It is refused rather than escaped, so that what the receiver confirms is what is made,
//! and so that a name means the same on every system.

mod fold;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use core::{fmt, str::FromStr};

pub(crate) use fold::folded;

/// What the names of partial files end with, and of what is kept beside them. No peer may use it.
pub const PARTIAL_SUFFIX: &str = ".xtls-part";

/// A name of one file, or of one directory, that any system can have and that leads nowhere else.
///
/// ```
/// use xtls_files::{NameRefused, SafeName};
///
/// assert_eq!("Capulet's ball.txt".parse::<SafeName>()?.as_str(), "Capulet's ball.txt");
/// assert_eq!("/etc/passwd".parse::<SafeName>(), Err(NameRefused::Absolute));
/// # Ok::<(), NameRefused>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafeName(String);

/// A path below a directory: [`SafeName`]s with `/` between them.
///
/// Joined to a directory it stays in it, unless a link that is there already leads out: that is for whoever opens it to see to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath(String);

/// The rule that a name or a path breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameRefused {
    /// It is empty.
    Empty,
    /// It begins with `/`.
    Absolute,
    /// It, or a part of it, is `.` or `..`.
    Dots,
    /// It is a path with nothing between two `/`, or after the last one.
    EmptyComponent,
    /// It has a `/`, and is the name of one file.
    Slash,
    /// It has a `\`, which is a `/` on some systems.
    Backslash,
    /// It has a character that Windows gives another meaning: one of `< > : " | ? *`.
    Reserved(char),
    /// It has a control character, or a code point that is no character.
    Control(char),
    /// It has a character that does not show, or that steers the reading direction.
    Invisible(char),
    /// It, or a part of it, ends with a dot or with white space, which some systems drop.
    End,
    /// It, or a part of it, is the name of a device on Windows, whatever comes after a dot.
    Device,
    /// It, or a part of it, has more than [`SafeName::MAX`] bytes.
    NameTooLong,
    /// The path has more than [`SafePath::MAX`] bytes.
    PathTooLong,
    /// The path has more than [`SafePath::MAX_DEPTH`] parts.
    TooDeep,
    /// It, or a part of it, has [`PARTIAL_SUFFIX`], which is that of partial files.
    Partial,
}

impl SafeName {
    /// The most bytes of one.
    pub const MAX: usize = 255;

    /// Takes it, if it is one.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn new(text: &str) -> Result<Self, NameRefused> {
        if text.starts_with('/') {
            return Err(NameRefused::Absolute);
        }
        check(text)?;
        Ok(Self(text.to_owned()))
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether listings leave it out, as those of Unix do: it begins with a dot.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.0.starts_with('.')
    }

    /// The name with a number, for where the name is taken: `ball (1).txt`. It is shortened where it would be too long.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        // What begins with a dot has no other ending there.
        let (stem, ending) = match self.0.rfind('.') {
            Some(at) if at > 0 && self.0.len() - at <= MAX_ENDING => self.0.split_at(at),
            _ => (self.0.as_str(), ""),
        };
        let number = format!(" ({number})");
        let room = Self::MAX - number.len() - ending.len();
        Self(format!("{}{number}{ending}", shortened(stem, room)))
    }
}

/// The longest ending, with its dot, that stays one when a name is numbered.
const MAX_ENDING: usize = 16;

impl SafePath {
    /// The most bytes of one.
    pub const MAX: usize = 1024;
    /// The most names in one.
    pub const MAX_DEPTH: usize = 64;

    /// Takes it, if it is one.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn new(text: &str) -> Result<Self, NameRefused> {
        match text {
            "" => return Err(NameRefused::Empty),
            _ if text.starts_with('/') => return Err(NameRefused::Absolute),
            _ if text.len() > Self::MAX => return Err(NameRefused::PathTooLong),
            _ => {}
        }
        for (depth, name) in text.split('/').enumerate() {
            match name {
                _ if depth >= Self::MAX_DEPTH => return Err(NameRefused::TooDeep),
                "" => return Err(NameRefused::EmptyComponent),
                _ => check(name)?,
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The path of something in this directory.
    ///
    /// # Errors
    ///
    /// When that is too long or too deep.
    pub fn join(&self, name: &SafeName) -> Result<Self, NameRefused> {
        Self::new(&format!("{}/{}", self.0, name.0))
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names in it, from the outermost to that of the file itself. There is at least one.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }
}

impl From<SafeName> for SafePath {
    fn from(name: SafeName) -> Self {
        Self(name.0)
    }
}

/// The beginning of a text that has so many bytes at most.
fn shortened(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Looks at one name.
fn check(name: &str) -> Result<(), NameRefused> {
    match name {
        "" => return Err(NameRefused::Empty),
        "." | ".." => return Err(NameRefused::Dots),
        _ if name.len() > SafeName::MAX => return Err(NameRefused::NameTooLong),
        _ => {}
    }
    let mut before = None;
    for c in name.chars() {
        match c {
            '/' => return Err(NameRefused::Slash),
            '\\' => return Err(NameRefused::Backslash),
            '<' | '>' | ':' | '"' | '|' | '?' | '*' => return Err(NameRefused::Reserved(c)),
            _ if c.is_control() || is_noncharacter(c) => return Err(NameRefused::Control(c)),
            _ if is_joiner(c) && before.is_some_and(|before: char| !before.is_ascii()) => {}
            _ if is_joiner(c) || is_invisible(c) => return Err(NameRefused::Invisible(c)),
            _ => {}
        }
        before = Some(c);
    }
    let folded = folded(name);
    if name.ends_with(|c: char| c == '.' || c.is_whitespace()) || folded.ends_with(['.', ' ']) {
        return Err(NameRefused::End);
    }
    if is_device(&folded) {
        return Err(NameRefused::Device);
    }
    if folded.contains(PARTIAL_SUFFIX) {
        return Err(NameRefused::Partial);
    }
    Ok(())
}

/// Code points that are for nobody's text (Unicode § 23.7); XML has none of U+FFFE and U+FFFF either.
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// The joiners, which Persian, the scripts of India and many emoji cannot be written without, and what chooses the look of emoji. After
/// characters of ASCII they do nothing but make two names look alike.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0f}')
}

/// What does not show, or steers the reading direction: the default ignorable code points of Unicode, its format characters, and
/// separators of lines and paragraphs.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether Windows takes a name, folded, for a device: by what stands before the first dot, without the spaces after it.
fn is_device(folded: &str) -> bool {
    let stem = folded.split('.').next().unwrap_or_default().trim_end_matches(' ');
    if matches!(stem, "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" | "clock$") {
        return true;
    }
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let mut digits = port.unwrap_or_default().chars();
    matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

impl FromStr for SafeName {
    type Err = NameRefused;

    fn from_str(text: &str) -> Result<Self, NameRefused> {
        Self::new(text)
    }
}

impl FromStr for SafePath {
    type Err = NameRefused;

    fn from_str(text: &str) -> Result<Self, NameRefused> {
        Self::new(text)
    }
}

impl fmt::Display for SafeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SafeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for NameRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name is not empty"),
            Self::Absolute => f.write_str("a name does not begin with /"),
            Self::Dots => f.write_str("a name is not . or .."),
            Self::EmptyComponent => f.write_str("a path has a name before and after each /"),
            Self::Slash => f.write_str("the name of one file has no /"),
            Self::Backslash => f.write_str("a name has no backslash"),
            Self::Reserved(c) => write!(f, "a name has no {c}, which Windows gives another meaning"),
            Self::Control(c) => write!(f, "a name has no control characters, and this one has U+{:04X}", u32::from(*c)),
            Self::Invisible(c) => {
                write!(f, "a name has no characters that do not show, and this one has U+{:04X}", u32::from(*c))
            }
            Self::End => f.write_str("a name does not end with a dot or with white space"),
            Self::Device => f.write_str("it is the name of a device on Windows"),
            Self::NameTooLong => write!(f, "a name has {} bytes at most", SafeName::MAX),
            Self::PathTooLong => write!(f, "a path has {} bytes at most", SafePath::MAX),
            Self::TooDeep => write!(f, "a path has {} names at most", SafePath::MAX_DEPTH),
            Self::Partial => write!(f, "names with {PARTIAL_SUFFIX} are those of partial files"),
        }
    }
}

impl core::error::Error for NameRefused {}
