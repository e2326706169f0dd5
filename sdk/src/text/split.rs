//! Splitting on one byte, and finding it.

use std::iter::FusedIterator;

use super::scan::{BLOCK, occurrences};
use crate::unchecked::{Marker, Marks};

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
    Split { marks: Marks::new(text, Separators(separator)), part: Some(0) }
}

/// The iterator that [`split`] gives.
#[derive(Debug, Clone)]
pub struct Split<'a> {
    marks: Marks<'a, Separators>,
    /// Where the next part starts; none when the last has been given.
    part: Option<usize>,
}

/// Marks where a byte stands.
#[derive(Debug, Clone)]
struct Separators(u8);

impl Marker for Separators {
    #[inline(always)]
    fn block(&mut self, text: &str, start: usize) -> u64 {
        occurrences(text.as_bytes(), start, self.0)
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a str;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a str> {
        let start = self.part?;
        let end = self.marks.next();
        self.part = end.map(|end| end + 1);
        let text = self.marks.text();
        Some(&text[start..end.unwrap_or(text.len())])
    }
}

impl FusedIterator for Split<'_> {}
