//! One call of a function, with all that can be set about it.

use std::collections::BTreeMap;

use crate::{
    Epoch, Row, Timestamp,
    bitmap::Bits,
    cell::{Capacity, Cell},
    function::{Definition, PluginFunction, Prepared},
    reducer::Folds,
    row::RowWriter,
    testing::{Table, world},
    wire::{Batch, Column, Failure},
};

/// What a function is called with beside its rows: config, epoch, batch time, seed.
///
/// ```
/// # use tidemill_sdk::{prelude::*, testing::{Scope, json}};
/// #[derive(Row)]
/// struct Reading {
///     value: f64,
/// }
///
/// #[config]
/// struct Limit {
///     limit: f64,
/// }
///
/// #[filter]
/// fn above(reading: Reading, config: &Limit) -> bool {
///     reading.value > config.limit
/// }
///
/// let readings = [Reading { value: 2.0 }, Reading { value: 4.0 }];
/// assert_eq!(Scope::default().config(json!({ "limit": 3.0 })).filter::<above>(readings).unwrap(), [false, true]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Scope {
    config: Option<String>,
    epoch: u64,
    batch_time: Timestamp,
    seed: u64,
}

impl Scope {
    /// The config that a manifest gives; without, it gives none.
    pub fn config(self, config: serde_json::Value) -> Self {
        Scope { config: Some(config.to_string()), ..self }
    }

    /// The epoch; 0 unless it is set.
    pub fn epoch(self, epoch: Epoch) -> Self {
        Scope { epoch: epoch.number(), ..self }
    }

    /// The batch time; 1970 unless it is set.
    pub fn batch_time(self, batch_time: Timestamp) -> Self {
        Scope { batch_time, ..self }
    }

    /// Where random numbers start.
    pub fn seed(self, seed: u64) -> Self {
        Scope { seed, ..self }
    }

    /// Calls a transform with these rows.
    pub fn transform<F: PluginFunction>(&self, rows: impl IntoIterator<Item = impl Row>) -> Result<Table, Failure> {
        let (definition, prepared) = self.enter::<F>()?;
        let Prepared::Transform(apply) = prepared else { not_a("transform", &prepared) };
        let input = batch_for(&definition, rows);
        let output = apply(&input, true)?;
        check_parents(output.parents.as_deref(), input.rows, output.rows.rows);
        Ok(Table::new(definition.output(), vec![output.rows]))
    }

    /// Calls a filter with these rows: which of them stay.
    pub fn filter<F: PluginFunction>(&self, rows: impl IntoIterator<Item = impl Row>) -> Result<Vec<bool>, Failure> {
        let (definition, prepared) = self.enter::<F>()?;
        let Prepared::Filter(apply) = prepared else { not_a("filter", &prepared) };
        let input = batch_for(&definition, rows);
        let (kept, rows) = (apply(&input)?, input.rows as usize);
        let kept = Bits::new(&kept, rows)?;
        Ok((0..rows).map(|row| kept.get(row)).collect())
    }

    /// Reduces these rows, one group, to a row. Half of them are folded apart and merged, as a host may do.
    pub fn reduce<F: PluginFunction>(&self, rows: impl IntoIterator<Item = impl Row>) -> Result<Table, Failure> {
        let (definition, reducer) = self.reducer::<F>()?;
        let mut rows: Vec<_> = rows.into_iter().collect();
        let second = rows.split_off(rows.len() / 2);
        let first = fold(&*reducer, &batch_for(&definition, rows))?;
        let second = fold(&*reducer, &batch_for(&definition, second))?;
        let result = reducer.finish(&reducer.merge(&first, &second)?)?;
        Ok(Table::new(definition.output(), vec![result]))
    }

    /// Reduces these rows and those that leave again, and takes the latter out.
    pub fn retract<F: PluginFunction>(
        &self,
        rows: impl IntoIterator<Item = impl Row>,
        leaving: impl IntoIterator<Item = impl Row>,
    ) -> Result<Table, Failure> {
        let (definition, reducer) = self.reducer::<F>()?;
        assert!(definition.retracts(), "the reducer has no inverse: write `retract`, or `#[reducer(inverse = ...)]`");
        let staying = fold(&*reducer, &batch_for(&definition, rows))?;
        let leaving = fold(&*reducer, &batch_for(&definition, leaving))?;
        let all = reducer.merge(&staying, &leaving)?;
        let result = reducer.finish(&reducer.retract(&all, &leaving)?)?;
        Ok(Table::new(definition.output(), vec![result]))
    }

    /// Calls a batch handler with these rows: what it wrote to each of its outlets.
    pub fn handle<F: PluginFunction>(
        &self,
        rows: impl IntoIterator<Item = impl Row>,
    ) -> Result<BTreeMap<String, Table>, Failure> {
        let (definition, prepared) = self.enter::<F>()?;
        let Prepared::BatchHandler(handle) = prepared else { not_a("batch handler", &prepared) };
        handle(self.epoch, &batch_for(&definition, rows))?;
        let written = world::with(|world| std::mem::take(&mut world.written));
        let table = |(name, columns): (&str, _)| {
            let batches = written.iter().filter(|(outlet, _)| outlet == name).map(|(_, batch)| batch.clone()).collect();
            (name.to_owned(), Table::new(columns, batches))
        };
        Ok(definition.outlets().map(table).collect())
    }

    /// Sets the scene, and gives the function its config.
    pub(super) fn enter<F: PluginFunction>(&self) -> Result<(Definition, Prepared), Failure> {
        world::with(|world| {
            (world.epoch, world.batch_time, world.random) = (self.epoch, self.batch_time.micros(), self.seed);
            world.written.clear();
        });
        let definition = F::definition();
        let prepared = definition.prepare(self.config.as_deref()).map_err(Failure::of_call)?;
        Ok((definition, prepared))
    }

    fn reducer<F: PluginFunction>(&self) -> Result<(Definition, Box<dyn Folds>), Failure> {
        match self.enter::<F>()? {
            (definition, Prepared::Reducer(reducer)) => Ok((definition, reducer)),
            (_, prepared) => not_a("reducer", &prepared),
        }
    }
}

pub(super) fn not_a(role: &str, prepared: &Prepared) -> ! {
    panic!("this is not a {role} but a {}: call it with the function of `testing` for that", prepared.role())
}

/// The batch of some rows, which must have the columns that the function reads.
pub(super) fn batch_for<R: Row>(definition: &Definition, rows: impl IntoIterator<Item = R>) -> Batch {
    let (columns, wanted) = (Table::columns(&R::fields()), Table::columns(&definition.input()));
    assert!(columns == wanted, "the function reads {wanted}, and the rows are {columns}");
    batch(rows)
}

/// The batch of some rows.
pub(super) fn batch<R: Row>(rows: impl IntoIterator<Item = R>) -> Batch {
    let mut writer = RowWriter::<R>::with_capacity(Capacity { rows: 0, bytes: 0 });
    rows.into_iter().for_each(|row| writer.push(row, crate::source::Source::ANY));
    writer.finish()
}

/// The states of some keys, as a host holds them.
pub(super) fn states(states: impl IntoIterator<Item = Option<Vec<u8>>>) -> Column {
    let mut column = <Option<Vec<u8>>>::writer(Capacity { rows: 0, bytes: 0 });
    states.into_iter().for_each(|state| state.write(&mut column, crate::source::Source::ANY));
    <Option<Vec<u8>>>::finish(column)
}

/// The state of all rows as one group.
fn fold(reducer: &dyn Folds, input: &Batch) -> Result<Column, Failure> {
    reducer.accumulate(&states([None]), &vec![0; input.rows as usize], input)
}

/// Checks what a host would refuse.
fn check_parents(parents: Option<&[u32]>, inputs: u32, outputs: u32) {
    match parents {
        None => assert_eq!(outputs, inputs, "rows without parents stand for the rows they came from"),
        Some(parents) => {
            assert_eq!(parents.len(), outputs as usize, "every row has a parent");
            assert!(parents.is_sorted() && parents.last().is_none_or(|last| *last < inputs), "parents ascend");
        }
    }
}
