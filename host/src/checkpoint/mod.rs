//! The exactly-once protocol as data and pure decisions: what is written down for an epoch, and what recovery does
//! with what it finds. The store that keeps it is an adapter (`state`); the runtime acts on the decisions.

mod recovery;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    model::{Digest, Epoch, PartName, ProcessingTime, Watermark},
    ports::{CommitPermit, Range},
    watermark::{EpochWatermarks, Lead, Policy},
};

pub use recovery::{Recovery, SinkAction, Unrecoverable, decide};

/// What an epoch is going to do, written durably before it does any of it (T1). Running it again does the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochPlan {
    /// The epoch.
    pub epoch: Epoch,
    /// What it reads from each source.
    pub ranges: Vec<(PartName, Range)>,
    /// The one time its functions and expressions see.
    pub batch_time: ProcessingTime,
    /// The watermarks it runs with.
    pub watermarks: EpochWatermarks,
    /// Where its random numbers start.
    pub seed: u64,
    /// What the manifest it runs under means for its rows.
    pub manifest: Digest,
    /// The module of each plugin it runs with.
    pub modules: Vec<(String, Digest)>,
    /// The content of each table it joins.
    pub tables: Vec<(String, Digest)>,
}

/// What is true after an epoch, written in one transaction with its state changes (T2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The last committed epoch.
    pub epoch: Epoch,
    /// Its batch time.
    pub batch_time: ProcessingTime,
    /// How far event time was complete for it, and is for the next epoch.
    pub event_time: EventTimes,
    /// What the manifest it ran under meant for its rows.
    pub manifest: Digest,
    /// The module of each plugin it ran with.
    pub modules: Vec<(String, Digest)>,
    /// The sinks that committed it, and the place of each: one that is not among them is new, and cannot know of it.
    pub sinks: Vec<(PartName, String)>,
    /// How the state of each keyed stage is laid out: state that no longer fits is refused, not misread.
    pub layouts: Vec<(PartName, StateLayout)>,
}

/// How far event time is complete after an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTimes {
    /// The watermark that closed what the epoch closed: what it covers is late from now on.
    pub closed: Watermark,
    /// The watermark the next epoch closes by.
    pub next: Watermark,
    /// How the watermarks of several inputs become one; a manifest that says otherwise later does not change it.
    pub policy: Policy,
    /// How far each input was, by the part that declares its watermark.
    pub leads: Vec<(PartName, BTreeMap<String, Lead>)>,
}

/// The layout of a keyed stage's state: what its columns are, and in words that compare and can be shown, what they
/// mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateLayout {
    /// What a stored row is.
    pub kind: StateKind,
    /// How many of its columns are the key.
    pub keys: u32,
    /// The key columns: `word: utf8`.
    pub key: String,
    /// What is kept for each key: `count(*)`, or `words.add version 1`.
    pub value: String,
    /// The columns of aggregates: `sum(x)` keeps another of floats than of integers. Empty where `value` says it all.
    pub columns: String,
    /// The version of the function that keeps it. States of older ones can be brought over.
    pub version: u32,
}

/// What a stored row is, which says what stands before its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateKind {
    /// A key: nothing.
    Key,
    /// A window of a key: its start.
    Window,
    /// A session of a key: its start and its end.
    Session,
    /// A batch of a key: its number.
    Batch,
    /// A key with the state that a function keeps: nothing.
    Function,
    /// A row of a side of a join: which side, its number, its time, and whether it has matched.
    Side,
}

impl StateLayout {
    /// Whether a part with this layout can go on with what was kept under another.
    pub fn takes(&self, stored: &StateLayout) -> bool {
        let shape = |of: &StateLayout| (of.kind, of.keys);
        shape(self) == shape(stored)
            && (&self.key, &self.value, &self.columns) == (&stored.key, &stored.value, &stored.columns)
            && self.version >= stored.version
    }
}

impl EpochPlan {
    /// Leave for a sink to commit this epoch. That there is a plan to ask means that it was written, or read back.
    pub fn permit(&self) -> CommitPermit {
        CommitPermit::new(self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// State goes on under the same layout, and under a newer version of the function that keeps it; nothing else.
    #[test]
    fn which_layout_takes_which_state() {
        let layout = |key: &str, columns: &str, version: u32| StateLayout {
            kind: StateKind::Function,
            keys: 1,
            key: key.to_owned(),
            value: "the state of counts.count".to_owned(),
            columns: columns.to_owned(),
            version,
        };
        let stored = layout("word: utf8", "", 2);
        assert!(stored.takes(&stored));
        assert!(layout("word: utf8", "", 3).takes(&stored));
        for other in [layout("word: utf8", "", 1), layout("word: int64", "", 2), layout("word: utf8", "sum: Int64", 2)]
        {
            assert!(!other.takes(&stored), "{other:?}");
        }
        assert!(!StateLayout { kind: StateKind::Key, ..stored.clone() }.takes(&stored));
    }
}
