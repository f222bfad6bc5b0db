//! What can go wrong besides the figures.

use std::{error::Error, fmt};

/// Why a measurement could not be made, or its result not be told.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// Why there is nothing to compare with here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing(String);

impl Failure {
    /// A failure that says why.
    pub(crate) fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

impl Missing {
    /// Something that is not here, and how it would come here.
    pub(crate) fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// What was measured or what is missing for it, unless measuring failed.
pub(crate) fn measured<T>(found: Result<Result<T, Failure>, Missing>) -> Result<Result<T, Missing>, Failure> {
    match found {
        Ok(found) => found.map(Ok),
        Err(missing) => Ok(Err(missing)),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failure {}
