//! A join of two streams: the rows of each side by key, kept for as long as a row of the other side may still match
//! them.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray, new_null_array,
    },
    datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType},
};

use super::{
    Bucket, Done, Work,
    closing::Closings,
    parts::{Part, Parts},
    rows::batch,
};
use crate::{
    manifest::Bound,
    model::EventTime,
    operator::{Failure, PluginCalls},
    plan::{Barrier, Join},
};

/// Which side a stored row is of, its number, its event time and whether it has matched stand before its key.
const OWN: usize = 4;

/// So many rows may come into one bucket in an epoch: rows are numbered by epoch and place. It leaves room for some 270
/// billion epochs, which is eight years of one each millisecond.
const ROWS_PER_EPOCH: i64 = 1 << 25;

/// The rows of one bucket.
pub(super) struct JoinBucket {
    join: Join,
    stored: SchemaRef,
    key_columns: usize,
    sides: [Kept; 2],
}

/// The rows of one side.
struct Kept {
    rows: Parts<Note>,
    closings: Closings,
}

/// The rows of one side in stored rows, and what is known of each.
type OneSide = (Vec<Part<Note>>, RecordBatch);

/// What is known of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Note {
    time: Option<EventTime>,
    /// When no row of the other side can match it any more.
    end: Option<EventTime>,
    matched: bool,
}

/// Side, number, time, whether matched, key, then the columns of the left and those of the right.
pub(in crate::operator) fn stored_schema(join: &Join) -> SchemaRef {
    let own = [
        Field::new("right", DataType::Boolean, true),
        Field::new("number", DataType::Int64, true),
        Field::new("time", crate::model::timestamp_type(), true),
        Field::new("matched", DataType::Boolean, true),
    ];
    let keys = join.sides[0].keys.schema.fields().iter().map(|field| field.as_ref().clone());
    let columns = join.sides.iter().enumerate().flat_map(|(side, of)| {
        let name = move |field: &Arc<Field>| field.as_ref().clone().with_name(format!("{side} {}", field.name()));
        of.schema.fields().iter().map(move |field| name(field).with_nullable(true))
    });
    Arc::new(Schema::new(own.into_iter().chain(keys).chain(columns).collect::<Vec<_>>()))
}

impl JoinBucket {
    pub(super) fn new(join: &Join, stored: &SchemaRef) -> Result<Self, Failure> {
        let key_columns = join.sides[0].keys.schema.fields().len();
        let kept = |side: usize| -> Result<Kept, Failure> {
            let keys: Vec<usize> = (OWN..OWN + key_columns).collect();
            let rows = Parts::new(stored.project(&keys)?, join.sides[side].schema.fields().iter())?;
            Ok(Kept { rows, closings: Closings::default() })
        };
        Ok(JoinBucket { sides: [kept(0)?, kept(1)?], key_columns, join: join.clone(), stored: Arc::clone(stored) })
    }

    /// What is known of rows with these keys and times.
    fn notes(&self, side: usize, keys: &[ArrayRef], times: Option<&TimestampMicrosecondArray>) -> Vec<Note> {
        let rows = keys.first().map_or(0, |key| key.len());
        let keys = self.join.key_time.map(|key| keys[key].as_primitive::<TimestampMicrosecondType>());
        let at = |times: Option<&TimestampMicrosecondArray>, row: usize| {
            times.filter(|times| times.is_valid(row)).map(|times| EventTime::from_micros(times.value(row)))
        };
        let note = |row: usize| {
            let time = at(times, row);
            let counts = if keys.is_some() { at(keys, row) } else { time };
            let end = self.join.waits(side).and_then(|wait| Some(counts?.shifted(wait)));
            Note { time, end, matched: false }
        };
        (0..rows).map(note).collect()
    }

    /// Where the columns of a side stand in stored rows.
    fn columns_of(&self, side: usize) -> std::ops::Range<usize> {
        let first = OWN + self.key_columns;
        let left = self.join.sides[0].schema.fields().len();
        if side == 0 { first..first + left } else { first + left..self.stored.fields().len() }
    }

    fn keep(&mut self, side: usize, parts: &[Part<Note>], columns: &[ArrayRef]) -> Result<Vec<u32>, Failure> {
        let slots = self.sides[side].rows.put(parts, columns)?;
        for (&slot, part) in slots.iter().zip(parts) {
            if let Some(end) = part.note.end {
                self.sides[side].closings.add(slot as usize, end);
            }
        }
        Ok(slots)
    }

    fn remove(&mut self, side: usize, slot: u32) -> Part<Note> {
        let part = self.sides[side].rows.remove(slot);
        if let Some(end) = part.note.end {
            self.sides[side].closings.remove(slot as usize, end);
        }
        part
    }

    /// Takes new rows of a side in. Returns their slots, and for each the number its key has on the other side.
    fn take_in(&mut self, side: usize, rows: &RecordBatch, first: i64) -> Result<(Vec<u32>, Vec<usize>), Failure> {
        let (keys, columns) = rows.columns().split_at(self.key_columns);
        let own = self.sides[side].rows.intern(keys, rows.num_rows())?;
        let others = self.sides[1 - side].rows.intern(keys, rows.num_rows())?;
        let times = self.join.sides[side].time.map(|time| columns[time].as_primitive::<TimestampMicrosecondType>());
        let notes = self.notes(side, keys, times);
        let part = |(row, key): (usize, usize)| Part { key, number: first + row as i64, note: notes[row] };
        let parts: Vec<Part<Note>> = own.into_iter().enumerate().map(part).collect();
        Ok((self.keep(side, &parts, columns)?, others))
    }

    /// Whether two rows with the same key are close enough in time.
    fn are_close(&self, left: Note, right: Note) -> bool {
        if !self.join.is_bounded() {
            return true;
        }
        let (Some(left), Some(right)) = (left.time, right.time) else { return false };
        let reaches = |bound: Option<Bound>, from, to| bound.is_none_or(|bound| bound.reaches(from, to));
        reaches(self.join.after, left, right) && reaches(self.join.before, right, left)
    }

    /// The pairs that new rows of a side make with the rows of the other side, in the order of the new ones.
    fn pairs(&self, side: usize, new: &[u32], others: &[usize]) -> Vec<(u32, u32)> {
        let (mine, theirs) = (&self.sides[side].rows, &self.sides[1 - side].rows);
        let mut pairs = Vec::new();
        for (&slot, &key) in new.iter().zip(others) {
            for &other in theirs.of_key(key).values() {
                let (left, right) = if side == 0 { (slot, other) } else { (other, slot) };
                let notes = (mine.part(slot).note, theirs.part(other).note);
                let (left_note, right_note) = if side == 0 { notes } else { (notes.1, notes.0) };
                if self.are_close(left_note, right_note) {
                    pairs.push((left, right));
                }
            }
        }
        pairs
    }

    fn joined(&self, pairs: &[(u32, u32)]) -> Result<RecordBatch, Failure> {
        let (lefts, rights): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
        let mut columns = self.sides[0].rows.gather(&lefts)?;
        let right = self.sides[1].rows.gather(&rights)?;
        columns.extend(self.join.right_columns.iter().map(|&column| Arc::clone(&right[column])));
        Ok(batch(&self.join.schema, columns, pairs.len())?)
    }

    /// Rows of the left that nothing has matched.
    fn alone(&self, lefts: &[u32]) -> Result<RecordBatch, Failure> {
        let mut columns = self.sides[0].rows.gather(lefts)?;
        let right = &self.join.sides[1].schema;
        let null = |&column: &usize| new_null_array(right.field(column).data_type(), lefts.len());
        columns.extend(self.join.right_columns.iter().map(null));
        Ok(batch(&self.join.schema, columns, lefts.len())?)
    }

    /// Rows of a side as they are stored; without `values` only what says which rows they are.
    fn stored_rows(
        &self,
        side: usize,
        parts: &[Part<Note>],
        values: Option<Vec<ArrayRef>>,
    ) -> Result<RecordBatch, Failure> {
        let rows = parts.len();
        let times = parts.iter().map(|part| part.note.time.map(EventTime::micros));
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(BooleanArray::from(vec![side == 1; rows])),
            Arc::new(Int64Array::from_iter_values(parts.iter().map(|part| part.number))),
            Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
            Arc::new(parts.iter().map(|part| Some(part.note.matched)).collect::<BooleanArray>()),
        ];
        columns.extend(self.sides[side].rows.keys(parts)?);
        let own = self.columns_of(side);
        let mut values = values.map(Vec::into_iter);
        for at in OWN + self.key_columns..self.stored.fields().len() {
            let value = values.as_mut().filter(|_| own.contains(&at)).and_then(Iterator::next);
            columns.push(value.unwrap_or_else(|| new_null_array(self.stored.field(at).data_type(), rows)));
        }
        Ok(batch(&self.stored, columns, rows)?)
    }

    fn stored_slots(&self, side: usize, slots: &[u32]) -> Result<RecordBatch, Failure> {
        let rows = &self.sides[side].rows;
        let parts: Vec<Part<Note>> = slots.iter().map(|&slot| rows.part(slot)).collect();
        self.stored_rows(side, &parts, Some(rows.gather(slots)?))
    }

    /// The rows in stored rows, side by side.
    fn read(&mut self, rows: &RecordBatch) -> Result<[OneSide; 2], Failure> {
        let mut read = Vec::with_capacity(2);
        for side in 0..2 {
            let right = rows.column(0).as_boolean();
            let own: BooleanArray = right.iter().map(|right| Some(right.unwrap_or(false) == (side == 1))).collect();
            let rows = arrow::compute::filter_record_batch(rows, &own)?;
            let keys = &rows.columns()[OWN..OWN + self.key_columns];
            let numbers = rows.column(1).as_primitive::<Int64Type>();
            let times = rows.column(2).as_primitive::<TimestampMicrosecondType>();
            let matched = rows.column(3).as_boolean();
            let notes = self.notes(side, keys, Some(times));
            let part = |(row, key): (usize, usize)| Part {
                key,
                number: numbers.value(row),
                note: Note { matched: matched.value(row), ..notes[row] },
            };
            let keys = self.sides[side].rows.intern(keys, rows.num_rows())?;
            let parts = keys.into_iter().enumerate().map(part).collect();
            read.push((parts, rows));
        }
        let right = read.pop().expect("two sides");
        Ok([read.pop().expect("two sides"), right])
    }

    /// Notes that a row of the left has matched. Whether that is news.
    fn mark(&mut self, left: u32) -> bool {
        let note = self.sides[0].rows.note_mut(left);
        !std::mem::replace(&mut note.matched, true)
    }

    fn forget_empty(&mut self) {
        for side in &mut self.sides {
            side.rows.forget_all_empty();
        }
    }
}

impl Bucket for JoinBucket {
    fn adopt(&mut self, barrier: &Barrier) {
        if let Barrier::Join(join) = barrier {
            self.join = Join::clone(join);
        }
    }

    fn restore(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        for (side, (parts, rows)) in self.read(rows)?.into_iter().enumerate() {
            for part in &parts {
                let known = self.sides[side].rows.of_key(part.key).get(&part.number).copied();
                known.into_iter().for_each(|slot| {
                    self.remove(side, slot);
                });
            }
            let columns = rows.columns()[self.columns_of(side)].to_vec();
            self.keep(side, &parts, &columns)?;
        }
        Ok(())
    }

    fn forget(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        for (side, (parts, _)) in self.read(rows)?.into_iter().enumerate() {
            for part in parts {
                let known = self.sides[side].rows.of_key(part.key).get(&part.number).copied();
                known.into_iter().for_each(|slot| {
                    self.remove(side, slot);
                });
            }
        }
        self.forget_empty();
        Ok(())
    }

    fn run(&mut self, _calls: &mut PluginCalls, work: &Work<'_>) -> Result<Done, Failure> {
        let mut done = Done::default();
        let rows: usize = work.input.iter().chain(work.right).map(RecordBatch::num_rows).sum();
        if rows as i64 > ROWS_PER_EPOCH {
            return Err(Failure::BadRow(format!(
                "{rows} rows for one of its buckets are more than an epoch may have; bound the epoch with max_bytes_per_trigger"
            )));
        }
        let mut next = work.epoch.number() as i64 * ROWS_PER_EPOCH;
        let mut new: [Vec<u32>; 2] = [Vec::new(), Vec::new()];
        let mut newly_matched = Vec::new();
        // New rows of the left meet what is known of the right; new ones of the right then meet all of the left. So
        // each pair comes out once.
        for (side, input) in [(0, work.input), (1, work.right)] {
            for rows in input {
                let (slots, others) = self.take_in(side, rows, next)?;
                next += rows.num_rows() as i64;
                let pairs = self.pairs(side, &slots, &others);
                if !pairs.is_empty() {
                    done.results.push((None, self.joined(&pairs)?));
                }
                if self.join.outer {
                    newly_matched.extend(pairs.iter().map(|(left, _)| *left).filter(|&left| self.mark(left)));
                }
                new[side].extend(slots);
            }
        }
        done.updated = new[0].len() + new[1].len();
        let mut gone = Vec::new();
        for side in 0..2 {
            let over: Vec<u32> =
                self.sides[side].closings.take(work.watermarks.closed).into_iter().map(|slot| slot as u32).collect();
            if over.is_empty() {
                continue;
            }
            if side == 0 && self.join.outer {
                let alone = over.iter().copied().filter(|&slot| !self.sides[0].rows.part(slot).note.matched);
                let alone = self.sides[0].rows.in_order(alone.collect());
                if !alone.is_empty() {
                    done.results.push((None, self.alone(&alone)?));
                }
            }
            let parts: Vec<Part<Note>> = over.into_iter().map(|slot| self.sides[side].rows.remove(slot)).collect();
            gone.push(self.stored_rows(side, &parts, None)?);
        }
        done.removed = gone.iter().map(RecordBatch::num_rows).sum();
        new[0].extend(newly_matched);
        new[0].sort_unstable();
        new[0].dedup();
        let mut changed = Vec::new();
        for (side, slots) in new.iter_mut().enumerate() {
            slots.retain(|&slot| self.sides[side].rows.is_live(slot));
            if !slots.is_empty() {
                changed.push(self.stored_slots(side, slots)?);
            }
        }
        let all = |rows: Vec<RecordBatch>| -> Result<Option<RecordBatch>, Failure> {
            Ok((!rows.is_empty()).then(|| arrow::compute::concat_batches(&self.stored, &rows)).transpose()?)
        };
        (done.gone, done.changed) = (all(gone)?, all(changed)?);
        self.forget_empty();
        Ok(done)
    }

    fn all(&self) -> Result<RecordBatch, Failure> {
        let of_side = |side: usize| {
            let rows = &self.sides[side].rows;
            self.stored_slots(side, &rows.in_order(rows.live()))
        };
        Ok(arrow::compute::concat_batches(&self.stored, &[of_side(0)?, of_side(1)?])?)
    }

    fn len(&self) -> usize {
        self.sides.iter().map(|side| side.rows.len()).sum()
    }

    fn bytes(&self) -> usize {
        self.sides.iter().map(|side| side.rows.bytes()).sum()
    }

    fn next_closing(&self) -> Option<EventTime> {
        self.sides.iter().filter_map(|side| side.closings.next()).min()
    }
}
