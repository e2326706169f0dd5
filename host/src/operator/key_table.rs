//! Numbers for keys: the group of each row.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, cast::AsArray},
    datatypes::{DataType, SchemaRef},
    error::ArrowError,
    row::{RowConverter, SortField},
};

use super::text_table::TextTable;

/// The groups seen so far, numbered from 0 in the order in which they came; the number of one that was removed goes to
/// the next new one.
pub(super) enum KeyTable {
    /// No key columns: all rows are one group, which is there once a row has come.
    One { any: bool },
    /// One column of text or bytes.
    Text(TextTable),
    /// Anything else, in Arrow's row format, whose bytes are in the order of the keys.
    Columns { converter: RowConverter, table: TextTable },
}

impl KeyTable {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self, ArrowError> {
        let text = match schema.fields().as_ref() {
            [] => return Ok(KeyTable::One { any: false }),
            [only] => TextTable::new(only.data_type()),
            _ => None,
        };
        Ok(match text {
            Some(table) => KeyTable::Text(table),
            None => {
                let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone()));
                let table = TextTable::new(&DataType::Binary).expect("a table of bytes");
                KeyTable::Columns { converter: RowConverter::new(fields.collect())?, table }
            }
        })
    }

    /// Finds the group of each row, making new ones for keys not seen before.
    pub(super) fn intern(&mut self, keys: &[ArrayRef], rows: usize, groups: &mut Vec<usize>) -> Result<(), ArrowError> {
        match self {
            KeyTable::One { any } => {
                *any |= rows > 0;
                groups.clear();
                groups.resize(rows, 0);
            }
            KeyTable::Text(table) => table.intern(&keys[0], groups),
            KeyTable::Columns { converter, table } => {
                let keys: ArrayRef = Arc::new(converter.convert_columns(keys)?.try_into_binary()?);
                table.intern(&keys, groups);
            }
        }
        Ok(())
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        match self {
            KeyTable::One { any } => usize::from(*any),
            KeyTable::Text(table) | KeyTable::Columns { table, .. } => table.len(),
        }
    }

    /// One more than the highest number given out.
    pub(super) fn numbers(&self) -> usize {
        match self {
            KeyTable::One { any } => usize::from(*any),
            KeyTable::Text(table) | KeyTable::Columns { table, .. } => table.numbers(),
        }
    }

    /// The numbers of all groups, ascending.
    pub(super) fn groups(&self) -> Vec<usize> {
        match self {
            KeyTable::One { any } => (0..usize::from(*any)).collect(),
            KeyTable::Text(table) | KeyTable::Columns { table, .. } => table.groups(),
        }
    }

    /// The keys of these groups.
    pub(super) fn keys(&self, groups: &[usize]) -> Result<Vec<ArrayRef>, ArrowError> {
        match self {
            KeyTable::One { .. } => Ok(Vec::new()),
            KeyTable::Text(table) => Ok(vec![table.keys(groups)]),
            KeyTable::Columns { converter, table } => {
                let keys = table.keys(groups);
                let (keys, parser) = (keys.as_binary::<i32>(), converter.parser());
                converter.convert_rows((0..groups.len()).map(|row| parser.parse(keys.value(row))))
            }
        }
    }

    /// Forgets a group.
    pub(super) fn remove(&mut self, group: usize) {
        match self {
            KeyTable::One { any } => *any = false,
            KeyTable::Text(table) | KeyTable::Columns { table, .. } => table.remove(group),
        }
    }

    /// Sorts groups by their keys: an order that does not depend on what has been here before.
    pub(super) fn sort(&self, groups: &mut [usize]) {
        if let KeyTable::Text(table) | KeyTable::Columns { table, .. } = self {
            groups.sort_unstable_by(|&left, &right| table.compare(left, right));
        }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            KeyTable::One { .. } => 0,
            KeyTable::Text(table) | KeyTable::Columns { table, .. } => table.bytes(),
        }
    }
}
