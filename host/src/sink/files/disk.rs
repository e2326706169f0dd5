//! What the sink asks of a file system, step by step, and the real one.
//!
//! Between two of these steps the power may go, and each of them may fail. They stand behind a trait so that a test can
//! make both happen at every one: a real disk loses what was not synced when it likes.

use std::{
    any::Any,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::Path,
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

/// A file system.
///
/// Laws: what a file holds is durable after its `sync`; that a name is there, or is there no more, is durable after a
/// `sync_folder` of the folder that the name is in. Before that a power loss may keep or undo either, in any order.
pub(crate) trait Disk: Send + Sync {
    /// Makes one folder; those above it are there.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Whether this is a folder.
    fn is_folder(&self, path: &Path) -> bool;

    /// What a folder holds, in no order.
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Makes a file that is not there yet.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Renames in one step, but not onto a name that is there already.
    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Shuts out others by a lock on this file. It ends with the value returned, also when the process dies.
    fn lock(&self, path: &Path) -> Result<Box<dyn Any + Send>, TryLockError>;
}

/// A file that is being written.
pub(crate) trait DiskFile: Write + Send {
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// The file system of the operating system.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    fn rename_no_replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // The file system cannot.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_no_replace(from, to),
            renamed => renamed.map_err(io::Error::from),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Any + Send>, TryLockError> {
        let file = File::create(path).map_err(TryLockError::Error)?;
        file.try_lock()?;
        Ok(Box::new(file))
    }
}

impl DiskFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// The same as a rename in two steps. A crash between them leaves the temporary name too, which is a leftover like any
/// other.
pub(super) fn link_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}
