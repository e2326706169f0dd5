//! A clock that stands still until it is set.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use tidemill::{model::ProcessingTime, ports::Clock};

/// Seconds since 1970.
#[derive(Default)]
pub(crate) struct StillClock(AtomicI64);

impl StillClock {
    pub(crate) fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for StillClock {
    fn now(&self) -> ProcessingTime {
        ProcessingTime::from_micros(self.0.load(Ordering::Relaxed) * 1_000_000)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}
