//! Transforms: a row becomes one row, none, or many.

use std::fmt::Display;

use crate::{
    bindings::exports::tidemill::plugin::transform::Output,
    cell::Capacity,
    raw::Source,
    row::{ReadRow, Row, RowReader, RowWriter},
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

/// Applies a function that makes any number of rows of each. What their parents are is written down only when it is
/// asked for: the loop is compiled twice, because with both in one it is a fifth slower.
pub fn flat_map<'a, I, O, T, E>(
    input: &'a Batch,
    parents: bool,
    function: impl FnMut(I) -> Result<T, E>,
) -> Result<Output, Failure>
where
    I: ReadRow<'a>,
    O: Row,
    T: IntoIterator<Item = O>,
    E: Display,
{
    let mut of_rows = Vec::new();
    let rows = match parents {
        false => each(input, function, |_, _| ()),
        true => each(input, function, |row, made| of_rows.resize(made, row as u32)),
    }?;
    Ok(Output { rows, parents: parents.then_some(of_rows) })
}

/// Writes the rows that a function makes of each row; `done` is told how many there are after each.
#[inline(always)]
fn each<'a, I, O, T, E>(
    input: &'a Batch,
    mut function: impl FnMut(I) -> Result<T, E>,
    mut done: impl FnMut(usize, usize),
) -> Result<Batch, Failure>
where
    I: ReadRow<'a>,
    O: Row,
    T: IntoIterator<Item = O>,
    E: Display,
{
    let rows = RowReader::<I>::new(input)?;
    let source = Source::of(input);
    let mut out = RowWriter::<O>::with_capacity(capacity(input));
    for row in 0..rows.rows() {
        for made in function(rows.get(row)).map_err(|error| refused(row, error))? {
            out.push(made, source);
        }
        done(row, out.rows());
    }
    Ok(out.finish())
}

/// Room for as much as came in: what most functions give back is not larger.
fn capacity(input: &Batch) -> Capacity {
    let bytes = input.columns.iter().map(|column| column.values.variable_bytes()).sum();
    Capacity { rows: input.rows as usize, bytes }
}

#[cold]
fn refused(row: usize, error: impl Display) -> Failure {
    Failure::of_row(row, error.to_string())
}
