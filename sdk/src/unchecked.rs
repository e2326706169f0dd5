//! Slices taken without a check for each: the only module with `unsafe`.
//!
//! Here a plugin spends its time, so what is usually asked of each slice is asked once for many: of the offsets of a
//! column when a batch comes in, and of the places where a text is cut when a block of it has been looked at.

use crate::{
    text::scan::{BLOCK, character_starts},
    wire::{Failure, Variable},
};

/// Values of variable length, as they came from the host.
#[derive(Clone, Copy)]
pub struct Variables<'a> {
    /// Ascending, none negative, none beyond the end of `data`.
    offsets: &'a [i32],
    data: &'a [u8],
}

impl<'a> Variables<'a> {
    /// Checks that the offsets lie in the data, in order, one more than there are rows.
    pub(crate) fn new(column: &'a Variable, rows: usize) -> Result<Self, Failure> {
        let Variable { offsets, data } = column;
        if offsets.len() != rows + 1 {
            return Err(Failure::of_call(format!("{} offsets for {rows} rows", offsets.len())));
        }
        // Without a way out of the loop it is one that the compiler turns into SIMD.
        let ascending = offsets.windows(2).fold(true, |so_far, pair| so_far & (pair[0] <= pair[1]));
        let inside = offsets[0] >= 0 && usize::try_from(offsets[rows]).is_ok_and(|end| end <= data.len());
        if !ascending || !inside {
            return Err(Failure::of_call(format!("offsets that do not ascend within {} bytes of data", data.len())));
        }
        Ok(Variables { offsets, data })
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
        // SAFETY: the values of a utf8 column are valid UTF-8; the host guarantees it, whose Arrow
        // arrays cannot hold anything else, and in native tests they are written from `str`.
        unsafe { std::str::from_utf8_unchecked(self.bytes(row)) }
    }
}

/// Marks places in a text, block by block in order.
pub(crate) trait Marker {
    /// A bit for each byte of the block at `start` that is marked.
    fn block(&mut self, text: &str, start: usize) -> u64;
}

/// A walk over the marked places of a text.
#[derive(Debug, Clone)]
pub(crate) struct Marks<'a, M> {
    text: &'a str,
    marker: M,
    /// Where the block starts that is being looked at.
    block: usize,
    /// Where the one after it starts.
    next_block: usize,
    /// The marks in the block that have not been passed, all of them where a character starts.
    pending: u64,
}

impl<'a, M: Marker> Marks<'a, M> {
    pub(crate) fn new(text: &'a str, marker: M) -> Self {
        Marks { text, marker, block: 0, next_block: 0, pending: 0 }
    }

    /// The text that is walked over.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// The next marked place; none at the end of the text. Marks inside of a character or behind the text are ignored.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<usize> {
        while self.pending == 0 {
            if self.next_block >= self.text.len() {
                return None;
            }
            self.block = self.next_block;
            self.next_block += BLOCK;
            self.pending = self.marker.block(self.text, self.block) & character_starts(self.text, self.block);
        }
        let place = self.block + self.pending.trailing_zeros() as usize;
        self.pending &= self.pending - 1;
        Some(place)
    }

    /// The text between the next two marks, or from the last one to the end.
    #[inline(always)]
    pub(crate) fn between(&mut self) -> Option<&'a str> {
        let start = self.next()?;
        let end = self.next().unwrap_or(self.text.len());
        // SAFETY: what `next` gives are bits of `character_starts`, so they are places within the text where a
        // character starts, and each is greater than the one before.
        Some(unsafe { self.text.get_unchecked(start..end) })
    }
}
