//! The rows of one split, less those that repeat the key of an earlier one.

use std::{collections::HashSet, sync::Arc};

use arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch},
    compute::{concat_batches, filter_record_batch, is_not_null},
    datatypes::{Schema, SchemaRef, TimestampMicrosecondType},
};

use super::{Failure, Shuffled, key_table::KeyTable};
use crate::{
    model::{EventTime, Watermark},
    plan::{Distinct, Forget},
};

/// The first rows under way.
pub(super) struct FirstRows {
    distinct: Distinct,
    schema: SchemaRef,
    table: KeyTable,
    seen: HashSet<usize>,
    rows: Vec<RecordBatch>,
    late: usize,
}

impl FirstRows {
    /// `input` has the columns of the rows.
    pub(super) fn new(distinct: &Distinct, input: &Schema) -> Result<Self, Failure> {
        let keys = distinct.keys.schema.fields().iter().enumerate();
        // A key may have the name of a column, so keys are known by their place.
        let keys = keys.map(|(at, field)| field.as_ref().clone().with_name(format!("key {at}")));
        let fields = keys.chain(input.fields().iter().map(|field| field.as_ref().clone()));
        Ok(FirstRows {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            table: KeyTable::new(&distinct.keys.schema)?,
            seen: HashSet::new(),
            rows: Vec::new(),
            late: 0,
            distinct: distinct.clone(),
        })
    }

    /// Takes a batch in. What the watermark covers is late.
    pub(super) fn add(&mut self, batch: &RecordBatch, late: Watermark) -> Result<(), Failure> {
        let batch = self.in_time(batch, late)?;
        let keys = self.distinct.keys.evaluate(&batch)?;
        let mut groups = Vec::new();
        self.table.intern(&keys, batch.num_rows(), &mut groups)?;
        let first: BooleanArray = groups.into_iter().map(|group| Some(self.seen.insert(group))).collect();
        let columns = keys.into_iter().chain(batch.columns().iter().cloned()).collect();
        let rows = filter_record_batch(&RecordBatch::try_new(Arc::clone(&self.schema), columns)?, &first)?;
        if rows.num_rows() > 0 {
            self.rows.push(rows);
        }
        Ok(())
    }

    fn in_time(&mut self, batch: &RecordBatch, late: Watermark) -> Result<RecordBatch, Failure> {
        let Some(time) = self.distinct.time else { return Ok(batch.clone()) };
        let times = batch.column(time).as_primitive::<TimestampMicrosecondType>();
        let is_late = |time: Option<i64>| time.is_some_and(|time| late.covers(EventTime::from_micros(time)));
        let in_time: BooleanArray = times.iter().map(|time| Some(!is_late(time))).collect();
        self.late += in_time.len() - in_time.true_count();
        let mut batch = filter_record_batch(batch, &in_time)?;
        // A row without an event time could never be forgotten.
        if matches!(self.distinct.forget, Some(Forget::After(_))) && batch.column(time).null_count() > 0 {
            batch = filter_record_batch(&batch, &is_not_null(batch.column(time))?)?;
        }
        Ok(batch)
    }

    /// What has come together; none when there was nothing.
    pub(super) fn finish(self) -> Result<Option<Shuffled>, Failure> {
        if self.rows.is_empty() && self.late == 0 {
            return Ok(None);
        }
        let rows = concat_batches(&self.schema, &self.rows)?;
        Ok(Some(Shuffled::new(&rows, 0..self.distinct.keys.schema.fields().len(), self.late)?))
    }
}
