//! How much of the disk the file takes against what stands in it, and when that is worth moving together.
//!
//! redb doubles the length of the file when it finds no room that is large enough in one place. What is added is a hole
//! at first and takes nothing, but room that was used and is free again takes as much as before, however little is
//! kept.

use redb::{CompactionError, Database, ReadableDatabase, ReadableTable};

use super::{failure::Failure, tables};

/// What a file may take whatever is in it: its tables, its notes of free space, and the logs of many small buckets.
pub(super) const SPARE: u64 = 4 << 20;

/// What is known of the space in a checkpoint's file. All in bytes.
#[derive(Debug, Clone)]
pub(super) struct Space {
    /// What all pieces of state hold; none before it has been looked at.
    stored: Option<u64>,
    /// What the file took beyond that when it was last compacted: pages that are not full, and what is no state.
    overhead: u64,
    /// What has come and gone since then.
    turnover: u64,
    spare: u64,
}

/// Bytes of state that a commit writes and removes.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Change {
    pub(super) added: u64,
    pub(super) removed: u64,
}

impl Space {
    pub(super) const fn new(spare: u64) -> Self {
        Space { stored: None, overhead: 0, turnover: 0, spare }
    }

    pub(super) fn changed(&mut self, change: Change) {
        self.stored = self.stored.map(|stored| (stored + change.added).saturating_sub(change.removed));
        self.turnover += change.added + change.removed;
    }

    /// More happened to the state than was counted.
    pub(super) fn forget(&mut self) {
        self.stored = None;
    }

    /// Whether a file of this size takes half as much again as it need, and enough has changed for a compaction to be
    /// worth its time: it moves the whole file at worst.
    pub(super) fn is_wasted(&mut self, size: u64, database: &Database) -> Result<bool, Failure> {
        if size <= self.spare || self.turnover < size / 2 {
            return Ok(false);
        }
        let stored = match self.stored {
            Some(stored) => stored,
            None => *self.stored.insert(stored(database)?),
        };
        // Pages are half full at least.
        let needed = stored + self.overhead.min(stored);
        Ok(size > needed.saturating_mul(3) / 2 + self.spare)
    }

    /// Moves what stands in the file together and cuts off the rest. Says whether it could: not while somebody reads.
    pub(super) fn compact(database: &mut Database) -> Result<bool, Failure> {
        match database.compact() {
            Ok(_) => Ok(true),
            Err(CompactionError::TransactionInProgress) => Ok(false),
            Err(error) => Err(Failure::Redb(error.into())),
        }
    }

    /// The file has this size after a compaction.
    pub(super) fn compacted(&mut self, size: u64) {
        self.overhead = size.saturating_sub(self.stored.unwrap_or(0));
        self.turnover = 0;
    }
}

/// How many bytes all pieces of state hold.
fn stored(database: &Database) -> Result<u64, Failure> {
    let state = database.begin_read()?.open_table(tables::STATE)?;
    let mut stored = 0;
    for entry in state.iter()? {
        stored += entry?.1.value().len() as u64;
    }
    Ok(stored)
}
