//! Three kinds of time that must not be mixed up. All count microseconds since 1970-01-01T00:00:00 UTC.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// When something happened, as its row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventTime(i64);

/// When the host works on it: the reading of a wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessingTime(i64);

/// Up to which event time an input is taken to be complete.
///
/// The order is the order of time: nothing known yet, a point, and the end after which no row will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Watermark {
    /// No row has been seen.
    Unknown,
    /// Complete up to and including this time.
    At(EventTime),
    /// The input has ended.
    End,
}

impl EventTime {
    /// The time this many microseconds after 1970.
    pub const fn from_micros(micros: i64) -> Self {
        EventTime(micros)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }
}

impl ProcessingTime {
    /// The time this many microseconds after 1970.
    pub const fn from_micros(micros: i64) -> Self {
        ProcessingTime(micros)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero when the clock went back.
    pub fn since(self, earlier: ProcessingTime) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The time `wait` later.
    pub fn after(self, wait: Duration) -> ProcessingTime {
        let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        ProcessingTime(self.0.saturating_add(wait))
    }
}

/// RFC 3339 in UTC with milliseconds, as Spark reports batch times: `2026-01-31T08:00:00.000Z`.
impl fmt::Display for ProcessingTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = arrow::temporal_conversions::timestamp_us_to_datetime(self.0).unwrap_or_default();
        write!(f, "{}Z", time.format("%Y-%m-%dT%H:%M:%S%.3f"))
    }
}
