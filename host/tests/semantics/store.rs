//! A checkpoint that loses commits on demand, as when the process ends just before one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use arrow::array::RecordBatch;
use tidemill::{
    checkpoint::{Committed, EpochPlan},
    model::PartName,
    ports::{CheckpointError, CheckpointStore, Range, StateChunk, StateReader},
    state::RedbStore,
};

/// A store whose commits fail while it is told so.
pub(crate) struct ForgetfulStore {
    store: RedbStore,
    loses: Arc<AtomicBool>,
}

impl ForgetfulStore {
    pub(crate) fn new(store: RedbStore, loses: Arc<AtomicBool>) -> Self {
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

    fn stages_with_state(&self) -> Result<Vec<PartName>, CheckpointError> {
        self.store.stages_with_state()
    }
}
