//! The report of one epoch, with the field names of Spark's StreamingQueryProgress.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::ports::Offset;

/// The report of one epoch.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The pipeline's name.
    pub name: String,
    /// When the epoch started: RFC 3339, UTC.
    pub timestamp: String,
    /// The epoch.
    pub batch_id: u64,
    /// Rows read from all sources.
    pub num_input_rows: u64,
    /// Rows for each second since the epoch before started.
    pub input_rows_per_second: f64,
    /// Rows for each second the epoch took.
    pub processed_rows_per_second: f64,
    /// How long the epoch took, in milliseconds: all of it, and its parts.
    pub duration_ms: Durations,
    /// How far event time was complete, when some input has a watermark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<EventTimeProgress>,
    /// The keyed stages.
    pub state_operators: Vec<StateProgress>,
    /// The sources.
    pub sources: Vec<SourceProgress>,
    /// The sinks.
    pub sinks: Vec<SinkProgress>,
    /// Rows set aside because they could not be processed.
    pub num_dead_letters: u64,
    /// The module each plugin ran as, by its SHA-256.
    pub modules: BTreeMap<String, String>,
}

/// Where an epoch's time went, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Durations {
    /// Asking the sources what is new.
    #[serde(serialize_with = "to_microseconds")]
    pub latest_offset: f64,
    /// Writing the plan durably.
    #[serde(serialize_with = "to_microseconds")]
    pub wal_commit: f64,
    /// Reading, computing, and handing rows to sinks.
    #[serde(serialize_with = "to_microseconds")]
    pub add_batch: f64,
    /// Committing the sinks.
    #[serde(serialize_with = "to_microseconds")]
    pub commit_sinks: f64,
    /// Committing state and offsets.
    #[serde(serialize_with = "to_microseconds")]
    pub commit_offsets: f64,
    /// All of it.
    #[serde(serialize_with = "to_microseconds")]
    pub trigger_execution: f64,
}

/// A source's part in an epoch.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceProgress {
    /// Its name.
    pub description: String,
    /// Where the epoch started.
    pub start_offset: Option<Value>,
    /// Where it ended.
    pub end_offset: Option<Value>,
    /// Rows read.
    pub num_input_rows: u64,
}

/// A keyed stage's part in an epoch.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateProgress {
    /// Its name.
    pub operator_name: String,
    /// Keys it holds.
    pub num_rows_total: u64,
    /// Keys the epoch changed.
    pub num_rows_updated: u64,
    /// Keys the watermark closed.
    pub num_rows_removed: u64,
    /// Groups of rows that came too late, one for each key and window in each split; rows where there are no groups.
    pub num_rows_dropped_by_watermark: u64,
    /// About how many bytes of memory its keys take.
    pub memory_used_bytes: u64,
}

/// Event time in an epoch.
#[derive(Debug, Clone, Serialize)]
pub struct EventTimeProgress {
    /// The watermark the epoch ran with.
    pub watermark: String,
    /// The latest event time among its rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
}

/// A sink's part in an epoch.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkProgress {
    /// Its name.
    pub description: String,
    /// Rows it got.
    pub num_output_rows: u64,
}

/// An offset as the JSON it is.
pub(super) fn offset_json(offset: &Offset) -> Value {
    serde_json::from_str(&offset.0).unwrap_or_else(|_| Value::String(offset.0.clone()))
}

/// Milliseconds with three digits after the point: what is behind them is noise.
fn to_microseconds<S: Serializer>(millis: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((millis * 1000.0).round() / 1000.0)
}
