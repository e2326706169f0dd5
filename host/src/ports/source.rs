//! The port of a source: where rows come from. The host polls and a source answers; it owns no loop of its own.

use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::model::ProcessingTime;

/// A position in a source, in the source's own words: a JSON value, because people read it in progress reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub String);

/// What one epoch reads from one source: everything after `start` up to and including `end`.
///
/// A range is written down durably before it is read, and reading it again gives the same rows in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Where the epoch before ended.
    pub start: Offset,
    /// Where this one ends.
    pub end: Offset,
    /// Whether this range tells all there is to know, so that earlier ones may be forgotten. Where it is false, as for
    /// a folder of which each range lists some files, the whole history is kept.
    pub cumulative: bool,
    /// What the source needs beyond the offsets to read the range again, in its own encoding: the list of
    /// files, for one. Kept with the checkpoint and handed back by [`Source::restore`].
    pub detail: Vec<u8>,
}

/// A source of rows.
///
/// Laws: `next_range` after `restore` goes on exactly where the last range of the history ended; `read` of one
/// range gives the same splits, in the same order, whenever it is called and whatever the number of workers.
pub trait Source: Send {
    /// Takes up where the checkpoint stands: the ranges of all committed epochs, oldest first, from the last cumulative
    /// one on; empty for a new pipeline. Called once, before anything else.
    fn restore(&mut self, history: &[Range]) -> Result<(), SourceError>;

    /// The next range, no larger than the settings allow; none when there is nothing new.
    fn next_range(&mut self, now: ProcessingTime) -> Result<Option<Range>, SourceError>;

    /// From now on offers only what is there at this moment: for the trigger available-now.
    fn freeze(&mut self, now: ProcessingTime) -> Result<(), SourceError>;

    /// The independent pieces of a range. Workers read them in parallel; their order is the order of the rows.
    fn read(&mut self, range: &Range) -> Result<Vec<Box<dyn Split>>, SourceError>;

    /// The epoch that read this range is committed: the source may forget it.
    fn acknowledge(&mut self, range: &Range) -> Result<(), SourceError>;
}

/// A piece of a range, read once by one worker.
pub trait Split: Send {
    /// Hands every row to the receiver, batch by batch. Stops at once when the receiver says break.
    fn read(self: Box<Self>, receiver: &mut dyn RowReceiver) -> Result<(), SourceError>;
}

/// Whether a receiver wants more.
pub type Control = ControlFlow<()>;

/// Takes what a split reads.
pub trait RowReceiver {
    /// A batch of at most some thousands of rows, with the source's schema.
    fn rows(&mut self, batch: RecordBatch) -> Control;

    /// A row that could not be read: it becomes a dead letter, or stops the pipeline, as the manifest says.
    fn bad_row(&mut self, bad: BadRow) -> Control;
}

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Where it stands: `access.log:17`.
    pub place: String,
    /// The row as far as it can be shown, cut to a few kilobytes.
    pub row: String,
    /// What is wrong with it.
    pub error: String,
}

/// Why a source could not answer. The text names the thing and says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The pipeline stops: going on would lose or double rows.
    #[error("{0}")]
    Fatal(String),
    /// Worth another try at the next trigger: nothing is lost by waiting.
    #[error("{0}")]
    Again(String),
}
