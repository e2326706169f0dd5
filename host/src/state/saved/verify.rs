//! Every value of a checkpoint read and compared with its checksum.
//!
//! redb guards its pages, the envelope of a value guards its bytes, and decoding shows that they still mean something.
//! Pages come first, and say whether there is damage; the values then say what it has hit.

#[cfg(test)]
mod tests;

use std::{
    fmt::Display,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};

use super::{
    super::{
        chunk, committed, decode_range, envelope, failure::Failure, file, next_epoch, savepoint::Description, tables,
    },
    Overlay, Saved, Unopened, find, unopened,
};
use crate::{
    checkpoint::{Committed, EpochPlan},
    model::{Epoch, PartName},
};

/// So much damage is listed and no more: nobody reads further.
const MOST_DAMAGE: usize = 100;

/// What is in a checkpoint, and what of it is damaged.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What a savepoint says of itself.
    pub description: Option<Description>,
    /// Where it stands.
    pub committed: Option<Committed>,
    /// An epoch that was under way.
    pub planned: Option<Epoch>,
    /// How many ranges are kept of each source.
    pub sources: Vec<(PartName, u64)>,
    /// The stages with state.
    pub stages: Vec<StageContents>,
    /// What is damaged; nothing when all is well.
    pub damage: Vec<Damage>,
    /// How much damage is not listed.
    pub unlisted: u64,
}

/// What is stored of a stage.
#[derive(Debug, PartialEq, Eq)]
pub struct StageContents {
    /// The stage.
    pub name: PartName,
    /// The values.
    pub values: u64,
    /// The rows in them, of which some replace others.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Something that is not what was written.
#[derive(Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

impl Saved {
    /// Reads everything in the checkpoint or savepoint in this folder. An error says why it could not be looked at.
    pub fn verify(dir: &Path) -> Result<Verdict, Unopened> {
        let path = find(dir)?;
        let bytes = path.metadata().map_or(0, |metadata| metadata.len());
        let mut verdict = Verdict { path: path.clone(), bytes, ..Verdict::default() };
        match Description::read(dir) {
            Ok(description) => verdict.description = description,
            Err(error) => verdict.damaged("the description", error.to_string()),
        }
        let opened = caught(|| Ok(file::settings().create_with_backend(Overlay::open(&path)?)?));
        match opened {
            Ok(database) => verdict.read(database, dir)?,
            Err(failure) if is_in_use(&failure) => return Err(unopened(failure, dir, &path)),
            Err(failure) => verdict.damaged("the file", failure.reason()),
        }
        Ok(verdict)
    }
}

fn is_in_use(failure: &Failure) -> bool {
    matches!(failure, Failure::Redb(redb::Error::DatabaseAlreadyOpen))
}

/// What redb answers. It answers most damage with an error, but trips over some of it with a panic.
fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Failure::Unreadable))
}

impl Verdict {
    fn read(&mut self, mut database: Database, dir: &Path) -> Result<(), Unopened> {
        if let Err(failure) = caught(|| Ok(database.check_integrity()?)) {
            self.damaged("the pages", failure.reason());
        }
        let whole = self.damage.is_empty();
        match caught(|| file::format(&database)) {
            Ok(Some(tables::FORMAT)) => {}
            Ok(Some(other)) if whole => return Err(unopened(Failure::Format(other), dir, &self.path)),
            Ok(None) if whole => return Err(unopened(Failure::Foreign, dir, &self.path)),
            Ok(other) => self.damaged("table `meta`", format!("it gives the format as {other:?}")),
            Err(failure) => self.damaged("table `meta`", failure.reason()),
        }
        type Read = fn(&mut Verdict, &ReadTransaction) -> Result<(), Failure>;
        let reads: [(&str, Read); 4] = [
            ("table `committed`", Verdict::read_committed),
            ("table `plan`", Verdict::read_plan),
            ("table `ranges`", Verdict::read_ranges),
            ("table `state`", Verdict::read_state),
        ];
        for (place, read) in reads {
            if let Err(failure) = caught(|| read(self, &database.begin_read()?)) {
                self.damaged(place, failure.reason());
            }
        }
        self.compare_description();
        Ok(())
    }

    fn read_committed(&mut self, transaction: &ReadTransaction) -> Result<(), Failure> {
        self.committed = committed(&transaction.open_table(tables::COMMITTED)?)?;
        Ok(())
    }

    fn read_plan(&mut self, transaction: &ReadTransaction) -> Result<(), Failure> {
        let next = next_epoch(self.committed.as_ref()).number();
        let mut order = Order::default();
        for entry in transaction.open_table(tables::PLAN)?.iter()? {
            let (key, value) = entry?;
            order.next("plan", key.value(), key.value())?;
            match envelope::decode::<EpochPlan>(value.value()) {
                Ok(plan) => self.planned = Some(plan.epoch).filter(|epoch| epoch.number() == next),
                Err(reason) => self.damaged_value("plan", key.value(), reason),
            }
        }
        Ok(())
    }

    fn read_ranges(&mut self, transaction: &ReadTransaction) -> Result<(), Failure> {
        let mut order = Order::default();
        for entry in transaction.open_table(tables::RANGES)?.iter()? {
            let (key, value) = entry?;
            let (source, sequence) = key.value();
            order.next("ranges", tables::show(key.value()), (source.to_owned(), sequence))?;
            match self.sources.last_mut() {
                Some((name, ranges)) if name.as_str() == source => *ranges += 1,
                _ => self.sources.push((source.into(), 1)),
            }
            match decode_range(key.value(), value.value()) {
                Ok(_) => {}
                Err(Failure::Damaged { table, key, reason }) => self.damaged_value(table, key, reason),
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    fn read_state(&mut self, transaction: &ReadTransaction) -> Result<(), Failure> {
        let mut order = Order::default();
        for entry in transaction.open_table(tables::STATE)?.iter()? {
            let (key, value) = entry?;
            let (stage, bucket, sequence) = key.value();
            order.next("state", tables::show_state(key.value()), (stage.to_owned(), bucket, sequence))?;
            let rows = rows_in(value.value()).unwrap_or_else(|reason| {
                self.damaged_value("state", tables::show_state(key.value()), reason);
                0
            });
            if self.stages.last().is_none_or(|last| last.name.as_str() != stage) {
                self.stages.push(StageContents { name: stage.into(), values: 0, rows: 0, bytes: 0 });
            }
            let contents = self.stages.last_mut().expect("it has just been put there");
            contents.values += 1;
            contents.rows += rows;
            contents.bytes += value.value().len() as u64;
        }
        Ok(())
    }

    /// A savepoint says twice where it stands.
    fn compare_description(&mut self) {
        let (Some(description), Some(committed)) = (&self.description, &self.committed) else { return };
        if description.epoch != committed.epoch {
            let reason =
                format!("it says epoch {}, and the checkpoint stands at {}", description.epoch, committed.epoch);
            self.damaged("the description", reason);
        }
    }

    fn damaged_value(&mut self, table: &str, key: impl Display, reason: String) {
        self.damaged(&format!("value `{key}` of table `{table}`"), reason);
    }

    fn damaged(&mut self, place: &str, reason: String) {
        match self.damage.len() < MOST_DAMAGE {
            true => self.damage.push(Damage { place: place.to_owned(), reason }),
            false => self.unlisted += 1,
        }
    }
}

/// How many rows are in a piece of state. All of them are decoded.
fn rows_in(value: &[u8]) -> Result<u64, String> {
    let payload = envelope::open(value)?;
    let batches = chunk::decode(payload).map_err(|error| error.to_string())?;
    let rows = batches.map(|batch| Ok(batch?.num_rows() as u64));
    rows.sum::<Result<u64, arrow::error::ArrowError>>().map_err(|error| error.to_string())
}

/// Keys as they follow one another. In a damaged file pages may lead back to where one was, and a walk would never end.
struct Order<K>(Option<K>);

impl<K> Default for Order<K> {
    fn default() -> Self {
        Order(None)
    }
}

impl<K: Ord> Order<K> {
    fn next(&mut self, table: &'static str, shown: impl Display, key: K) -> Result<(), Failure> {
        if self.0.as_ref().is_some_and(|last| *last >= key) {
            return Err(Failure::damaged(table, shown, "its keys are out of order".to_owned()));
        }
        self.0 = Some(key);
        Ok(())
    }
}
