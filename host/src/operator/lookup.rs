//! A join of a stream with a table: each row finds the rows of the table that have its key.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, RecordBatch, UInt32Array},
    compute::take,
    row::{OwnedRow, RowConverter, SortField},
};
use hashbrown::HashMap;

use super::{Failure, OperatorError};
use crate::{
    model::PartName,
    plan::{Lookup, LookupStep},
};

/// A table's rows, found by key.
pub struct TableIndex {
    converter: RowConverter,
    by_key: HashMap<OwnedRow, Vec<u32>>,
    rows: RecordBatch,
}

impl TableIndex {
    /// Indexes the rows of a table for a join. `part` is how messages name the table.
    pub fn new(lookup: &Lookup, rows: RecordBatch, part: &str) -> Result<Self, OperatorError> {
        Self::build(lookup, rows).map_err(|error| error.in_part(&PartName::from(part)))
    }

    fn build(lookup: &Lookup, rows: RecordBatch) -> Result<Self, Failure> {
        let keys = lookup.keys.evaluate(&rows)?;
        let fields = keys.iter().map(|key| SortField::new(key.data_type().clone())).collect();
        let converter = RowConverter::new(fields)?;
        let encoded = converter.convert_columns(&keys)?;
        let mut by_key: HashMap<OwnedRow, Vec<u32>> = HashMap::new();
        for row in 0..rows.num_rows() {
            // A missing key equals nothing.
            if keys.iter().all(|key| key.is_valid(row)) {
                by_key.entry(encoded.row(row).owned()).or_default().push(row as u32);
            }
        }
        Ok(TableIndex { converter, by_key, rows })
    }

    /// The rows of a batch, each with the rows of the table it matches.
    pub(super) fn join(&self, step: &LookupStep, batch: &RecordBatch) -> Result<RecordBatch, Failure> {
        let keys = step.keys.evaluate(batch)?;
        let encoded = self.converter.convert_columns(&keys)?;
        let (mut lefts, mut rights): (Vec<u32>, Vec<Option<u32>>) = (Vec::new(), Vec::new());
        for row in 0..batch.num_rows() {
            let found = self.by_key.get(&encoded.row(row).owned()).filter(|_| keys.iter().all(|key| key.is_valid(row)));
            match found {
                Some(found) => {
                    lefts.extend(found.iter().map(|_| row as u32));
                    rights.extend(found.iter().map(|&right| Some(right)));
                }
                None if step.outer => {
                    lefts.push(row as u32);
                    rights.push(None);
                }
                None => {}
            }
        }
        let (lefts, rights) = (UInt32Array::from(lefts), UInt32Array::from(rights));
        let mut columns: Vec<ArrayRef> =
            batch.columns().iter().map(|column| take(column, &lefts, None)).collect::<Result<_, _>>()?;
        for &column in &step.columns {
            columns.push(take(self.rows.column(column), &rights, None)?);
        }
        Ok(RecordBatch::try_new(Arc::clone(&step.schema), columns)?)
    }
}
