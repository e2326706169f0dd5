//! Which files have been planned already.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use hashbrown::HashMap;

use super::planned::PlannedFile;

/// The files that were planned, by path; as with Spark, a file that changes afterwards is not read again. Grows with
/// the number of files, unless there is a maximum age: then what is too old to be read is forgotten.
#[derive(Default)]
pub(super) struct Seen {
    max_age: Option<Duration>,
    modified: HashMap<PathBuf, i64>,
    newest: i64,
    /// Files modified before this are too old. Moves only in `purge`, so that an old file found together with a much
    /// newer one is still read, as in Spark.
    horizon: Option<i64>,
}

impl Seen {
    pub(super) fn new(max_age: Option<Duration>) -> Self {
        Seen { max_age, ..Seen::default() }
    }

    pub(super) fn contains(&self, path: &Path) -> bool {
        self.modified.contains_key(path)
    }

    pub(super) fn is_too_old(&self, modified: i64) -> bool {
        self.horizon.is_some_and(|horizon| modified < horizon)
    }

    pub(super) fn add(&mut self, file: &PlannedFile) {
        self.newest = self.newest.max(file.modified);
        self.modified.insert(file.path(), file.modified);
    }

    /// Moves the horizon and forgets what lies behind it.
    pub(super) fn purge(&mut self) {
        let Some(max_age) = self.max_age else { return };
        let horizon = self.newest.saturating_sub(i64::try_from(max_age.as_nanos()).unwrap_or(i64::MAX));
        self.horizon = Some(horizon);
        self.modified.retain(|_, modified| *modified >= horizon);
    }
}
