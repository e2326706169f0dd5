//! The state of one keyed stage: what is known of every key, and what an epoch makes of it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions},
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use super::{
    Failure, OperatorError, Partial, PluginCalls,
    fold::evaluate,
    partial::{SHARDS, partial_schema},
    shard::{Shard, Touched},
};
use crate::{
    manifest::{OutputMode, Over},
    model::PartName,
    plan::Group,
    ports::{ChunkKind, StateChunk},
};

/// Stored rows may be this many times the live keys before everything is written anew: reading them back at a start, and
/// their room on disk, stay in proportion, and each key is rewritten about once for every two times it changes.
const MOST_STORED_ROWS_PER_KEY: usize = 3;

/// Below so many stored rows nothing is gained by writing anew.
const FEW_STORED_ROWS: usize = 10_000;

/// The state of a keyed stage, in shards that can be worked on at the same time.
pub struct KeyedState {
    part: PartName,
    group: Group,
    schema: SchemaRef,
    shards: Vec<Mutex<Shard>>,
    stored_rows: usize,
}

/// What one shard made of an epoch.
pub struct Merged {
    /// The results, in each mode that is wanted.
    pub results: Vec<(OutputMode, RecordBatch)>,
    /// Key and state columns of the keys that changed.
    pub changes: RecordBatch,
}

impl KeyedState {
    /// No keys yet.
    pub fn new(part: &PartName, group: &Group) -> Result<Self, OperatorError> {
        let schema = partial_schema(group);
        let shards = (0..SHARDS).map(|_| Shard::new(group, &schema).map(Mutex::new)).collect::<Result<_, _>>();
        Ok(KeyedState {
            part: part.clone(),
            group: group.clone(),
            schema,
            shards: shards.map_err(|error: Failure| error.in_part(part))?,
            stored_rows: 0,
        })
    }

    /// How many shards there are; each is one task of an epoch.
    pub fn shards(&self) -> usize {
        SHARDS
    }

    /// How many keys there are.
    pub fn keys(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// The mode to mark results with: rows of one batch are final, so every sink below takes them.
    pub fn mode_tag(&self, mode: OutputMode) -> Option<OutputMode> {
        (self.group.over == Over::All).then_some(mode)
    }

    /// Whether state of this layout can be carried on by another version of the same stage.
    pub fn fits(&self, group: &Group) -> bool {
        self.group.layout == group.layout && self.group.over == group.over && self.schema == partial_schema(group)
    }

    /// Carries the state on under another plan: expressions and plugins may have changed, the layout has not.
    pub fn adopt(&mut self, group: &Group) {
        self.group = group.clone();
    }

    /// Takes over stored rows, oldest first.
    pub fn restore(&mut self, rows: &RecordBatch) -> Result<(), OperatorError> {
        self.restore_rows(rows).map_err(|error| error.in_part(&self.part))
    }

    fn restore_rows(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let columns = self.schema.fields().len();
        if rows.num_columns() != columns + 1 {
            return Err(Failure::BadRow(format!(
                "the stored state has {} columns where {} belong; it was written by another version",
                rows.num_columns(),
                columns + 1
            )));
        }
        self.stored_rows += rows.num_rows();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let rows =
            RecordBatch::try_new_with_options(Arc::clone(&self.schema), rows.columns()[..columns].to_vec(), &options)?;
        let spread = Partial::of_rows(&rows, self.group.keys.schema.fields().len())?;
        for (at, shard) in self.shards.iter().enumerate() {
            if let Some(rows) = spread.shard(at) {
                lock(shard).restore(&rows)?;
            }
        }
        Ok(())
    }

    /// Merges the partial results of one shard, in their order, and gives the results in the modes that are wanted. None
    /// when nothing came and nothing is wanted.
    pub fn merge(
        &self,
        shard: usize,
        partials: &[Partial],
        modes: &BTreeSet<OutputMode>,
        calls: &mut PluginCalls,
    ) -> Result<Option<Merged>, OperatorError> {
        calls.part = self.part.clone();
        self.merge_shard(shard, partials, modes, calls).map_err(|error| error.in_part(&self.part))
    }

    fn merge_shard(
        &self,
        at: usize,
        partials: &[Partial],
        modes: &BTreeSet<OutputMode>,
        calls: &mut PluginCalls,
    ) -> Result<Option<Merged>, Failure> {
        let partials: Vec<RecordBatch> = partials.iter().filter_map(|partial| partial.shard(at)).collect();
        let mut shard = lock(&self.shards[at]);
        if self.group.over == Over::Batch {
            // What a batch leaves behind is nothing: a fresh shard each time.
            *shard = Shard::new(&self.group, &self.schema)?;
        }
        let complete = modes.contains(&OutputMode::Complete) && self.group.over == Over::All;
        if partials.is_empty() && !(complete && shard.len() > 0) {
            return Ok(None);
        }
        let touched = match partials.is_empty() {
            true => None,
            false => Some(shard.merge(&self.group, calls, &partials)?),
        };
        let changes = match &touched {
            Some(touched) => self.change_rows(touched)?,
            None => RecordBatch::new_empty(change_schema(&self.schema)),
        };
        let mut results = Vec::with_capacity(modes.len());
        // The results of one batch are the same in every mode.
        let distinct = if self.group.over == Over::Batch { 1 } else { modes.len() };
        for &mode in modes.iter().take(distinct) {
            match (mode, &touched) {
                (OutputMode::Complete, _) if complete => results.push((mode, self.results(shard.all()?, calls)?)),
                (_, Some(touched)) => {
                    let touched = Touched { keys: touched.keys.clone(), states: touched.states.clone() };
                    results.push((mode, self.results(touched, calls)?));
                }
                (_, None) => {}
            }
        }
        Ok(Some(Merged { results, changes }))
    }

    fn results(&self, touched: Touched, calls: &mut PluginCalls) -> Result<RecordBatch, Failure> {
        let mut columns = touched.keys;
        columns.extend(evaluate(&self.group.fold, calls, &touched.states)?);
        Ok(RecordBatch::try_new(Arc::clone(&self.group.schema), columns)?)
    }

    fn change_rows(&self, touched: &Touched) -> Result<RecordBatch, Failure> {
        let rows = touched.states.first().map_or(0, |column| column.len());
        let columns = touched.keys.iter().chain(&touched.states).cloned();
        let gone: ArrayRef = Arc::new(BooleanArray::from(vec![false; rows]));
        Ok(RecordBatch::try_new(change_schema(&self.schema), columns.chain([gone]).collect())?)
    }

    /// What to store after an epoch: its changes, or everything when the changes have piled up. None for a stage that
    /// keeps nothing, or when nothing changed.
    pub fn chunk(&mut self, changes: Vec<RecordBatch>) -> Result<Option<StateChunk>, OperatorError> {
        let changed: usize = changes.iter().map(RecordBatch::num_rows).sum();
        if self.group.over == Over::Batch || changed == 0 {
            return Ok(None);
        }
        self.stored_rows += changed;
        let stage = self.part.clone();
        if self.stored_rows <= FEW_STORED_ROWS.max(MOST_STORED_ROWS_PER_KEY * self.keys()) {
            return Ok(Some(StateChunk { stage, kind: ChunkKind::Delta, rows: changes }));
        }
        let everything = self.shards.iter().map(|shard| self.change_rows(&lock(shard).all()?));
        let rows = everything.collect::<Result<Vec<_>, _>>().map_err(|error| error.in_part(&self.part))?;
        self.stored_rows = rows.iter().map(RecordBatch::num_rows).sum();
        Ok(Some(StateChunk { stage, kind: ChunkKind::Snapshot, rows }))
    }
}

/// Key and state columns, and whether the key is gone.
fn change_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone());
    Arc::new(Schema::new(fields.chain([Field::new("gone", DataType::Boolean, false)]).collect::<Vec<_>>()))
}

/// A shard is worked on by one worker at a time. One that panicked has taken the pipeline down with it, so what it left is
/// never read.
fn lock(shard: &Mutex<Shard>) -> std::sync::MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
