//! What is to be sent is found, and hashed where that is needed beforehand.

use std::ops::ControlFlow;
use std::path::PathBuf;

use xtls_files::manifest::ManifestLimits;

use super::Goods;
use crate::files::{self, Skipped, SourceError};
use crate::output::Output;

/// What is not sent.
#[derive(Debug)]
pub(crate) struct LeftOut {
    first: Vec<(PathBuf, Skipped)>,
    count: usize,
}

/// Looks at these files and directories, which may take long. `progress` is told how many bytes of how many were looked at, and says
/// whether to go on.
///
/// # Errors
///
/// When something cannot be sent, or `progress` has ended it.
pub(crate) fn gather(
    paths: &[PathBuf],
    follow_links: bool,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(Goods, LeftOut), SourceError> {
    let survey = files::survey(paths, follow_links, ManifestLimits::default())?;
    let (mut hashed, all) = (0, survey.found.size());
    let goods = Goods::new(survey.found, &mut |bytes| {
        hashed += bytes;
        progress(hashed, all)
    })?;
    Ok((goods, LeftOut { first: survey.skipped, count: survey.skipped_count }))
}

impl LeftOut {
    /// Warns of it.
    pub(crate) fn tell(&self, output: Output) {
        for (path, why) in &self.first {
            output.warn(&format!("{} is left out: it is {why}", path.display()));
        }
        if self.count > self.first.len() {
            output.warn(&format!("{} more are left out", self.count - self.first.len()));
        }
    }
}
