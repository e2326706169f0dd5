//! Rows: structs on the plugin's side, columns on the host's.

use std::{marker::PhantomData, ops::Deref, vec};

use crate::{
    bitmap::Bits,
    cell::{Capacity, Cell, ReadCell},
    source::Source,
    wire::{Batch, Column, Failure, Field},
};

/// A struct that is a row: `#[derive(Row)]` makes it one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a row",
    label = "not a row",
    note = "write `#[derive(Row)]` above `struct {Self}`, whose fields then are the columns"
)]
pub trait Row: Sized {
    /// The same row whatever it borrows.
    type Static: Row<Static = Self::Static, Writer = Self::Writer>;
    /// Its columns being written.
    type Writer;

    /// The names and types of its columns.
    fn fields() -> Vec<Field>;
    /// Its columns, empty.
    fn writer(capacity: Capacity) -> Self::Writer;
    /// Adds a row.
    fn write(self, writer: &mut Self::Writer, source: Source<'_>);
    /// The columns.
    fn finish(writer: Self::Writer) -> Vec<Column>;
}

/// A row that can be read from a batch borrowed for `'a`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a batch",
    label = "not a row, or one that borrows for another lifetime",
    note = "write `#[derive(Row)]` above `struct {Self}`"
)]
pub trait ReadRow<'a>: Row {
    /// Its columns, checked.
    type Reader;

    /// Checks the columns of a batch, which stand in the order of the fields.
    fn reader(batch: &'a Batch) -> Result<Self::Reader, Failure>;
    /// The row with this number.
    fn read(reader: &Self::Reader, row: usize) -> Self;
}

/// The description of a column: what `#[derive(Row)]` calls for each field.
pub fn field<T: Cell>(name: &str) -> Field {
    Field { name: name.to_owned(), data_type: T::TYPE, nullable: T::NULLABLE }
}

/// Checks a column of a batch: what `#[derive(Row)]` calls for each field.
pub fn column<'a, T: ReadCell<'a>>(batch: &'a Batch, index: usize, name: &str) -> Result<T::Reader, Failure> {
    let rows = batch.rows as usize;
    let column =
        batch.columns.get(index).ok_or_else(|| Failure::of_call(format!("no column `{name}` in the batch")))?;
    let named = |failure: Failure| Failure { message: format!("column `{name}`: {}", failure.message), ..failure };
    if let (false, Some(validity)) = (T::NULLABLE, &column.validity)
        && let Some(row) = Bits::new(validity, rows).map_err(named)?.first_unset(rows)
    {
        return Err(named(Failure::of_row(row, "no value, and the field is no `Option`")));
    }
    T::reader(column, rows).map_err(named)
}

/// The rows of a batch, read one by one.
pub(crate) struct RowReader<'a, R: ReadRow<'a>> {
    columns: R::Reader,
    rows: usize,
    _batch: PhantomData<&'a Batch>,
}

impl<'a, R: ReadRow<'a>> RowReader<'a, R> {
    pub(crate) fn new(batch: &'a Batch) -> Result<Self, Failure> {
        Ok(RowReader { columns: R::reader(batch)?, rows: batch.rows as usize, _batch: PhantomData })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    #[inline(always)]
    pub(crate) fn get(&self, row: usize) -> R {
        R::read(&self.columns, row)
    }
}

/// Rows on their way into a batch.
#[derive(Debug)]
pub(crate) struct RowWriter<R: Row> {
    columns: R::Writer,
    rows: usize,
}

impl<R: Row> RowWriter<R> {
    pub(crate) fn with_capacity(capacity: Capacity) -> Self {
        RowWriter { columns: R::writer(capacity), rows: 0 }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row, which may borrow something else than `R` does.
    #[inline(always)]
    pub(crate) fn push(&mut self, row: impl Row<Writer = R::Writer>, source: Source<'_>) {
        row.write(&mut self.columns, source);
        self.rows += 1;
    }

    /// The batch. The guest's memory is full long before a batch has 2^32 rows.
    pub(crate) fn finish(self) -> Batch {
        let rows = u32::try_from(self.rows).expect("a batch of one call has fewer than 2^32 rows");
        Batch { rows, columns: R::finish(self.columns) }
    }
}

/// Rows handed to a function together. They can be looked at as a slice, and taken one by one.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows<R> {
    rows: Vec<R>,
}

impl<R> Rows<R> {
    /// All rows of a batch, in order.
    pub fn read<'a>(batch: &'a Batch) -> Result<Self, Failure>
    where
        R: ReadRow<'a>,
    {
        let reader = RowReader::<R>::new(batch)?;
        Ok((0..reader.rows()).map(|row| reader.get(row)).collect())
    }
}

impl<R> FromIterator<R> for Rows<R> {
    fn from_iter<I: IntoIterator<Item = R>>(rows: I) -> Self {
        Rows { rows: rows.into_iter().collect() }
    }
}

impl<R> Deref for Rows<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        &self.rows
    }
}

impl<R> IntoIterator for Rows<R> {
    type Item = R;
    type IntoIter = vec::IntoIter<R>;

    fn into_iter(self) -> vec::IntoIter<R> {
        self.rows.into_iter()
    }
}

impl<'a, R> IntoIterator for &'a Rows<R> {
    type Item = &'a R;
    type IntoIter = std::slice::Iter<'a, R>;

    fn into_iter(self) -> std::slice::Iter<'a, R> {
        self.rows.iter()
    }
}
