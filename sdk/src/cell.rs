//! The types a field of a row may have, and the columns they are read from and written to.

use std::borrow::Cow;

use crate::{
    Date, Timestamp,
    bitmap::{Bits, BitsWriter},
    source::Source,
    unchecked::Variables,
    variable::VariableWriter,
    wire::{Column, DataType, Failure, Values},
};

/// How much room a column is likely to need.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// How many rows.
    pub rows: usize,
    /// How many bytes the rows of a utf8 or binary column have together.
    pub bytes: usize,
}

/// A value that can stand in a column.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a column",
    label = "not the type of any column",
    note = "a field of a row is one of bool, i32, i64, f32, f64, &str, String, Cow<str>, &[u8], Vec<u8>, Timestamp, Date, \
            or an `Option` of one of them for a column that may be null"
)]
pub trait Cell: Sized {
    /// The type of the column.
    const TYPE: DataType;
    /// Whether a row may have no value.
    const NULLABLE: bool = false;
    /// A column being written.
    type Writer;

    /// An empty column.
    fn writer(capacity: Capacity) -> Self::Writer;
    /// Adds a row.
    fn write(self, writer: &mut Self::Writer, source: Source<'_>);
    /// Adds a row whose content means nothing.
    fn write_nothing(writer: &mut Self::Writer);
    /// The column.
    fn finish(writer: Self::Writer) -> Column;
}

/// A value that can be read from a column borrowed for `'a`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a column",
    label = "not the type of any column, or borrowed for another lifetime than the row's"
)]
pub trait ReadCell<'a>: Cell {
    /// A column whose layout has been checked.
    type Reader;

    /// Checks a column's type and layout. Nulls are left to the caller, who also adds the column's name to a failure.
    fn reader(column: &'a Column, rows: usize) -> Result<Self::Reader, Failure>;
    /// The value in a row.
    fn read(reader: &Self::Reader, row: usize) -> Self;
}

/// Values of a fixed number of bytes: the column is the vector.
macro_rules! fixed {
    ($cell:ty, $variant:ident, $raw:ty, $to_raw:expr, $from_raw:expr) => {
        #[diagnostic::do_not_recommend]
        impl Cell for $cell {
            const TYPE: DataType = DataType::$variant;
            type Writer = Vec<$raw>;

            fn writer(capacity: Capacity) -> Self::Writer {
                Vec::with_capacity(capacity.rows)
            }
            #[inline(always)]
            fn write(self, writer: &mut Self::Writer, _source: Source<'_>) {
                writer.push($to_raw(self));
            }
            fn write_nothing(writer: &mut Self::Writer) {
                writer.push(<$raw>::default());
            }
            fn finish(writer: Self::Writer) -> Column {
                Column { values: Values::$variant(writer), validity: None }
            }
        }

        impl<'a> ReadCell<'a> for $cell {
            type Reader = &'a [$raw];

            fn reader(column: &'a Column, rows: usize) -> Result<Self::Reader, Failure> {
                match &column.values {
                    Values::$variant(values) if values.len() == rows => Ok(values),
                    Values::$variant(values) => {
                        Err(Failure::of_call(format!("{} values for {rows} rows", values.len())))
                    }
                    _ => Err(Failure::of_call("another type than described")),
                }
            }
            #[inline(always)]
            fn read(reader: &Self::Reader, row: usize) -> Self {
                $from_raw(reader[row])
            }
        }
    };
}

fixed!(i32, Int32, i32, |value| value, |raw| raw);
fixed!(i64, Int64, i64, |value| value, |raw| raw);
fixed!(f32, Float32, f32, |value| value, |raw| raw);
fixed!(f64, Float64, f64, |value| value, |raw| raw);
fixed!(Timestamp, Timestamp, i64, Timestamp::micros, Timestamp::from_micros);
fixed!(Date, Date, i32, Date::days, Date::from_days);

/// Values of variable length: bytes and offsets. In brackets the lifetime of the type itself, if it has one.
macro_rules! variable {
    ([$($own:lifetime)?] $cell:ty, $variant:ident, $slice:ty, $batch:lifetime, $read:expr) => {
        impl $(<$own>)? Cell for $cell {
            const TYPE: DataType = DataType::$variant;
            type Writer = VariableWriter;

            fn writer(capacity: Capacity) -> Self::Writer {
                VariableWriter::with_capacity(capacity.rows, capacity.bytes)
            }
            #[inline(always)]
            fn write(self, writer: &mut Self::Writer, source: Source<'_>) {
                writer.push(<$slice>::as_ref(<$cell as AsRef<$slice>>::as_ref(&self)), source);
            }
            fn write_nothing(writer: &mut Self::Writer) {
                writer.push(&[], Source::ANY);
            }
            fn finish(writer: Self::Writer) -> Column {
                Column { values: Values::$variant(writer.finish()), validity: None }
            }
        }

        impl<$batch> ReadCell<$batch> for $cell {
            type Reader = Variables<$batch>;

            fn reader(column: &$batch Column, rows: usize) -> Result<Self::Reader, Failure> {
                match &column.values {
                    Values::$variant(values) => Variables::new(values, rows),
                    _ => Err(Failure::of_call("another type than described")),
                }
            }
            #[inline(always)]
            fn read(reader: &Self::Reader, row: usize) -> Self {
                $read(reader, row)
            }
        }
    };
}

variable!(['a] &'a str, Utf8, str, 'a, Variables::text);
variable!([] String, Utf8, str, 'a, |column, row| Variables::text(column, row).to_owned());
variable!(['a] Cow<'a, str>, Utf8, str, 'a, |column, row| Cow::Borrowed(Variables::text(column, row)));
variable!(['a] &'a [u8], Binary, [u8], 'a, Variables::bytes);
variable!([] Vec<u8>, Binary, [u8], 'a, |column, row| Variables::bytes(column, row).to_vec());

impl Cell for bool {
    const TYPE: DataType = DataType::Boolean;
    type Writer = BitsWriter;

    fn writer(capacity: Capacity) -> BitsWriter {
        BitsWriter::with_capacity(capacity.rows)
    }
    #[inline(always)]
    fn write(self, writer: &mut BitsWriter, _source: Source<'_>) {
        writer.push(self);
    }
    fn write_nothing(writer: &mut BitsWriter) {
        writer.push(false);
    }
    fn finish(writer: BitsWriter) -> Column {
        Column { values: Values::Boolean(writer.finish()), validity: None }
    }
}

impl<'a> ReadCell<'a> for bool {
    type Reader = Bits<'a>;

    fn reader(column: &'a Column, rows: usize) -> Result<Bits<'a>, Failure> {
        match &column.values {
            Values::Boolean(bits) => Bits::new(bits, rows),
            _ => Err(Failure::of_call("another type than described")),
        }
    }
    #[inline(always)]
    fn read(reader: &Bits<'a>, row: usize) -> Self {
        reader.get(row)
    }
}

/// Values with a bitmap beside them that says which rows have one.
impl<T: Cell> Cell for Option<T> {
    const TYPE: DataType = T::TYPE;
    const NULLABLE: bool = true;
    type Writer = (T::Writer, BitsWriter);

    fn writer(capacity: Capacity) -> Self::Writer {
        (T::writer(capacity), BitsWriter::with_capacity(capacity.rows))
    }
    #[inline(always)]
    fn write(self, (values, validity): &mut Self::Writer, source: Source<'_>) {
        validity.push(self.is_some());
        match self {
            Some(value) => value.write(values, source),
            None => T::write_nothing(values),
        }
    }
    fn write_nothing((values, validity): &mut Self::Writer) {
        validity.push(false);
        T::write_nothing(values);
    }
    fn finish((values, validity): Self::Writer) -> Column {
        Column { validity: Some(validity.finish()), ..T::finish(values) }
    }
}

impl<'a, T: ReadCell<'a>> ReadCell<'a> for Option<T> {
    type Reader = (T::Reader, Option<Bits<'a>>);

    fn reader(column: &'a Column, rows: usize) -> Result<Self::Reader, Failure> {
        let validity = column.validity.as_deref().map(|bits| Bits::new(bits, rows)).transpose()?;
        Ok((T::reader(column, rows)?, validity))
    }
    #[inline(always)]
    fn read((values, validity): &Self::Reader, row: usize) -> Self {
        validity.is_none_or(|validity| validity.get(row)).then(|| T::read(values, row))
    }
}
