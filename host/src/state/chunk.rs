//! State rows as values: Arrow IPC streams, each complete in itself, so that loading holds one value at a time.
//!
//! Uncompressed: state is written every epoch and read once at a start, and lz4 would cost more than the disk.

use std::collections::VecDeque;

use arrow::{
    array::{Array, RecordBatch},
    error::ArrowError,
    ipc::{reader::StreamReader, writer::StreamWriter},
};

use super::{envelope, failure::Failure};

/// How many bytes of rows go into one value at most. Small values cost the store far more each; values of 32 MB took
/// twice as long as these for the same rows, and a load holds one of them in memory. Just below a power of two, because
/// that is what redb's pages are.
pub(super) const VALUE_BYTES: usize = (8 << 20) - (64 << 10);

/// About what a value has beside its rows, at most: schema, headers and padding of an Arrow IPC stream, and its place
/// in a page.
const OVERHEAD: usize = 2 << 10;

/// What fills no page larger than this is one value: what would be left empty of a page is less than another value
/// would add.
const SMALL_PAGE: usize = 16 << 10;

/// Into how many values, about, the rows of a chunk go that has much more.
const VALUES: usize = 16;

/// Hands over values that hold these rows, in order. Without rows there are no values.
///
/// A value has pages of its own, a power of two of them, which must lie side by side. A chunk in one piece would leave
/// up to half of its pages empty, and find none that are free where chunks of other sizes have come and gone, so that
/// the file would grow.
pub(super) fn encode(rows: &[RecordBatch], store: &mut dyn FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut left: VecDeque<RecordBatch> = rows.iter().filter(|batch| batch.num_rows() > 0).cloned().collect();
    let bytes: usize = left.iter().map(data_bytes).sum::<Result<_, _>>()?;
    let pages = (bytes / VALUES).next_power_of_two().max(SMALL_PAGE);
    let most = if bytes + OVERHEAD > SMALL_PAGE { (pages - OVERHEAD).min(VALUE_BYTES) } else { bytes };
    while !left.is_empty() {
        store(&value(&take(&mut left, most)?)?)?;
    }
    Ok(())
}

/// Takes rows from the front, at most so many bytes of them, but at least one row.
fn take(left: &mut VecDeque<RecordBatch>, most: usize) -> Result<Vec<RecordBatch>, ArrowError> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    while let Some(batch) = left.pop_front() {
        let (rows, of_batch) = (batch.num_rows(), data_bytes(&batch)?);
        if bytes + of_batch <= most {
            bytes += of_batch;
            taken.push(batch);
            continue;
        }
        let room = most - bytes;
        let mut fit = (rows as u128 * room as u128 / of_batch as u128) as usize;
        // The first rows may be longer than others.
        while fit > 0 && data_bytes(&batch.slice(0, fit))? > room {
            fit -= fit.div_ceil(8);
        }
        if taken.is_empty() {
            fit = fit.max(1);
        }
        if fit > 0 {
            taken.push(batch.slice(0, fit));
        }
        if fit < rows {
            left.push_front(batch.slice(fit, rows - fit));
        }
        break;
    }
    Ok(taken)
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
