//! The checkpoint store on redb: one file per pipeline, `checkpoint.redb`, held by one process at a time.
//!
//! Beyond this folder nobody names redb. What is written when is the protocol's affair (`checkpoint`) and the
//! runtime's; here is only how it is kept: in which tables, in what encoding, and what a damaged file leads to.

mod change;
mod chunk;
mod copy;
mod envelope;
mod failure;
mod file;
mod requests;
mod restore;
mod saved;
mod savepoint;
mod space;
mod tables;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use arrow::array::RecordBatch;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, WriteTransaction};

use crate::{
    checkpoint::{Committed, EpochPlan},
    model::{Epoch, PartName},
    ports::{CheckpointError, CheckpointStore, ChunkKind, Range, StateChange, StateChunk, StateReader},
};

use failure::Failure;
use file::{Home, RealHome};
use space::{Change, SPARE, Space};

pub use requests::{Asked, Mailbox, Standing, Taken};
pub use restore::{Unnamed, check_new};
pub use saved::{Damage, Saved, StageContents, Unopened, Verdict};
pub use savepoint::{Description, Savepoints, check_vacant, settle};

/// The checkpoint of one pipeline.
#[derive(Debug)]
pub struct RedbStore {
    /// Shared with whoever makes savepoints of it. Only a compaction wants it alone.
    database: Arc<RwLock<Database>>,
    path: PathBuf,
    home: Arc<dyn Home>,
    space: Space,
}

impl RedbStore {
    /// Opens the checkpoint in this folder; makes folder and checkpoint if there is none.
    pub fn open(dir: &Path) -> Result<Self, CheckpointError> {
        let path = dir.join(file::NAME);
        match file::open(dir, &path) {
            Ok(database) => {
                file::remove_leftovers(dir);
                Ok(RedbStore::of(database, path))
            }
            Err(failure) => Err(failure.at(&path)),
        }
    }

    fn of(database: Database, path: PathBuf) -> Self {
        let database = Arc::new(RwLock::new(database));
        RedbStore { database, path, home: Arc::new(RealHome), space: Space::new(SPARE) }
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, Failure>) -> Result<T, CheckpointError> {
        let transaction = shared(&self.database).begin_read();
        let result = transaction.map_err(Failure::from).and_then(|transaction| work(&transaction));
        result.map_err(|failure| failure.at(&self.path))
    }

    fn write(&mut self, work: impl FnOnce(&WriteTransaction) -> Result<(), Failure>) -> Result<(), CheckpointError> {
        write(&shared(&self.database), work).map_err(|failure| failure.at(&self.path))
    }

    /// Compacts the file if that is worth while and nobody reads it; otherwise there will be another time.
    fn save_space(&mut self) -> Result<(), Failure> {
        let size = self.home.size(&self.path)?;
        let Ok(mut database) = self.database.try_write() else { return Ok(()) };
        if self.space.is_wasted(size, &database)? && Space::compact(&mut database)? {
            self.space.compacted(self.home.size(&self.path)?);
        }
        Ok(())
    }
}

/// The database, for reading and for transactions. A panic of a thread that had it leaves it as it was: what is not
/// committed is not there.
fn shared(database: &RwLock<Database>) -> RwLockReadGuard<'_, Database> {
    database.read().unwrap_or_else(PoisonError::into_inner)
}

/// One durable transaction. When the work fails, the transaction is dropped and nothing of it stays.
fn write(database: &Database, work: impl FnOnce(&WriteTransaction) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    // A start after a crash must not walk the whole file. Quick repair rests on two-phase commit and turns it on.
    transaction.set_quick_repair(true);
    work(&transaction)?;
    Ok(transaction.commit()?)
}

impl StateReader for RedbStore {
    fn load_state(
        &self,
        stage: &PartName,
        bucket: usize,
        receiver: &mut dyn FnMut(RecordBatch) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        self.read(|transaction| {
            let state = transaction.open_table(tables::STATE)?;
            for entry in state.range(tables::of_bucket(stage, bucket))? {
                let (key, value) = entry?;
                let damaged = |reason: String| Failure::damaged("state", tables::show_state(key.value()), reason);
                let payload = envelope::open(value.value()).map_err(damaged)?;
                for batch in chunk::decode(payload).map_err(|error| damaged(error.to_string()))? {
                    receiver(batch.map_err(|error| damaged(error.to_string()))?).map_err(Failure::Receiver)?;
                }
            }
            Ok(())
        })
    }
}

impl CheckpointStore for RedbStore {
    fn committed(&self) -> Result<Option<Committed>, CheckpointError> {
        self.read(|transaction| committed(&transaction.open_table(tables::COMMITTED)?))
    }

    fn plan(&self) -> Result<Option<EpochPlan>, CheckpointError> {
        self.read(|transaction| {
            let next = next_epoch(committed(&transaction.open_table(tables::COMMITTED)?)?.as_ref());
            let plans = transaction.open_table(tables::PLAN)?;
            let Some(value) = plans.get(next.number())? else { return Ok(None) };
            envelope::decode(value.value()).map(Some).map_err(|reason| Failure::damaged("plan", next, reason))
        })
    }

    fn write_plan(&mut self, plan: &EpochPlan) -> Result<(), CheckpointError> {
        self.write(|transaction| {
            expect_next(transaction, plan.epoch)?;
            let mut plans = transaction.open_table(tables::PLAN)?;
            plans.insert(plan.epoch.number(), envelope::encode(plan)?.as_slice())?;
            Ok(())
        })
    }

    fn commit(
        &mut self,
        committed: &Committed,
        ranges: &[(PartName, Range)],
        state: &[StateChunk],
        next: Option<&EpochPlan>,
    ) -> Result<(), CheckpointError> {
        let mut change = Change::default();
        self.write(|transaction| {
            expect_next(transaction, committed.epoch)?;
            ranges.iter().try_for_each(|(source, range)| add_range(transaction, source, range))?;
            state.iter().try_for_each(|chunk| add_chunk(transaction, chunk, &mut change))?;
            let mut plans = transaction.open_table(tables::PLAN)?;
            plans.remove(committed.epoch.number())?;
            if let Some(plan) = next {
                expect(plan.epoch, committed.epoch.next())?;
                plans.insert(plan.epoch.number(), envelope::encode(plan)?.as_slice())?;
            }
            transaction.open_table(tables::COMMITTED)?.insert((), envelope::encode(committed)?.as_slice())?;
            Ok(())
        })?;
        self.space.changed(change);
        self.save_space().map_err(|failure| failure.at(&self.path))
    }

    fn history(&self, source: &PartName) -> Result<Vec<Range>, CheckpointError> {
        self.read(|transaction| {
            let ranges = transaction.open_table(tables::RANGES)?;
            ranges
                .range(tables::of_part(source))?
                .map(|entry| {
                    let (key, value) = entry?;
                    decode_range(key.value(), value.value())
                })
                .collect()
        })
    }

    fn sources_with_history(&self) -> Result<Vec<PartName>, CheckpointError> {
        self.read(|transaction| {
            let ranges = transaction.open_table(tables::RANGES)?;
            let mut sources: Vec<PartName> = Vec::new();
            // From one source straight to the next: a history may be long.
            while let Some(entry) = ranges.range(tables::after_part(sources.last()))?.next() {
                sources.push(PartName::new(entry?.0.value().0));
            }
            Ok(sources)
        })
    }

    fn change_state(&mut self, changes: &[StateChange]) -> Result<(), CheckpointError> {
        self.space.forget();
        self.write(|transaction| change::apply(transaction, changes))
    }
}

fn committed(table: &impl ReadableTable<(), &'static [u8]>) -> Result<Option<Committed>, Failure> {
    let Some(value) = table.get(())? else { return Ok(None) };
    envelope::decode(value.value()).map(Some).map_err(|reason| Failure::damaged("committed", "()", reason))
}

fn next_epoch(committed: Option<&Committed>) -> Epoch {
    committed.map_or(Epoch::FIRST, |committed| committed.epoch.next())
}

/// Epochs are planned and committed one after the other, without gaps; anything else would lose rows unseen.
fn expect_next(transaction: &WriteTransaction, epoch: Epoch) -> Result<(), Failure> {
    let next = next_epoch(committed(&transaction.open_table(tables::COMMITTED)?)?.as_ref());
    expect(epoch, next)
}

fn expect(epoch: Epoch, next: Epoch) -> Result<(), Failure> {
    if epoch == next { Ok(()) } else { Err(Failure::OutOfOrder { epoch, next }) }
}

/// Adds a range to a source's history. A cumulative one makes the one before void, so a history of such ranges stays
/// one row long.
fn add_range(transaction: &WriteTransaction, source: &PartName, range: &Range) -> Result<(), Failure> {
    let mut ranges = transaction.open_table(tables::RANGES)?;
    let last = match ranges.range(tables::of_part(source))?.next_back() {
        None => None,
        Some(entry) => {
            let (key, value) = entry?;
            Some((key.value().1, decode_range(key.value(), value.value())?))
        }
    };
    let sequence = last.as_ref().map_or(0, |(sequence, _)| sequence + 1);
    if let Some((void, last)) = last
        && range.cumulative
        && last.cumulative
    {
        ranges.remove((source.as_str(), void))?;
    }
    ranges.insert((source.as_str(), sequence), envelope::encode(range)?.as_slice())?;
    Ok(())
}

fn decode_range(key: (&str, u64), value: &[u8]) -> Result<Range, Failure> {
    envelope::decode(value).map_err(|reason| Failure::damaged("ranges", tables::show(key), reason))
}

fn add_chunk(transaction: &WriteTransaction, chunk: &StateChunk, change: &mut Change) -> Result<(), Failure> {
    let mut state = transaction.open_table(tables::STATE)?;
    let (stage, bucket) = (chunk.stage.as_str(), chunk.bucket as u32);
    let mut sequence = match state.range(tables::of_bucket(&chunk.stage, chunk.bucket))?.next_back() {
        None => 0,
        Some(entry) => entry?.0.value().2 + 1,
    };
    if chunk.kind == ChunkKind::Snapshot {
        state.retain_in(tables::of_bucket(&chunk.stage, chunk.bucket), |_, value| {
            change.removed += value.len() as u64;
            false
        })?;
    }
    chunk::encode(&chunk.rows, &mut |value| {
        state.insert((stage, bucket, sequence), value)?;
        sequence += 1;
        change.added += value.len() as u64;
        Ok(())
    })
}
