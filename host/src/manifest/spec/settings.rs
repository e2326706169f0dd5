//! What holds for the whole pipeline.

use std::time::Duration;

use serde::Serialize;

use crate::{manifest::value, watermark::Policy};

/// When epochs start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// On a grid of this interval.
    Every(#[serde(serialize_with = "value::serialize_duration")] Duration),
    /// One epoch with everything there is, then stop.
    Once,
    /// As many epochs as it takes to read what was there at the start, then stop.
    AvailableNow,
    /// The next as soon as there are rows.
    Continuous,
}

/// What happens to a row that cannot be read or that a function refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadRows {
    /// It goes to the sinks that take `dead_letters`, or into the log when there is none, and the pipeline runs on.
    SetAside,
    /// The pipeline stops before the epoch commits.
    Stop,
}

/// How the watermarks of several inputs become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WatermarkSettings {
    /// Which input decides. Once a checkpoint knows it, it stays.
    pub policy: Policy,
    /// Whether a restart remembers how far each input was. Spark's does not: it starts from the watermark they made
    /// together.
    pub remember_leads: bool,
}

impl Default for WatermarkSettings {
    fn default() -> Self {
        WatermarkSettings { policy: Policy::Min, remember_leads: false }
    }
}

/// Limits on plugins, per call and per instance, and on state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// How long one call may run.
    #[serde(serialize_with = "value::serialize_duration")]
    pub call_timeout: Duration,
    /// How much memory an instance may have, in bytes.
    pub memory: u64,
    /// How much keyed state stays in memory between epochs, in bytes; the rest is read when it is needed.
    pub state: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { call_timeout: Duration::from_secs(10), memory: 256 << 20, state: 2 << 30 }
    }
}
