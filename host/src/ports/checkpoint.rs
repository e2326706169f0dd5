//! The port of the checkpoint store: one durable home per pipeline for plans, state, offsets and digests.

use arrow::array::RecordBatch;

use crate::{
    checkpoint::{Committed, EpochPlan},
    model::PartName,
    ports::Range,
};

/// Whether a chunk adds to what is stored or stands for all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkKind {
    /// Rows that replace or add to earlier rows with the same key.
    Delta,
    /// All rows of the bucket: everything stored of it before is void.
    Snapshot,
}

/// A change of one bucket of a keyed stage's state in one epoch: rows of key and state columns, and a last boolean
/// column that is true where the key is gone.
///
/// State travels in chunks, not row by row, because many small values cost the store far more than one big one.
#[derive(Debug, Clone)]
pub struct StateChunk {
    /// The stage the state belongs to.
    pub stage: PartName,
    /// The bucket of the stage, by number.
    pub bucket: usize,
    /// Addition or replacement.
    pub kind: ChunkKind,
    /// The rows.
    pub rows: Vec<RecordBatch>,
}

/// What becomes of what is kept for a part that is no longer what it was: its state, or what it has read if it is a
/// source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// The same part under a new name goes on with it.
    Rename {
        /// The part it is kept for.
        from: PartName,
        /// The part that gets it.
        to: PartName,
    },
    /// It is forgotten.
    Drop {
        /// The part it is kept for.
        part: PartName,
    },
}

/// Reads stored state back, from several threads at once.
pub trait StateReader: Sync {
    /// Hands over the state of a bucket, oldest chunk first: a later row with the same key replaces an earlier one.
    fn load_state(
        &self,
        stage: &PartName,
        bucket: usize,
        receiver: &mut dyn FnMut(RecordBatch) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError>;
}

/// The durable memory of a pipeline.
///
/// Laws: `write_plan`, `commit` and `change_state` are durable when they return, and atomic: after a crash either all
/// of it is there or nothing.
pub trait CheckpointStore: StateReader + Send {
    /// The last committed epoch with everything that was committed with it; none for a new pipeline.
    fn committed(&self) -> Result<Option<Committed>, CheckpointError>;

    /// The plan of the epoch after the committed one, if one was written.
    fn plan(&self) -> Result<Option<EpochPlan>, CheckpointError>;

    /// Writes the plan of the next epoch (T1).
    fn write_plan(&mut self, plan: &EpochPlan) -> Result<(), CheckpointError>;

    /// Commits an epoch (T2): its state changes, its source ranges and `committed`, and removes its plan. When rows
    /// wait already, the plan of the epoch after it is written along: one durable step instead of two.
    fn commit(
        &mut self,
        committed: &Committed,
        ranges: &[(PartName, Range)],
        state: &[StateChunk],
        next: Option<&EpochPlan>,
    ) -> Result<(), CheckpointError>;

    /// The ranges of all committed epochs of a source, oldest first.
    fn history(&self, source: &PartName) -> Result<Vec<Range>, CheckpointError>;

    /// The sources that have a history.
    fn sources_with_history(&self) -> Result<Vec<PartName>, CheckpointError>;

    /// Moves or forgets what is kept for parts: state by key, how far a watermark was, and what a source has read, in
    /// the plan of an epoch under way too. No part that something is moved to has anything yet.
    fn change_state(&mut self, changes: &[StateChange]) -> Result<(), CheckpointError>;
}

/// Why the store could not answer. The text names the file and says what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CheckpointError(pub String);
