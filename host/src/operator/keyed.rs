//! The state of one keyed stage: its buckets, which of them are in memory, and what of them is written down.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch},
    compute::{SlicesIterator, not},
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use super::{
    Failure, OperatorError, PluginCalls, Shuffled,
    bucket::{self, Bucket, Done, Work},
    partial::{of_nothing, stored_schema},
    shuffle::BUCKETS,
};
use crate::{
    manifest::OutputMode,
    model::{Epoch, EventTime, PartName, ProcessingTime},
    plan::{Barrier, Extent},
    ports::{CheckpointError, ChunkKind, StateChunk, StateReader},
    watermark::EpochWatermarks,
};

/// About what a chunk takes beside its rows: the schema and the headers of an Arrow IPC stream.
const CHUNK_OVERHEAD: usize = 1 << 10;

/// Below so many stored bytes nothing is gained by writing a bucket anew.
const FEW_STORED_BYTES: usize = 16 << 10;

/// The state of a keyed stage, in buckets that can be worked on at the same time.
pub struct KeyedState {
    part: PartName,
    barrier: Barrier,
    stored: SchemaRef,
    slots: Vec<Mutex<Slot>>,
    /// How many bytes of buckets are in memory, here and in the other stages of the pipeline.
    resident: Arc<AtomicUsize>,
    /// How many may be, between epochs.
    most_resident: usize,
}

/// A bucket, or what must be known of one that is not in memory.
#[derive(Default)]
struct Slot {
    bucket: Option<Box<dyn Bucket>>,
    /// How many rows it has, and about how many bytes it takes in memory.
    rows: usize,
    bytes: usize,
    next_closing: Option<EventTime>,
    next_due: Option<ProcessingTime>,
    /// What is stored of it.
    stored: Stored,
}

/// What is stored of a bucket: its rows in their newest form, and those they replaced.
#[derive(Default)]
struct Stored {
    bytes: usize,
    /// All rows ever written since the last snapshot, and their bytes: what a row takes on average.
    rows: usize,
    row_bytes: usize,
}

/// When an epoch runs, and for whom.
#[derive(Clone, Copy)]
pub struct Times<'a> {
    /// The epoch.
    pub epoch: Epoch,
    /// Its watermarks.
    pub watermarks: EpochWatermarks,
    /// Its batch time.
    pub now: ProcessingTime,
    /// The modes in which results are wanted.
    pub modes: &'a BTreeSet<OutputMode>,
}

/// What one bucket made of an epoch.
pub struct Merged {
    /// The results, each for the sinks of one mode; for all of them where rows are final.
    pub results: Vec<(Option<OutputMode>, RecordBatch)>,
    /// What to write down.
    pub chunk: Option<StateChunk>,
    /// How many keys were touched.
    pub updated: usize,
    /// How many keys a watermark removed.
    pub removed: usize,
}

impl KeyedState {
    /// No keys yet. `resident` counts the bytes of all stages in memory, of which there may be `most_resident`.
    pub fn new(part: &PartName, barrier: &Barrier, resident: Arc<AtomicUsize>, most_resident: usize) -> Self {
        KeyedState {
            part: part.clone(),
            barrier: barrier.clone(),
            stored: stored_columns(barrier),
            slots: (0..BUCKETS).map(|_| Mutex::default()).collect(),
            resident,
            most_resident,
        }
    }

    /// How many keys there are.
    pub fn keys(&self) -> usize {
        self.slots.iter().map(|slot| lock(slot).rows).sum()
    }

    /// About how many bytes of memory they take.
    pub fn bytes(&self) -> usize {
        self.slots.iter().map(|slot| lock(slot)).filter(|slot| slot.bucket.is_some()).map(|slot| slot.bytes).sum()
    }

    /// Whether what is in memory can be carried on by another version of the stage. Where it cannot, as when windows
    /// now close at another time than that under which they are noted, it may still be read from the checkpoint.
    pub fn fits(&self, barrier: &Barrier) -> bool {
        let takes = match (barrier.layout(), self.barrier.layout()) {
            (Some(new), Some(old)) => new.takes(old),
            (new, old) => new == old,
        };
        takes && self.stored == stored_columns(barrier) && self.barrier.closes_like(barrier)
    }

    /// Carries the state on under another plan: expressions and plugins may have changed, the layout has not.
    pub fn adopt(&mut self, barrier: &Barrier) {
        self.barrier = barrier.clone();
        for slot in &mut self.slots {
            let slot = slot.get_mut().unwrap_or_else(PoisonError::into_inner);
            slot.bucket.iter_mut().for_each(|bucket| bucket.adopt(barrier));
        }
    }

    /// Reads all buckets: those that fit stay in memory, of the others it is noted what must be known.
    pub fn open(&self, store: &dyn StateReader) -> Result<(), StateError> {
        if !self.keeps() {
            return Ok(());
        }
        for at in 0..BUCKETS {
            let mut slot = lock(&self.slots[at]);
            self.load(at, &mut slot, store)?;
            self.settle(&mut slot);
        }
        Ok(())
    }

    /// What stands in for an epoch's rows where there are none, if anything does.
    pub fn of_nothing(&self) -> Result<Option<Shuffled>, OperatorError> {
        match &self.barrier {
            Barrier::Group(group) => of_nothing(group).map_err(|error| self.failed(error)),
            _ => Ok(None),
        }
    }

    /// The buckets that have something to do in an epoch, ascending.
    pub fn busy(&self, input: &[Shuffled], times: &Times<'_>) -> Vec<usize> {
        let visits = match &self.barrier {
            Barrier::Update(update) => update.visit_all,
            Barrier::Group(group) => matches!(&group.extent, Extent::Batches(batches) if batches.ends_at(times.epoch)),
            _ => false,
        };
        let all = visits || times.modes.contains(&OutputMode::Complete);
        let busy = |at: &usize| {
            let slot = lock(&self.slots[*at]);
            let closes = slot.next_closing.is_some_and(|end| times.watermarks.closed.covers(end));
            let due = slot.next_due.is_some_and(|due| due <= times.now);
            input.iter().any(|rows| rows.has(*at)) || closes || due || (all && slot.rows > 0)
        };
        (0..BUCKETS).filter(busy).collect()
    }

    /// When the clock next finds something to do.
    pub fn next_due(&self) -> Option<ProcessingTime> {
        self.slots.iter().filter_map(|slot| lock(slot).next_due).min()
    }

    /// How many keys of these buckets an epoch may touch beside those of its rows: all, in mode complete.
    pub fn keys_of(&self, buckets: &[usize], times: &Times<'_>) -> usize {
        match times.modes.contains(&OutputMode::Complete) {
            true => buckets.iter().map(|&at| lock(&self.slots[at]).rows).sum(),
            false => 0,
        }
    }

    /// Does an epoch's work of one bucket: takes the rows in, in their order, gives the results in the modes that are
    /// wanted, and drops what the watermark closes.
    pub fn run(
        &self,
        at: usize,
        input: &[Shuffled],
        times: &Times<'_>,
        calls: &mut PluginCalls,
        store: &dyn StateReader,
    ) -> Result<Merged, StateError> {
        calls.part = self.part.clone();
        let of_side = |side| input.iter().filter(move |rows| rows.side() == side).filter_map(|rows| rows.bucket(at));
        let (input, right): (Vec<RecordBatch>, Vec<RecordBatch>) = (of_side(0).collect(), of_side(1).collect());
        let mut slot = lock(&self.slots[at]);
        if slot.bucket.is_none() {
            self.load(at, &mut slot, store)?;
        }
        let bucket = slot.bucket.as_mut().expect("it has just been loaded");
        let Times { epoch, watermarks, now, modes } = *times;
        let done = bucket
            .run(calls, &Work { input: &input, right: &right, epoch, watermarks, now, modes })
            .map_err(|error| self.failed(error))?;
        let chunk = self.chunk(at, &mut slot, &done).map_err(|error| self.failed(error))?;
        let Done { mut results, updated, removed, .. } = done;
        results.retain(|(_, rows)| rows.num_rows() > 0);
        self.settle(&mut slot);
        Ok(Merged { results, chunk, updated, removed })
    }

    /// Whether anything is kept from epoch to epoch.
    fn keeps(&self) -> bool {
        self.barrier.layout().is_some()
    }

    fn load(&self, at: usize, slot: &mut Slot, store: &dyn StateReader) -> Result<(), StateError> {
        let mut bucket = bucket::new(&self.barrier, &self.stored).map_err(|error| self.failed(error))?;
        slot.stored = Stored::default();
        if self.keeps() {
            let mut failed = None;
            store.load_state(&self.part, at, &mut |rows| {
                if failed.is_none() {
                    slot.stored.add(&rows);
                    failed = self.restore(bucket.as_mut(), &rows).err();
                }
                Ok(())
            })?;
            failed.map_or(Ok(()), |error| Err(self.failed(error)))?;
        }
        slot.bytes = bucket.bytes();
        self.resident.fetch_add(slot.bytes, Ordering::Relaxed);
        slot.bucket = Some(bucket);
        Ok(())
    }

    /// Takes over stored rows: changed and gone ones, in runs of their order.
    fn restore(&self, bucket: &mut dyn Bucket, rows: &RecordBatch) -> Result<(), Failure> {
        let columns = self.stored.fields().len();
        if rows.num_columns() != columns + 1 {
            return Err(Failure::BadRow(format!(
                "the stored state has {} columns where {} belong; it was written by another version",
                rows.num_columns(),
                columns + 1
            )));
        }
        let gone = rows.column(columns).as_boolean();
        let kept: Vec<usize> = (0..columns).collect();
        let rows = rows.project(&kept)?.with_schema(Arc::clone(&self.stored))?;
        let mut runs: Vec<(usize, usize, bool)> =
            SlicesIterator::new(gone).map(|(from, to)| (from, to, true)).collect();
        runs.extend(SlicesIterator::new(&not(gone)?).map(|(from, to)| (from, to, false)));
        runs.sort_unstable();
        for (from, to, gone) in runs {
            let run = rows.slice(from, to - from);
            if gone { bucket.forget(&run)? } else { bucket.restore(&run)? }
        }
        Ok(())
    }

    /// Notes what must be known of a bucket, and drops it when there are too many in memory. That is safe: an epoch
    /// writes down what it has changed before the next one reads it, and one that fails ends the run.
    fn settle(&self, slot: &mut Slot) {
        let Some(bucket) = &slot.bucket else { return };
        let before = std::mem::replace(&mut slot.bytes, bucket.bytes());
        (slot.rows, slot.next_closing, slot.next_due) = (bucket.len(), bucket.next_closing(), bucket.next_due());
        self.resident.fetch_add(slot.bytes, Ordering::Relaxed);
        let resident = self.resident.fetch_sub(before, Ordering::Relaxed) - before;
        if resident > self.most_resident || !self.keeps() {
            self.resident.fetch_sub(slot.bytes, Ordering::Relaxed);
            slot.bucket = None;
        }
        if !self.keeps() {
            slot.rows = 0;
        }
    }

    /// What to write down after an epoch: what has changed, or everything when the changes have piled up.
    fn chunk(&self, at: usize, slot: &mut Slot, done: &Done) -> Result<Option<StateChunk>, Failure> {
        if !self.keeps() {
            return Ok(None);
        }
        // A key that is gone may be there again before the epoch is over, so what is gone comes first.
        let gone = done.gone.iter().map(|rows| marked(rows, true));
        let changed = done.changed.iter().map(|rows| marked(rows, false));
        let rows = gone.chain(changed).collect::<Result<Vec<_>, _>>()?;
        if rows.is_empty() {
            return Ok(None);
        }
        rows.iter().for_each(|rows| slot.stored.add(rows));
        let bucket = slot.bucket.as_ref().expect("it has just done its work");
        let (stage, bucket_number) = (self.part.clone(), at);
        if !slot.stored.piled_up(bucket.len(), at) {
            return Ok(Some(StateChunk { stage, bucket: bucket_number, kind: ChunkKind::Delta, rows }));
        }
        let everything = marked(&bucket.all()?, false)?;
        slot.stored = Stored::default();
        let rows = if everything.num_rows() == 0 { Vec::new() } else { vec![everything] };
        rows.iter().for_each(|rows| slot.stored.add(rows));
        Ok(Some(StateChunk { stage, bucket: bucket_number, kind: ChunkKind::Snapshot, rows }))
    }

    fn failed(&self, error: Failure) -> OperatorError {
        error.in_part(&self.part)
    }
}

impl Drop for KeyedState {
    fn drop(&mut self) {
        self.resident.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

/// Why the state of a stage could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The stage failed.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// The checkpoint could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl Stored {
    fn add(&mut self, rows: &RecordBatch) {
        let columns = rows.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0));
        let bytes: usize = columns.sum();
        self.bytes += bytes + CHUNK_OVERHEAD;
        self.rows += rows.num_rows();
        self.row_bytes += bytes;
    }

    /// Whether what is stored has grown to a multiple of what is alive. Each bucket has a limit of its own between
    /// one and a half and two, so that they are not all written anew in the same epoch.
    fn piled_up(&self, live_rows: usize, bucket: usize) -> bool {
        let live = live_rows * self.row_bytes / self.rows.max(1) + CHUNK_OVERHEAD;
        self.bytes > FEW_STORED_BYTES + live * 3 / 2 + live * bucket / (2 * BUCKETS)
    }
}

/// The columns in which a stage's state is stored.
fn stored_columns(barrier: &Barrier) -> SchemaRef {
    match barrier {
        Barrier::Group(group) => stored_schema(group),
        Barrier::Distinct(distinct) => bucket::distinct_schema(distinct),
        Barrier::Update(update) => bucket::update_schema(update),
        Barrier::Join(join) => bucket::join_schema(join),
        Barrier::Handle(_) => Arc::new(Schema::empty()),
    }
}

/// Stored rows, and whether they are gone.
fn marked(rows: &RecordBatch, gone: bool) -> Result<RecordBatch, Failure> {
    let fields = rows.schema().fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>();
    let fields = fields.into_iter().chain([Field::new("gone", DataType::Boolean, false)]).collect::<Vec<_>>();
    let mark: ArrayRef = Arc::new(BooleanArray::from(vec![gone; rows.num_rows()]));
    let columns = rows.columns().iter().cloned().chain([mark]).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// A bucket is worked on by one worker at a time. One that panicked has taken the pipeline down with it, so what it
/// left is never read.
fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
