//! Stored state as people read it: a row for each key, as it is now.
//!
//! What is stored are changes. Which columns make the key says the layout that is stored with them, so that no plan is
//! needed, and no plugin.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryArray, BooleanArray, ListBuilder, RecordBatch, StringBuilder, StructBuilder,
        TimestampMicrosecondBuilder, UInt32Array,
    },
    compute::{concat_batches, interleave_record_batch, take_record_batch},
    datatypes::{DataType, Field, Fields, Schema, SchemaRef},
    row::{RowConverter, SortField},
};

use super::{Failure, OperatorError, bucket::decode_timers};
use crate::{
    checkpoint::{StateKind, StateLayout},
    model::{PartName, describe_schema, timestamp_type},
    ports::Timer,
};

/// The state of a stage as rows, put together bucket by bucket.
pub struct StoredRows {
    part: PartName,
    layout: StateLayout,
    most: usize,
    keys: u64,
    /// The first rows of each bucket in order, at most so many as are wanted of all.
    first: Vec<RecordBatch>,
}

/// Which of the stored columns mean what.
struct Shape {
    kind: StateKind,
    /// What stands before the key: the span of a group, the number of a batch, or what is known of a row of a join.
    before: usize,
    /// Which of these tell rows of the same key apart: not the end of a session, which moves.
    apart: Vec<usize>,
    keys: usize,
}

impl StoredRows {
    /// No rows yet. At most so many are kept, the first ones by key.
    pub fn new(part: &PartName, layout: &StateLayout, most: usize) -> Self {
        StoredRows { part: part.clone(), layout: layout.clone(), most, keys: 0, first: Vec::new() }
    }

    /// How many keys there are; of a window, each counts by itself.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Takes in all that is stored of a bucket, oldest first.
    pub fn add(&mut self, stored: &[RecordBatch]) -> Result<(), OperatorError> {
        self.add_bucket(stored).map_err(|error| error.in_part(&self.part))
    }

    /// The rows in the order of their keys: key, span and state, as far as they say something by themselves. None when
    /// there are none.
    pub fn finish(self) -> Result<Option<RecordBatch>, OperatorError> {
        self.rows().map_err(|error| error.in_part(&self.part))
    }

    fn add_bucket(&mut self, stored: &[RecordBatch]) -> Result<(), Failure> {
        let Some(first) = stored.first() else { return Ok(()) };
        let shape = Shape::of(&self.layout, &first.schema())?;
        let converter = shape.converter(&first.schema())?;
        let mut newest: BTreeMap<Vec<u8>, (usize, usize)> = BTreeMap::new();
        for (at, batch) in stored.iter().enumerate() {
            let gone = batch.columns().last().expect("a key and the mark of what is gone").as_boolean();
            let keys = converter.convert_columns(&shape.order(batch))?;
            for row in 0..batch.num_rows() {
                let key = keys.row(row);
                match gone.value(row) {
                    true => newest.remove(key.as_ref()),
                    false => newest.insert(key.as_ref().to_vec(), (at, row)),
                };
            }
        }
        self.keys += newest.len() as u64;
        let picks: Vec<(usize, usize)> = newest.into_values().take(self.most).collect();
        if !picks.is_empty() {
            self.first.push(interleave_record_batch(&stored.iter().collect::<Vec<_>>(), &picks)?);
        }
        Ok(())
    }

    fn rows(&self) -> Result<Option<RecordBatch>, Failure> {
        let Some(first) = self.first.first() else { return Ok(None) };
        let shape = Shape::of(&self.layout, &first.schema())?;
        let rows = concat_batches(&first.schema(), &self.first)?;
        let keys = shape.converter(&rows.schema())?.convert_columns(&shape.order(&rows))?;
        let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
        order.sort_by_key(|&row| keys.row(row as usize));
        order.truncate(self.most);
        readable(&shape, &take_record_batch(&rows, &UInt32Array::from(order))?).map(Some)
    }
}

impl Shape {
    fn of(layout: &StateLayout, stored: &Schema) -> Result<Self, Failure> {
        let (before, apart) = match layout.kind {
            StateKind::Key | StateKind::Function => (0, Vec::new()),
            StateKind::Window | StateKind::Batch => (1, vec![0]),
            StateKind::Session => (2, vec![0]),
            StateKind::Side => (4, vec![0, 1]),
        };
        let keys = layout.keys as usize;
        // The last column says what is gone.
        if stored.fields().len() <= before + keys {
            return Err(Failure::BadRow(format!(
                "the stored columns `{}` do not fit the key `{}`; they were written by another version of tidemill",
                describe_schema(stored),
                layout.key
            )));
        }
        Ok(Shape { kind: layout.kind, before, apart, keys })
    }

    /// The columns by which rows replace each other, in the order in which rows are shown.
    fn order(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        let keys = rows.columns()[self.before..self.before + self.keys].iter();
        let order: Vec<ArrayRef> = keys.chain(self.apart.iter().map(|at| rows.column(*at))).cloned().collect();
        match order.is_empty() {
            // A group of all rows has one row and no key.
            true => vec![Arc::new(BooleanArray::from(vec![false; rows.num_rows()]))],
            false => order,
        }
    }

    fn converter(&self, stored: &SchemaRef) -> Result<RowConverter, Failure> {
        let order = self.order(&RecordBatch::new_empty(Arc::clone(stored)));
        let fields = order.iter().map(|column| SortField::new(column.data_type().clone()));
        Ok(RowConverter::new(fields.collect())?)
    }
}

/// The key first, then what stands before it, then what is kept, without the mark of what is gone.
fn readable(shape: &Shape, stored: &RecordBatch) -> Result<RecordBatch, Failure> {
    let Shape { kind, before, keys, .. } = *shape;
    let kept = before + keys..stored.num_columns() - 1;
    let schema = stored.schema();
    let name = |at: usize| schema.field(at).name().as_str();
    let mut fields: Vec<Field> = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for at in (before..before + keys).chain(0..before).chain(kept.clone()) {
        let mut column = Arc::clone(stored.column(at));
        let is_key = (before..before + keys).contains(&at);
        let shown = match name(at) {
            // A key may have the name of another column.
            name if is_key && (0..before).chain(kept.clone()).any(|other| schema.field(other).name() == name) => {
                format!("key.{name}")
            }
            "timers" if kind == StateKind::Function && !is_key => {
                column = timers(column.as_binary())?;
                "timers".to_owned()
            }
            name if kind == StateKind::Side && kept.contains(&at) => match name.split_once(' ') {
                Some(("0", left)) => format!("left.{left}"),
                Some((_, right)) => format!("right.{right}"),
                None => name.to_owned(),
            },
            name => name.to_owned(),
        };
        fields.push(Field::new(shown, column.data_type().clone(), true));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Timers as a list of clock and time.
fn timers(stored: &BinaryArray) -> Result<ArrayRef, Failure> {
    let fields =
        Fields::from(vec![Field::new("clock", DataType::Utf8, false), Field::new("at", timestamp_type(), false)]);
    let at = TimestampMicrosecondBuilder::new().with_timezone("UTC");
    let timer = StructBuilder::new(fields, vec![Box::new(StringBuilder::new()), Box::new(at)]);
    let mut timers = ListBuilder::new(timer);
    for row in 0..stored.len() {
        let decoded = match stored.is_valid(row) {
            true => decode_timers(stored.value(row)).map_err(|error| Failure::BadRow(error.to_string()))?,
            false => Vec::new(),
        };
        for timer in decoded {
            let (clock, at) = match timer {
                Timer::EventTime(at) => ("event time", at.micros()),
                Timer::ProcessingTime(at) => ("processing time", at.micros()),
            };
            let builder = timers.values();
            builder.field_builder::<StringBuilder>(0).expect("clocks are text").append_value(clock);
            builder.field_builder::<TimestampMicrosecondBuilder>(1).expect("the other is a time").append_value(at);
            builder.append(true);
        }
        timers.append(true);
    }
    Ok(Arc::new(timers.finish()))
}
