//! Rows gathered from several batches.

use arrow::{
    array::{Array, ArrayRef, RecordBatch, RecordBatchOptions},
    compute::interleave,
    datatypes::SchemaRef,
    error::ArrowError,
};

/// Rows picked from several batches, each by batch and row.
pub(super) fn pick(batches: &[&[ArrayRef]], picks: &[(usize, usize)]) -> Result<Vec<ArrayRef>, ArrowError> {
    let columns = batches.first().map_or(0, |batch| batch.len());
    let pick_column = |column: usize| {
        let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch[column].as_ref()).collect();
        interleave(&parts, picks)
    };
    (0..columns).map(pick_column).collect()
}

/// Columns as a batch, also when there are none.
pub(super) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(SchemaRef::clone(schema), columns, &options)
}
