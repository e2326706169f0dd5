//! The real clock: the one place that reads it.

use std::time::{Duration, Instant, SystemTime};

use crate::{model::ProcessingTime, ports::Clock};

/// The machine's clock.
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// The machine's clock; durations count from now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn start() -> Self {
        SystemClock { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn now(&self) -> ProcessingTime {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        ProcessingTime::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
