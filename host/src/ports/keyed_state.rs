//! What passes between the host and a function with a state per key.
//!
//! A key is a group: a number that counts the keys of one call, so that rows, states and timers can say whose they are.

use arrow::array::{BinaryArray, RecordBatch, TimestampMicrosecondArray};

use crate::model::{EventTime, ProcessingTime};

/// One epoch's work for some keys.
#[derive(Debug, Clone, Copy)]
pub struct KeyedWork<'a> {
    /// The keys, a row for each group, each key once. Columns as the function describes its key.
    pub keys: &'a RecordBatch,
    /// The state of each group; null where there is none.
    pub states: &'a BinaryArray,
    /// The group of each input row. The rows of a group are in their order of arrival.
    pub groups: &'a [u32],
    /// The rows. A key may have none: it is there because of a timer, or to be visited.
    pub input: &'a RecordBatch,
    /// The watermark of the input; none before the first.
    pub watermark: Option<EventTime>,
    /// The timers that have expired, each of which is gone.
    pub expired: &'a [GroupTimer],
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct KeyedOutcome {
    /// The new state of each group. Null removes the key with its timers: what else is said of such a group's timers
    /// and expiry means nothing.
    pub states: BinaryArray,
    /// When the state of each group goes by itself, in processing time; null for one that does not. None: none does.
    pub expiry: Option<TimestampMicrosecondArray>,
    /// The rows put out.
    pub rows: RecordBatch,
    /// The group of each row put out, never descending.
    pub groups: Vec<u32>,
    /// Timers to set. One that stands already stays as it is.
    pub set: Vec<GroupTimer>,
    /// Timers to cancel. One that does not stand is ignored.
    pub cancel: Vec<GroupTimer>,
}

/// When a key wants to be called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// As soon as the watermark has passed this time.
    EventTime(EventTime),
    /// As soon as an epoch's batch time has passed this time.
    ProcessingTime(ProcessingTime),
}

/// A timer of one of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupTimer {
    /// The key.
    pub group: u32,
    /// Its timer.
    pub timer: Timer,
}
