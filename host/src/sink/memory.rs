//! `type = "memory"`: tables that tests and queries read while the pipeline runs. They live as long as the process.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use hashbrown::HashMap;

use crate::{
    manifest::{MemorySink, OutputMode},
    model::{Epoch, PartName},
    ports::{CommitPermit, Marker, Sink, SinkError},
};

/// The tables of a pipeline by the names of their sinks.
#[derive(Debug, Default)]
pub struct MemoryTables(Mutex<HashMap<PartName, Arc<MemoryTable>>>);

/// What the commits of a memory sink have left.
#[derive(Debug, Default)]
pub struct MemoryTable(Mutex<Snapshot>);

/// A table as of its last commit.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its columns; none before the first commit.
    pub schema: SchemaRef,
    /// Its rows, oldest first.
    pub rows: Vec<RecordBatch>,
    /// The last epoch that was committed.
    pub epoch: Option<Epoch>,
    /// How many rows were given up because there were more than the sink keeps.
    pub dropped: u64,
}

impl Default for Snapshot {
    fn default() -> Self {
        Snapshot { schema: Arc::new(Schema::empty()), rows: Vec::new(), epoch: None, dropped: 0 }
    }
}

impl MemoryTables {
    /// The table of a sink, if there is one.
    pub fn get(&self, sink: &PartName) -> Option<Arc<MemoryTable>> {
        self.lock().get(sink).cloned()
    }

    /// The table of a sink, made if there is none yet.
    pub(super) fn table(&self, sink: &PartName) -> Arc<MemoryTable> {
        self.lock().entry(sink.clone()).or_default().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PartName, Arc<MemoryTable>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryTable {
    /// The table as it is now. Rows are shared, not copied.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fills a table.
pub(super) struct Memory {
    table: Arc<MemoryTable>,
    max_rows: usize,
    mode: OutputMode,
    schema: SchemaRef,
    staged: Newest,
}

/// The newest rows of a sequence of batches.
#[derive(Default)]
struct Newest {
    batches: VecDeque<RecordBatch>,
    rows: usize,
    dropped: u64,
}

impl Memory {
    pub(super) fn new(table: Arc<MemoryTable>, settings: &MemorySink, mode: OutputMode) -> Self {
        let schema = Arc::new(Schema::empty());
        Memory { table, max_rows: settings.max_rows, mode, schema, staged: Newest::default() }
    }
}

impl Sink for Memory {
    fn recover(&mut self) -> Result<Marker, SinkError> {
        Ok(self.table.lock().epoch.map_or(Marker::Unknown, Marker::At))
    }

    fn begin(&mut self, _: Epoch, schema: &SchemaRef) -> Result<(), SinkError> {
        self.schema = schema.clone();
        self.staged = Newest::default();
        Ok(())
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), SinkError> {
        self.staged.push(rows.clone(), self.max_rows);
        Ok(())
    }

    fn commit(&mut self, permit: CommitPermit) -> Result<(), SinkError> {
        let staged = mem::take(&mut self.staged);
        let mut table = self.table.lock();
        // After a swap the rows may have other columns: those from before cannot stand in one table with them.
        let replaces = self.mode == OutputMode::Complete || table.schema != self.schema;
        let before = if replaces { Vec::new() } else { mem::take(&mut table.rows) };
        let mut rows = Newest::default();
        before.into_iter().chain(staged.batches).for_each(|batch| rows.push(batch, self.max_rows));
        let dropped_before = if self.mode == OutputMode::Complete { 0 } else { table.dropped };
        *table = Snapshot {
            schema: self.schema.clone(),
            rows: rows.batches.into(),
            epoch: Some(permit.epoch()),
            dropped: dropped_before + staged.dropped + rows.dropped,
        };
        Ok(())
    }

    fn abort(&mut self) {
        self.staged = Newest::default();
    }
}

impl Newest {
    fn push(&mut self, batch: RecordBatch, most: usize) {
        if batch.num_rows() == 0 {
            return;
        }
        self.rows += batch.num_rows();
        self.batches.push_back(batch);
        while self.rows > most {
            let oldest = self.batches.pop_front().expect("rows are in batches");
            let excess = oldest.num_rows().min(self.rows - most);
            if excess < oldest.num_rows() {
                self.batches.push_front(oldest.slice(excess, oldest.num_rows() - excess));
            }
            self.rows -= excess;
            self.dropped += excess as u64;
        }
    }
}

#[cfg(test)]
mod tests;
