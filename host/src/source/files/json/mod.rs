//! A JSON object a line, straight into columns: no value is built in between, and only the wanted columns are.
//!
//! A missing key and null are a null; other keys are passed over; of a key that stands twice the last counts. Types:
//!
//! - boolean, int32, int64: as in JSON; integers must fit and have no fraction
//! - float32, float64: any number, or `"NaN"`, `"Infinity"`, `"-Infinity"`
//! - utf8: a string; binary: a string in base64
//! - timestamp: a string like `2026-01-31T08:00:00.5Z`, with any offset, or without one in UTC; or an integer, which as
//!   in Spark is seconds since 1970
//! - date: a string like `2026-01-31`
//!
//! A line that does not parse or fit is a bad row as a whole. A blank line is no row.
//!
//! `row` reads any line, and `shape` most lines three times as fast.

mod column;
mod plain;
mod row;
mod shape;
mod timestamp;

use std::{ops::ControlFlow, sync::Arc};

use arrow::{
    array::{RecordBatch, RecordBatchOptions},
    datatypes::{Field, Schema, SchemaRef},
};
use hashbrown::HashMap;
use memchr::memchr;

use crate::{
    model::DataType,
    ports::{BadRow, Control, RowReceiver},
};

use self::{column::Column, shape::Shape};
use super::{
    line::{self, BATCH_ROWS},
    split::Place,
};

/// The columns as Arrow has them. Every one may be null.
pub(super) fn schema(columns: &[(String, DataType)]) -> SchemaRef {
    let fields = columns.iter().map(|(name, data_type)| Field::new(name, data_type.to_arrow(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Columns under construction.
pub(super) struct JsonLines {
    schema: SchemaRef,
    /// Where the column of each key is.
    index: HashMap<String, usize>,
    columns: Vec<Column>,
    shape: Shape,
    /// How many rows are whole. A column may be one longer while a row is read.
    rows: usize,
}

impl JsonLines {
    pub(super) fn new(schema: SchemaRef) -> Self {
        let index = schema.fields().iter().enumerate().map(|(at, field)| (field.name().clone(), at)).collect();
        let columns = schema.fields().iter().map(|field| Column::new(field)).collect();
        JsonLines { schema, index, columns, shape: Shape::default(), rows: 0 }
    }

    /// Hands over the lines of a block; says how many there were.
    pub(super) fn rows(
        &mut self,
        block: &[u8],
        place: &Place,
        max_line_bytes: usize,
        receiver: &mut dyn RowReceiver,
    ) -> ControlFlow<(), u64> {
        let (mut from, mut lines) = (0, 0);
        // A line end is never part of a character, so a block is UTF-8 if and only if each of its lines is.
        let whole = simdutf8::basic::from_utf8(block).ok();
        while from < block.len() {
            if let Some(length) = whole.and_then(|whole| self.alike(&whole[from..], max_line_bytes)) {
                from += length;
            } else {
                let length = memchr(b'\n', &block[from..]).expect("every line of a block has its line end");
                let bytes = line::without_cr(&block[from..from + length]);
                let here = || place.of(lines, from);
                let text = whole.map(|whole| &whole[from..from + bytes.len()]);
                let read = match text.or_else(|| std::str::from_utf8(bytes).ok()) {
                    _ if bytes.len() > max_line_bytes => Err(line::too_long(here(), bytes, max_line_bytes)),
                    None => Err(line::not_utf8(here(), bytes)),
                    Some(text) => {
                        self.line(text).map_err(|error| BadRow { place: here(), row: line::excerpt(bytes), error })
                    }
                };
                if let Err(bad) = read {
                    receiver.bad_row(bad)?;
                }
                from += length + 1;
            }
            lines += 1;
            if self.rows == BATCH_ROWS {
                self.flush(receiver)?;
            }
        }
        self.flush(receiver)?;
        ControlFlow::Continue(lines)
    }

    /// Reads the first line of a text if it is like the lines before and has nothing wrong; says how long it is, its
    /// line end included.
    fn alike(&mut self, text: &str, max_line_bytes: usize) -> Option<usize> {
        let read = self.shape.read(text, &self.index, &mut self.columns, self.rows);
        self.finish_row(read.filter(|&length| length <= max_line_bytes))
    }

    /// Reads any line.
    fn line(&mut self, text: &str) -> Result<(), String> {
        if text.bytes().all(|byte| byte.is_ascii_whitespace()) {
            return Ok(());
        }
        let read = row::read(text, &self.index, &mut self.columns, self.rows);
        self.finish_row(read.as_ref().ok());
        read
    }

    /// Adds nulls for keys that were missing; or, when there is no row, takes away again what was read of it.
    fn finish_row<T>(&mut self, read: Option<T>) -> Option<T> {
        self.rows += usize::from(read.is_some());
        self.columns.iter_mut().for_each(|column| column.set_len(self.rows));
        read
    }

    fn flush(&mut self, receiver: &mut dyn RowReceiver) -> Control {
        if self.rows == 0 {
            return Control::Continue(());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        self.rows = 0;
        receiver.rows(batch.expect("the columns are made from the schema"))
    }
}

#[cfg(test)]
mod tests;
