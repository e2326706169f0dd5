//! The exactly-once protocol as data and pure decisions: what is written down for an epoch, and what recovery does
//! with what it finds. The store that keeps it is an adapter (`state`); the runtime acts on the decisions.

mod recovery;

use serde::{Deserialize, Serialize};

use crate::{
    model::{Digest, Epoch, PartName, ProcessingTime},
    ports::{CommitPermit, Range},
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
    /// Where its random numbers start.
    pub seed: u64,
    /// The manifest it runs under.
    pub manifest: Digest,
    /// The module of each plugin it runs with.
    pub modules: Vec<(String, Digest)>,
}

/// What is true after an epoch, written in one transaction with its state changes (T2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The last committed epoch.
    pub epoch: Epoch,
    /// Its batch time.
    pub batch_time: ProcessingTime,
    /// The manifest it ran under.
    pub manifest: Digest,
    /// The module of each plugin it ran with.
    pub modules: Vec<(String, Digest)>,
    /// The sinks that committed it: one that is not among them is new, and cannot know of it.
    pub sinks: Vec<PartName>,
    /// How the state of each keyed stage is laid out: state that no longer fits is refused, not misread.
    pub layouts: Vec<(PartName, StateLayout)>,
}

/// The layout of a keyed stage's state, in words that compare and can be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateLayout {
    /// The key columns: `word: utf8`.
    pub key: String,
    /// What is kept for each key: `count(*)`, or `words.add version 1`.
    pub value: String,
}

impl EpochPlan {
    /// Leave for a sink to commit this epoch. That there is a plan to ask means that it was written, or read back.
    pub fn permit(&self) -> CommitPermit {
        CommitPermit::new(self.epoch)
    }
}
