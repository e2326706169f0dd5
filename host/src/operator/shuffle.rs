//! Rows on their way to a keyed stage, spread over its buckets by the hash of their key.

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, UInt32Array},
    compute::take_record_batch,
};
use datafusion_common::hash_utils::{QualityRandomState, create_hashes};

use super::Failure;

/// Keys are spread over this many buckets by hash. It is the same for any number of workers, because the order of
/// results follows it, and so does the checkpoint. A bucket is what one worker works on at a time, what is read from
/// the checkpoint when its state is not in memory, and what is written anew when its changes have piled up: 64 keep
/// each of these to some milliseconds for states of ten million keys, and the cost of empty ones to nothing worth
/// naming.
pub(super) const BUCKETS: usize = 64;

/// Not the seed of the key tables: the bits that choose a bucket must not be those that choose a slot in its table.
const BUCKET_SEED: u64 = 0x7469_6465;

/// Rows of one split for a keyed stage, in the order of buckets.
pub struct Shuffled {
    rows: RecordBatch,
    buckets: Vec<Range<usize>>,
    /// How many came too late and are not among them.
    late: usize,
    /// Which side of a join they are of.
    side: usize,
}

impl Shuffled {
    /// Spreads rows by the hash of the columns in `keys`; without any, all are in the first bucket.
    pub(super) fn new(rows: &RecordBatch, keys: Range<usize>, late: usize) -> Result<Self, Failure> {
        let (order, buckets) = by_bucket(&rows.columns()[keys], rows.num_rows())?;
        Ok(Shuffled { rows: take_record_batch(rows, &order)?, buckets, late, side: 0 })
    }

    /// The same as rows of a side of a join.
    pub(super) fn of_side(self, side: usize) -> Self {
        Shuffled { side, ..self }
    }

    /// Which side of a join they are of.
    pub(super) fn side(&self) -> usize {
        self.side
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows.num_rows()
    }

    /// How many rows came too late.
    pub fn late(&self) -> usize {
        self.late
    }

    /// The rows of one bucket; none when it has none.
    pub(super) fn bucket(&self, bucket: usize) -> Option<RecordBatch> {
        let range = &self.buckets[bucket];
        (!range.is_empty()).then(|| self.rows.slice(range.start, range.len()))
    }

    /// Whether a bucket has rows.
    pub(super) fn has(&self, bucket: usize) -> bool {
        !self.buckets[bucket].is_empty()
    }
}

/// The rows in the order of their buckets, and where each bucket's rows are.
fn by_bucket(keys: &[ArrayRef], rows: usize) -> Result<(UInt32Array, Vec<Range<usize>>), Failure> {
    let mut hashes = vec![0; rows];
    if !keys.is_empty() {
        create_hashes(
            keys.iter().map(Arc::clone).collect::<Vec<_>>().as_slice(),
            &QualityRandomState::with_seed(BUCKET_SEED),
            &mut hashes,
        )?;
    }
    let bucket_of = |hash: u64| (hash >> (u64::BITS - BUCKETS.ilog2())) as usize;
    let mut ends = [0; BUCKETS];
    hashes.iter().for_each(|&hash| ends[bucket_of(hash)] += 1);
    let mut start = 0;
    let mut buckets = Vec::with_capacity(BUCKETS);
    for end in &mut ends {
        let rows_here = *end;
        buckets.push(start..start + rows_here);
        *end = start;
        start += rows_here;
    }
    let mut order = vec![0; rows];
    for (row, &hash) in hashes.iter().enumerate() {
        let next = &mut ends[bucket_of(hash)];
        order[*next] = row as u32;
        *next += 1;
    }
    Ok((order.into(), buckets))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};

    use super::*;

    /// Checkpoints rest on it: state lies in the bucket its key had when it was written. When a new version of
    /// DataFusion hashes otherwise, these numbers change, and with them the version of the checkpoint's format must.
    #[test]
    fn a_key_is_always_in_the_same_bucket() {
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some("tide"), Some("mill"), Some(""), None]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(-1), None, Some(1 << 40)]));
        let buckets = |keys: &[ArrayRef]| {
            let (order, buckets) = by_bucket(keys, 4).unwrap();
            let of_row = |row: u32| {
                let place = order.values().iter().position(|&at| at == row).unwrap();
                buckets.iter().position(|bucket| bucket.contains(&place)).unwrap()
            };
            [0, 1, 2, 3].map(of_row)
        };
        let found = [vec![words.clone()], vec![numbers.clone()], vec![words, numbers]].map(|keys| buckets(&keys));
        assert_eq!(found, [[58, 2, 51, 0], [36, 41, 0, 42], [24, 9, 51, 50]]);
    }
}
