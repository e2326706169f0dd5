//! What a function may know about the epoch it runs in. All of it is the same when the epoch is run again, which is
//! why there is no other clock and no other randomness: the standard library's give the same answers.

use std::fmt;

use crate::{Timestamp, imports};

/// The number of a micro-batch, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch with this number.
    pub const fn new(number: u64) -> Self {
        Epoch(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The epoch that runs.
pub fn epoch() -> Epoch {
    Epoch(imports::epoch())
}

/// The epoch's batch time: when it started.
pub fn batch_time() -> Timestamp {
    Timestamp::from_micros(imports::batch_time())
}

/// The next of a sequence of random numbers that starts from the epoch's seed.
pub fn random() -> u64 {
    imports::random()
}
