//! Rows that a function has put out.

use std::fmt;

use serde_json::{Map, Value};

use crate::{
    Date, Timestamp,
    cell::ReadCell,
    row::{ReadRow, Rows},
    wire::{Batch, Column, DataType, Field},
};

/// Rows that a function has put out, in columns.
pub struct Table {
    fields: Vec<Field>,
    batches: Vec<Batch>,
}

impl Table {
    pub(super) fn new(fields: Vec<Field>, batches: Vec<Batch>) -> Self {
        Table { fields, batches }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.batches.iter().map(|batch| batch.rows as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows as structs.
    ///
    /// # Panics
    ///
    /// When the struct has other columns than the function puts out.
    pub fn rows<'a, R: ReadRow<'a>>(&'a self) -> Vec<R> {
        let (columns, wanted) = (Self::columns(&self.fields), Self::columns(&R::fields()));
        assert!(columns == wanted, "the function puts out {columns}, and the struct has {wanted}");
        self.batches
            .iter()
            .flat_map(|batch| Rows::read(batch).unwrap_or_else(|failure| panic!("{}", failure.message)))
            .collect()
    }

    /// The rows as JSON objects: times and days as text, bytes as hexadecimal digits.
    pub fn json(&self) -> Vec<Value> {
        self.batches.iter().flat_map(|batch| (0..batch.rows as usize).map(|row| self.object(batch, row))).collect()
    }

    fn object(&self, batch: &Batch, row: usize) -> Value {
        let values = self.fields.iter().zip(&batch.columns);
        let object: Map<_, _> = values
            .map(|(field, column)| (field.name.clone(), value(field, column, batch.rows as usize, row)))
            .collect();
        Value::Object(object)
    }

    /// The columns as messages show them.
    pub(super) fn columns(fields: &[Field]) -> String {
        let columns: Vec<_> = fields.iter().map(|field| format!("{}: {:?}", field.name, field.data_type)).collect();
        columns.join(", ")
    }
}

/// JSON objects, a line each.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json().iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.json()).finish()
    }
}

fn value(field: &Field, column: &Column, rows: usize, row: usize) -> Value {
    fn read<'a, T: ReadCell<'a>>(column: &'a Column, rows: usize, row: usize) -> Option<T> {
        let reader = <Option<T>>::reader(column, rows).unwrap_or_else(|failure| panic!("{}", failure.message));
        <Option<T>>::read(&reader, row)
    }
    match field.data_type {
        DataType::Boolean => read::<bool>(column, rows, row).into(),
        DataType::Int32 => read::<i32>(column, rows, row).into(),
        DataType::Int64 => read::<i64>(column, rows, row).into(),
        DataType::Float32 => read::<f32>(column, rows, row).into(),
        DataType::Float64 => read::<f64>(column, rows, row).into(),
        DataType::Utf8 => read::<&str>(column, rows, row).into(),
        DataType::Binary => read::<&[u8]>(column, rows, row).map(hex).into(),
        DataType::Timestamp => read::<Timestamp>(column, rows, row).map(|time| time.to_string()).into(),
        DataType::Date => read::<Date>(column, rows, row).map(|day| day.to_string()).into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
