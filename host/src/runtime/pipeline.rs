//! A running pipeline: everything that is open, and where it stands.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicUsize},
};

use super::{Control, Prepared, recover::InFlight, tables::Tables};
use crate::{
    checkpoint::EpochPlan,
    model::{Epoch, PartName, ProcessingTime, Watermark},
    operator::{KeyedState, Pipe},
    ports::{CheckpointStore, Clock, Sink, Source},
    sink::MemoryTables,
    watermark::Tracker,
};

/// What a pipeline needs from the process it runs in.
#[derive(Clone)]
pub struct Environment {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// How it is steered, and how sources wake it.
    pub control: Arc<Control>,
    /// Where memory sinks keep their tables.
    pub tables: Arc<MemoryTables>,
    /// The folder of the checkpoint.
    pub checkpoint: PathBuf,
}

/// A running pipeline.
pub struct Pipeline {
    pub(super) environment: Environment,
    pub(super) prepared: Prepared,
    /// In the order of the manifest.
    pub(super) sources: Vec<Box<dyn Source>>,
    pub(super) tables: Tables,
    /// In the order of the manifest.
    pub(super) sinks: Vec<Box<dyn Sink>>,
    /// The state of each keyed stage, by node.
    pub(super) states: BTreeMap<usize, KeyedState>,
    pub(super) workers: Vec<Pipe>,
    pub(super) store: Box<dyn CheckpointStore>,
    /// The next epoch.
    pub(super) next: Epoch,
    /// An epoch that was under way when the process before ended, to be run again before anything new.
    pub(super) in_flight: Option<InFlight>,
    /// The next epoch, when it was planned together with the commit of the one before.
    pub(super) planned: Option<EpochPlan>,
    /// When the epoch before started.
    pub(super) last_start: Option<ProcessingTime>,
    /// How far event time is complete.
    pub(super) watermarks: Tracker,
    /// The watermark by which the epoch before closed.
    pub(super) closed: Watermark,
    /// How many bytes of state are in memory.
    pub(super) resident: Arc<AtomicUsize>,
    /// Whether an epoch has failed: what is in memory is then no longer what is committed.
    pub(super) failed: bool,
}

impl Pipeline {
    /// The pipeline it runs.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// How far event time is complete.
    pub fn watermark(&self) -> Watermark {
        self.watermarks.current()
    }

    /// The folder of its checkpoint.
    pub fn checkpoint(&self) -> &Path {
        &self.environment.checkpoint
    }

    /// The name of a source, transform or sink that has state.
    pub(super) fn node_name(&self, node: usize) -> &PartName {
        &self.prepared.plan.nodes[node].name
    }
}
