//! Splitting on whitespace.

use std::iter::FusedIterator;

use super::scan::{Carry, edges};
use crate::unchecked::{Marker, Marks};

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
    Words(Marks::new(text, Edges(Carry::START)))
}

/// The iterator that [`words`] gives.
#[derive(Debug, Clone)]
pub struct Words<'a>(Marks<'a, Edges>);

/// Marks where words start and end.
#[derive(Debug, Clone)]
struct Edges(Carry);

impl Marker for Edges {
    #[inline(always)]
    fn block(&mut self, text: &str, start: usize) -> u64 {
        let (edges, carry) = edges(text.as_bytes(), start, self.0);
        self.0 = carry;
        edges
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    #[inline(always)]
    fn next(&mut self) -> Option<&'a str> {
        self.0.between()
    }
}

impl FusedIterator for Words<'_> {}
