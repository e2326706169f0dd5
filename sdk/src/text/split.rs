//! Splitting on one byte, and finding it.

use std::iter::FusedIterator;

use super::scan::{BLOCK, occurrences};

/// Where a byte stands first.
///
/// ```
/// # use tidemill_sdk::text::find;
/// assert_eq!(find("key=value", b'='), Some(3));
/// ```
#[inline]
pub fn find(text: impl AsRef<[u8]>, byte: u8) -> Option<usize> {
    let text = text.as_ref();
    (0..text.len()).step_by(BLOCK).find_map(|block| match occurrences(text, block, byte) {
        0 => None,
        found => Some(block + found.trailing_zeros() as usize),
    })
}

/// The parts of a text between the occurrences of an ASCII character, empty ones included: what [`str::split`] gives.
///
/// ```
/// # use tidemill_sdk::text::split;
/// assert_eq!(split("a,,b", b',').collect::<Vec<_>>(), ["a", "", "b"]);
/// ```
///
/// # Panics
///
/// When `separator` is not ASCII: a byte that is only part of a character does not separate text.
#[inline]
pub fn split(text: &str, separator: u8) -> Split<'_> {
    assert!(separator.is_ascii(), "the separator {separator:#04x} is not ASCII: use `str::split` with a `char`");
    Split { text, separator, part: Some(0), block: 0, next_block: 0, pending: 0 }
}

/// The iterator that [`split`] gives.
#[derive(Debug, Clone)]
pub struct Split<'a> {
    text: &'a str,
    separator: u8,
    /// Where the next part starts; none when the last has been given.
    part: Option<usize>,
    /// Where the block starts that is being looked at.
    block: usize,
    /// Where the one after it starts.
    next_block: usize,
    /// A bit for each separator in the block that has not been passed.
    pending: u64,
}

impl Split<'_> {
    /// The next separator; none at the end of the text.
    #[inline(always)]
    fn separator(&mut self) -> Option<usize> {
        while self.pending == 0 {
            if self.next_block >= self.text.len() {
                return None;
            }
            self.block = self.next_block;
            self.next_block += BLOCK;
            self.pending = occurrences(self.text.as_bytes(), self.block, self.separator);
        }
        let separator = self.block + self.pending.trailing_zeros() as usize;
        self.pending &= self.pending - 1;
        Some(separator)
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a str;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a str> {
        let start = self.part?;
        let end = self.separator();
        self.part = end.map(|end| end + 1);
        Some(&self.text[start..end.unwrap_or(self.text.len())])
    }
}

impl FusedIterator for Split<'_> {}
