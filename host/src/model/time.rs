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

/// Up to which event time rows are taken to be complete. It starts at 1970, as in Spark, and never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermark(i64);

impl EventTime {
    /// The time this many microseconds after 1970.
    pub const fn from_micros(micros: i64) -> Self {
        EventTime(micros)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The time `wait` later.
    pub fn after(self, wait: Duration) -> EventTime {
        let wait = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        EventTime(self.0.saturating_add(wait))
    }

    /// The time so many microseconds later; earlier for less than none.
    pub fn shifted(self, micros: i64) -> EventTime {
        EventTime(self.0.saturating_add(micros))
    }
}

impl Watermark {
    /// Where every watermark starts.
    pub const START: Watermark = Watermark(0);

    /// The watermark of rows seen up to a time that may be `delay` late. Whole milliseconds, as in Spark.
    pub fn behind(seen: EventTime, delay: Duration) -> Self {
        let delay = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
        let millis = seen.0.div_euclid(1000) * 1000;
        Watermark(millis.saturating_sub(delay))
    }

    /// Whether everything up to and including this time is complete: a window that ends here is over.
    pub const fn covers(self, time: EventTime) -> bool {
        time.0 <= self.0
    }

    /// The watermark of those who wait so much longer.
    pub fn less(self, lateness: Duration) -> Self {
        let lateness = i64::try_from(lateness.as_micros()).unwrap_or(i64::MAX);
        Watermark(self.0.saturating_sub(lateness))
    }

    /// The same point as an event time.
    pub const fn time(self) -> EventTime {
        EventTime(self.0)
    }
}

/// As [`ProcessingTime`] is shown.
impl fmt::Display for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        EventTime(self.0).fmt(f)
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ProcessingTime(self.0).fmt(f)
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
