//! State rows as values: Arrow IPC streams, each complete in itself, so that loading holds one value at a time.
//!
//! Uncompressed: state is written every epoch and read once at a start, and lz4 would cost more than the disk.

use arrow::{
    array::{Array, RecordBatch},
    error::ArrowError,
    ipc::{reader::StreamReader, writer::StreamWriter},
};

use super::{envelope, failure::Failure};

/// How many bytes of rows go into one value. Small values cost the store far more each; values of 32 MB took twice as
/// long as these for the same rows, and a load holds one of them in memory. Just below a power of two, because that
/// is what redb's pages are.
pub(super) const VALUE_BYTES: usize = (8 << 20) - (64 << 10);

/// Hands over values that hold these rows, in order. Without rows there are no values.
pub(super) fn encode(rows: &[RecordBatch], store: &mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut pending: Vec<RecordBatch> = Vec::new();
    let mut pending_bytes = 0;
    // Taken from the back: pieces of a batch that is too large go where the batch came from.
    let mut left: Vec<RecordBatch> = rows.iter().rev().filter(|batch| batch.num_rows() > 0).cloned().collect();
    while let Some(batch) = left.pop() {
        let bytes = data_bytes(&batch)?;
        if bytes > VALUE_BYTES && batch.num_rows() > 1 {
            let half = batch.num_rows() / 2;
            left.push(batch.slice(half, batch.num_rows() - half));
            left.push(batch.slice(0, half));
            continue;
        }
        if pending_bytes + bytes > VALUE_BYTES && !pending.is_empty() {
            store(&value(&pending)?)?;
            pending.clear();
            pending_bytes = 0;
        }
        pending_bytes += bytes;
        pending.push(batch);
    }
    if pending.is_empty() { Ok(()) } else { store(&value(&pending)?) }
}

/// The rows in the payload of a value.
pub(super) fn decode(payload: &[u8]) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>>, ArrowError> {
    StreamReader::try_new(payload, None)
}

fn value(batches: &[RecordBatch]) -> Result<Vec<u8>, Failure> {
    let mut writer = StreamWriter::try_new(envelope::begin(), batches[0].schema_ref())?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    let mut value = writer.into_inner()?;
    envelope::seal(&mut value);
    Ok(value)
}

/// How many bytes the rows have when buffers shared with other rows are not counted.
fn data_bytes(batch: &RecordBatch) -> Result<usize, ArrowError> {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size()).sum()
}
