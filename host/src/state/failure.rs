//! What can go wrong in the store, and the one place where it is put into words.

use std::{fmt::Display, io, path::Path};

use arrow::error::ArrowError;

use crate::{model::Epoch, ports::CheckpointError};

use super::{file::NAME, tables::FORMAT};

/// Why the store could not do what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// redb says so.
    Redb(redb::Error),
    /// The disk or the file system says so, before redb came into it.
    Io(io::Error),
    /// A value is not what was written.
    Damaged { table: &'static str, key: String, reason: String },
    /// redb gave up on the file without a word.
    Unreadable,
    /// The file is a redb file of somebody else's.
    Foreign,
    /// The file was written by another version of the store.
    Format(u64),
    /// Something could not be put into bytes.
    Encode(String),
    /// The epoch does not follow the committed one.
    OutOfOrder { epoch: Epoch, next: Epoch },
    /// Whoever the state was handed to refused it.
    Receiver(CheckpointError),
}

impl Failure {
    pub(super) fn damaged(table: &'static str, key: impl Display, reason: String) -> Self {
        Failure::Damaged { table, key: key.to_string(), reason }
    }

    /// What happened, for somebody who knows where.
    pub(super) fn reason(self) -> String {
        match self {
            Failure::Redb(redb::Error::Corrupted(what)) => what,
            Failure::Redb(error) => error.to_string(),
            Failure::Io(error) => error.to_string(),
            Failure::Damaged { table, key, reason } => format!("value `{key}` of table `{table}`: {reason}"),
            Failure::Unreadable => "its pages make no sense".to_owned(),
            other => other.at(Path::new(NAME)).0,
        }
    }

    /// The failure in words: what happened to which file, and what to do next.
    pub(super) fn at(self, path: &Path) -> CheckpointError {
        let path = path.display();
        let damaged = |what: &dyn Display| {
            format!(
                "checkpoint `{path}` is damaged: {what}; restore a savepoint, or start anew with another --checkpoint"
            )
        };
        CheckpointError(match self {
            Failure::Io(error) => io_failure(&path, &error),
            Failure::Redb(redb::Error::Io(error)) if tells_of_damage(&error) => damaged(&error),
            Failure::Redb(redb::Error::Io(error)) => io_failure(&path, &error),
            Failure::Redb(redb::Error::PreviousIo) => io_failure(&path, &"an earlier read or write failed"),
            Failure::Redb(redb::Error::DatabaseAlreadyOpen) => format!(
                "checkpoint `{path}` is in use by another process: stop that one, or give this pipeline another --checkpoint"
            ),
            Failure::Redb(redb::Error::Corrupted(what)) => damaged(&what),
            Failure::Redb(error) => damaged(&error),
            Failure::Damaged { table, key, reason } => {
                damaged(&format_args!("value `{key}` of table `{table}`: {reason}"))
            }
            Failure::Unreadable => damaged(&Failure::Unreadable.reason()),
            Failure::Foreign => format!(
                "`{path}` is a redb file, but not a checkpoint of tidemill: choose another place with --checkpoint"
            ),
            Failure::Format(found) => format!(
                "checkpoint `{path}` has format {found}, and this tidemill reads format {FORMAT}: run the version that wrote \
                 it, or start anew with another --checkpoint"
            ),
            Failure::Encode(reason) => format!("checkpoint `{path}`: a value cannot be written down: {reason}"),
            Failure::OutOfOrder { epoch, next } => format!(
                "checkpoint `{path}` expects epoch {next} and was given epoch {epoch}: this is a fault of tidemill's, and \
                 nothing was written; start the pipeline again"
            ),
            Failure::Receiver(error) => return error,
        })
    }
}

/// After an error of the disk redb refuses all work until the file is opened again.
fn io_failure(path: &dyn Display, error: &dyn Display) -> String {
    format!(
        "checkpoint `{path}` cannot be read or written: {error}; see to the disk and its permissions, then start the pipeline \
         again: it goes on after the last committed epoch"
    )
}

/// redb reports a foreign or truncated file as an I/O error of these kinds.
fn tells_of_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        Failure::Encode(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

/// redb has an error type for each step; all of them go into its one superset.
macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for Failure {
            fn from(error: redb::$error) -> Self {
                Failure::Redb(error.into())
            }
        }
    )*};
}

from_redb!(CommitError, DatabaseError, SetDurabilityError, StorageError, TableError, TransactionError);
