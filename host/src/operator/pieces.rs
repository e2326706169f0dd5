//! How much of what is kept goes into one call of a plugin: an instance has so much memory and no more, and what all
//! keys keep together has no such bound.

use std::ops::Range;

use arrow::array::BinaryArray;

/// So many bytes of states at a time: far below the memory an instance has if the manifest says nothing, and far above
/// what makes a call worth its price.
const CALL_BYTES: usize = 4 << 20;

/// So many states at a time, as small as they may be: what is made of one may be larger than itself.
const CALL_STATES: usize = 16_384;

/// Cuts a sequence of states, of which these are the lengths, into pieces for one call each. A state alone may be
/// larger.
pub(super) fn pieces(lengths: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let (mut pieces, mut start, mut bytes) = (Vec::new(), 0, 0);
    let mut end = 0;
    for length in lengths {
        if end > start && (bytes + length > CALL_BYTES || end - start == CALL_STATES) {
            pieces.push(start..end);
            (start, bytes) = (end, 0);
        }
        bytes += length;
        end += 1;
    }
    if end > start {
        pieces.push(start..end);
    }
    pieces
}

/// How many bytes a state takes.
pub(super) fn length(states: &BinaryArray, at: usize) -> usize {
    states.value_length(at) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state is in one piece, in order; a large one is in a piece of its own.
    #[test]
    fn states_are_cut_by_bytes_and_by_number() {
        assert!(pieces(std::iter::empty()).is_empty());
        assert_eq!(pieces([5, 6, 7].into_iter()), vec![0..3]);
        let large = CALL_BYTES + 1;
        assert_eq!(pieces([1, large, 1, CALL_BYTES - 1, 1].into_iter()), [0..1, 1..2, 2..4, 4..5]);
        assert_eq!(pieces(vec![0; CALL_STATES + 1].into_iter()), [0..CALL_STATES, CALL_STATES..CALL_STATES + 1]);
    }
}
