//! Numbers for keys: the group of each row.

use arrow::{array::ArrayRef, datatypes::SchemaRef};
use datafusion_common::Result;
use datafusion_expr::EmitTo;
use datafusion_physical_plan::aggregates::{
    group_values::{GroupValues, new_group_values},
    order::GroupOrdering,
};

/// The groups seen so far, numbered from 0 in the order in which they came.
pub(super) struct KeyTable {
    schema: SchemaRef,
    /// None when there are no key columns: then all rows are one group.
    values: Option<Box<dyn GroupValues>>,
    any: bool,
}

impl KeyTable {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self> {
        let values = match schema.fields().is_empty() {
            true => None,
            false => Some(new_group_values(SchemaRef::clone(schema), &GroupOrdering::None)?),
        };
        Ok(KeyTable { schema: SchemaRef::clone(schema), values, any: false })
    }

    /// Finds the group of each row, making new ones for keys not seen before.
    pub(super) fn intern(&mut self, keys: &[ArrayRef], rows: usize, groups: &mut Vec<usize>) -> Result<()> {
        match &mut self.values {
            Some(values) => values.intern(keys, groups),
            None => {
                self.any |= rows > 0;
                groups.clear();
                groups.resize(rows, 0);
                Ok(())
            }
        }
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.values.as_ref().map_or(usize::from(self.any), |values| values.len())
    }

    /// The keys of all groups in their order. The table is empty afterwards.
    pub(super) fn take_keys(&mut self) -> Result<Vec<ArrayRef>> {
        self.any = false;
        match &mut self.values {
            Some(values) => values.emit(EmitTo::All),
            None => Ok(Vec::new()),
        }
    }

    /// The key columns.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}
