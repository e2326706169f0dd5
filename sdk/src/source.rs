//! Where short values are copied from.

use crate::wire::{Batch, Values};

/// Up to so many bytes a value is copied as if it had so many.
pub(crate) const SHORT: usize = 16;

/// The bytes that the values being written were probably taken from.
///
/// What a function puts out is mostly a part of what came in. Such a value has other bytes of the same column behind
/// it, so a whole block can be read at its place, whatever its length. This doubles the speed of writing words, whose
/// lengths no branch predictor can guess.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    bytes: &'a [u8],
}

impl<'a> Source<'a> {
    /// Values come from anywhere.
    pub const ANY: Source<'static> = Source { bytes: &[] };

    /// The largest column of a batch, of those with values of variable length.
    pub(crate) fn of(batch: &'a Batch) -> Self {
        let variable = batch.columns.iter().filter_map(|column| match &column.values {
            Values::Utf8(variable) | Values::Binary(variable) => Some(variable.data.as_slice()),
            _ => None,
        });
        Source { bytes: variable.max_by_key(|bytes| bytes.len()).unwrap_or(&[]) }
    }

    /// A block that starts with a value of at most its length; what is behind the value is arbitrary.
    #[inline(always)]
    pub(crate) fn block(self, value: &[u8]) -> [u8; SHORT] {
        // Both slices are borrowed, so if the value's address lies within the source they are the same memory.
        let start = value.as_ptr().addr().wrapping_sub(self.bytes.as_ptr().addr());
        match self.bytes.get(start..).and_then(<[u8]>::first_chunk) {
            Some(block) => *block,
            None => padded(value),
        }
    }
}

/// A value of at most 16 bytes with zeros behind it, put together without a copy of variable length.
fn padded(value: &[u8]) -> [u8; SHORT] {
    let length = value.len();
    let (low, high) = if let (Some(head), Some(tail)) = (value.first_chunk(), value.last_chunk()) {
        (u64::from_le_bytes(*head), u64::from_le_bytes(*tail).unbounded_shr(8 * (SHORT - length) as u32))
    } else if let (Some(head), Some(tail)) = (value.first_chunk(), value.last_chunk()) {
        let (head, tail) = (u32::from_le_bytes(*head), u32::from_le_bytes(*tail));
        (u64::from(head) | u64::from(tail) << (8 * (length - 4)), 0)
    } else {
        (value.iter().rev().fold(0, |so_far, byte| so_far << 8 | u64::from(*byte)), 0)
    };
    (u128::from(low) | u128::from(high) << 64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value is written through a block of fixed size. A byte too many or too few would shift every value behind it
    /// in the column, so each length is tried at each place: inside the source, at its very end, and outside of it.
    #[test]
    fn a_block_starts_with_the_value_wherever_it_comes_from() {
        let source: Vec<u8> = (1..=64).collect();
        let elsewhere = source.clone();
        for bytes in [&source, &elsewhere] {
            for start in 0..=64 {
                for end in start..=(start + SHORT).min(64) {
                    let value = &bytes[start..end];
                    assert_eq!(Source { bytes: &source }.block(value)[..value.len()], *value);
                }
            }
        }
    }
}
