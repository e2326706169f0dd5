//! What is known of the keys of one shard, from epoch to epoch.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, RecordBatch},
    compute::{concat, interleave},
    datatypes::SchemaRef,
};

use super::{Failure, PluginCalls, fold::Folder, key_table::KeyTable, state_column::StateColumn};
use crate::plan::Group;

/// The keys of one shard, each with its state.
pub(super) struct Shard {
    table: KeyTable,
    key_columns: usize,
    keys: KeyColumns,
    states: Vec<StateColumn>,
    /// For each group one more than its place among those touched in this epoch; 0 for not touched.
    places: Vec<u32>,
}

/// The groups an epoch touched: their keys, and their states after it.
pub(super) struct Touched {
    pub(super) keys: Vec<ArrayRef>,
    pub(super) states: Vec<ArrayRef>,
}

impl Shard {
    /// An empty shard. `schema` holds key columns, then state columns.
    pub(super) fn new(group: &Group, schema: &SchemaRef) -> Result<Self, Failure> {
        let keys = group.keys.schema.fields().len();
        let states = schema.fields()[keys..].iter().map(|field| StateColumn::new(field.data_type()));
        Ok(Shard {
            table: KeyTable::new(&group.keys.schema)?,
            key_columns: keys,
            keys: KeyColumns::default(),
            states: states.collect::<Result<_, _>>()?,
            places: Vec::new(),
        })
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Takes over stored rows; a row replaces an earlier one of the same key.
    pub(super) fn restore(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        let (keys, states) = rows.columns().split_at(self.key_columns);
        let mut groups = Vec::new();
        self.table.intern(keys, rows.num_rows(), &mut groups)?;
        let mut new_rows = Vec::new();
        for (row, &group) in groups.iter().enumerate() {
            if group >= self.places.len() {
                new_rows.push((0, row));
                self.places.push(0);
            }
        }
        self.keys.append(&gather_rows(&[keys], &new_rows)?);
        for (column, values) in self.states.iter_mut().zip(states) {
            column.scatter(&groups, values)?;
        }
        Ok(())
    }

    /// Merges partial results in, in their order.
    pub(super) fn merge(
        &mut self,
        group: &Group,
        calls: &mut PluginCalls,
        partials: &[RecordBatch],
    ) -> Result<Touched, Failure> {
        let key_count = self.key_columns;
        let known = self.places.len();
        let mut touched: Vec<usize> = Vec::new();
        let mut first_rows: Vec<(usize, usize)> = Vec::new();
        let mut numbered: Vec<Vec<usize>> = Vec::with_capacity(partials.len());
        let mut groups = Vec::new();
        for (at, partial) in partials.iter().enumerate() {
            self.table.intern(&partial.columns()[..key_count], partial.num_rows(), &mut groups)?;
            self.places.resize(self.table.len(), 0);
            for (row, group) in groups.iter_mut().enumerate() {
                let place = &mut self.places[*group];
                if *place == 0 {
                    touched.push(*group);
                    first_rows.push((at, row));
                    *place = touched.len() as u32;
                }
                *group = *place as usize - 1;
            }
            numbered.push(groups.clone());
        }
        touched.iter().for_each(|&group| self.places[group] = 0);

        let mut folder = Folder::new(&group.fold)?;
        self.merge_known(&mut folder, calls, &touched, known)?;
        for (partial, groups) in partials.iter().zip(&numbered) {
            folder.merge(calls, &partial.columns()[key_count..], groups, touched.len())?;
        }
        let states = folder.take_states()?;
        for (column, values) in self.states.iter_mut().zip(&states) {
            column.scatter(&touched, values)?;
        }
        let key_columns: Vec<&[ArrayRef]> = partials.iter().map(|partial| &partial.columns()[..key_count]).collect();
        let keys = gather_rows(&key_columns, &first_rows)?;
        let new: Vec<(usize, usize)> =
            first_rows.iter().zip(&touched).filter(|&(_, &group)| group >= known).map(|(&place, _)| place).collect();
        self.keys.append(&gather_rows(&key_columns, &new)?);
        Ok(Touched { keys, states })
    }

    /// What was known of the touched groups goes in before anything new.
    fn merge_known(
        &self,
        folder: &mut Folder,
        calls: &mut PluginCalls,
        touched: &[usize],
        known: usize,
    ) -> Result<(), Failure> {
        let (places, groups): (Vec<usize>, Vec<usize>) =
            touched.iter().enumerate().filter(|&(_, &group)| group < known).unzip();
        if groups.is_empty() {
            return Ok(());
        }
        let states = self.states.iter().map(|column| column.gather(&groups)).collect::<Result<Vec<_>, _>>()?;
        folder.merge(calls, &states, &places, touched.len())
    }

    /// All keys with their states.
    pub(super) fn all(&mut self) -> Result<Touched, Failure> {
        let groups: Vec<usize> = (0..self.len()).collect();
        let states = self.states.iter().map(|column| column.gather(&groups)).collect::<Result<_, _>>()?;
        Ok(Touched { keys: self.keys.all()?, states })
    }
}

/// The keys of all groups, appended epoch by epoch.
#[derive(Default)]
struct KeyColumns {
    /// Each piece is at least twice as long as the next, so that there are few of them and appending stays cheap.
    pieces: Vec<Vec<ArrayRef>>,
}

impl KeyColumns {
    fn append(&mut self, columns: &[ArrayRef]) {
        if rows(columns) == 0 {
            return;
        }
        self.pieces.push(columns.to_vec());
        while let [.., before, last] = self.pieces.as_slice()
            && rows(before) < 2 * rows(last)
        {
            let joined = join(&[before, last]).expect("pieces have the same types");
            self.pieces.truncate(self.pieces.len() - 2);
            self.pieces.push(joined);
        }
    }

    fn all(&mut self) -> Result<Vec<ArrayRef>, Failure> {
        if self.pieces.len() > 1 {
            let pieces: Vec<&Vec<ArrayRef>> = self.pieces.iter().collect();
            self.pieces = vec![join(&pieces)?];
        }
        Ok(self.pieces.first().cloned().unwrap_or_default())
    }
}

fn rows(columns: &[ArrayRef]) -> usize {
    columns.first().map_or(0, |column| column.len())
}

fn join(pieces: &[&Vec<ArrayRef>]) -> Result<Vec<ArrayRef>, arrow::error::ArrowError> {
    let columns = pieces.first().map_or(0, |piece| piece.len());
    let join_column = |column: usize| {
        let parts: Vec<&dyn Array> = pieces.iter().map(|piece| piece[column].as_ref()).collect();
        concat(&parts)
    };
    (0..columns).map(join_column).collect()
}

/// Rows picked from several batches, each by batch and row.
fn gather_rows(batches: &[&[ArrayRef]], picks: &[(usize, usize)]) -> Result<Vec<ArrayRef>, arrow::error::ArrowError> {
    let columns = batches.first().map_or(0, |batch| batch.len());
    let gather_column = |column: usize| {
        let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch[column].as_ref()).collect();
        interleave(&parts, picks)
    };
    let gathered: Result<Vec<ArrayRef>, _> = (0..columns).map(gather_column).collect();
    gathered.map(|columns| columns.iter().map(Arc::clone).collect())
}
