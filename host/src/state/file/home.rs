//! What a checkpoint's file asks of a file system before and beside what redb does with it, and the real one.
//!
//! It stands behind a trait so that a test can take the power away, and let each step fail.

use std::{
    fmt::Debug,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use redb::{Builder, Database, DatabaseError};
use tempfile::TempPath;

use super::UNNAMED;

/// The file system that checkpoints live in.
///
/// Laws: that a name is there is durable after a `sync_folder` of the folder that the name is in; before that a power
/// loss may keep or undo it. What a file holds is redb's affair.
pub(in crate::state) trait Home: Debug + Send + Sync {
    /// Whether there is anything of this name.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes one folder; those above it are there.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes an empty file in this folder, of a name that no other process hits upon.
    fn create(&self, folder: &Path) -> io::Result<PathBuf>;

    /// Makes a database in an empty file.
    fn open_new(&self, builder: &Builder, path: &Path) -> Result<Database, DatabaseError>;

    /// Opens the database in a file.
    fn open(&self, builder: &Builder, path: &Path) -> Result<Database, DatabaseError>;

    /// Renames in one step, but not onto a name that is there already.
    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// How many bytes a file takes on the disk. Where nothing was ever written it takes none, however long it is.
    fn size(&self, path: &Path) -> io::Result<u64>;
}

/// The file system of the operating system.
#[derive(Debug)]
pub(in crate::state) struct RealHome;

impl Home for RealHome {
    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn create(&self, folder: &Path) -> io::Result<PathBuf> {
        let file = tempfile::Builder::new().prefix(UNNAMED).tempfile_in(folder)?;
        Ok(file.into_temp_path().keep()?)
    }

    fn open_new(&self, builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
        builder.create(path)
    }

    fn open(&self, builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
        builder.open(path)
    }

    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut from = TempPath::try_from_path(from)?;
        // It must not go when the rename fails: that is for the caller to say.
        from.disable_cleanup(true);
        Ok(from.persist_noclobber(to)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        // Counted in these, whatever the file system's own blocks are.
        const BLOCK_BYTES: u64 = 512;
        Ok(fs::metadata(path)?.blocks() * BLOCK_BYTES)
    }
}
