//! The words of the boundary, as the bindings spell them.

pub use crate::bindings::tidemill::plugin::types::{Batch, Column, Failure, Field};
pub(crate) use crate::bindings::tidemill::plugin::types::{DataType, Values, Variable};

impl Failure {
    /// The whole call failed.
    pub(crate) fn of_call(message: impl Into<String>) -> Self {
        Failure { message: message.into(), row: None }
    }

    /// One row of the batch could not be worked on.
    pub(crate) fn of_row(row: usize, message: impl Into<String>) -> Self {
        Failure { message: message.into(), row: u32::try_from(row).ok() }
    }
}

impl Values {
    /// How many bytes the values of variable length have together; 0 for those of fixed length.
    pub(crate) fn variable_bytes(&self) -> usize {
        match self {
            Values::Utf8(variable) | Values::Binary(variable) => variable.data.len(),
            _ => 0,
        }
    }
}
