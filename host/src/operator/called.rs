//! The rows of one split on their way to a function with a state per key: their keys, and the columns the function
//! wants.

use std::sync::Arc;

use arrow::{
    array::{AsArray, BooleanArray, RecordBatch},
    compute::{concat_batches, filter_record_batch},
    datatypes::TimestampMicrosecondType,
};

use super::{Failure, PluginCalls, Shuffled};
use crate::{
    model::{EventTime, Watermark},
    plan::Update,
};

/// Rows under way.
pub(super) struct CalledRows {
    update: Update,
    rows: Vec<RecordBatch>,
    late: usize,
}

impl CalledRows {
    pub(super) fn new(update: &Update) -> Self {
        CalledRows { update: update.clone(), rows: Vec::new(), late: 0 }
    }

    /// Takes a batch in. What the watermark covers is late.
    pub(super) fn add(&mut self, calls: &mut PluginCalls, batch: &RecordBatch, late: Watermark) -> Result<(), Failure> {
        let mut batch = batch.clone();
        if let Some(time) = self.update.time {
            let times = batch.column(time).as_primitive::<TimestampMicrosecondType>();
            let is_late = |time: Option<i64>| time.is_some_and(|time| late.covers(EventTime::from_micros(time)));
            let in_time: BooleanArray = times.iter().map(|time| Some(!is_late(time))).collect();
            self.late += in_time.len() - in_time.true_count();
            batch = filter_record_batch(&batch, &in_time)?;
        }
        let (batch, arguments) = calls.arguments_of(&self.update.call, &batch)?;
        let mut columns = self.update.keys.evaluate(&batch)?;
        columns.extend_from_slice(arguments.columns());
        if batch.num_rows() > 0 {
            self.rows.push(RecordBatch::try_new(Arc::clone(&self.update.shuffled), columns)?);
        }
        Ok(())
    }

    /// What has come together; none when there was nothing.
    pub(super) fn finish(self) -> Result<Option<Shuffled>, Failure> {
        if self.rows.is_empty() && self.late == 0 {
            return Ok(None);
        }
        let rows = concat_batches(&self.update.shuffled, &self.rows)?;
        Ok(Some(Shuffled::new(&rows, 0..self.update.keys.schema.fields().len(), self.late)?))
    }
}
