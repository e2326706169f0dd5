//! The rows of one split, folded by key.
//!
//! Partial results are made split by split and merged in the order of the splits, whatever the number of workers, so that
//! sums of floating point numbers, and anything else that depends on order, come out the same each time. A split's table
//! also fits the processor's caches, which a table of all keys may not.

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array},
    compute::{filter, is_not_null, take},
    datatypes::{Schema, SchemaRef},
};
use datafusion_common::hash_utils::{QualityRandomState, create_hashes};

use super::{
    Failure, PluginCalls,
    fold::{Folder, state_fields},
    key_table::KeyTable,
};
use crate::plan::{Fold, Group};

/// Keys are spread over this many shards by hash. It is the same for any number of workers, because the order of results
/// follows it; more than a machine has cores, so that work can be shared out evenly.
pub(super) const SHARDS: usize = 16;

/// Not the seed of the key tables: the bits that choose a shard must not be those that choose a slot in its table.
const SHARD_SEED: u64 = 0x7469_6465;

/// A partial aggregation under way.
pub(super) struct PartialFold {
    group: Group,
    table: KeyTable,
    folder: Folder,
    groups: Vec<usize>,
}

/// A partial result: a row for each key, key columns then state columns, in the order of shards.
pub struct Partial {
    rows: RecordBatch,
    shards: Vec<Range<usize>>,
}

impl PartialFold {
    pub(super) fn new(group: &Group) -> Result<Self, Failure> {
        Ok(PartialFold {
            table: KeyTable::new(&group.keys.schema)?,
            folder: Folder::new(&group.fold)?,
            group: group.clone(),
            groups: Vec::new(),
        })
    }

    /// Folds a batch in.
    pub(super) fn fold(&mut self, calls: &mut PluginCalls, batch: &RecordBatch) -> Result<(), Failure> {
        let keys = &self.group.keys.expressions;
        let keys = keys.iter().map(|key| key.evaluate(batch)).collect::<Result<Vec<_>, _>>()?;
        self.table.intern(&keys, batch.num_rows(), &mut self.groups)?;
        self.folder.fold(calls, batch, &self.groups, self.table.len())
    }

    /// What has been folded; none when there was no row.
    pub(super) fn finish(mut self) -> Result<Option<Partial>, Failure> {
        if self.table.len() == 0 {
            return Ok(None);
        }
        let keys = self.table.take_keys()?;
        let states = self.folder.take_states()?;
        // A group whose rows were all set aside has no state, and is no group.
        let held = match &self.group.fold {
            Fold::Reduce(..) if states[0].null_count() > 0 => Some(is_not_null(&states[0])?),
            _ => None,
        };
        let held = |column: &ArrayRef| held.as_ref().map_or(Ok(column.clone()), |held| filter(column, held));
        let columns = keys.iter().chain(&states).map(held).collect::<Result<Vec<_>, _>>()?;
        let rows = columns.last().map_or(0, |states| states.len());
        if rows == 0 {
            return Ok(None);
        }
        let (order, shards) = by_shard(&columns[..keys.len()], rows)?;
        let columns = columns.iter().map(|column| take(column, &order, None)).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Some(Partial {
            rows: RecordBatch::try_new_with_options(partial_schema(&self.group), columns, &options)?,
            shards,
        }))
    }
}

impl Partial {
    /// How many keys it has.
    pub fn rows(&self) -> usize {
        self.rows.num_rows()
    }

    /// The rows of one shard; none when it has no key there.
    pub(super) fn shard(&self, shard: usize) -> Option<RecordBatch> {
        let range = &self.shards[shard];
        (!range.is_empty()).then(|| self.rows.slice(range.start, range.len()))
    }

    /// Spreads rows of key and state columns over the shards.
    pub(super) fn of_rows(rows: &RecordBatch, keys: usize) -> Result<Self, Failure> {
        let (order, shards) = by_shard(&rows.columns()[..keys], rows.num_rows())?;
        Ok(Partial { rows: arrow::compute::take_record_batch(rows, &order)?, shards })
    }
}

/// Key columns, then state columns.
pub(super) fn partial_schema(group: &Group) -> SchemaRef {
    let keys = group.keys.schema.fields().iter().map(|field| field.as_ref().clone());
    Arc::new(Schema::new(keys.chain(state_fields(&group.fold)).collect::<Vec<_>>()))
}

/// The rows in the order of their shards, and where each shard's rows are.
fn by_shard(keys: &[ArrayRef], rows: usize) -> Result<(UInt32Array, Vec<Range<usize>>), Failure> {
    let mut hashes = vec![0; rows];
    if !keys.is_empty() {
        create_hashes(keys, &QualityRandomState::with_seed(SHARD_SEED), &mut hashes)?;
    }
    let shard_of = |hash: u64| (hash >> (u64::BITS - SHARDS.ilog2())) as usize;
    let mut ends = [0; SHARDS];
    hashes.iter().for_each(|&hash| ends[shard_of(hash)] += 1);
    let mut start = 0;
    let mut shards = Vec::with_capacity(SHARDS);
    for end in &mut ends {
        let rows_here = *end;
        shards.push(start..start + rows_here);
        *end = start;
        start += rows_here;
    }
    let mut order = vec![0; rows];
    for (row, &hash) in hashes.iter().enumerate() {
        let next = &mut ends[shard_of(hash)];
        order[*next] = row as u32;
        *next += 1;
    }
    Ok((order.into(), shards))
}
