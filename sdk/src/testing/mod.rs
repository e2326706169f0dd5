//! Running a plugin's functions in a plain `cargo test`, with no host and no WebAssembly.
//!
//! A function goes through the same columns as in a pipeline, so that what a test sees is what a pipeline gets.
//! Functions are named as types, because they are called by what their attribute made of them:
//!
//! ```
//! use tidemill_sdk::{prelude::*, testing};
//!
//! #[derive(Row, Debug, PartialEq)]
//! struct Number {
//!     n: i64,
//! }
//!
//! #[transform]
//! fn double(number: Number) -> Result<Number, String> {
//!     number.n.checked_mul(2).map(|n| Number { n }).ok_or_else(|| format!("{} is too large", number.n))
//! }
//!
//! let doubled = testing::transform::<double>([Number { n: 4 }, Number { n: 5 }]).unwrap();
//! assert_eq!(doubled.rows::<Number>(), [Number { n: 8 }, Number { n: 10 }]);
//!
//! let failure = testing::transform::<double>([Number { n: 4 }, Number { n: i64::MAX }]).unwrap_err();
//! assert_eq!(failure.row, Some(1));
//! ```
//!
//! A config, an epoch or a seed is set with [`Scope`]; keyed states are tested over several epochs with [`KeyedState`].

mod keyed_state;
mod scope;
mod table;
pub(crate) mod world;

use std::collections::BTreeMap;

pub use serde_json::json;

pub use self::{keyed_state::KeyedState, scope::Scope, table::Table};
pub use crate::wire::Failure;
use crate::{Row, function::PluginFunction, log::Level};

/// Calls a transform with these rows.
pub fn transform<F: PluginFunction>(rows: impl IntoIterator<Item = impl Row>) -> Result<Table, Failure> {
    Scope::default().transform::<F>(rows)
}

/// Calls a filter with these rows: which of them stay.
pub fn filter<F: PluginFunction>(rows: impl IntoIterator<Item = impl Row>) -> Result<Vec<bool>, Failure> {
    Scope::default().filter::<F>(rows)
}

/// Reduces these rows, one group, to a row. Half of them are folded apart and merged, as a host may do.
pub fn reduce<F: PluginFunction>(rows: impl IntoIterator<Item = impl Row>) -> Result<Table, Failure> {
    Scope::default().reduce::<F>(rows)
}

/// Calls a batch handler with these rows: what it wrote to each of its outlets.
pub fn handle<F: PluginFunction>(rows: impl IntoIterator<Item = impl Row>) -> Result<BTreeMap<String, Table>, Failure> {
    Scope::default().handle::<F>(rows)
}

/// The lines that functions have logged on this thread since the last time it was asked.
pub fn logged() -> Vec<(Level, String)> {
    world::with(|world| std::mem::take(&mut world.log))
}
