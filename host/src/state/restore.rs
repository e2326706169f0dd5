//! A checkpoint that begins where another stands. It gets its name when the pipeline has accepted it, so a start that
//! is refused leaves nothing behind.

use std::{
    io,
    path::{Path, PathBuf},
};

use tempfile::TempPath;

use super::{RedbStore, copy::Copying, failure::Failure, file, saved::Saved, shared};
use crate::ports::CheckpointError;

/// A checkpoint that is not where it belongs yet. Dropped, it is gone.
pub struct Unnamed {
    temporary: TempPath,
    path: PathBuf,
}

impl Saved {
    /// Begins a checkpoint in this folder that stands where this one does.
    ///
    /// Which sinks have committed what is not taken over: a sink may stand where the savepoint does, or begin in a new
    /// place.
    pub fn restore(&self, dir: &Path) -> Result<(RedbStore, Unnamed), CheckpointError> {
        let path = dir.join(file::NAME);
        let copying = Copying {
            from: self.path(),
            with_plan: true,
            adapt: &|committed| committed.sinks.clear(),
            is_over: &|| false,
        };
        let restored = || {
            let folder = file::make_folder(dir)?;
            let temporary = tempfile::Builder::new().prefix(file::UNNAMED).tempfile_in(folder)?.into_temp_path();
            let (database, _) = copying.copy(&shared(&self.store.database), &temporary)?;
            Ok((database, temporary))
        };
        let (database, temporary) = restored().map_err(|failure: Failure| failure.at(&path))?;
        Ok((RedbStore::of(database, path.clone()), Unnamed { temporary, path }))
    }
}

impl Unnamed {
    /// Gives it its name, durably.
    pub fn name(self) -> Result<(), CheckpointError> {
        let path = self.path;
        match self.temporary.persist_noclobber(&path) {
            Ok(()) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Err(exists(&path)),
            Err(error) => return Err(Failure::Io(error.error).at(&path)),
        }
        let folder = path.parent().expect("it lies in a folder");
        file::sync_folder(folder).map_err(|error| Failure::Io(error).at(&path))
    }
}

/// Says that there is a checkpoint in this folder, where a new one was to begin.
pub fn check_new(dir: &Path) -> Result<(), CheckpointError> {
    let path = dir.join(file::NAME);
    if path.exists() { Err(exists(&path)) } else { Ok(()) }
}

fn exists(path: &Path) -> CheckpointError {
    CheckpointError(format!(
        "checkpoint `{}` exists already, and --from begins a new one: leave out --from to go on where it stands, name another \
         --checkpoint, or move it away",
        path.display()
    ))
}
