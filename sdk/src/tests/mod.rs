//! Functions of every role, called as the host calls them: through their definitions, with columns.

mod boundary;
mod reducers;
mod rows;
mod stateful;
mod transforms;

use crate::{
    bindings::exports::tidemill::plugin::describe::Function,
    function::{PluginFunction, Prepared},
    wire::{Batch, Column, Values, Variable},
};

/// What the host is told about a function.
fn describe<F: PluginFunction>() -> Function {
    F::definition().describe("function")
}

/// A function without a config.
fn prepared<F: PluginFunction>() -> Prepared {
    F::definition().prepare(None).expect("it takes no config")
}

/// A utf8 column with these offsets and bytes.
fn utf8(offsets: &[i32], data: &str) -> Column {
    let values = Variable { offsets: offsets.to_vec(), data: data.as_bytes().to_vec() };
    Column { values: Values::Utf8(values), validity: None }
}

fn batch(rows: u32, columns: Vec<Column>) -> Batch {
    Batch { rows, columns }
}
