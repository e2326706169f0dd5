//! A checkpoint written anew from a read of another: value by value, each checked on the way, so that damage is found
//! now and not when the copy is needed. The copy also has none of the free space that the original has gathered.

use std::path::Path;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, WriteTransaction};

use super::{committed, envelope, failure::Failure, file, next_epoch, tables, write};
use crate::{checkpoint::Committed, ports::CheckpointError};

/// What is copied of a checkpoint.
pub(super) struct Copying<'a> {
    /// The file it is read from, for messages.
    pub(super) from: &'a Path,
    /// Whether the plan of an epoch under way comes along.
    pub(super) with_plan: bool,
    /// Puts what was committed into other terms.
    pub(super) adapt: &'a dyn Fn(&mut Committed),
    /// Whether to give up. Asked between two values.
    pub(super) is_over: &'a dyn Fn() -> bool,
}

impl Copying<'_> {
    /// Copies what is committed in one database into a new one at this path, durably, and says where it stands.
    pub(super) fn copy(&self, from: &Database, to: &Path) -> Result<(Database, Committed), Failure> {
        // All is read by one transaction: what a running pipeline commits meanwhile is not seen.
        let read = from.begin_read().map_err(|error| self.unread(error.into()))?;
        let mut standing = self.reading(committed_in(&read))?;
        (self.adapt)(&mut standing);
        let database = file::settings().create(to)?;
        write(&database, |into| {
            into.open_table(tables::META)?.insert(tables::FORMAT_KEY, tables::FORMAT)?;
            into.open_table(tables::COMMITTED)?.insert((), envelope::encode(&standing)?.as_slice())?;
            self.copy_plan(&read, into, &standing)?;
            self.copy_ranges(&read, into)?;
            self.copy_state(&read, into)
        })?;
        Ok((database, standing))
    }

    fn copy_plan(&self, from: &ReadTransaction, into: &WriteTransaction, standing: &Committed) -> Result<(), Failure> {
        let mut into = into.open_table(tables::PLAN)?;
        if !self.with_plan {
            return Ok(());
        }
        let next = next_epoch(Some(standing));
        let plans = self.reading(from.open_table(tables::PLAN).map_err(Failure::from))?;
        let plan = self.reading(plans.get(next.number()).map_err(Failure::from))?;
        if let Some(plan) = plan {
            self.check("plan", next.number(), plan.value())?;
            into.insert(next.number(), plan.value())?;
        }
        Ok(())
    }

    fn copy_ranges(&self, from: &ReadTransaction, into: &WriteTransaction) -> Result<(), Failure> {
        let mut into = into.open_table(tables::RANGES)?;
        let ranges = self.reading(from.open_table(tables::RANGES).map_err(Failure::from))?;
        for entry in self.reading(ranges.iter().map_err(Failure::from))? {
            let (key, value) = self.reading(entry.map_err(Failure::from))?;
            self.check("ranges", tables::show(key.value()), value.value())?;
            into.insert(key.value(), value.value())?;
        }
        Ok(())
    }

    fn copy_state(&self, from: &ReadTransaction, into: &WriteTransaction) -> Result<(), Failure> {
        let mut into = into.open_table(tables::STATE)?;
        let state = self.reading(from.open_table(tables::STATE).map_err(Failure::from))?;
        for entry in self.reading(state.iter().map_err(Failure::from))? {
            if (self.is_over)() {
                return Err(Failure::Receiver(CheckpointError("the copy was given up half-way".to_owned())));
            }
            let (key, value) = self.reading(entry.map_err(Failure::from))?;
            self.check("state", tables::show_state(key.value()), value.value())?;
            into.insert(key.value(), value.value())?;
        }
        Ok(())
    }

    fn check(&self, table: &'static str, key: impl std::fmt::Display, value: &[u8]) -> Result<(), Failure> {
        let checked = envelope::open(value).map_err(|reason| Failure::damaged(table, key, reason));
        self.reading(checked.map(drop))
    }

    /// An error of reading names the file that was read: the other one may well be in order.
    fn reading<T>(&self, read: Result<T, Failure>) -> Result<T, Failure> {
        read.map_err(|failure| self.unread(failure))
    }

    fn unread(&self, failure: Failure) -> Failure {
        Failure::Receiver(failure.at(self.from))
    }
}

/// Where a checkpoint stands.
fn committed_in(read: &ReadTransaction) -> Result<Committed, Failure> {
    let nothing = "nothing is committed yet, so there is nothing to save; let the pipeline finish an epoch first";
    let standing = committed(&read.open_table(tables::COMMITTED)?)?;
    standing.ok_or_else(|| Failure::Receiver(CheckpointError(nothing.to_owned())))
}
