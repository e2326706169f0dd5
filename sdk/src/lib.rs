//! x
#![deny(unsafe_code)]

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
    pub use schemars;
    pub use serde;

    pub use crate::{
        batch_handler::outcome,
        bindings,
        cell::{Capacity, Cell, ReadCell},
        config::{Config, NoConfig, parse as parse_config, schema as config_schema},
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
