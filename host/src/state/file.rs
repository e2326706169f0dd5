//! Making and opening the file of a checkpoint.

#[cfg(test)]
mod faults;
mod home;

use std::{
    fs, io,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use redb::{Builder, Database, ReadableDatabase, TableError};

pub(super) use self::home::{Home, RealHome};
use super::{failure::Failure, tables, write};

/// The file's name in the folder of the checkpoint.
pub(super) const NAME: &str = "checkpoint.redb";

/// What the names of checkpoints begin with that have not got theirs yet.
pub(super) const UNNAMED: &str = ".checkpoint-";

/// How much of the file redb keeps in memory. Buckets of state are kept in memory as what they are, above the store,
/// so a large cache would hold them twice; this is room for a few of the largest values.
const CACHE_BYTES: usize = 32 << 20;

/// Opens the checkpoint at `path` in the folder `dir`, after making what is missing.
pub(super) fn open(dir: &Path, path: &Path) -> Result<Database, Failure> {
    open_in(&RealHome, dir, path)
}

fn open_in(home: &dyn Home, dir: &Path, path: &Path) -> Result<Database, Failure> {
    make_durable(home, dir)?;
    if !home.exists(path)? {
        create(home, dir, path)?;
    }
    // Also for a file that was found: a run that was killed may have given it its name and not made that durable. What
    // is committed from now on must not vanish with the name.
    home.sync_folder(folder_or_here(dir))?;
    // redb answers most damage with an error, but trips over some of it with a panic.
    let opened = panic::catch_unwind(AssertUnwindSafe(|| open_intact(home, path)));
    let database = opened.unwrap_or(Err(Failure::Unreadable))?;
    match format(&database)? {
        Some(tables::FORMAT) => Ok(database),
        Some(other) => Err(Failure::Format(other)),
        None => Err(Failure::Foreign),
    }
}

/// Removes what processes have left that were killed before a checkpoint of theirs had its name. Only for who holds the
/// checkpoint of this folder: one that another process is making now will find that there is one already.
pub(super) fn remove_leftovers(dir: &Path) {
    let entries = fs::read_dir(folder_or_here(dir)).into_iter().flatten().flatten();
    let unnamed = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNNAMED));
    // What cannot be removed is in nobody's way.
    unnamed.for_each(|entry| drop(fs::remove_file(entry.path())));
}

/// Opens a file all of whose pages are as they were written. After a quick repair redb itself looks at no checksum,
/// and a damaged page found in the middle of a commit can abort the process; the state is read at a start anyway.
fn open_intact(home: &dyn Home, path: &Path) -> Result<Database, Failure> {
    let mut database = home.open(&settings(), path)?;
    // False only says that free space had to be counted anew: a page of data that fails is an error.
    database.check_integrity()?;
    Ok(database)
}

/// Makes a new checkpoint. It gets its name when it is complete, so a crash leaves either none or a usable one.
fn create(home: &dyn Home, dir: &Path, path: &Path) -> Result<(), Failure> {
    let temporary = home.create(folder_or_here(dir))?;
    let made = fill(home, &temporary).and_then(|()| match home.rename_no_replace(&temporary, path) {
        Ok(()) => Ok(()),
        // Another process was faster; whether it still holds the file shows when it is opened.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(home.remove(&temporary)?),
        Err(error) => Err(error.into()),
    });
    if made.is_err() {
        // What went wrong is more use to the reader than that it could not be cleared away either.
        let _ = home.remove(&temporary);
    }
    made
}

fn fill(home: &dyn Home, temporary: &Path) -> Result<(), Failure> {
    let database = home.open_new(&settings(), temporary)?;
    write(&database, |transaction| {
        transaction.open_table(tables::META)?.insert(tables::FORMAT_KEY, tables::FORMAT)?;
        // Made now so that no reader has to know of a table that is not there yet.
        transaction.open_table(tables::PLAN)?;
        transaction.open_table(tables::COMMITTED)?;
        transaction.open_table(tables::RANGES)?;
        transaction.open_table(tables::STATE)?;
        Ok(())
    })
}

/// How redb is to open a checkpoint.
pub(super) fn settings() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Makes a folder as [`open`] does, and gives a name to write in it by.
pub(super) fn make_folder(dir: &Path) -> io::Result<&Path> {
    make_durable(&RealHome, dir)?;
    Ok(folder_or_here(dir))
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(dir: &Path) -> io::Result<()> {
    RealHome.sync_folder(folder_or_here(dir))
}

/// Makes a folder with its parents, each durable in the one above: a checkpoint must not vanish with its folder. One
/// that is there already may have been made by a run that was killed before it came to that.
fn make_durable(home: &dyn Home, dir: &Path) -> io::Result<()> {
    let Some(above) = dir.parent() else { return Ok(()) };
    make_durable(home, above)?;
    let found = home.exists(dir)?;
    if !found {
        match home.create_folder(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    match home.sync_folder(folder_or_here(above)) {
        Err(error) if found && cannot_be_ours(&error) => Ok(()),
        synced => synced,
    }
}

/// Whether a folder that answers a sync like this is none in which a run has made another.
fn cannot_be_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported)
}

/// The empty path is what is above a relative one.
fn folder_or_here(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

/// The version in the file; none when it is not a checkpoint.
pub(super) fn format(database: &Database) -> Result<Option<u64>, Failure> {
    match database.begin_read()?.open_table(tables::META) {
        Ok(meta) => Ok(meta.get(tables::FORMAT_KEY)?.map(|version| version.value())),
        Err(TableError::Storage(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}
