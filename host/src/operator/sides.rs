//! The rows of one split on their way to a join of two streams, side by side.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch},
    compute::{and, concat_batches, filter_record_batch, is_not_null},
    datatypes::{Schema, SchemaRef, TimestampMicrosecondType},
};

use super::{Failure, Shuffled};
use crate::{
    model::{EventTime, Watermark},
    plan::{Join, Side},
};

/// Rows under way.
pub(super) struct SideRows {
    join: Join,
    sides: [Vec<RecordBatch>; 2],
    late: usize,
}

/// The columns of a side's rows on their way: its keys, then its own.
pub(super) fn shuffled_schema(side: &Side) -> SchemaRef {
    let keys = side.keys.schema.fields().iter().cloned();
    Arc::new(Schema::new(keys.chain(side.schema.fields().iter().cloned()).collect::<Vec<_>>()))
}

impl SideRows {
    pub(super) fn new(join: &Join) -> Self {
        SideRows { join: join.clone(), sides: [Vec::new(), Vec::new()], late: 0 }
    }

    /// Takes a batch of one side in. What the watermark covers is late.
    pub(super) fn add(&mut self, side: usize, batch: &RecordBatch, late: Watermark) -> Result<(), Failure> {
        let this = &self.join.sides[side];
        let mut batch = batch.clone();
        if let Some(time) = this.time {
            let times = batch.column(time).as_primitive::<TimestampMicrosecondType>();
            let is_late = |time: Option<i64>| time.is_some_and(|time| late.covers(EventTime::from_micros(time)));
            let in_time: BooleanArray = times.iter().map(|time| Some(!is_late(time))).collect();
            self.late += in_time.len() - in_time.true_count();
            // A row without a time could match nothing, and would never be forgotten.
            let stays = if self.join.is_bounded() { and(&in_time, &is_not_null(times)?)? } else { in_time };
            batch = filter_record_batch(&batch, &stays)?;
        }
        let mut keys = this.keys.evaluate(&batch)?;
        // A missing key equals nothing. On the left of an outer join its row still comes out, unless it is the one that
        // says when.
        let comes_out = |key: usize| side == 0 && self.join.outer && self.join.key_time != Some(key);
        for at in 0..keys.len() {
            if keys[at].null_count() > 0 && !comes_out(at) {
                batch = filter_record_batch(&batch, &is_not_null(&keys[at])?)?;
                keys = this.keys.evaluate(&batch)?;
            }
        }
        let columns: Vec<ArrayRef> = keys.into_iter().chain(batch.columns().iter().cloned()).collect();
        if batch.num_rows() > 0 {
            self.sides[side].push(RecordBatch::try_new(shuffled_schema(this), columns)?);
        }
        Ok(())
    }

    /// What has come together, of each side by itself.
    pub(super) fn finish(self) -> Result<Vec<Shuffled>, Failure> {
        let mut late = self.late;
        let mut shuffled = Vec::with_capacity(2);
        for (at, (side, rows)) in self.join.sides.iter().zip(&self.sides).enumerate() {
            if !rows.is_empty() || late > 0 {
                let rows = concat_batches(&shuffled_schema(side), rows)?;
                let keys = 0..side.keys.schema.fields().len();
                shuffled.push(Shuffled::new(&rows, keys, std::mem::take(&mut late))?.of_side(at));
            }
        }
        Ok(shuffled)
    }
}
