//! Grouped aggregations: a state for each key, or for each key in each of its windows.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array},
    datatypes::{SchemaRef, TimestampMicrosecondType},
};

use super::{Bucket, Done, Work, closing::Closings, rows::batch};
use crate::{
    manifest::OutputMode,
    model::EventTime,
    operator::{
        Failure, PluginCalls,
        fold::{Folder, evaluate},
        key_table::KeyTable,
        partial::{span_count, timestamps},
        state_column::StateColumn,
    },
    plan::{Barrier, Closing, Extent, Group},
};

/// The groups of one bucket.
pub(super) struct GroupBucket {
    group: Group,
    stored: SchemaRef,
    key_columns: usize,
    table: KeyTable,
    /// By the group's number.
    slots: Vec<Slot>,
    states: Vec<StateColumn>,
    closings: Closings,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// Whether a state is kept under this number.
    held: bool,
    /// One more than its place among the groups touched in this epoch; 0 for not touched.
    place: u32,
}

/// The groups an epoch touched, and their states after it.
struct Touched {
    groups: Vec<usize>,
    states: Vec<ArrayRef>,
}

impl GroupBucket {
    pub(super) fn new(group: &Group, stored: &SchemaRef) -> Result<Self, Failure> {
        let key_columns = span_count(group) + group.keys.schema.fields().len();
        let keys = Arc::new(stored.project(&(0..key_columns).collect::<Vec<_>>())?);
        let states = stored.fields()[key_columns..].iter().map(|field| StateColumn::new(field.data_type()));
        Ok(GroupBucket {
            table: KeyTable::new(&keys)?,
            key_columns,
            slots: Vec::new(),
            states: states.collect::<Result<_, _>>()?,
            closings: Closings::default(),
            group: group.clone(),
            stored: Arc::clone(stored),
        })
    }

    /// When the group with this key is over, if it ever is.
    fn end(&self, keys: &[ArrayRef], row: usize) -> Option<EventTime> {
        let column = match self.group.closing? {
            Closing::End(_) => 0,
            Closing::Key(column) => column,
        };
        let times = keys[column].as_primitive::<TimestampMicrosecondType>();
        let time = times.is_valid(row).then(|| EventTime::from_micros(times.value(row)))?;
        Some(match &self.group.extent {
            Extent::Windows { windows, .. } => windows.end(time),
            _ => time,
        })
    }

    /// The group of each row. New ones are noted with their end, and have no state yet.
    fn intern(&mut self, rows: &RecordBatch) -> Result<Vec<usize>, Failure> {
        let keys = &rows.columns()[..self.key_columns];
        let (known, mut groups) = (self.table.len(), Vec::new());
        self.table.intern(keys, rows.num_rows(), &mut groups)?;
        self.slots.resize(self.table.numbers(), Slot::default());
        if self.table.len() > known && self.group.closing.is_some() {
            let mut noted = std::collections::HashSet::new();
            for (row, &group) in groups.iter().enumerate() {
                let Slot { held, place } = self.slots[group];
                if !held && place == 0 && noted.insert(group) {
                    let end = self.end(keys, row);
                    end.into_iter().for_each(|end| self.closings.add(group, end));
                }
            }
        }
        Ok(groups)
    }

    /// Merges partial results in, in their order.
    fn merge(&mut self, calls: &mut PluginCalls, input: &[RecordBatch]) -> Result<Touched, Failure> {
        let (mut held, mut new): (Vec<usize>, Vec<usize>) = Default::default();
        let mut groups_of: Vec<Vec<usize>> = Vec::with_capacity(input.len());
        for partial in input {
            let groups = self.intern(partial)?;
            for &group in &groups {
                let slot = &mut self.slots[group];
                if slot.place == 0 {
                    slot.place = 1;
                    if slot.held { held.push(group) } else { new.push(group) }
                }
            }
            groups_of.push(groups);
        }
        // Accumulators take it that each group they are told of has had a value, unless this very merge says otherwise.
        // So what was known goes in first, new groups are numbered as they come, and no merge is told of groups to
        // come.
        let mut told = held.len();
        let touched = [held, new].concat();
        touched.iter().zip(1..).for_each(|(&group, place)| self.slots[group].place = place);
        let mut folder = Folder::new(&self.group.fold)?;
        if told > 0 {
            let places: Vec<usize> = (0..told).collect();
            folder.merge(calls, &self.gather(&touched[..told])?, &places, told)?;
        }
        for (partial, groups) in input.iter().zip(&groups_of) {
            let places: Vec<usize> = groups.iter().map(|&group| self.slots[group].place as usize - 1).collect();
            told = places.iter().fold(told, |told, &place| told.max(place + 1));
            folder.merge(calls, &partial.columns()[self.key_columns..], &places, told)?;
        }
        let states = folder.take_states()?;
        self.put(&touched, &states)?;
        Ok(Touched { groups: touched, states })
    }

    fn gather(&self, groups: &[usize]) -> Result<Vec<ArrayRef>, Failure> {
        Ok(self.states.iter().map(|column| column.gather(groups)).collect::<Result<_, _>>()?)
    }

    fn put(&mut self, groups: &[usize], states: &[ArrayRef]) -> Result<(), Failure> {
        for (column, values) in self.states.iter_mut().zip(states) {
            column.scatter(groups, values)?;
        }
        groups.iter().for_each(|&group| self.slots[group] = Slot { held: true, place: 0 });
        Ok(())
    }

    fn results(&self, calls: &mut PluginCalls, groups: &[usize], states: &[ArrayRef]) -> Result<RecordBatch, Failure> {
        let mut columns = self.table.keys(groups)?;
        if let Extent::Windows { windows, .. } = &self.group.extent {
            let starts = columns[0].as_primitive::<TimestampMicrosecondType>().values();
            let ends = timestamps(starts.iter().map(|&start| windows.end(EventTime::from_micros(start)).micros()));
            columns.insert(1, ends);
        }
        columns.extend(evaluate(&self.group.fold, calls, states)?);
        Ok(batch(&self.group.schema, columns, groups.len())?)
    }

    fn results_of(&self, calls: &mut PluginCalls, groups: &[usize]) -> Result<RecordBatch, Failure> {
        self.results(calls, groups, &self.gather(groups)?)
    }

    /// The groups that come out in mode append: those that have just come to their end, and those that are over already
    /// and have changed once more.
    fn ended(&self, work: &Work<'_>, touched: &[usize]) -> Result<Vec<usize>, Failure> {
        let mut ended: Vec<usize> = self.closings.between(work.watermarks.late, work.watermarks.closed).collect();
        let keys = self.table.keys(touched)?;
        let again = touched
            .iter()
            .enumerate()
            .filter(|&(row, _)| self.end(&keys, row).is_some_and(|end| work.watermarks.late.covers(end)));
        ended.extend(again.map(|(_, &group)| group));
        self.table.sort(&mut ended);
        Ok(ended)
    }

    /// Removes the groups that take no more rows.
    fn evict(&mut self, work: &Work<'_>) -> Result<Option<RecordBatch>, Failure> {
        let lateness = match self.group.closing {
            None => return Ok(None),
            Some(Closing::End(lateness)) => lateness,
            Some(Closing::Key(_)) => std::time::Duration::ZERO,
        };
        let evicted = self.closings.take(work.watermarks.closed.less(lateness));
        if evicted.is_empty() {
            return Ok(None);
        }
        let mut columns = self.table.keys(&evicted)?;
        let states = self.stored.fields()[self.key_columns..].iter();
        columns.extend(states.map(|field| new_null_array(field.data_type(), evicted.len())));
        for &group in &evicted {
            self.table.remove(group);
            self.slots[group] = Slot::default();
        }
        Ok(Some(batch(&self.stored, columns, evicted.len())?))
    }

    fn stored_rows(&self, groups: &[usize], states: &[ArrayRef]) -> Result<RecordBatch, Failure> {
        let columns = [self.table.keys(groups)?, states.to_vec()].concat();
        Ok(batch(&self.stored, columns, groups.len())?)
    }
}

impl Bucket for GroupBucket {
    fn adopt(&mut self, barrier: &Barrier) {
        if let Barrier::Group(group) = barrier {
            self.group = Group::clone(group);
        }
    }

    fn restore(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let groups = self.intern(rows)?;
        self.put(&groups, &rows.columns()[self.key_columns..])
    }

    fn forget(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        // Interning a key that is not there would note its end; it is taken out again with the key.
        let groups = self.intern(rows)?;
        for (row, group) in groups.into_iter().enumerate() {
            if let Some(end) = self.end(&rows.columns()[..self.key_columns], row) {
                self.closings.remove(group, end);
            }
            self.table.remove(group);
            self.slots[group] = Slot::default();
        }
        Ok(())
    }

    fn run(&mut self, calls: &mut PluginCalls, work: &Work<'_>) -> Result<Done, Failure> {
        let touched = match work.input {
            [] => Touched { groups: Vec::new(), states: self.gather(&[])? },
            input => self.merge(calls, input)?,
        };
        let mut done = Done { updated: touched.groups.len(), ..Done::default() };
        if let Extent::Batch = self.group.extent {
            // The rows of one batch are final, whatever the mode; and nothing of them is kept.
            done.results.push((None, self.results(calls, &touched.groups, &touched.states)?));
            return Ok(done);
        }
        for &mode in work.modes {
            let results = match mode {
                OutputMode::Update => self.results(calls, &touched.groups, &touched.states)?,
                OutputMode::Append => self.results_of(calls, &self.ended(work, &touched.groups)?)?,
                OutputMode::Complete => self.results_of(calls, &self.table.groups())?,
            };
            done.results.push((Some(mode), results));
        }
        let complete = work.modes.contains(&OutputMode::Complete);
        if !complete {
            done.gone = self.evict(work)?;
            done.removed = done.gone.as_ref().map_or(0, RecordBatch::num_rows);
        }
        let held: Vec<usize> = touched.groups.iter().copied().filter(|&group| self.slots[group].held).collect();
        done.changed = match held.len() {
            0 => None,
            all if all == touched.groups.len() => Some(self.stored_rows(&held, &touched.states)?),
            _ => Some(self.stored_rows(&held, &self.gather(&held)?)?),
        };
        Ok(done)
    }

    fn all(&self) -> Result<RecordBatch, Failure> {
        let groups = self.table.groups();
        self.stored_rows(&groups, &self.gather(&groups)?)
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn bytes(&self) -> usize {
        let states: usize = self.states.iter().map(StateColumn::bytes).sum();
        self.table.bytes() + self.slots.len() * size_of::<Slot>() + states
    }

    fn next_closing(&self) -> Option<EventTime> {
        self.closings.next()
    }
}
