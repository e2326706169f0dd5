//! The variable-length column, read and written: the only module with `unsafe` of its own.
//!
//! Three things happen here without a check for each row, because this is where a plugin spends its time:
//!
//! - A slice is taken by offsets that were checked once for the whole batch.
//! - Text is not checked again. The host only hands over utf8 columns whose values are valid UTF-8: they are Arrow
//!   arrays, which cannot hold anything else.
//! - A short value is copied with two overlapping loads and stores of fixed size. `memory.copy` is a call out of the
//!   compiled code in today's engines and costs more than all the rest of writing a word.

use crate::wire::{Failure, Variable};

/// Values of variable length, as they came from the host.
#[derive(Clone, Copy)]
pub struct Slices<'a> {
    /// Ascending, none negative, none beyond the end of `data`.
    offsets: &'a [i32],
    data: &'a [u8],
}

impl<'a> Slices<'a> {
    /// Checks that the offsets lie in the data, in order, one more than there are rows.
    pub(crate) fn new(column: &'a Variable, rows: usize) -> Result<Self, Failure> {
        let Variable { offsets, data } = column;
        if offsets.len() != rows + 1 {
            return Err(Failure::of_call(format!("{} offsets for {rows} rows", offsets.len())));
        }
        let ascending = offsets.windows(2).fold(true, |so_far, pair| so_far & (pair[0] <= pair[1]));
        let inside = offsets[0] >= 0 && usize::try_from(offsets[rows]).is_ok_and(|end| end <= data.len());
        if !ascending || !inside {
            return Err(Failure::of_call(format!("offsets that do not ascend within {} bytes of data", data.len())));
        }
        Ok(Slices { offsets, data })
    }

    /// The bytes of a row.
    #[inline(always)]
    pub(crate) fn bytes(&self, row: usize) -> &'a [u8] {
        let (start, end) = (self.offsets[row] as usize, self.offsets[row + 1] as usize);
        // SAFETY: `new` is the only constructor; it has checked that 0 <= start <= end <= data.len().
        unsafe { self.data.get_unchecked(start..end) }
    }

    /// The text of a row. Only for columns of type utf8.
    #[inline(always)]
    pub(crate) fn text(&self, row: usize) -> &'a str {
        // SAFETY: the values of a utf8 column are valid UTF-8; the host guarantees it (see the head of this file), and
        // in native tests they are written from `str`.
        unsafe { std::str::from_utf8_unchecked(self.bytes(row)) }
    }
}

/// Values of variable length being written.
#[derive(Debug)]
pub struct SlicesWriter {
    offsets: Vec<i32>,
    data: Vec<u8>,
}

/// Up to so many bytes a value is copied without a call.
const SHORT: usize = 16;

impl SlicesWriter {
    /// Room for so many rows of together so many bytes; more is possible.
    pub(crate) fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        SlicesWriter { offsets, data: Vec::with_capacity(bytes + SHORT) }
    }

    /// Adds a row.
    #[inline(always)]
    pub(crate) fn push(&mut self, value: &[u8], source: Source<'_>) {
        match source.block(value) {
            Some(block) if value.len() <= SHORT => {
                let end = self.data.len() + value.len();
                self.data.extend_from_slice(block);
                self.data.truncate(end);
            }
            _ => self.data.extend_from_slice(value),
        }
        self.end_row();
    }

    /// Adds a row that `write` appends the bytes of.
    pub(crate) fn push_with<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        write(&mut self.data)?;
        self.end_row();
        Ok(())
    }

    /// The column. A vector never holds more than `isize::MAX` bytes, so in a guest, whose addresses have 32 bits, the
    /// offsets cannot have wrapped; elsewhere the last one, which is the largest, tells.
    pub(crate) fn finish(self) -> Variable {
        assert!(i32::try_from(self.data.len()).is_ok(), "a column of one call holds more than 2 GiB");
        Variable { offsets: self.offsets, data: self.data }
    }

    #[inline(always)]
    fn end_row(&mut self) {
        self.offsets.push(self.data.len() as i32);
    }

}

#[derive(Clone, Copy)]
pub struct Source<'a>(pub(crate) &'a [u8]);
impl<'a> Source<'a> {
    pub(crate) fn of(batch: &'a crate::wire::Batch) -> Self {
        let data = batch.columns.iter().filter_map(|column| match &column.values {
            crate::wire::Values::Utf8(variable) | crate::wire::Values::Binary(variable) => Some(variable.data.as_slice()),
            _ => None,
        });
        Source(data.max_by_key(|data| data.len()).unwrap_or(&[]))
    }
    #[inline(always)]
    fn block(self, value: &[u8]) -> Option<&'a [u8; SHORT]> {
        let start = value.as_ptr().addr().wrapping_sub(self.0.as_ptr().addr());
        self.0.get(start..)?.first_chunk()
    }
}
