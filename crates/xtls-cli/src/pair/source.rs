//! Where a code comes from.

use std::io::Write as _;
use std::path::Path;

use xtls_stanza::jid::BareJid;
use xtls_store::private_file;
use zeroize::Zeroizing;

use super::code::Code;
use crate::account;
use crate::exit::Failure;
use crate::output::Output;
use crate::random::random;

/// What a file with a code is called.
const CODE_FILE: &str = "code file";

/// Where a code comes from.
pub(super) enum Source {
    /// It is made for this once.
    Random,
    /// It was made for this once, and is in a file from now on.
    New(Code),
    /// It was in a file.
    Fixed(Code),
}

impl Source {
    /// Reads the file of a fixed code that this address shows, or makes it if there is none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or made, or has no code of this address.
    pub(super) fn of(output: Output, file: Option<&Path>, shower: &BareJid) -> Result<Self, Failure> {
        let Some(path) = file else { return Ok(Self::Random) };
        let name = path.display();
        if !path.exists() {
            let code = random_code(shower)?;
            let text = Zeroizing::new(format!("{}\n", code.text(" ").as_str()));
            let made = private_file().create_new(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
            made.map_err(|e| Failure::other(format!("the code file {name} cannot be made: {e}; give another one")))?;
            return Ok(Self::New(code));
        }
        account::warn_if_exposed(output, CODE_FILE, path);
        let line = account::first_line(CODE_FILE, path)?;
        let code = Code::parse_own(&line, shower);
        code.map(Self::Fixed).map_err(|e| Failure::usage(format!("the code file {name} has no code of {shower}: {e}")))
    }

    /// The code, and whether it is to be shown.
    ///
    /// # Errors
    ///
    /// When there are no random numbers.
    pub(super) fn into_code(self, shower: &BareJid) -> Result<(Code, bool), Failure> {
        match self {
            Self::Random => Ok((random_code(shower)?, true)),
            Self::New(code) => Ok((code, true)),
            Self::Fixed(code) => Ok((code, false)),
        }
    }
}

fn random_code(shower: &BareJid) -> Result<Code, Failure> {
    Ok(Code::new(&Zeroizing::new(random()?), shower))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::exit;

    fn juliet() -> BareJid {
        "juliet@capulet.example".parse().unwrap()
    }

    #[test]
    fn a_fixed_code_is_made_once_and_shown_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("code");
        let (made, shown) = Source::of(Output::silent(), Some(&path), &juliet()).unwrap().into_code(&juliet()).unwrap();
        assert!(shown && !xtls_store::is_readable_by_all(&path));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", made.text(" ").as_str()));
        let (again, shown) =
            Source::of(Output::silent(), Some(&path), &juliet()).unwrap().into_code(&juliet()).unwrap();
        assert!(again == made && !shown);
        // Another account has another code.
        let romeo = "romeo@montague.example".parse().unwrap();
        let failure = Source::of(Output::silent(), Some(&path), &romeo).err().unwrap();
        assert_eq!(failure.code, exit::Code::Usage);
        assert!(failure.message.contains("no code of romeo@montague.example"), "{failure}");
    }

    #[test]
    fn a_file_that_is_no_code_or_cannot_be_made_is_told_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("code");
        std::fs::write(&path, "wherefore art thou\n").unwrap();
        let failure = Source::of(Output::silent(), Some(&path), &juliet()).err().unwrap();
        assert!(failure.message.contains("the first word") && !failure.message.contains("wherefore"), "{failure}");
        assert!(
            Source::of(Output::silent(), Some(&dir.path().join("none/code")), &juliet())
                .err()
                .unwrap()
                .message
                .contains("cannot be made")
        );
        std::fs::write(&path, "able baby cabbage").unwrap();
        assert!(matches!(Source::of(Output::silent(), Some(&path), &juliet()), Ok(Source::Fixed(_))));
    }

    #[test]
    fn codes_differ() {
        let codes = [Source::Random, Source::Random].map(|source| source.into_code(&juliet()).unwrap().0);
        assert!(codes[0] != codes[1]);
    }
}
