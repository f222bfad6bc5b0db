//! The files that a line names.

use std::path::{Path, PathBuf};

/// A backslash is a `/` on Windows, and nothing else.
const BACKSLASH_QUOTES: bool = !cfg!(windows);

/// Splits a line as a shell does: at blanks that are neither in quotes nor after a backslash. A `~/` that is not is the user's own
/// directory.
///
/// # Errors
///
/// In words, when a quote is not closed, nothing follows a backslash, or nothing is named.
pub(super) fn paths(line: &str) -> Result<Vec<PathBuf>, &'static str> {
    let paths = split(line, BACKSLASH_QUOTES, std::env::home_dir().as_deref())?;
    if paths.is_empty() { Err("name files or directories: /send FILE") } else { Ok(paths) }
}

fn split(line: &str, backslash_quotes: bool, home: Option<&Path>) -> Result<Vec<PathBuf>, &'static str> {
    let (mut paths, mut chars) = (Vec::new(), line.chars().peekable());
    while let Some(first) = chars.find(|c| !c.is_whitespace()) {
        let (mut word, mut next) = (String::new(), Some(first));
        while let Some(c) = next.filter(|c| !c.is_whitespace()) {
            match c {
                '\'' | '"' => loop {
                    match chars.next().ok_or("a quote is not closed")? {
                        end if end == c => break,
                        '\\' if c == '"' && backslash_quotes => {
                            let quoted = chars.next().ok_or("a quote is not closed")?;
                            // Within quotes it stands for itself before anything else.
                            if !matches!(quoted, '"' | '\\' | '$' | '`') {
                                word.push('\\');
                            }
                            word.push(quoted);
                        }
                        other => word.push(other),
                    }
                },
                '\\' if backslash_quotes => word.push(chars.next().ok_or("nothing follows the last backslash")?),
                other => word.push(other),
            }
            next = chars.next();
        }
        let below = word.strip_prefix('~').filter(|rest| first == '~' && (rest.is_empty() || rest.starts_with('/')));
        paths.push(match (below, home) {
            (Some(below), Some(home)) => home.join(below.trim_start_matches('/')),
            _ => PathBuf::from(word),
        });
    }
    Ok(paths)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Vec<String>, &'static str> {
        let paths = split(line, true, Some(Path::new("/home/juliet")))?;
        Ok(paths.into_iter().map(|path| path.into_os_string().into_string().unwrap()).collect())
    }

    #[test]
    fn a_line_is_split_at_blanks_that_are_not_quoted() {
        assert_eq!(of("a  b\tc ").unwrap(), ["a", "b", "c"]);
        assert_eq!(
            of(r#"'two words' "and three more" one\ more"#).unwrap(),
            ["two words", "and three more", "one more"]
        );
        assert_eq!(of(r#"half" quoted"' twice'"#).unwrap(), ["half quoted twice"]);
        assert_eq!(of(r#""a \"b\" \\ \c" 'a\' \'"#).unwrap(), [r#"a "b" \ \c"#, r"a\", "'"]);
        assert_eq!(of("''").unwrap(), [""]);
        assert_eq!(of("  ").unwrap(), [""; 0]);
        assert_eq!(of("grüße.txt \u{a0}x").unwrap(), ["grüße.txt", "x"]);
    }

    #[test]
    fn what_is_not_closed_is_said() {
        for line in ["'a", "\"a", "a'", "\"a\\\"", "\"a\\"] {
            assert_eq!(of(line).unwrap_err(), "a quote is not closed", "{line}");
        }
        assert_eq!(of("a\\").unwrap_err(), "nothing follows the last backslash");
        assert!(paths(" ").is_err(), "nothing is named");
    }

    #[test]
    fn a_tilde_is_the_users_own_directory_unless_it_is_quoted_or_within_a_word() {
        assert_eq!(of("~/a ~ ~/").unwrap(), ["/home/juliet/a", "/home/juliet/", "/home/juliet/"]);
        assert_eq!(of(r#"'~/a' \~/a ~romeo/a a~/b ./~"#).unwrap(), ["~/a", "~/a", "~romeo/a", "a~/b", "./~"]);
        assert_eq!(split("~/a", true, None).unwrap(), [Path::new("~/a")]);
    }

    #[test]
    fn where_a_backslash_stands_between_directories_it_quotes_nothing() {
        let of = |line| split(line, false, None);
        assert_eq!(of(r#"C:\a\b "C:\my files\c\""#).unwrap(), [Path::new(r"C:\a\b"), Path::new(r"C:\my files\c\")]);
    }
}
