//! A state per key that a function of a plugin carries from epoch to epoch, with timers and a time to live. `calling` has
//! the calls, `timers` how timers are stored.

mod calling;
mod timers;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int32Array, RecordBatch, TimestampMicrosecondArray},
    compute::{concat_batches, filter_record_batch},
    datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimestampMicrosecondType},
};

pub(in crate::operator) use timers::decode_timers;

use self::{calling::Brought, timers::encode_timers};
use super::{Bucket, Done, Work, rows::batch};
use crate::{
    model::{EventTime, ProcessingTime, Watermark, timestamp_type},
    operator::{Failure, PluginCalls, fold::binary, key_table::KeyTable},
    plan::{Barrier, Update},
    ports::{GroupTimer, KeyedOutcome, Timer},
};

/// The states of one bucket.
pub(super) struct UpdateBucket {
    update: Update,
    stored: SchemaRef,
    table: KeyTable,
    /// By the key's number; none for a number that is free.
    kept: Vec<Option<Kept>>,
    timers: BTreeSet<(Timer, u32)>,
    expiries: BTreeSet<(ProcessingTime, u32)>,
}

/// What is kept for a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Kept {
    state: Option<Box<[u8]>>,
    /// The version of the function that left it.
    version: u32,
    expires: Option<ProcessingTime>,
    timers: BTreeSet<Timer>,
}

/// The key columns, the state and the version of the function that left it, when it goes by itself, and its timers.
pub(in crate::operator) fn stored_schema(update: &Update) -> SchemaRef {
    let keys = update.keys.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let own = [
        Field::new("state", DataType::Binary, true),
        Field::new("version", DataType::Int32, true),
        Field::new("expires", timestamp_type(), true),
        Field::new("timers", DataType::Binary, true),
    ];
    Arc::new(Schema::new(keys.chain(own).collect::<Vec<_>>()))
}

impl UpdateBucket {
    pub(super) fn new(update: &Update, stored: &SchemaRef) -> Result<Self, Failure> {
        let keys: Vec<usize> = (0..update.keys.schema.fields().len()).collect();
        Ok(UpdateBucket {
            table: KeyTable::new(&Arc::new(stored.project(&keys)?))?,
            kept: Vec::new(),
            timers: BTreeSet::new(),
            expiries: BTreeSet::new(),
            update: update.clone(),
            stored: Arc::clone(stored),
        })
    }

    fn key_columns(&self) -> usize {
        self.update.keys.schema.fields().len()
    }

    fn intern(&mut self, rows: &RecordBatch) -> Result<Vec<usize>, Failure> {
        let mut numbers = Vec::new();
        self.table.intern(&rows.columns()[..self.key_columns()], rows.num_rows(), &mut numbers)?;
        self.kept.resize_with(self.table.numbers(), || None);
        for &number in &numbers {
            self.kept[number].get_or_insert_default();
        }
        Ok(numbers)
    }

    fn kept(&self, key: usize) -> &Kept {
        self.kept[key].as_ref().expect("something is kept under a number that is in use")
    }

    /// Puts something in the place of what was kept for a key.
    fn keep(&mut self, key: usize, kept: Kept) {
        self.take(key);
        self.timers.extend(kept.timers.iter().map(|timer| (*timer, key as u32)));
        self.expiries.extend(kept.expires.map(|at| (at, key as u32)));
        self.kept[key] = Some(kept);
    }

    fn take(&mut self, key: usize) -> Kept {
        let kept = self.kept[key].take().unwrap_or_default();
        for timer in &kept.timers {
            self.timers.remove(&(*timer, key as u32));
        }
        if let Some(at) = kept.expires {
            self.expiries.remove(&(at, key as u32));
        }
        kept
    }

    fn remove(&mut self, key: usize) {
        self.take(key);
        self.table.remove(key);
    }

    /// The keys whose time to live is over.
    fn expired(&self, now: ProcessingTime) -> Vec<usize> {
        self.expiries.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| *key as usize).collect()
    }

    /// The timers that are due, key by key. They are gone from now on.
    fn take_due(&mut self, closed: Watermark, now: ProcessingTime) -> BTreeMap<usize, Vec<Timer>> {
        let is_due = |(timer, _): &&(Timer, u32)| match *timer {
            Timer::EventTime(at) => closed.covers(at),
            Timer::ProcessingTime(at) => at <= now,
        };
        let first_of_the_other_clock = (Timer::ProcessingTime(ProcessingTime::from_micros(i64::MIN)), 0);
        let event = self.timers.range(..first_of_the_other_clock).take_while(is_due);
        let processing = self.timers.range(first_of_the_other_clock..).take_while(is_due);
        let due: Vec<(Timer, u32)> = event.chain(processing).copied().collect();
        let mut by_key: BTreeMap<usize, Vec<Timer>> = BTreeMap::new();
        for (timer, key) in due {
            self.timers.remove(&(timer, key));
            if let Some(kept) = &mut self.kept[key as usize] {
                kept.timers.remove(&timer);
            }
            by_key.entry(key as usize).or_default().push(timer);
        }
        by_key
    }

    /// Rows of the function, less those that are late: whatever comes behind would drop them without a word.
    fn in_time(
        &self,
        calls: &mut PluginCalls,
        rows: &RecordBatch,
        time: usize,
        late: Watermark,
    ) -> Result<RecordBatch, Failure> {
        let call = &self.update.call;
        let times = rows.column(time).as_primitive::<TimestampMicrosecondType>();
        let time_of = |row: usize| times.is_valid(row).then(|| EventTime::from_micros(times.value(row)));
        let is_late = |row: usize| time_of(row).filter(|time| late.covers(*time));
        for (row, time) in (0..rows.num_rows()).filter_map(|row| Some((row, is_late(row)?))) {
            let error = format!(
                "{} put out a row of {time}, which is late: the watermark has reached {late}; put out rows that are later than \
                 the watermark the function is given",
                call.label
            );
            calls.set_aside(call, rows, row, error)?;
        }
        let in_time: BooleanArray = (0..rows.num_rows()).map(|row| Some(is_late(row).is_none())).collect();
        Ok(filter_record_batch(rows, &in_time)?)
    }

    fn stored_rows(&self, keys: &[usize]) -> Result<RecordBatch, Failure> {
        let kept: Vec<&Kept> = keys.iter().map(|&key| self.kept(key)).collect();
        let timers: Vec<Option<Box<[u8]>>> = kept.iter().map(|kept| encode_timers(&kept.timers)).collect();
        let versions: Int32Array = kept.iter().map(|kept| Some(kept.version as i32)).collect();
        let expires: TimestampMicrosecondArray = kept.iter().map(|kept| kept.expires.map(|at| at.micros())).collect();
        let mut columns: Vec<ArrayRef> = self.table.keys(keys)?;
        columns.extend([
            Arc::new(binary(kept.iter().map(|kept| &kept.state))) as ArrayRef,
            Arc::new(versions),
            Arc::new(expires.with_timezone("UTC")),
            Arc::new(binary(timers.iter())),
        ]);
        Ok(batch(&self.stored, columns, keys.len())?)
    }
}

impl Bucket for UpdateBucket {
    fn adopt(&mut self, barrier: &Barrier) {
        if let Barrier::Update(update) = barrier {
            self.update = update.clone();
        }
    }

    fn restore(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let keys = self.intern(rows)?;
        let own = &rows.columns()[self.key_columns()..];
        let (states, timers): (&BinaryArray, &BinaryArray) = (own[0].as_binary(), own[3].as_binary());
        let versions = own[1].as_primitive::<Int32Type>();
        let expires = own[2].as_primitive::<TimestampMicrosecondType>();
        for (row, key) in keys.into_iter().enumerate() {
            let timers = match timers.is_valid(row) {
                true => decode_timers(timers.value(row)).map_err(|error| Failure::BadRow(error.to_string()))?,
                false => Vec::new(),
            };
            self.keep(
                key,
                Kept {
                    state: states.is_valid(row).then(|| states.value(row).into()),
                    version: versions.value(row) as u32,
                    expires: expires.is_valid(row).then(|| ProcessingTime::from_micros(expires.value(row))),
                    timers: timers.into_iter().collect(),
                },
            );
        }
        Ok(())
    }

    fn forget(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        self.intern(rows)?.into_iter().for_each(|key| self.remove(key));
        Ok(())
    }

    fn run(&mut self, calls: &mut PluginCalls, work: &Work<'_>) -> Result<Done, Failure> {
        let mut done = Done::default();
        let mut gone: Vec<RecordBatch> = Vec::new();
        let over = self.expired(work.now);
        if !over.is_empty() {
            gone.push(self.stored_rows(&over)?);
            over.into_iter().for_each(|key| self.remove(key));
        }
        let schema = work.input.first().map_or_else(|| Arc::clone(&self.update.shuffled), RecordBatch::schema);
        let rows = concat_batches(&schema, work.input)?;
        let of_rows = self.intern(&rows)?;
        let due = self.take_due(work.watermarks.closed, work.now);
        let mut keys: Vec<usize> = match self.update.visit_all {
            true => self.table.groups(),
            false => of_rows.iter().chain(due.keys()).copied().collect::<BTreeSet<usize>>().into_iter().collect(),
        };
        self.table.sort(&mut keys);
        self.migrate(calls, &keys)?;
        let before: BTreeMap<usize, Kept> = keys.iter().map(|&key| (key, self.kept(key).clone())).collect();
        let mut places = vec![0; self.table.numbers()];
        keys.iter().enumerate().for_each(|(place, &key)| places[key] = place);
        let mut in_order: Vec<(usize, u32)> =
            of_rows.iter().enumerate().map(|(row, &key)| (places[key], row as u32)).collect();
        in_order.sort_unstable();

        let brought = Brought { rows, keys, due };
        let (version, mut changed, mut removed) = (self.update.version, Vec::new(), Vec::new());
        let mut took = |bucket: &mut Self, keys: &[usize], outcome: KeyedOutcome| {
            for (group, &key) in keys.iter().enumerate() {
                let state = outcome.states.is_valid(group).then(|| outcome.states.value(group).into());
                let expires = outcome.expiry.as_ref().filter(|expiry| expiry.is_valid(group));
                let expires = expires.map(|expiry| ProcessingTime::from_micros(expiry.value(group)));
                let timers = bucket.kept(key).timers.clone();
                bucket.keep(key, Kept { state, version, expires, timers });
            }
            let change = |bucket: &mut Self, timer: &GroupTimer, set: bool| {
                let key = keys[timer.group as usize];
                let mut kept = bucket.take(key);
                match set {
                    true => kept.timers.insert(timer.timer),
                    false => kept.timers.remove(&timer.timer),
                };
                bucket.keep(key, kept);
            };
            outcome.cancel.iter().for_each(|timer| change(bucket, timer, false));
            outcome.set.iter().for_each(|timer| change(bucket, timer, true));
            done.results.push((None, outcome.rows));
        };
        self.call_all(calls, work, &brought, in_order, &mut took)?;
        // A timer that was set for a time that is over already is heard in the same epoch, as in Spark; one that is
        // then set again waits for the next, or a function could hold an epoch up for ever.
        let mut due = self.take_due(work.watermarks.closed, work.now);
        due.retain(|&key, _| self.kept(key).state.is_some());
        if !due.is_empty() {
            let mut keys: Vec<usize> = due.keys().copied().collect();
            self.table.sort(&mut keys);
            let heard = Brought { rows: brought.rows.slice(0, 0), keys, due };
            self.call_all(calls, work, &heard, Vec::new(), &mut took)?;
        }
        if let Some(time) = self.update.event_time {
            for (_, rows) in &mut done.results {
                *rows = self.in_time(calls, rows, time, work.watermarks.late)?;
            }
        }
        for key in &brought.keys {
            let kept = self.kept(*key);
            match (&kept.state, &before[key].state) {
                (None, None) => removed.push((*key, false)),
                (None, Some(_)) => removed.push((*key, true)),
                _ if kept != &before[key] || brought.due.contains_key(key) => changed.push(*key),
                _ => {}
            }
        }
        done.updated = changed.len();
        done.changed = (!changed.is_empty()).then(|| self.stored_rows(&changed)).transpose()?;
        let stored: Vec<usize> = removed.iter().filter(|(_, stored)| *stored).map(|(key, _)| *key).collect();
        if !stored.is_empty() {
            gone.push(self.stored_rows(&stored)?);
        }
        removed.into_iter().for_each(|(key, _)| self.remove(key));
        done.removed = gone.iter().map(RecordBatch::num_rows).sum();
        done.gone = (!gone.is_empty()).then(|| concat_batches(&self.stored, &gone)).transpose()?;
        Ok(done)
    }

    fn all(&self) -> Result<RecordBatch, Failure> {
        self.stored_rows(&self.table.groups())
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn bytes(&self) -> usize {
        let kept = self.kept.iter().flatten();
        let states: usize = kept.map(|kept| kept.state.as_ref().map_or(0, |state| state.len() + 16)).sum();
        let around = self.kept.len() * size_of::<Option<Kept>>() + (self.timers.len() + self.expiries.len()) * 48;
        self.table.bytes() + states + around
    }

    fn next_closing(&self) -> Option<EventTime> {
        match self.timers.first()?.0 {
            Timer::EventTime(at) => Some(at),
            Timer::ProcessingTime(_) => None,
        }
    }

    fn next_due(&self) -> Option<ProcessingTime> {
        let first = (Timer::ProcessingTime(ProcessingTime::from_micros(i64::MIN)), 0);
        let timer = self.timers.range(first..).next().and_then(|(timer, _)| match *timer {
            Timer::ProcessingTime(at) => Some(at),
            Timer::EventTime(_) => None,
        });
        timer.into_iter().chain(self.expiries.first().map(|(at, _)| *at)).min()
    }
}
