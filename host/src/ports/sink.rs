//! The port of a sink: where rows go, together with the number of their epoch.

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use crate::model::Epoch;

/// Leave to make an epoch's rows visible outside. Only the checkpoint protocol makes one, once the plan of the
/// epoch is durable, so a sink cannot be told to commit too early.
#[derive(Debug)]
pub struct CommitPermit {
    epoch: Epoch,
}

impl CommitPermit {
    pub(crate) fn new(epoch: Epoch) -> Self {
        CommitPermit { epoch }
    }

    /// The epoch to commit.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}

/// What a sink knows of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// It cannot know: the console, or a table in memory that has just been made. Such a sink is at-least-once.
    Unknown,
    /// Nothing was ever committed.
    Nothing,
    /// The last committed epoch.
    At(Epoch),
}

/// A sink of rows.
///
/// An epoch is `begin`, any number of `write`, then `commit` or `abort`. Laws: until `commit` nothing is visible;
/// `commit` makes the rows and the marker of the epoch visible in one atomic step, also when there are no rows; after a
/// crash at any instant `recover` tells whether that step happened.
pub trait Sink: Send {
    /// Shuts out any earlier writer, clears away what it left unfinished, and says what was committed last.
    fn recover(&mut self) -> Result<Marker, SinkError>;

    /// Starts an epoch whose rows have this schema.
    fn begin(&mut self, epoch: Epoch, schema: &SchemaRef) -> Result<(), SinkError>;

    /// Takes rows of the epoch that was begun.
    fn write(&mut self, rows: &RecordBatch) -> Result<(), SinkError>;

    /// Makes the epoch visible, with its marker.
    fn commit(&mut self, permit: CommitPermit) -> Result<(), SinkError>;

    /// Forgets the epoch that was begun.
    fn abort(&mut self);
}

/// Why a sink could not take rows. The text names the thing and says what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);
