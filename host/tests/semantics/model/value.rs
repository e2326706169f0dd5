//! Values as the model has them, and the rows that sources read.

use std::fmt;

use crate::case::seconds;

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    /// None.
    Null,
    /// Microseconds since 1970.
    Time(i64),
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// Values, column by column.
pub(crate) type Row = Vec<Value>;

/// What is in the column of event times, if anything is.
pub(crate) fn time_of(value: &Value) -> Option<i64> {
    match value {
        Value::Time(micros) => Some(*micros),
        _ => None,
    }
}

/// As the cases show it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Time(micros) => f.write_str(&seconds(*micros)),
            Value::Number(number) => write!(f, "{number}"),
            Value::Text(text) => f.write_str(text),
        }
    }
}
