//! What is kept for each group, folded row by row and merged state by state: by DataFusion's accumulators, or by a
//! reducer of a plugin.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, BinaryArray, BinaryBuilder, RecordBatch, UInt32Array, cast::AsArray, new_empty_array},
    compute::{concat_batches, take},
    datatypes::{DataType, Field},
};
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::{
    Failure, PluginCalls,
    pieces::{length, pieces},
};
use crate::{
    expr::AggregateExpr,
    plan::{Call, Fold},
};

/// The columns in which partial states travel and are stored.
pub(super) fn state_fields(fold: &Fold) -> Vec<Field> {
    match fold {
        Fold::Sql(aggregates) => aggregates.iter().flat_map(AggregateExpr::state_fields).collect(),
        Fold::Reduce(..) => vec![Field::new("state", DataType::Binary, true)],
    }
}

/// Folds rows, or merges states, of many groups.
pub(super) enum Folder {
    Sql(Vec<(AggregateExpr, Box<dyn GroupsAccumulator>)>),
    Reduce { call: Call, states: Vec<Option<Box<[u8]>>> },
}

impl Folder {
    pub(super) fn new(fold: &Fold) -> Result<Self, Failure> {
        Ok(match fold {
            Fold::Sql(aggregates) => {
                let with_accumulator = |one: &AggregateExpr| Ok((one.clone(), one.accumulator()?));
                Folder::Sql(aggregates.iter().map(with_accumulator).collect::<Result<_, Failure>>()?)
            }
            Fold::Reduce(call, _) => Folder::Reduce { call: call.clone(), states: Vec::new() },
        })
    }

    /// Folds a batch in: row i belongs to group `groups[i]` of `total`.
    pub(super) fn fold(
        &mut self,
        calls: &mut PluginCalls,
        batch: &RecordBatch,
        groups: &[usize],
        total: usize,
    ) -> Result<(), Failure> {
        match self {
            Folder::Sql(accumulators) => {
                for (aggregate, accumulator) in accumulators {
                    let arguments = aggregate.arguments(batch)?;
                    let filter = aggregate.filter(batch)?;
                    accumulator.update_batch(&arguments, groups, filter.as_ref(), total)?;
                }
                Ok(())
            }
            Folder::Reduce { call, states } => {
                states.resize(total, None);
                calls.accumulate(call, batch, groups, states)
            }
        }
    }

    /// Merges states in: row i belongs to group `groups[i]` of `total`.
    pub(super) fn merge(
        &mut self,
        calls: &mut PluginCalls,
        columns: &[ArrayRef],
        groups: &[usize],
        total: usize,
    ) -> Result<(), Failure> {
        match self {
            Folder::Sql(accumulators) => {
                let mut rest = columns;
                for (aggregate, accumulator) in accumulators {
                    let (own, others) = rest.split_at(aggregate.state_fields().len());
                    accumulator.merge_batch(own, groups, total)?;
                    rest = others;
                }
                Ok(())
            }
            Folder::Reduce { call, states } => {
                states.resize(total, None);
                merge_states(calls, call, states, columns[0].as_binary::<i32>(), groups)
            }
        }
    }

    /// The states of all groups. Nothing is left here.
    pub(super) fn take_states(&mut self) -> Result<Vec<ArrayRef>, Failure> {
        match self {
            Folder::Sql(accumulators) => {
                let mut columns = Vec::new();
                for (aggregate, accumulator) in accumulators {
                    let states = accumulator.state(EmitTo::All)?;
                    if states.is_empty() {
                        // Of no groups, what DataFusion adapts from accumulators of single groups gives no columns.
                        columns.extend(aggregate.state_fields().iter().map(|field| new_empty_array(field.data_type())));
                    }
                    columns.extend(states);
                }
                Ok(columns)
            }
            Folder::Reduce { states, .. } => Ok(vec![Arc::new(binary(std::mem::take(states).iter()))]),
        }
    }
}

/// The results of states, row by row.
pub(super) fn evaluate(fold: &Fold, calls: &mut PluginCalls, states: &[ArrayRef]) -> Result<Vec<ArrayRef>, Failure> {
    match fold {
        Fold::Sql(aggregates) => {
            let rows = states.first().map_or(0, |column| column.len());
            let each: Vec<usize> = (0..rows).collect();
            let mut rest = states;
            let mut results = Vec::with_capacity(aggregates.len());
            for aggregate in aggregates {
                let (own, others) = rest.split_at(aggregate.state_fields().len());
                rest = others;
                if rows == 0 {
                    // Of no groups, what DataFusion adapts from accumulators of single groups fails.
                    results.push(new_empty_array(aggregate.field().data_type()));
                    continue;
                }
                let mut accumulator = aggregate.accumulator()?;
                accumulator.merge_batch(own, &each, rows)?;
                results.push(aggregate.result(accumulator.evaluate(EmitTo::All)?)?);
            }
            Ok(results)
        }
        Fold::Reduce(call, _) => {
            let states = states[0].as_binary::<i32>();
            let instance = calls.instance(call.plugin);
            let mut finished = Vec::new();
            for piece in pieces((0..states.len()).map(|at| length(states, at))) {
                finished.push(instance.finish(call.used, &states.slice(piece.start, piece.len()))?);
            }
            Ok(match finished.as_slice() {
                [] => instance.finish(call.used, states)?,
                [whole] => whole.clone(),
                [first, ..] => concat_batches(&first.schema(), &finished)?,
            }
            .columns()
            .to_vec())
        }
    }
}

/// Merges a column of states in which a group may occur more than once: in rounds, each with a group once.
fn merge_states(
    calls: &mut PluginCalls,
    call: &Call,
    states: &mut [Option<Box<[u8]>>],
    column: &BinaryArray,
    groups: &[usize],
) -> Result<(), Failure> {
    let mut left: Vec<u32> = (0..column.len() as u32).collect();
    while !left.is_empty() {
        let mut seen = std::collections::HashSet::new();
        let (round, later): (Vec<u32>, Vec<u32>) = left.iter().partition(|&&row| seen.insert(groups[row as usize]));
        let both = |&row: &u32| {
            let known = states[groups[row as usize]].as_ref().map_or(0, |state| state.len());
            known + length(column, row as usize)
        };
        for piece in pieces(round.iter().map(both)) {
            let rows = &round[piece];
            let right = take(column, &UInt32Array::from(rows.to_vec()), None)?;
            let current = binary(rows.iter().map(|&row| &states[groups[row as usize]]));
            let merged = calls.instance(call.plugin).merge(call.used, &current, right.as_binary::<i32>())?;
            for (at, &row) in rows.iter().enumerate() {
                states[groups[row as usize]] = merged.is_valid(at).then(|| merged.value(at).into());
            }
        }
        left = later;
    }
    Ok(())
}

/// States as a column.
pub(super) fn binary<'a>(states: impl Iterator<Item = &'a Option<Box<[u8]>>>) -> BinaryArray {
    let mut builder = BinaryBuilder::new();
    states.for_each(|state| builder.append_option(state.as_deref()));
    builder.finish()
}
