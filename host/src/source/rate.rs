//! `type = "rate"`: rows that a clock makes. Row `i` has the value `i` and the time at which it was due, so rows are
//! spread evenly, and a range with the start time is all it takes to make them again.

use std::sync::{Arc, LazyLock};

use arrow::{
    array::{Int64Array, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use serde::{Deserialize, Serialize};

use crate::{
    manifest::RateSource,
    model::{ProcessingTime, timestamp_type},
    ports::{Range, RowReceiver, Source, SourceError, Split},
};

use super::{count, line::BATCH_ROWS};

/// How many rows a split makes: a few batches, so that workers share a burst evenly.
const SPLIT_ROWS: u64 = 65_536;

const MICROS_PER_SECOND: u128 = 1_000_000;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("timestamp", timestamp_type(), false),
        Field::new("value", DataType::Int64, false),
    ]))
});

/// `timestamp: timestamp, value: int64`, as Spark's rate source has it.
pub(super) fn schema() -> SchemaRef {
    SCHEMA.clone()
}

/// Rows that are due since the start of the pipeline. After a restart the rows of the time in between are due too,
/// as with Spark's rate source.
pub(super) struct Rate {
    pace: Pace,
    rows: u64,
    schema: SchemaRef,
    /// How many rows ranges were given out for.
    position: u64,
    frozen: Option<ProcessingTime>,
}

/// When which row is due: all a range needs to be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Pace {
    start: ProcessingTime,
    rows_per_second: u64,
}

impl Pace {
    fn due(self, now: ProcessingTime) -> u64 {
        let rows = now.since(self.start).as_micros() * u128::from(self.rows_per_second) / MICROS_PER_SECOND;
        u64::try_from(rows).unwrap_or(u64::MAX).min(i64::MAX as u64)
    }

    fn time(self, row: u64) -> i64 {
        let since = u128::from(row) * MICROS_PER_SECOND / u128::from(self.rows_per_second.max(1));
        self.start.micros().saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }

    /// Another pace from this row on, which is due when it would have been.
    fn changed_at(self, row: u64, rows_per_second: u64) -> Self {
        let other = Pace { rows_per_second, ..self };
        let shift = self.time(row).saturating_sub(other.time(row));
        Pace { start: ProcessingTime::from_micros(self.start.micros().saturating_add(shift)), ..other }
    }
}

impl Rate {
    pub(super) fn open(settings: &RateSource, schema: SchemaRef, now: ProcessingTime) -> Self {
        let pace = Pace { start: now, rows_per_second: settings.rows_per_second };
        Rate { pace, rows: settings.rows.unwrap_or(u64::MAX), schema, position: 0, frozen: None }
    }

    /// Goes on after this range, which an earlier process may have planned at another pace.
    fn take_up(&mut self, range: &Range) -> Result<Pace, SourceError> {
        let pace: Pace = postcard::from_bytes(&range.detail).map_err(|error| {
            SourceError::Fatal(format!("the checkpoint's range of a rate source is not readable: {error}"))
        })?;
        let end = count::from_offset(&range.end)?;
        if end > self.position {
            self.position = end;
            self.pace = pace.changed_at(end, self.pace.rows_per_second);
        }
        Ok(pace)
    }
}

impl Source for Rate {
    fn restore(&mut self, history: &[Range]) -> Result<(), SourceError> {
        history.last().map_or(Ok(()), |last| self.take_up(last).map(drop))
    }

    fn next_range(&mut self, now: ProcessingTime) -> Result<Option<Range>, SourceError> {
        let now = self.frozen.map_or(now, |frozen| frozen.min(now));
        let due = self.pace.due(now).min(self.rows);
        if due <= self.position {
            return Ok(None);
        }
        let detail = postcard::to_stdvec(&self.pace).expect("two integers serialise");
        let (start, end) = (count::to_offset(self.position), count::to_offset(due));
        let range = Range { start, end, cumulative: true, detail };
        self.position = due;
        Ok(Some(range))
    }

    fn freeze(&mut self, now: ProcessingTime) -> Result<(), SourceError> {
        self.frozen = Some(now);
        Ok(())
    }

    fn read(&mut self, range: &Range) -> Result<Vec<Box<dyn Split>>, SourceError> {
        let pace = self.take_up(range)?;
        let (start, end) = (count::from_offset(&range.start)?, count::from_offset(&range.end)?);
        let splits = (start..end).step_by(SPLIT_ROWS as usize).map(|first| {
            let rows = first..end.min(first + SPLIT_ROWS);
            Box::new(Rows { pace, rows, schema: self.schema.clone() }) as Box<dyn Split>
        });
        Ok(splits.collect())
    }

    fn acknowledge(&mut self, _: &Range) -> Result<(), SourceError> {
        Ok(())
    }
}

/// Some rows of a range.
struct Rows {
    pace: Pace,
    rows: std::ops::Range<u64>,
    schema: SchemaRef,
}

impl Split for Rows {
    fn read(self: Box<Self>, receiver: &mut dyn RowReceiver) -> Result<(), SourceError> {
        for first in self.rows.clone().step_by(BATCH_ROWS) {
            let rows = first..self.rows.end.min(first + BATCH_ROWS as u64);
            if receiver.rows(self.batch(rows)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Rows {
    fn batch(&self, rows: std::ops::Range<u64>) -> RecordBatch {
        let options = RecordBatchOptions::new().with_row_count(Some((rows.end - rows.start) as usize));
        let columns = self.schema.fields().iter().map(|field| match field.name().as_str() {
            "value" => Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row as i64))) as _,
            _ => {
                let times = rows.clone().map(|row| self.pace.time(row));
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")) as _
            }
        });
        RecordBatch::try_new_with_options(self.schema.clone(), columns.collect(), &options)
            .expect("the columns are made from the schema")
    }
}

#[cfg(test)]
mod tests;
