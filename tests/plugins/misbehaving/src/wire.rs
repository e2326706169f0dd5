//! Batches of one column of text, and states that are numbers as text, read and written; and a loop without an end.

use std::hint::black_box;

pub(crate) use crate::bindings::tidemill::plugin::types::{Batch, Column, DataType, Failure, Field, Values, Variable};

/// The row that is stumbled over.
pub(crate) const BAD: &str = "bad";

/// The rows of the first column.
pub(crate) fn lines(batch: &Batch) -> Vec<&str> {
    let Values::Utf8(text) = &batch.columns[0].values else { panic!("the column is described as utf8") };
    let line = |row: &[i32]| std::str::from_utf8(&text.data[row[0] as usize..row[1] as usize]).expect("utf8 is UTF-8");
    text.offsets.windows(2).map(line).collect()
}

/// A column of text.
pub(crate) fn text<S: AsRef<str>>(rows: impl IntoIterator<Item = S>) -> Variable {
    let mut text = Variable { offsets: vec![0], data: Vec::new() };
    for row in rows {
        text.data.extend_from_slice(row.as_ref().as_bytes());
        text.offsets.push(text.data.len() as i32);
    }
    text
}

/// A batch of one column, every row of which has a value.
pub(crate) fn batch(rows: usize, values: Values) -> Batch {
    Batch { rows: rows as u32, columns: vec![Column { values, validity: None }] }
}

/// A batch of one column of text.
pub(crate) fn text_batch<S: AsRef<str>>(rows: &[S]) -> Batch {
    batch(rows.len(), Values::Utf8(text(rows)))
}

/// The numbers that states are; 0 where there is none.
pub(crate) fn numbers(states: &Column) -> Vec<u64> {
    let Values::Binary(values) = &states.values else { panic!("states are binary") };
    let number = |row: &[i32]| {
        let digits = &values.data[row[0] as usize..row[1] as usize];
        std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
    };
    values.offsets.windows(2).map(number).collect()
}

/// States that are these numbers.
pub(crate) fn states_of(numbers: &[u64]) -> Column {
    Column { values: Values::Binary(text(numbers.iter().map(u64::to_string))), validity: None }
}

/// The description of a column.
pub(crate) fn field(name: &str, data_type: DataType) -> Field {
    Field { name: name.to_owned(), data_type, nullable: false }
}

/// A failure of the call as a whole.
pub(crate) fn failure(message: impl Into<String>) -> Failure {
    Failure { message: message.into(), row: None }
}

/// Never comes back.
pub(crate) fn spin() -> ! {
    loop {
        black_box(());
    }
}
