//! What a Tidemill plugin is written with.
//!
//! A plugin is a crate whose functions a pipeline calls: to turn rows into other rows, to drop some, to fold them into
//! a state, or to route them. It is compiled to a WebAssembly component, which the host runs in a sandbox and can
//! replace while the pipeline runs. This is a whole one:
//!
//! ```
//! use tidemill_sdk::prelude::*;
//!
//! #[derive(Row)]
//! struct Line<'a> {
//!     value: &'a str,
//! }
//!
//! #[derive(Row)]
//! struct Word<'a> {
//!     word: &'a str,
//! }
//!
//! /// Splits a line into words.
//! #[transform]
//! fn tokenize<'a>(line: Line<'a>) -> impl Iterator<Item = Word<'a>> {
//!     words(line.value).map(|word| Word { word })
//! }
//!
//! plugin!(tokenize);
//!
//! # fn main() {
//! let words = tidemill_sdk::testing::transform::<tokenize>([Line { value: "time and tide" }]).unwrap();
//! assert_eq!(words.to_string(), "{\"word\":\"time\"}\n{\"word\":\"and\"}\n{\"word\":\"tide\"}\n");
//! # }
//! ```
//!
//! Its crate is a `cdylib`, and an `rlib` so that it can be tested; `cargo build --release --target wasm32-wasip2`
//! makes the component, and a manifest calls `words.tokenize` when it has named the plugin `words`.
//!
//! # Rows
//!
//! [`derive(Row)`](macro@Row) makes a struct a row: its fields are the columns, found by name. What a row borrows is
//! borrowed from the batch that came in, so nothing is copied to read it. Inside, a batch stays in columns; a function
//! is written for one row, and the loop around it is the SDK's.
//!
//! # Roles
//!
//! | attribute | signature |
//! | --- | --- |
//! | [`#[transform]`](macro@transform) | a row to a row, `Option<Row>`, `Vec<Row>` or `impl Iterator<Item = Row>` |
//! | [`#[filter]`](macro@filter) | a row to `bool` |
//! | [`#[reducer]`](macro@reducer) | `fn add(a: i64, b: i64) -> i64`, or an `impl` of [`Reducer`] |
//! | [`#[keyed_state]`](macro@keyed_state) | a key, its state, its new rows and a [`KeyContext`] to the new state |
//! | [`#[batch_handler]`](macro@batch_handler) | an [`Epoch`], its [`Rows`], and an [`Outlet`] for each way out |
//!
//! [`plugin!`] lists the functions, once in a crate. Their documentation is what `tidemill inspect` shows.
//!
//! # Bad rows
//!
//! A transform or a filter that returns a `Result` refuses a row with an error: the host sets the row aside with the
//! message, and the rest goes on. A panic ends the call; its message reaches the host's log.
//!
//! # Config
//!
//! A function with a second parameter `config: &Settings` is handed what the manifest sets, where
//! [`#[config]`](macro@config) stands above `struct Settings`. It is read once, and checked before the pipeline starts.
//! It may be left out of the manifest when every setting has a default:
//!
//! ```
//! use tidemill_sdk::{prelude::*, testing::{Scope, json}};
//!
//! #[derive(Row)]
//! struct Word<'a> {
//!     word: &'a str,
//! }
//!
//! #[config]
//! struct Length {
//!     /// Shorter words are dropped.
//!     #[serde(default)]
//!     at_least: usize,
//! }
//!
//! /// Keeps long words.
//! #[filter]
//! fn long(word: Word, config: &Length) -> bool {
//!     word.word.len() >= config.at_least
//! }
//!
//! let kept = Scope::default().config(json!({ "at_least": 4 })).filter::<long>([Word { word: "ebb" }, Word { word: "flow" }]);
//! assert_eq!(kept.unwrap(), [false, true]);
//!
//! let wrong = Scope::default().config(json!({ "at_least": "four" })).filter::<long>([Word { word: "ebb" }]);
//! assert!(wrong.unwrap_err().message.starts_with("setting `at_least`: invalid type: string \"four\""));
//! ```
//!
//! # What a function must not do
//!
//! Keep anything between calls: state belongs to the host, which throws instances away, replaces them, and runs an
//! epoch again expecting the same result. What there is of the world is in [`context`] and [`log`]; the standard
//! library's clock shows the epoch's batch time, its random numbers come from the epoch's seed, and there are no files
//! and no network.
//!
//! # Tests
//!
//! A plugin is tested with plain `cargo test`: see [`testing`].
#![deny(unsafe_code)]

// The macros say `::tidemill_sdk`, which this crate's own tests must find too.
extern crate self as tidemill_sdk;

mod batch_handler;
#[doc(hidden)]
pub mod bindings;
mod bitmap;
mod cell;
mod config;
pub mod context;
mod filter;
mod function;
mod imports;
mod keyed_state;
pub mod log;
mod plugin;
mod reducer;
mod row;
mod source;
mod states;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod text;
mod time;
mod transform;
#[expect(unsafe_code, reason = "kept in one module, which argues for each use")]
mod unchecked;
mod variable;
mod wire;

pub use batch_handler::Outlet;
pub use cell::Cell;
pub use config::Config;
pub use context::Epoch;
pub use keyed_state::{KeyContext, Timer};
pub use reducer::Reducer;
pub use row::{Row, Rows};
pub use states::decode as decode_state;
pub use tidemill_sdk_macros::{Row, batch_handler, config, filter, keyed_state, plugin, reducer, state, transform};
pub use time::{Date, NotATime, Timestamp};

/// All that a plugin usually needs: `use tidemill_sdk::prelude::*;`
pub mod prelude {
    pub use crate::{
        Date, Epoch, KeyContext, Outlet, Reducer, Row, Rows, Timer, Timestamp, batch_handler, config, context, filter,
        keyed_state, log, plugin, reducer, state,
        text::{find, lower_ascii, parse_i64, split, words},
        transform,
    };
}

/// What the macros' expansions name. Not for people: it changes without notice.
#[doc(hidden)]
pub mod expand {
    pub use serde;

    pub use crate::{
        batch_handler::outcome,
        bindings,
        cell::{Capacity, Cell, ReadCell},
        config::{Config, NoConfig, Setting, parse as parse_config, schema as config_schema},
        filter::apply as filter,
        function::{Definition, PluginFunction},
        keyed_state::{migrate, no_migration, update},
        plugin::Plugin,
        reducer::{Fold, Reducer},
        row::{ReadRow, Row, column, field},
        source::Source,
        transform::{flat_map, map},
        wire::{Batch, Column, Failure, Field},
    };
}
