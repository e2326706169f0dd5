//! Filters: which rows stay.

use std::fmt::Display;

use crate::{
    bitmap::BitsWriter,
    row::{ReadRow, RowReader},
    wire::{Batch, Failure},
};

/// Asks a function about each row: a bitmap of those to keep.
pub fn apply<'a, I, E>(input: &'a Batch, mut keep: impl FnMut(I) -> Result<bool, E>) -> Result<Vec<u8>, Failure>
where
    I: ReadRow<'a>,
    E: Display,
{
    let rows = RowReader::<I>::new(input)?;
    let mut kept = BitsWriter::with_capacity(rows.rows());
    for row in 0..rows.rows() {
        kept.push(keep(rows.get(row)).map_err(|error| Failure::of_row(row, error.to_string()))?);
    }
    Ok(kept.finish())
}
