//! States as the host keeps them: a binary column that only the plugin reads. The encoding is postcard.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    bitmap::BitsWriter,
    cell::ReadCell,
    variable::VariableWriter,
    wire::{Column, Failure, Values},
};

/// Reads a state that `encode` has written: for the `migrate` of a later version.
pub fn decode<S: DeserializeOwned>(bytes: &[u8]) -> Result<S, String> {
    postcard::from_bytes(bytes).map_err(|error| format!("a state cannot be read: {error}"))
}

/// The states of a column; none where there is none.
pub(crate) fn read<S: DeserializeOwned>(column: &Column) -> Result<Vec<Option<S>>, Failure> {
    read_with(column, |bytes| {
        decode(bytes).map_err(|error| {
            format!("{error}; if the type of the state has changed, give it a new `version` and a `migrate`")
        })
    })
}

/// The states of a column, each read by a function of its bytes.
pub(crate) fn read_with<S>(
    column: &Column,
    read: impl Fn(&[u8]) -> Result<S, String>,
) -> Result<Vec<Option<S>>, Failure> {
    let rows = match &column.values {
        Values::Binary(states) => states.offsets.len().saturating_sub(1),
        _ => 0,
    };
    let states = <Option<&[u8]>>::reader(column, rows)?;
    (0..rows).map(|row| <Option<&[u8]>>::read(&states, row).map(&read).transpose().map_err(Failure::of_call)).collect()
}

/// The column of some states.
pub(crate) fn write<S: Serialize>(states: Vec<Option<S>>) -> Result<Column, Failure> {
    let mut values = VariableWriter::with_capacity(states.len(), 0);
    let mut validity = BitsWriter::with_capacity(states.len());
    for state in states {
        validity.push(state.is_some());
        values.push_with(|data| match &state {
            Some(state) => encode(state, data),
            None => Ok(()),
        })?;
    }
    Ok(Column { values: Values::Binary(values.finish()), validity: Some(validity.finish()) })
}

fn encode<S: Serialize>(state: &S, data: &mut Vec<u8>) -> Result<(), Failure> {
    *data = postcard::to_extend(state, std::mem::take(data))
        .map_err(|error| Failure::of_call(format!("a state cannot be written: {error}")))?;
    Ok(())
}
