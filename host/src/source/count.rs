//! Offsets of sources that have nothing better than to count their rows.

use crate::ports::{Offset, SourceError};

/// So many rows so far.
pub(super) fn to_offset(rows: u64) -> Offset {
    Offset(rows.to_string())
}

/// How many rows so far.
pub(super) fn from_offset(offset: &Offset) -> Result<u64, SourceError> {
    offset.0.parse().map_err(|_| {
        SourceError::Fatal(format!(
            "the checkpoint's offset `{}` does not count rows: it belongs to a source of another type; \
             give this source another name, or start with a new checkpoint",
            offset.0
        ))
    })
}
