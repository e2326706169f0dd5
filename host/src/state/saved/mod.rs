//! A checkpoint or savepoint that nobody runs, opened to be looked at: nothing in its folder changes.

mod overlay;
mod verify;

use std::{
    fs, io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use arrow::array::RecordBatch;
use redb::Database;

use self::overlay::Overlay;
pub use self::verify::{Damage, StageContents, Verdict};
use super::{RedbStore, failure::Failure, file, savepoint::Description, tables};
use crate::{
    checkpoint::{Committed, EpochPlan},
    model::PartName,
    ports::{CheckpointError, CheckpointStore, StateReader},
};

/// An opened checkpoint that cannot be changed.
pub struct Saved {
    pub(super) store: RedbStore,
    description: Option<Description>,
}

/// Why a folder could not be looked into.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// A process runs on it.
    #[error(transparent)]
    InUse(CheckpointError),
    /// There is no checkpoint, or it is not for this version to read.
    #[error(transparent)]
    Refused(CheckpointError),
    /// There is one, and it cannot be read.
    #[error(transparent)]
    Damaged(CheckpointError),
}

impl From<Unopened> for CheckpointError {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::InUse(error) | Unopened::Refused(error) | Unopened::Damaged(error) => error,
        }
    }
}

impl Saved {
    /// Opens the checkpoint or savepoint in this folder, after a look at every page of it.
    pub fn open(dir: &Path) -> Result<Self, Unopened> {
        let path = find(dir)?;
        let description = Description::read(dir).map_err(Unopened::Damaged)?;
        match intact(&path) {
            Ok(database) => Ok(Saved { store: RedbStore::of(database, path), description }),
            Err(failure) => Err(unopened(failure, dir, &path)),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.store.path
    }

    /// What a savepoint says of itself; none for a checkpoint.
    pub fn description(&self) -> Option<&Description> {
        self.description.as_ref()
    }

    /// The last committed epoch with what was committed with it.
    pub fn committed(&self) -> Result<Option<Committed>, CheckpointError> {
        self.store.committed()
    }

    /// The plan of an epoch that was under way.
    pub fn plan(&self) -> Result<Option<EpochPlan>, CheckpointError> {
        self.store.plan()
    }

    /// The buckets of a stage that have state, ascending.
    pub fn buckets(&self, stage: &PartName) -> Result<Vec<usize>, CheckpointError> {
        self.store.read(|transaction| {
            let state = transaction.open_table(tables::STATE)?;
            let mut buckets: Vec<usize> = Vec::new();
            // From one bucket straight to the next: walking all pieces would read the whole state.
            let mut from = 0;
            let after = (stage.as_str(), u32::MAX, u64::MAX);
            while let Some(entry) = state.range((stage.as_str(), from, 0)..after)?.next() {
                let bucket = entry?.0.value().1;
                buckets.push(bucket as usize);
                from = bucket + 1;
            }
            Ok(buckets)
        })
    }
}

impl StateReader for Saved {
    fn load_state(
        &self,
        stage: &PartName,
        bucket: usize,
        receiver: &mut dyn FnMut(RecordBatch) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        self.store.load_state(stage, bucket, receiver)
    }
}

/// The file of the checkpoint in a folder.
fn find(dir: &Path) -> Result<PathBuf, Unopened> {
    let path = dir.join(file::NAME);
    let shown = dir.display();
    match fs::metadata(&path) {
        Ok(found) if found.len() > 0 => {}
        // redb would make a database in an empty file.
        Ok(_) => return Err(Unopened::Damaged(Failure::Unreadable.at(&path))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Unopened::Refused(CheckpointError(format!(
                "there is no checkpoint in `{shown}`: it would have a file `{}`; name the folder of a checkpoint or of a savepoint",
                file::NAME
            ))));
        }
        Err(error) => return Err(Unopened::Refused(Failure::Io(error).at(&path))),
    }
    Ok(path)
}

/// Opens a file all of whose pages are as they were written.
fn intact(path: &Path) -> Result<Database, Failure> {
    // redb answers most damage with an error, but trips over some of it with a panic.
    let opened = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut database = file::settings().create_with_backend(Overlay::open(path)?)?;
        database.check_integrity()?;
        Ok(database)
    }));
    let database = opened.unwrap_or(Err(Failure::Unreadable))?;
    match file::format(&database)? {
        Some(tables::FORMAT) => Ok(database),
        Some(other) => Err(Failure::Format(other)),
        None => Err(Failure::Foreign),
    }
}

fn unopened(failure: Failure, dir: &Path, path: &Path) -> Unopened {
    match failure {
        Failure::Redb(redb::Error::DatabaseAlreadyOpen) => Unopened::InUse(CheckpointError(format!(
            "checkpoint `{}` is in use by another process: stop that one, or make a savepoint with `tidemill savepoint {} --to \
             DIR` and look at that",
            path.display(),
            dir.display()
        ))),
        refused @ (Failure::Foreign | Failure::Format(_)) => Unopened::Refused(refused.at(path)),
        damaged => Unopened::Damaged(damaged.at(path)),
    }
}
