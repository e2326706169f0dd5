//! Aggregations over the last batches: for each key a state for each batch, and with an inverse function a state of
//! them all, from which those that leave are taken out.
//!
//! The inverse is that of DStreams' reduceByKeyAndWindow: a key whose value has come to nothing stays until the
//! manifest's condition says otherwise.

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, new_null_array},
    compute::{concat, filter_record_batch},
    datatypes::{Int64Type, SchemaRef},
};

use super::{
    Bucket, Done, Work,
    parts::{Part, Parts},
    rows::batch,
};
use crate::{
    model::{EventTime, ProcessingTime},
    operator::{
        Failure, PluginCalls,
        fold::{Folder, evaluate},
        pieces::{length, pieces},
    },
    plan::{Barrier, Batches, Extent, Fold, Group},
};

/// The number of the state of all batches together: before that of any batch.
const TOGETHER: i64 = -1;

/// The batch stands before the key columns in stored rows.
const BATCH: usize = 1;

/// The states of one bucket.
pub(super) struct BatchesBucket {
    group: Group,
    stored: SchemaRef,
    key_columns: usize,
    states: Parts<()>,
}

impl BatchesBucket {
    pub(super) fn new(group: &Group, stored: &SchemaRef) -> Result<Self, Failure> {
        let key_columns = group.keys.schema.fields().len();
        let keys: Vec<usize> = (BATCH..BATCH + key_columns).collect();
        Ok(BatchesBucket {
            states: Parts::new(stored.project(&keys)?, stored.fields()[BATCH + key_columns..].iter())?,
            key_columns,
            group: group.clone(),
            stored: Arc::clone(stored),
        })
    }

    fn batches(&self) -> &Batches {
        match &self.group.extent {
            Extent::Batches(batches) => batches,
            _ => unreachable!("this kind of bucket is for groups over the last batches"),
        }
    }

    /// The condition on which keys stay is this bucket's own, so it must be told the time.
    fn set_batch_time(&mut self, now: ProcessingTime) -> Result<(), Failure> {
        let Extent::Batches(Batches { keep: Some(keep), .. }) = &mut self.group.extent else { return Ok(()) };
        Ok(keep.set_batch_time(now)?)
    }

    fn read(&mut self, rows: &RecordBatch) -> Result<Vec<Part<()>>, Failure> {
        let keys = self.states.intern(&rows.columns()[BATCH..BATCH + self.key_columns], rows.num_rows())?;
        let numbers = rows.column(0).as_primitive::<Int64Type>().values();
        Ok(keys.into_iter().zip(numbers).map(|(key, &number)| Part { key, number, note: () }).collect())
    }

    /// Folds the rows of a batch into one state for each key.
    fn take_in(&mut self, calls: &mut PluginCalls, input: &[RecordBatch], number: i64) -> Result<Vec<u32>, Failure> {
        let mut folder = Folder::new(&self.group.fold)?;
        let mut keys: Vec<usize> = Vec::new();
        let mut places: std::collections::HashMap<usize, usize> = std::collections::HashMap::new();
        for rows in input {
            let of_rows = self.states.intern(&rows.columns()[..self.key_columns], rows.num_rows())?;
            let place = |key: usize| {
                *places.entry(key).or_insert_with(|| {
                    keys.push(key);
                    keys.len() - 1
                })
            };
            let groups: Vec<usize> = of_rows.into_iter().map(place).collect();
            folder.merge(calls, &rows.columns()[self.key_columns..], &groups, keys.len())?;
        }
        let parts: Vec<Part<()>> = keys.into_iter().map(|key| Part { key, number, note: () }).collect();
        self.states.put(&parts, &folder.take_states()?)
    }

    /// The slots of a key's batches after one and up to another.
    fn between(&self, key: usize, after: i64, to: i64) -> impl Iterator<Item = u32> {
        let first = (after + 1).max(0);
        self.states.of_key(key).range(first..(to + 1).max(first)).map(|(_, slot)| *slot)
    }

    /// Merges the states in these slots, key by key; each list is that of one key and not empty.
    fn merge(&self, calls: &mut PluginCalls, lists: &[Vec<u32>]) -> Result<Vec<ArrayRef>, Failure> {
        let into: Vec<usize> = lists.iter().enumerate().flat_map(|(at, list)| vec![at; list.len()]).collect();
        let mut folder = Folder::new(&self.group.fold)?;
        folder.merge(calls, &self.states.gather(&lists.concat())?, &into, lists.len())?;
        folder.take_states()
    }

    /// The result of each key that has rows in the window.
    fn window(&self, calls: &mut PluginCalls, batch_number: i64) -> Result<(Vec<usize>, Vec<ArrayRef>), Failure> {
        let size = self.batches().size as i64;
        let of_key = |key| (key, self.between(key, batch_number - size, batch_number).collect::<Vec<u32>>());
        let keys = self.states.sorted_keys().into_iter().map(of_key).filter(|(_, slots)| !slots.is_empty());
        let (keys, lists): (Vec<usize>, Vec<Vec<u32>>) = keys.unzip();
        let states = self.merge(calls, &lists)?;
        Ok((keys, states))
    }

    /// Takes the batches that leave the window out of the states of all batches, and those that come in.
    fn move_on(&mut self, calls: &mut PluginCalls, batch_number: i64) -> Result<Vec<u32>, Failure> {
        let Batches { size, slide, .. } = *self.batches();
        let (size, slide) = (size as i64, slide as i64);
        let mut leaving: Vec<(usize, Vec<u32>)> = Vec::new();
        let mut coming: Vec<(usize, Vec<u32>)> = Vec::new();
        for key in self.states.sorted_keys() {
            // Of windows that do not overlap, the one before leaves whole, and what lies between them is in neither.
            let (before, since) = (batch_number - size.max(slide), batch_number - slide.min(size));
            let leave: Vec<u32> = self.between(key, batch_number - slide - size, before).collect();
            let come: Vec<u32> = self.between(key, since, batch_number).collect();
            if !leave.is_empty() && self.states.of_key(key).contains_key(&TOGETHER) {
                leaving.push((key, leave));
            }
            if !come.is_empty() {
                coming.push((key, come));
            }
        }
        let mut changed = self.retract(calls, &leaving)?;
        let with_old = |(key, come): &(usize, Vec<u32>)| {
            let old = self.states.of_key(*key).get(&TOGETHER);
            old.into_iter().chain(come).copied().collect::<Vec<u32>>()
        };
        let states = self.merge(calls, &coming.iter().map(with_old).collect::<Vec<_>>())?;
        let parts: Vec<Part<()>> =
            coming.iter().map(|(key, _)| Part { key: *key, number: TOGETHER, note: () }).collect();
        changed.extend(self.states.put(&parts, &states)?);
        changed.sort_unstable();
        changed.dedup();
        Ok(changed)
    }

    fn retract(&mut self, calls: &mut PluginCalls, leaving: &[(usize, Vec<u32>)]) -> Result<Vec<u32>, Failure> {
        if leaving.is_empty() {
            return Ok(Vec::new());
        }
        let Fold::Reduce(call, _) = &self.group.fold else { unreachable!("only reducers have an inverse") };
        let lists: Vec<Vec<u32>> = leaving.iter().map(|(_, slots)| slots.clone()).collect();
        let left = self.merge(calls, &lists)?;
        let slots: Vec<u32> = leaving.iter().map(|(key, _)| self.states.of_key(*key)[&TOGETHER]).collect();
        let states = self.states.gather(&slots)?;
        let (states, left) = (states[0].as_binary::<i32>(), left[0].as_binary::<i32>());
        let mut new: Vec<ArrayRef> = Vec::new();
        for Range { start, end } in pieces((0..states.len()).map(|at| length(states, at) + length(left, at))) {
            let (states, left) = (states.slice(start, end - start), left.slice(start, end - start));
            new.push(Arc::new(calls.instance(call.plugin).retract(call.used, &states, &left)?));
        }
        let new = concat(&new.iter().map(AsRef::as_ref).collect::<Vec<_>>())?;
        let parts: Vec<Part<()>> = slots.iter().map(|&slot| self.states.part(slot)).collect();
        self.states.put(&parts, &[new])
    }

    fn results(&self, calls: &mut PluginCalls, keys: &[usize], states: &[ArrayRef]) -> Result<RecordBatch, Failure> {
        let parts: Vec<Part<()>> = keys.iter().map(|&key| Part { key, number: TOGETHER, note: () }).collect();
        let mut columns = self.states.keys(&parts)?;
        columns.extend(evaluate(&self.group.fold, calls, states)?);
        Ok(batch(&self.group.schema, columns, keys.len())?)
    }

    fn stored_rows(&self, slots: &[u32]) -> Result<RecordBatch, Failure> {
        let parts: Vec<Part<()>> = slots.iter().map(|&slot| self.states.part(slot)).collect();
        let columns = [self.batch_and_key(&parts)?, self.states.gather(slots)?].concat();
        Ok(batch(&self.stored, columns, slots.len())?)
    }

    fn gone_rows(&self, parts: &[Part<()>]) -> Result<RecordBatch, Failure> {
        let mut columns = self.batch_and_key(parts)?;
        let states = self.stored.fields()[BATCH + self.key_columns..].iter();
        columns.extend(states.map(|field| new_null_array(field.data_type(), parts.len())));
        Ok(batch(&self.stored, columns, parts.len())?)
    }

    fn batch_and_key(&self, parts: &[Part<()>]) -> Result<Vec<ArrayRef>, Failure> {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(parts.iter().map(|part| part.number)));
        Ok([vec![numbers], self.states.keys(parts)?].concat())
    }
}

impl Bucket for BatchesBucket {
    fn adopt(&mut self, barrier: &Barrier) {
        if let Barrier::Group(group) = barrier {
            self.group = Group::clone(group);
        }
    }

    fn restore(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let parts = self.read(rows)?;
        self.states.put(&parts, &rows.columns()[BATCH + self.key_columns..])?;
        Ok(())
    }

    fn forget(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let parts = self.read(rows)?;
        for part in &parts {
            if let Some(&slot) = self.states.of_key(part.key).get(&part.number) {
                self.states.remove(slot);
            }
        }
        self.states.forget_empty(parts.iter().map(|part| part.key));
        Ok(())
    }

    fn run(&mut self, calls: &mut PluginCalls, work: &Work<'_>) -> Result<Done, Failure> {
        self.set_batch_time(work.now)?;
        let batch_number = work.epoch.number() as i64;
        let mut changed = self.take_in(calls, work.input, batch_number)?;
        let mut done = Done { updated: changed.len(), ..Done::default() };
        let mut gone: Vec<Part<()>> = Vec::new();
        if self.batches().ends_at(work.epoch) {
            let Batches { size, slide, .. } = *self.batches();
            let inverse = self.batches().inverse;
            let (keys, states) = match inverse {
                true => {
                    changed.extend(self.move_on(calls, batch_number)?);
                    let keys = self.states.sorted_keys();
                    let keys: Vec<usize> =
                        keys.into_iter().filter(|&key| self.states.of_key(key).contains_key(&TOGETHER)).collect();
                    let slots: Vec<u32> = keys.iter().map(|&key| self.states.of_key(key)[&TOGETHER]).collect();
                    let states = self.states.gather(&slots)?;
                    (keys, states)
                }
                false => self.window(calls, batch_number)?,
            };
            let mut results = self.results(calls, &keys, &states)?;
            let mut over = Vec::new();
            if let Some(keep) = &self.batches().keep {
                let stays: BooleanArray = keep.evaluate_condition(&results)?;
                let dead = keys.iter().enumerate().filter(|(row, _)| !stays.value(*row));
                over.extend(dead.flat_map(|(_, &key)| self.states.of_key(key).values().copied()));
                results = filter_record_batch(&results, &stays)?;
            }
            // What neither the next window nor, with an inverse, what leaves it will ask for.
            let last = batch_number - size as i64 + if inverse { 0 } else { slide as i64 };
            for key in self.states.sorted_keys() {
                over.extend(self.between(key, TOGETHER, last));
            }
            over.sort_unstable();
            over.dedup();
            gone = over.into_iter().map(|slot| self.states.remove(slot)).collect();
            done.results.push((None, results));
        }
        done.removed = gone.len();
        done.gone = (!gone.is_empty()).then(|| self.gone_rows(&gone)).transpose()?;
        changed.retain(|&slot| self.states.is_live(slot));
        done.changed = (!changed.is_empty()).then(|| self.stored_rows(&changed)).transpose()?;
        self.states.forget_empty(gone.iter().map(|part| part.key));
        Ok(done)
    }

    fn all(&self) -> Result<RecordBatch, Failure> {
        self.stored_rows(&self.states.in_order(self.states.live()))
    }

    fn len(&self) -> usize {
        self.states.len()
    }

    fn bytes(&self) -> usize {
        self.states.bytes()
    }

    fn next_closing(&self) -> Option<EventTime> {
        None
    }
}
