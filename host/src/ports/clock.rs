//! Time and waking up, passed in so that tests can hold them still.

use std::time::Duration;

use crate::model::ProcessingTime;

/// The wall clock. The real one is read in one place, `runtime::clock`.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> ProcessingTime;

    /// How far a clock that never goes back has come since some fixed point: for durations.
    fn elapsed(&self) -> Duration;
}

/// How a source that hears of new rows by itself tells the epoch loop, which may be waiting for the next trigger.
pub trait Wake: Send + Sync {
    /// Ends a wait under way, or the next one at once. Calling it often costs nothing.
    fn wake(&self);
}
