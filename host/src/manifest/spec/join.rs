//! Joins, and how far apart in time rows may be that match.

use std::ops::Range as Span;

use serde::Serialize;

use super::Spanned;
use crate::model::EventTime;

/// A join of two inputs: the left one and the right one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinSpec {
    /// The table, when it is not a second stream.
    pub table: Option<Spanned<String>>,
    /// What must be equal: a column of both, or `left = right`.
    pub on: Vec<Spanned<String>>,
    /// How far from the left in time the right may be.
    pub within: Option<Spanned<Within>>,
    /// Whether rows of the left that nothing matches come out too.
    pub outer: bool,
    /// Where all this is said.
    #[serde(skip)]
    pub span: Span<usize>,
}

/// How far from a row of the left in time one of the right may be; none for any distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Within {
    /// How much earlier.
    pub before: Option<Bound>,
    /// How much later.
    pub after: Option<Bound>,
}

/// How far apart in time two rows may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// So far, in microseconds. Less than nothing is at least so far the other way.
    pub distance: i64,
    /// Whether they must be closer than that.
    pub strict: bool,
}

impl Bound {
    /// Whether a time is near enough behind another.
    pub fn reaches(self, from: EventTime, to: EventTime) -> bool {
        let last = from.shifted(self.distance);
        to < last || (to == last && !self.strict)
    }

    /// How far the watermark must be past a time, in microseconds, before nothing within the bound can come any more. A
    /// bound that is not strict still belongs to it, so that is just after the bound; Spark reckons in milliseconds
    /// here, and whether an epoch sooner or later must be the same.
    pub fn wait(self) -> i64 {
        match self.strict {
            true => self.distance,
            false => self.distance + 1000,
        }
    }
}
