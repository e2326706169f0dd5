//! Savepoints: copies of a checkpoint that are kept, in a folder with a description beside the checkpoint's file.
//!
//! A savepoint stands between two epochs whenever it is made: it is a read of what is committed, and the pipeline runs
//! on meanwhile. It has its name when it is complete and durable, so there is never half of one, and nothing is
//! overwritten.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

use redb::Database;
use serde::{Deserialize, Serialize};

use super::{RedbStore, copy::Copying, failure::Failure, file, saved::Saved, shared};
use crate::{
    model::{Epoch, ProcessingTime},
    ports::CheckpointError,
};

/// The description's file in the folder of a savepoint.
const DESCRIPTION: &str = "savepoint.json";

/// What a savepoint says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The pipeline.
    pub pipeline: String,
    /// The last epoch that is in it.
    pub epoch: Epoch,
    /// The batch time of that epoch.
    pub batch_time: String,
    /// When it was made.
    pub made_at: String,
}

/// A description as it is written.
#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    description: Description,
    /// The CRC-32 of the description by itself, so that `verify` finds what has changed in it too.
    checksum: u32,
}

impl Description {
    fn checksum(&self) -> u32 {
        crc32fast::hash(&serde_json::to_vec(self).expect("text and a number can be written as JSON"))
    }

    /// The description of the savepoint in this folder; none when there is no savepoint.
    pub fn read(dir: &Path) -> Result<Option<Self>, CheckpointError> {
        let path = dir.join(DESCRIPTION);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let sealed: Sealed = serde_json::from_slice(&text).map_err(|error| unreadable(&path, &error))?;
        match sealed.description.checksum() == sealed.checksum {
            true => Ok(Some(sealed.description)),
            false => Err(unreadable(&path, &"its checksum does not match")),
        }
    }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> CheckpointError {
    CheckpointError(format!(
        "the description `{}` of a savepoint cannot be read: {error}; use another savepoint",
        path.display()
    ))
}

/// What makes savepoints of a checkpoint while its pipeline runs.
pub struct Savepoints {
    pub(super) database: Arc<RwLock<Database>>,
    path: PathBuf,
}

impl RedbStore {
    /// What makes savepoints of this checkpoint. It keeps the file open.
    pub fn savepoints(&self) -> Savepoints {
        Savepoints { database: Arc::clone(&self.database), path: self.path.clone() }
    }
}

impl Savepoints {
    /// Makes a savepoint of what is committed. It is given up half-way when `is_over` says so.
    pub fn make(
        &self,
        pipeline: &str,
        now: ProcessingTime,
        to: &Path,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Description, CheckpointError> {
        // The epoch under way will be over long before the savepoint is used, and the sinks with it: its plan would
        // only ask for input of that day.
        let copying = Copying { from: &self.path, with_plan: false, adapt: &|_| (), is_over };
        make(&shared(&self.database), &copying, pipeline, now, to)
    }
}

impl Saved {
    /// Makes a savepoint of a checkpoint that no pipeline runs on.
    ///
    /// The plan of an epoch that was under way when its process was killed comes along: a sink may have committed it.
    pub fn savepoint(&self, pipeline: &str, now: ProcessingTime, to: &Path) -> Result<Description, CheckpointError> {
        let copying = Copying { from: self.path(), with_plan: true, adapt: &|_| (), is_over: &|| false };
        make(&shared(&self.store.database), &copying, pipeline, now, to)
    }
}

/// Says that there may be no savepoint made in this place because something is there.
pub fn check_vacant(to: &Path) -> Result<(), CheckpointError> {
    let vacant = match fs::read_dir(to) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if vacant { Ok(()) } else { Err(taken(to)) }
}

fn taken(to: &Path) -> CheckpointError {
    CheckpointError(format!(
        "`{}` is there already, and a savepoint never overwrites anything: choose another --to",
        to.display()
    ))
}

fn make(
    database: &Database,
    copying: &Copying<'_>,
    pipeline: &str,
    now: ProcessingTime,
    to: &Path,
) -> Result<Description, CheckpointError> {
    check_vacant(to)?;
    let in_words = |failure| match failure {
        Failure::Receiver(error) => error,
        failure => CheckpointError(format!(
            "savepoint `{}` cannot be written: {}; see to the disk and its permissions, and make it again: the checkpoint has \
             not changed",
            to.display(),
            failure.reason()
        )),
    };
    let above = file::make_folder(to.parent().unwrap_or(to)).map_err(|error| in_words(error.into()))?;
    let written = || {
        let folder = tempfile::Builder::new().prefix(".savepoint-").tempdir_in(above)?;
        let path = folder.path().join(file::NAME);
        let (copied, standing) = copying.copy(database, &path)?;
        drop(copied);
        File::open(&path)?.sync_all()?;
        let description = Description {
            pipeline: pipeline.to_owned(),
            epoch: standing.epoch,
            batch_time: standing.batch_time.to_string(),
            made_at: now.to_string(),
        };
        let mut file = File::create_new(folder.path().join(DESCRIPTION))?;
        let sealed = Sealed { checksum: description.checksum(), description: description.clone() };
        let text = serde_json::to_string(&sealed).expect("text and numbers can be written as JSON");
        file.write_all(format!("{text}\n").as_bytes())?;
        file.sync_all()?;
        file::sync_folder(folder.path())?;
        Ok((folder, description))
    };
    let (folder, description) = written().map_err(in_words)?;
    // Onto an empty folder, or where there is nothing; anything else stays as it is.
    match fs::rename(folder.path(), to) {
        Ok(()) => drop(folder.keep()),
        Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory) => {
            return Err(taken(to));
        }
        Err(error) => return Err(in_words(error.into())),
    }
    settle(to).map_err(|error| in_words(error.into()))?;
    Ok(description)
}

/// Makes the name of a savepoint durable.
pub fn settle(to: &Path) -> io::Result<()> {
    file::sync_folder(to.parent().unwrap_or(to))
}
