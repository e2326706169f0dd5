//! The number of a micro-batch.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One micro-batch of a pipeline, counted from 0. Every sink's marker and every commit carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    /// The first epoch of a pipeline that has no checkpoint yet.
    pub const FIRST: Epoch = Epoch(0);

    /// The epoch with this number.
    pub const fn new(number: u64) -> Self {
        Epoch(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The epoch that follows.
    pub const fn next(self) -> Self {
        Epoch(self.0 + 1)
    }

    /// The epoch before, or none before the first.
    pub const fn previous(self) -> Option<Self> {
        match self.0 {
            0 => None,
            n => Some(Epoch(n - 1)),
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
