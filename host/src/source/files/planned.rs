//! What is recorded of a file when an epoch is planned with it, and the check that it is still the same.

use std::{
    ffi::OsString,
    fs::{File, Metadata},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::ports::SourceError;

/// How much of a file's end is hashed: one block of most file systems. An appended, truncated or rewritten file differs
/// there, in its size or in its time.
const TAIL_BYTES: u64 = 4096;

/// A file as it was when an epoch was planned with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlannedFile {
    /// Bytes, because a path need not be UTF-8.
    path: Vec<u8>,
    pub(super) size: u64,
    /// Nanoseconds since 1970.
    pub(super) modified: i64,
    /// CRC-32 of the last bytes.
    tail: u32,
}

/// The files of a range as its detail.
pub(super) fn encode(files: &[PlannedFile]) -> Vec<u8> {
    postcard::to_stdvec(files).expect("bytes and integers serialise")
}

/// The files of a range.
pub(super) fn decode(detail: &[u8]) -> Result<Vec<PlannedFile>, SourceError> {
    postcard::from_bytes(detail).map_err(|error| {
        SourceError::Fatal(format!(
            "the checkpoint's list of files is not readable: {error}; restore the checkpoint, or start with a new one"
        ))
    })
}

/// Nanoseconds since 1970, which fit until the year 2262.
pub(super) fn modified(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

impl PlannedFile {
    /// The file as it is now; none when it is gone or is not a regular file any more.
    pub(super) fn observe(path: &Path) -> Result<Option<Self>, SourceError> {
        let observed = File::open(path).and_then(|file| Self::of(path, &file));
        match observed {
            Ok(observed) => Ok(observed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SourceError::Again(format!(
                "cannot read `{}`: {error}; make it readable, or move it away",
                path.display()
            ))),
        }
    }

    fn of(path: &Path, file: &File) -> io::Result<Option<Self>> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let size = metadata.len();
        let start = size.saturating_sub(TAIL_BYTES);
        let mut tail = vec![0; (size - start) as usize];
        file.read_exact_at(&mut tail, start)?;
        let path = path.as_os_str().as_bytes().to_vec();
        Ok(Some(PlannedFile { path, size, modified: modified(&metadata), tail: crc32fast::hash(&tail) }))
    }

    pub(super) fn path(&self) -> PathBuf {
        OsString::from_vec(self.path.clone()).into()
    }

    /// Opens the file if it is still the one that was planned.
    pub(super) fn open(&self) -> Result<File, SourceError> {
        let path = self.path();
        let file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.is_not_the_same("it is gone"),
            _ => self.is_not_the_same(&format!("it cannot be opened: {error}")),
        })?;
        let now =
            Self::of(&path, &file).map_err(|error| self.is_not_the_same(&format!("it cannot be read: {error}")))?;
        match now {
            None => Err(self.is_not_the_same("it is not a regular file any more")),
            Some(now) if now.size != self.size => Err(self.is_not_the_same(&format!("it has {} bytes", now.size))),
            Some(now) if now.tail != self.tail => Err(self.is_not_the_same("its content has changed")),
            Some(now) if now.modified != self.modified => Err(self.is_not_the_same("it was modified again")),
            Some(_) => Ok(file),
        }
    }

    /// The error that stops the pipeline, and how to go on.
    pub(super) fn is_not_the_same(&self, now: &str) -> SourceError {
        SourceError::Fatal(format!(
            "file `{}` was planned for this epoch with {} bytes, but now {now}; put it back as it was, with its \
             modification time (cp -p keeps it), and start again: nothing of the epoch was committed",
            self.path().display(),
            self.size
        ))
    }
}
