//! A row that could not be processed, and why.

use super::{Digest, Epoch, PartName};

/// A row set aside instead of stopping the pipeline. Sinks take them from the input named `dead_letters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The epoch it was read in.
    pub epoch: Epoch,
    /// The part that could not process it.
    pub part: PartName,
    /// What was wrong with it.
    pub error: String,
    /// The row: the raw line for a source (bytes that are not UTF-8 replaced), JSON for a transform.
    pub row: String,
    /// The module that failed on it; none for a source.
    pub module: Option<Digest>,
}
