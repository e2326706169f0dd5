//! Stands between the epoch loop and what it writes to, and notes what was promised: to the loop, and so to the world.

use std::{
    collections::BTreeMap,
    ops::AddAssign,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use crate::{
    checkpoint::{Committed, EpochPlan},
    model::{Epoch, PartName},
    ports::{
        CheckpointError, CheckpointStore, CommitPermit, Marker, Range, Sink, SinkError, StateChange, StateChunk,
        StateReader,
    },
    state::RedbStore,
};

/// What is known of a step: the last epoch whose step has returned, and the last one whose step was begun.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    pub(super) surely: Option<Epoch>,
    pub(super) perhaps: Option<Epoch>,
}

impl Known {
    pub(super) fn allows(self, found: Option<Epoch>) -> bool {
        self.surely <= found && found <= self.perhaps
    }

    /// What a start has found is acted upon, so it must not be taken back either.
    pub(super) fn found(&mut self, epoch: Option<Epoch>) {
        *self = Known { surely: epoch, perhaps: epoch };
    }
}

/// What the world outside has been told, which no crash may take back.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) planned: Known,
    /// By sink.
    pub(super) written: [Known; 2],
    pub(super) committed: Known,
    /// The last plan of each epoch that was handed to the store, and whether that came with a commit.
    pub(super) plans: BTreeMap<Epoch, (EpochPlan, bool)>,
    /// How many more batches the sinks take before one of them refuses one; none for never.
    pub(super) refuse_after: Option<u64>,
    pub(super) starts: Starts,
}

/// How many starts went on in which way: a test that comes to one of them only is no test.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// With a new epoch.
    pub(super) fresh: usize,
    /// With an epoch that no sink had.
    pub(super) rerun: usize,
    /// With one that one sink had and the other had not.
    pub(super) half: usize,
    /// With one that both had.
    pub(super) suppressed: usize,
    /// With one whose plan came with the commit before: also counted above.
    pub(super) ahead: usize,
    /// After an epoch that was aborted while the disk was well.
    pub(super) aborted: usize,
}

impl AddAssign for Starts {
    fn add_assign(&mut self, other: Starts) {
        self.fresh += other.fresh;
        self.rerun += other.rerun;
        self.half += other.half;
        self.suppressed += other.suppressed;
        self.ahead += other.ahead;
        self.aborted += other.aborted;
    }
}

/// Shared by the test, the store and the sinks.
#[derive(Clone, Default)]
pub(super) struct Witness(Arc<Mutex<Told>>);

impl Witness {
    /// A check that fails while it looks has said why.
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn store(&self, store: RedbStore) -> impl CheckpointStore + 'static {
        WatchedStore { store, witness: self.clone() }
    }

    pub(super) fn sink(&self, at: usize, sink: impl Sink + 'static) -> Box<dyn Sink> {
        Box::new(WatchedSink { sink, at, witness: self.clone() })
    }
}

struct WatchedStore {
    store: RedbStore,
    witness: Witness,
}

impl StateReader for WatchedStore {
    fn load_state(
        &self,
        stage: &PartName,
        bucket: usize,
        receiver: &mut dyn FnMut(RecordBatch) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        self.store.load_state(stage, bucket, receiver)
    }
}

impl CheckpointStore for WatchedStore {
    fn committed(&self) -> Result<Option<Committed>, CheckpointError> {
        self.store.committed()
    }

    fn plan(&self) -> Result<Option<EpochPlan>, CheckpointError> {
        self.store.plan()
    }

    fn write_plan(&mut self, plan: &EpochPlan) -> Result<(), CheckpointError> {
        self.witness.told().begin_plan(plan, false);
        self.store.write_plan(plan)?;
        self.witness.told().planned.surely = Some(plan.epoch);
        Ok(())
    }

    fn commit(
        &mut self,
        committed: &Committed,
        ranges: &[(PartName, Range)],
        state: &[StateChunk],
        next: Option<&EpochPlan>,
    ) -> Result<(), CheckpointError> {
        let mut told = self.witness.told();
        told.committed.perhaps = Some(committed.epoch);
        next.iter().for_each(|plan| told.begin_plan(plan, true));
        self.store.commit(committed, ranges, state, next)?;
        told.committed.surely = Some(committed.epoch);
        next.iter().for_each(|plan| told.planned.surely = Some(plan.epoch));
        Ok(())
    }

    fn history(&self, source: &PartName) -> Result<Vec<Range>, CheckpointError> {
        self.store.history(source)
    }

    fn sources_with_history(&self) -> Result<Vec<PartName>, CheckpointError> {
        self.store.sources_with_history()
    }

    fn change_state(&mut self, changes: &[StateChange]) -> Result<(), CheckpointError> {
        self.store.change_state(changes)
    }
}

impl Told {
    fn begin_plan(&mut self, plan: &EpochPlan, with_commit: bool) {
        self.planned.perhaps = Some(plan.epoch);
        self.plans.insert(plan.epoch, (plan.clone(), with_commit));
    }
}

struct WatchedSink<S> {
    sink: S,
    at: usize,
    witness: Witness,
}

impl<S: Sink> Sink for WatchedSink<S> {
    fn recover(&mut self) -> Result<Marker, SinkError> {
        let marker = self.sink.recover()?;
        let found = match marker {
            Marker::At(epoch) => Some(epoch),
            Marker::Nothing | Marker::Unknown => None,
        };
        let told = &mut self.witness.told();
        let known = &mut told.written[self.at];
        assert!(known.allows(found), "sink {} is at {found:?}, and told was {known:?}", self.at);
        known.found(found);
        Ok(marker)
    }

    fn begin(&mut self, epoch: Epoch, schema: &SchemaRef) -> Result<(), SinkError> {
        self.sink.begin(epoch, schema)
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), SinkError> {
        let left = &mut self.witness.told().refuse_after;
        if *left == Some(0) {
            return Err(SinkError("a batch was refused".to_owned()));
        }
        *left = left.map(|left| left - 1);
        self.sink.write(rows)
    }

    fn commit(&mut self, permit: CommitPermit) -> Result<(), SinkError> {
        let epoch = permit.epoch();
        self.witness.told().written[self.at].perhaps = Some(epoch);
        self.sink.commit(permit)?;
        self.witness.told().written[self.at].surely = Some(epoch);
        Ok(())
    }

    fn abort(&mut self) {
        self.sink.abort();
    }
}
