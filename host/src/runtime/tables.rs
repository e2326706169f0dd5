//! The tables of a pipeline: read before each epoch when they have changed, and indexed for the joins that ask them.

use std::sync::Arc;

use super::{Prepared, RunError};
use crate::{
    model::Digest,
    operator::TableIndex,
    ports::{Table, TableError, TableRows},
    table,
};

/// The tables of a pipeline.
pub(super) struct Tables {
    tables: Vec<OneTable>,
    /// For each of the plan's lookups, in their order.
    indexes: Vec<Arc<TableIndex>>,
}

struct OneTable {
    name: String,
    reader: Box<dyn Table>,
    digest: Digest,
}

impl Tables {
    /// Opens and reads all tables. One that cannot be read is an error now, and only a warning once there is a version
    /// of it.
    pub(super) fn open(wanted: &Prepared) -> Result<Self, RunError> {
        let (mut tables, mut contents) = (Vec::new(), Vec::new());
        for spec in &wanted.manifest.tables {
            let failed = |error| RunError::Table { table: spec.name.clone(), error };
            let mut reader = table::open(spec);
            let read = reader.refresh().map_err(failed)?;
            let TableRows { rows, digest } =
                read.ok_or_else(|| failed(TableError("it has no rows to give".to_owned())))?;
            tables.push(OneTable { name: spec.name.clone(), reader, digest });
            contents.push(rows);
        }
        let index = |lookup: &crate::plan::Lookup| {
            TableIndex::new(lookup, contents[lookup.table].clone(), &tables[lookup.table].name).map(Arc::new)
        };
        let indexes = wanted.plan.lookups.iter().map(index).collect::<Result<_, _>>()?;
        Ok(Tables { tables, indexes })
    }

    /// Takes over what has changed outside.
    pub(super) fn refresh(&mut self, prepared: &Prepared) {
        for at in 0..self.tables.len() {
            if let Err(reason) = self.refresh_one(at, prepared) {
                tracing::warn!("table `{}`: {reason}; going on with the version before", self.tables[at].name);
            }
        }
    }

    fn refresh_one(&mut self, at: usize, prepared: &Prepared) -> Result<(), String> {
        let read = self.tables[at].reader.refresh().map_err(|error| error.to_string())?;
        let Some(TableRows { rows, digest }) = read else { return Ok(()) };
        // All of them are made before one takes its place: an epoch joins one version of a table.
        let mut built = Vec::new();
        for (lookup, spec) in prepared.plan.lookups.iter().enumerate().filter(|(_, spec)| spec.table == at) {
            let index = TableIndex::new(spec, rows.clone(), &self.tables[at].name);
            built.push((lookup, Arc::new(index.map_err(|error| error.to_string())?)));
        }
        built.into_iter().for_each(|(lookup, index)| self.indexes[lookup] = index);
        self.tables[at].digest = digest;
        Ok(())
    }

    /// For each of the plan's lookups, in their order.
    pub(super) fn indexes(&self) -> &[Arc<TableIndex>] {
        &self.indexes
    }

    /// Which content each table has.
    pub(super) fn digests(&self) -> Vec<(String, Digest)> {
        self.tables.iter().map(|table| (table.name.clone(), table.digest)).collect()
    }

    /// The tables of which these digests are not what there is now.
    pub(super) fn changed_since(&self, then: &[(String, Digest)]) -> impl Iterator<Item = &str> {
        let changed =
            |table: &&OneTable| then.iter().any(|(name, digest)| *name == table.name && *digest != table.digest);
        self.tables.iter().filter(changed).map(|table| table.name.as_str())
    }
}
