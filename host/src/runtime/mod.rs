//! Where ports and adapters meet: a pipeline that runs.
//!
//! In reading order: `prepare` loads plugins and checks the pipeline against them; [`Pipeline`] is a running pipeline,
//! made and changed by one function, `reconcile`; `epoch` is what happens in one epoch, from top to bottom; `driver`
//! decides when the next one starts; `workers` shares tasks out; `progress` reports; `clock` is the one place that
//! reads the real one.

mod clock;
mod control;
mod crash_point;
mod driver;
mod epoch;
mod gathered;
mod kept;
mod pipeline;
mod prepare;
mod progress;
mod receiver;
mod reconcile;
mod recover;
mod tables;
mod trigger;
mod watch;
mod workers;

pub use clock::SystemClock;
pub use control::Control;
pub use driver::{Observer, drive};
pub use pipeline::{Environment, Pipeline};
pub use prepare::{PrepareError, Prepared, Preparer};
pub use progress::{Durations, EventTimeProgress, Progress, SinkProgress, SourceProgress, StateProgress};
pub use recover::Decisions;
pub use watch::Watch;

use std::path::PathBuf;

use crate::{
    checkpoint::Unrecoverable,
    model::PartName,
    operator::{OperatorError, StateError},
    ports::{CallError, CheckpointError, SinkError, SourceError, TableError},
};

/// Why a pipeline stopped or did not start. What was committed stays committed, and nothing else is visible.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A source could not answer.
    #[error("source `{part}`: {error}")]
    Source {
        /// The source.
        part: PartName,
        /// What it said.
        error: SourceError,
    },
    /// A sink could not take rows.
    #[error("sink `{part}`: {error}")]
    Sink {
        /// The sink.
        part: PartName,
        /// What it said.
        error: SinkError,
    },
    /// A table could not be read.
    #[error("table `{table}`: {error}")]
    Table {
        /// The table.
        table: String,
        /// What it said.
        error: TableError,
    },
    /// A transform could not do its work.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// A plugin did not start.
    #[error(transparent)]
    Plugin(#[from] CallError),
    /// The checkpoint could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A sink's marker and the checkpoint do not belong together.
    #[error("{error}; the checkpoint is {}", checkpoint.display())]
    Unrecoverable {
        /// Which sink, and how they disagree.
        error: Unrecoverable,
        /// The folder of the checkpoint.
        checkpoint: PathBuf,
    },
    /// A watermark by partition has more partitions than can be remembered.
    #[error(
        "the watermark of `{part}` has more than {} partitions; take a column with fewer values for `per`, or leave it out",
        crate::watermark::MOST_PARTITIONS
    )]
    Partitions {
        /// The part that declares the watermark.
        part: PartName,
    },
    /// The checkpoint holds state that this pipeline cannot carry on.
    #[error("{0}")]
    State(String),
    /// A row could not be read, and the manifest says to stop then.
    #[error("source `{part}`: {error} (bad_rows = \"stop\")")]
    BadRow {
        /// The source.
        part: PartName,
        /// The row's place and fault.
        error: String,
    },
}

impl From<StateError> for RunError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Operator(error) => error.into(),
            StateError::Checkpoint(error) => error.into(),
        }
    }
}
