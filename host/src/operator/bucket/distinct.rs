//! The first row of each key: later ones are dropped until the key is forgotten.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::{Field, Schema, SchemaRef, TimestampMicrosecondType},
};

use super::{Bucket, Done, Work, closing::Closings, rows::batch};
use crate::{
    model::{EventTime, timestamp_type},
    operator::{Failure, PluginCalls, key_table::KeyTable, partial::timestamps},
    plan::{Barrier, Distinct, Forget},
};

/// The keys of one bucket that have been seen.
pub(super) struct DistinctBucket {
    distinct: Distinct,
    stored: SchemaRef,
    key_columns: usize,
    table: KeyTable,
    /// Whether a number is that of a key that has been seen.
    seen: Vec<bool>,
    /// When each key is forgotten; only where that is not said by the key itself.
    until: Vec<i64>,
    closings: Closings,
}

/// The key columns, and when the key is forgotten, where that is not said by the key itself.
pub(in crate::operator) fn stored_schema(distinct: &Distinct) -> SchemaRef {
    let keys = distinct.keys.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let until = match distinct.forget {
        Some(Forget::After(_)) => Some(Field::new("until", timestamp_type(), true)),
        _ => None,
    };
    Arc::new(Schema::new(keys.chain(until).collect::<Vec<_>>()))
}

impl DistinctBucket {
    pub(super) fn new(distinct: &Distinct, stored: &SchemaRef) -> Result<Self, Failure> {
        let key_columns = distinct.keys.schema.fields().len();
        Ok(DistinctBucket {
            table: KeyTable::new(&Arc::new(stored.project(&(0..key_columns).collect::<Vec<_>>())?))?,
            key_columns,
            seen: Vec::new(),
            until: Vec::new(),
            closings: Closings::default(),
            distinct: distinct.clone(),
            stored: Arc::clone(stored),
        })
    }

    /// Notes a new key, and when it is forgotten.
    fn note(&mut self, group: usize, until: Option<i64>) {
        if self.seen.len() <= group {
            self.seen.resize(group + 1, false);
            self.until.resize(group + 1, 0);
        }
        self.seen[group] = true;
        if let Some(until) = until {
            self.until[group] = until;
            self.closings.add(group, EventTime::from_micros(until));
        }
    }

    fn remove(&mut self, group: usize) {
        self.table.remove(group);
        self.seen.get_mut(group).into_iter().for_each(|seen| *seen = false);
    }

    /// When the key of a stored row is forgotten.
    fn stored_until(&self, rows: &RecordBatch, row: usize) -> Option<i64> {
        let column = match self.distinct.forget? {
            Forget::Key(column) => column,
            Forget::After(_) => self.key_columns,
        };
        let times = rows.column(column).as_primitive::<TimestampMicrosecondType>();
        times.is_valid(row).then(|| times.value(row))
    }

    /// When the key of a row that has just come is forgotten. Behind the key columns are those of the row.
    fn until(&self, rows: &RecordBatch, row: usize) -> Option<i64> {
        let (column, delay) = match self.distinct.forget? {
            Forget::Key(column) => (column, std::time::Duration::ZERO),
            Forget::After(delay) => {
                (self.key_columns + self.distinct.time.expect("a key is forgotten by an event time"), delay)
            }
        };
        let times = rows.column(column).as_primitive::<TimestampMicrosecondType>();
        times.is_valid(row).then(|| EventTime::from_micros(times.value(row)).after(delay).micros())
    }

    fn stored_rows(&self, groups: &[usize]) -> Result<RecordBatch, Failure> {
        let mut columns: Vec<ArrayRef> = self.table.keys(groups)?;
        if let Some(Forget::After(_)) = self.distinct.forget {
            columns.push(timestamps(groups.iter().map(|&group| self.until[group])));
        }
        Ok(batch(&self.stored, columns, groups.len())?)
    }
}

impl Bucket for DistinctBucket {
    fn adopt(&mut self, barrier: &Barrier) {
        if let Barrier::Distinct(distinct) = barrier {
            self.distinct = distinct.clone();
        }
    }

    fn restore(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let mut groups = Vec::new();
        self.table.intern(&rows.columns()[..self.key_columns], rows.num_rows(), &mut groups)?;
        for (row, &group) in groups.iter().enumerate() {
            let until = self.stored_until(rows, row);
            self.note(group, until);
        }
        Ok(())
    }

    fn forget(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let mut groups = Vec::new();
        self.table.intern(&rows.columns()[..self.key_columns], rows.num_rows(), &mut groups)?;
        for (row, group) in groups.into_iter().enumerate() {
            if let Some(until) = self.stored_until(rows, row) {
                self.closings.remove(group, EventTime::from_micros(until));
            }
            self.remove(group);
        }
        Ok(())
    }

    fn run(&mut self, _calls: &mut PluginCalls, work: &Work<'_>) -> Result<Done, Failure> {
        let mut done = Done::default();
        let mut new = Vec::new();
        for rows in work.input {
            let mut groups = Vec::new();
            self.table.intern(&rows.columns()[..self.key_columns], rows.num_rows(), &mut groups)?;
            let mut first = vec![false; rows.num_rows()];
            for (row, &group) in groups.iter().enumerate() {
                if !self.seen.get(group).copied().unwrap_or(false) {
                    first[row] = true;
                    self.note(group, self.until(rows, row));
                    new.push(group);
                }
            }
            let kept = filter_record_batch(rows, &first.into())?;
            let row_columns: Vec<usize> = (self.key_columns..rows.num_columns()).collect();
            done.results.push((None, kept.project(&row_columns)?));
        }
        done.updated = new.len();
        if self.distinct.forget.is_some() {
            let gone = self.closings.take(work.watermarks.closed);
            done.removed = gone.len();
            done.gone = (!gone.is_empty()).then(|| self.stored_rows(&gone)).transpose()?;
            gone.into_iter().for_each(|group| self.remove(group));
        }
        new.retain(|&group| self.seen[group]);
        done.changed = (!new.is_empty()).then(|| self.stored_rows(&new)).transpose()?;
        Ok(done)
    }

    fn all(&self) -> Result<RecordBatch, Failure> {
        self.stored_rows(&self.table.groups())
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn bytes(&self) -> usize {
        self.table.bytes() + self.until.len() * (size_of::<i64>() + size_of::<bool>())
    }

    fn next_closing(&self) -> Option<EventTime> {
        self.closings.next()
    }
}
