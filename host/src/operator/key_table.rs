//! Numbers for keys: the group of each row.

use arrow::{array::ArrayRef, datatypes::SchemaRef};
use datafusion_common::Result;
use datafusion_expr::EmitTo;
use datafusion_physical_plan::aggregates::{
    group_values::{GroupValues, new_group_values},
    order::GroupOrdering,
};

use super::text_table::TextTable;

/// The groups seen so far, numbered from 0 in the order in which they came.
pub(super) enum KeyTable {
    /// No key columns: all rows are one group, which is there once a row has come.
    One { any: bool },
    /// One column of text or bytes.
    Text(TextTable),
    /// Anything else.
    Columns(Box<dyn GroupValues>),
}

impl KeyTable {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self> {
        let text = match schema.fields().as_ref() {
            [] => return Ok(KeyTable::One { any: false }),
            [only] => TextTable::new(only.data_type()),
            _ => None,
        };
        Ok(match text {
            Some(table) => KeyTable::Text(table),
            None => KeyTable::Columns(new_group_values(SchemaRef::clone(schema), &GroupOrdering::None)?),
        })
    }

    /// Finds the group of each row, making new ones for keys not seen before.
    pub(super) fn intern(&mut self, keys: &[ArrayRef], rows: usize, groups: &mut Vec<usize>) -> Result<()> {
        match self {
            KeyTable::One { any } => {
                *any |= rows > 0;
                groups.clear();
                groups.resize(rows, 0);
                Ok(())
            }
            KeyTable::Text(table) => {
                table.intern(&keys[0], groups);
                Ok(())
            }
            KeyTable::Columns(values) => values.intern(keys, groups),
        }
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        match self {
            KeyTable::One { any } => usize::from(*any),
            KeyTable::Text(table) => table.len(),
            KeyTable::Columns(values) => values.len(),
        }
    }

    /// The keys of all groups in their order. The table is empty afterwards.
    pub(super) fn take_keys(&mut self) -> Result<Vec<ArrayRef>> {
        match self {
            KeyTable::One { any } => {
                *any = false;
                Ok(Vec::new())
            }
            KeyTable::Text(table) => Ok(vec![table.take_keys()]),
            KeyTable::Columns(values) => values.emit(EmitTo::All),
        }
    }
}
