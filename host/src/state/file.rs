//! Making and opening the file of a checkpoint.

use std::{
    fs::{self, File},
    io, panic,
    path::Path,
};

use redb::{Database, ReadableDatabase, TableError};
use tempfile::NamedTempFile;

use super::{failure::Failure, tables, write};

/// The file's name in the folder of the checkpoint.
pub(super) const NAME: &str = "checkpoint.redb";

/// How much of the file redb keeps in memory. State is read once, at a start, and then only written, so a large cache
/// would hold what nobody asks for; this is room for a few of the largest values.
const CACHE_BYTES: usize = 32 << 20;

/// Opens the checkpoint at `path` in the folder `dir`, after making what is missing.
pub(super) fn open(dir: &Path, path: &Path) -> Result<Database, Failure> {
    if !path.try_exists()? {
        create_folder(dir)?;
        create(dir, path)?;
    }
    // redb answers most damage with an error, but trips over some of it with a panic.
    let database = panic::catch_unwind(|| open_intact(path)).unwrap_or(Err(Failure::Unreadable))?;
    match format(&database)? {
        Some(tables::FORMAT) => Ok(database),
        Some(other) => Err(Failure::Format(other)),
        None => Err(Failure::Foreign),
    }
}

/// Opens a file all of whose pages are as they were written. After a quick repair redb itself looks at no checksum,
/// and a damaged page found in the middle of a commit can abort the process; the state is read at a start anyway.
fn open_intact(path: &Path) -> Result<Database, Failure> {
    let mut database = Database::builder().set_cache_size(CACHE_BYTES).open(path)?;
    // False only says that free space had to be counted anew: a page of data that fails is an error.
    database.check_integrity()?;
    Ok(database)
}

/// Makes a new checkpoint. It gets its name when it is complete, so a crash leaves either none or a usable one.
fn create(dir: &Path, path: &Path) -> Result<(), Failure> {
    let file = NamedTempFile::with_prefix_in(".checkpoint-", dir)?;
    let database = Database::builder().set_cache_size(CACHE_BYTES).create(file.path())?;
    write(&database, |transaction| {
        transaction.open_table(tables::META)?.insert(tables::FORMAT_KEY, tables::FORMAT)?;
        // Made now so that no reader has to know of a table that is not there yet.
        transaction.open_table(tables::PLAN)?;
        transaction.open_table(tables::COMMITTED)?;
        transaction.open_table(tables::RANGES)?;
        transaction.open_table(tables::STATE)?;
        Ok(())
    })?;
    drop(database);
    match file.persist_noclobber(path) {
        Ok(_) => Ok(sync_folder(dir)?),
        // Another process was faster; whether it still holds the file shows when it is opened.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error.into()),
    }
}

/// Makes a folder with its parents, each durable in the one above: a checkpoint must not vanish with its folder.
fn create_folder(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().unwrap_or(Path::new(""));
    create_folder(parent)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(parent),
    }
}

fn sync_folder(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

/// The version in the file; none when it is not a checkpoint.
fn format(database: &Database) -> Result<Option<u64>, Failure> {
    match database.begin_read()?.open_table(tables::META) {
        Ok(meta) => Ok(meta.get(tables::FORMAT_KEY)?.map(|version| version.value())),
        Err(TableError::Storage(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}
