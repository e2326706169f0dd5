//! Checkpoints for cases: one that loses commits on demand, as when the process ends just before one, and one without a
//! disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use arrow::array::RecordBatch;
use tidemill::{
    checkpoint::{Committed, EpochPlan},
    model::PartName,
    ports::{CheckpointError, CheckpointStore, ChunkKind, Range, StateChange, StateChunk, StateReader},
};

/// A store whose commits fail while it is told so.
pub(crate) struct ForgetfulStore {
    store: Box<dyn CheckpointStore>,
    loses: Arc<AtomicBool>,
}

impl ForgetfulStore {
    pub(crate) fn new(store: Box<dyn CheckpointStore>, loses: Arc<AtomicBool>) -> Self {
        ForgetfulStore { store, loses }
    }
}

impl StateReader for ForgetfulStore {
    fn load_state(
        &self,
        stage: &PartName,
        bucket: usize,
        receiver: &mut dyn FnMut(RecordBatch) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        self.store.load_state(stage, bucket, receiver)
    }
}

impl CheckpointStore for ForgetfulStore {
    fn committed(&self) -> Result<Option<Committed>, CheckpointError> {
        self.store.committed()
    }

    fn plan(&self) -> Result<Option<EpochPlan>, CheckpointError> {
        self.store.plan()
    }

    fn write_plan(&mut self, plan: &EpochPlan) -> Result<(), CheckpointError> {
        self.store.write_plan(plan)
    }

    fn commit(
        &mut self,
        committed: &Committed,
        ranges: &[(PartName, Range)],
        state: &[StateChunk],
        next: Option<&EpochPlan>,
    ) -> Result<(), CheckpointError> {
        match self.loses.load(Ordering::Relaxed) {
            true => Err(CheckpointError("the commit was lost".to_owned())),
            false => self.store.commit(committed, ranges, state, next),
        }
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

/// A checkpoint in memory, which outlives the pipelines that use it: thousands of cases would wait for the disk most of
/// their time.
#[derive(Clone, Default)]
pub(crate) struct MemoryStore(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    committed: Option<Committed>,
    plan: Option<EpochPlan>,
    history: Vec<(PartName, Range)>,
    state: BTreeMap<(PartName, usize), Vec<RecordBatch>>,
}

impl MemoryStore {
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateReader for MemoryStore {
    fn load_state(
        &self,
        stage: &PartName,
        bucket: usize,
        receiver: &mut dyn FnMut(RecordBatch) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let rows = self.stored().state.get(&(stage.clone(), bucket)).cloned();
        rows.into_iter().flatten().try_for_each(receiver)
    }
}

impl CheckpointStore for MemoryStore {
    fn committed(&self) -> Result<Option<Committed>, CheckpointError> {
        Ok(self.stored().committed.clone())
    }

    fn plan(&self) -> Result<Option<EpochPlan>, CheckpointError> {
        Ok(self.stored().plan.clone())
    }

    fn write_plan(&mut self, plan: &EpochPlan) -> Result<(), CheckpointError> {
        self.stored().plan = Some(plan.clone());
        Ok(())
    }

    fn commit(
        &mut self,
        committed: &Committed,
        ranges: &[(PartName, Range)],
        state: &[StateChunk],
        next: Option<&EpochPlan>,
    ) -> Result<(), CheckpointError> {
        let mut stored = self.stored();
        (stored.committed, stored.plan) = (Some(committed.clone()), next.cloned());
        stored.history.extend_from_slice(ranges);
        for chunk in state {
            let rows = stored.state.entry((chunk.stage.clone(), chunk.bucket)).or_default();
            if chunk.kind == ChunkKind::Snapshot {
                rows.clear();
            }
            rows.extend_from_slice(&chunk.rows);
        }
        Ok(())
    }

    fn history(&self, source: &PartName) -> Result<Vec<Range>, CheckpointError> {
        let of_source = |(name, range): &(PartName, Range)| (name == source).then(|| range.clone());
        Ok(self.stored().history.iter().filter_map(of_source).collect())
    }

    fn sources_with_history(&self) -> Result<Vec<PartName>, CheckpointError> {
        let sources: BTreeSet<PartName> = self.stored().history.iter().map(|(source, _)| source.clone()).collect();
        Ok(sources.into_iter().collect())
    }

    fn change_state(&mut self, changes: &[StateChange]) -> Result<(), CheckpointError> {
        assert!(changes.is_empty(), "no case asks for changes of this store");
        Ok(())
    }
}
