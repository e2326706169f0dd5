//! What is known of the keys of one bucket, from epoch to epoch; one file for each kind of keyed stage.

mod batches;
mod closing;
mod distinct;
mod group;
mod join;
mod parts;
mod rows;
mod session;
mod update;

use std::collections::BTreeSet;

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use super::{Failure, PluginCalls};
use crate::{
    manifest::OutputMode,
    model::{Epoch, EventTime, ProcessingTime},
    plan::{Barrier, Extent},
    watermark::EpochWatermarks,
};

pub(super) use distinct::stored_schema as distinct_schema;
pub(super) use join::stored_schema as join_schema;
pub(super) use update::{decode_timers, stored_schema as update_schema};

/// What an epoch asks of a bucket.
pub(super) struct Work<'a> {
    /// The rows of the bucket, split by split.
    pub(super) input: &'a [RecordBatch],
    /// The rows of a join's right side.
    pub(super) right: &'a [RecordBatch],
    /// The epoch.
    pub(super) epoch: Epoch,
    /// Its watermarks.
    pub(super) watermarks: EpochWatermarks,
    /// The epoch's batch time.
    pub(super) now: ProcessingTime,
    /// The modes in which results are wanted.
    pub(super) modes: &'a BTreeSet<OutputMode>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Done {
    /// Results, by the mode they are for; none for rows that are final.
    pub(super) results: Vec<(Option<OutputMode>, RecordBatch)>,
    /// Stored rows that are new or have changed.
    pub(super) changed: Option<RecordBatch>,
    /// Stored rows that are gone, of which the columns of the key count.
    pub(super) gone: Option<RecordBatch>,
    /// How many keys were touched.
    pub(super) updated: usize,
    /// How many keys a watermark removed.
    pub(super) removed: usize,
}

/// The state of one bucket.
///
/// Laws: `restore` of all rows that `run` reported, oldest first, makes a bucket that answers like this one; and what
/// `run` answers depends on what was stored and what comes in, never on the way the state came to be.
pub(super) trait Bucket: Send {
    /// Carries on under another version of the stage, of the same layout.
    fn adopt(&mut self, barrier: &Barrier);

    /// Takes over stored rows; a row replaces an earlier one of the same key.
    fn restore(&mut self, rows: &RecordBatch) -> Result<(), Failure>;

    /// Forgets stored rows.
    fn forget(&mut self, rows: &RecordBatch) -> Result<(), Failure>;

    /// Does an epoch's work.
    fn run(&mut self, calls: &mut PluginCalls, work: &Work<'_>) -> Result<Done, Failure>;

    /// Everything as stored rows.
    fn all(&self) -> Result<RecordBatch, Failure>;

    /// How many stored rows that is.
    fn len(&self) -> usize;

    /// About how many bytes it takes in memory.
    fn bytes(&self) -> usize;

    /// The event time at which the watermark next finds something to close.
    fn next_closing(&self) -> Option<EventTime>;

    /// When the clock next finds something to do.
    fn next_due(&self) -> Option<ProcessingTime> {
        None
    }
}

/// An empty bucket for what a node keeps by key. `stored` has the columns of its stored rows.
pub(super) fn new(barrier: &Barrier, stored: &SchemaRef) -> Result<Box<dyn Bucket>, Failure> {
    Ok(match barrier {
        Barrier::Group(group) if matches!(group.extent, Extent::Sessions { .. }) => {
            Box::new(session::SessionBucket::new(group, stored)?)
        }
        Barrier::Group(group) if matches!(group.extent, Extent::Batches(_)) => {
            Box::new(batches::BatchesBucket::new(group, stored)?)
        }
        Barrier::Group(group) => Box::new(group::GroupBucket::new(group, stored)?),
        Barrier::Distinct(distinct) => Box::new(distinct::DistinctBucket::new(distinct, stored)?),
        Barrier::Join(join) => Box::new(join::JoinBucket::new(join, stored)?),
        Barrier::Update(update) => Box::new(update::UpdateBucket::new(update, stored)?),
        Barrier::Handle(_) => unreachable!("a batch handler keeps nothing"),
    })
}
