//! The port of a table that streams are joined with: small, whole, and read anew when it has changed.

use arrow::array::RecordBatch;

use crate::model::Digest;

/// A table outside.
pub trait Table: Send {
    /// Its rows, when they are not those of the last time; none when nothing has changed. Asked before each epoch, so
    /// it must cost next to nothing then.
    fn refresh(&mut self) -> Result<Option<TableRows>, TableError>;
}

/// All rows of a table.
#[derive(Debug, Clone)]
pub struct TableRows {
    /// The rows.
    pub rows: RecordBatch,
    /// Which content this is.
    pub digest: Digest,
}

/// Why a table cannot be read. The text names it and says what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TableError(pub String);
