//! Transforms: a row becomes one row, none, or many.

use std::fmt::Display;

use crate::{
    bindings::exports::tidemill::plugin::transform::Output,
    cell::Capacity,
    row::{ReadRow, Row, RowReader, RowWriter},
    source::Source,
    wire::{Batch, Failure},
};

/// Applies a function that makes one row of each.
pub fn map<'a, I, O, E>(input: &'a Batch, mut function: impl FnMut(I) -> Result<O, E>) -> Result<Output, Failure>
where
    I: ReadRow<'a>,
    O: Row,
    E: Display,
{
    let rows = RowReader::<I>::new(input)?;
    let source = Source::of(input);
    let mut out = RowWriter::<O>::with_capacity(capacity(input));
    for row in 0..rows.rows() {
        out.push(function(rows.get(row)).map_err(|error| refused(row, error))?, source);
    }
    Ok(Output { rows: out.finish(), parents: None })
}

/// Applies a function that makes any number of rows of each. The parents of the rows cost time and memory: they are
/// written down only when they are asked for.
pub fn flat_map<'a, I, O, T, E>(
    input: &'a Batch,
    parents: bool,
    mut function: impl FnMut(I) -> Result<T, E>,
) -> Result<Output, Failure>
where
    I: ReadRow<'a>,
    O: Row,
    T: IntoIterator<Item = O>,
    E: Display,
{
    let rows = RowReader::<I>::new(input)?;
    let source = Source::of(input);
    let Capacity { rows: inputs, bytes } = capacity(input);
    let room = Capacity { rows: inputs.max(bytes / BYTES_PER_WORD), bytes };
    let mut out = RowWriter::<O>::with_capacity(room);
    let mut of_rows = parents.then(|| Vec::with_capacity(room.rows));
    for row in 0..rows.rows() {
        for made in function(rows.get(row)).map_err(|error| refused(row, error))? {
            out.push(made, source);
        }
        if let Some(of_rows) = &mut of_rows {
            of_rows.resize(out.rows(), row as u32);
        }
    }
    Ok(Output { rows: out.finish(), parents: of_rows })
}

/// What makes many rows of one is mostly a tokenizer: room for its words is made at once. It is given back with the
/// batch, and never more than the batch that came in.
const BYTES_PER_WORD: usize = 6;

/// Room for as much as came in: what most functions give back is not larger.
fn capacity(input: &Batch) -> Capacity {
    let bytes = input.columns.iter().map(|column| column.values.variable_bytes()).sum();
    Capacity { rows: input.rows as usize, bytes }
}

#[cold]
fn refused(row: usize, error: impl Display) -> Failure {
    Failure::of_row(row, error.to_string())
}
