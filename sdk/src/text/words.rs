//! Splitting on whitespace.

use std::iter::FusedIterator;

use super::scan::{BLOCK, Edges};

/// The words of a text: what stands between runs of whitespace.
///
/// Gives what [`str::split_whitespace`] gives, Unicode whitespace included, several times as fast.
///
/// ```
/// # use tidemill_sdk::text::words;
/// assert_eq!(words("  the\ttide\u{3000}turns ").collect::<Vec<_>>(), ["the", "tide", "turns"]);
/// ```
#[inline]
pub fn words(text: &str) -> Words<'_> {
    Words { text, edges: Edges::new(), block: 0, next_block: 0, pending: 0 }
}

/// The iterator that [`words`] gives.
#[derive(Debug, Clone)]
pub struct Words<'a> {
    text: &'a str,
    edges: Edges,
    /// Where the block starts that is being looked at.
    block: usize,
    /// Where the one after it starts.
    next_block: usize,
    /// A bit for each edge in the block that has not been passed.
    pending: u64,
}

impl Words<'_> {
    /// The next place where a word starts or has just ended; none at the end of the text.
    #[inline(always)]
    fn edge(&mut self) -> Option<usize> {
        while self.pending == 0 {
            if self.next_block >= self.text.len() {
                return None;
            }
            self.block = self.next_block;
            self.next_block += BLOCK;
            self.pending = self.edges.of_block(self.text.as_bytes(), self.block);
        }
        let edge = self.block + self.pending.trailing_zeros() as usize;
        self.pending &= self.pending - 1;
        Some(edge)
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a str> {
        let start = self.edge()?;
        let end = self.edge().unwrap_or(self.text.len());
        Some(&self.text[start..end])
    }
}

impl FusedIterator for Words<'_> {}
