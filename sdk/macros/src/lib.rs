//! The macros of `tidemill-sdk`, documented there. Each is a doorway: it checks what it stands above, says what to
//! write instead when that cannot work, and leads into ordinary code of the SDK.

mod batch_handler;
mod filter;
mod keyed_state;
mod plugin;
mod reducer;
mod row;
mod settings;
mod signature;
mod transform;

use proc_macro::TokenStream;
use syn::{DeriveInput, Result, parse_macro_input};

/// Makes a struct a row: its fields are the columns, by name and type.
///
/// Fields are of type `bool`, `i32`, `i64`, `f32`, `f64`, `&str`, `String`, `Cow<str>`, `&[u8]`, `Vec<u8>`,
/// `Timestamp`, `Date`, or an `Option` of one of them where a row may have no value. A row that borrows has one
/// lifetime. `#[row(rename = "type")]` on a field gives the column a name that no field can have.
#[proc_macro_derive(Row, attributes(row))]
pub fn derive_row(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    finish(row::derive(&item))
}

/// Makes a function from a row to a row, `Option<Row>`, `Vec<Row>` or `impl Iterator<Item = Row>` a transform.
///
/// Each of them may stand in a `Result<_, E>` with `E: Display`: the row that got an error is set aside with it. A
/// second parameter `config: &Config` is what the manifest sets; see [`macro@config`].
#[proc_macro_attribute]
pub fn transform(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(transform::expand(arguments.into(), item.into()))
}

/// Makes a function from a row to `bool`, or `Result<bool, E>`, a filter: it keeps the rows it says `true` to.
///
/// A second parameter `config: &Config` is what the manifest sets; see [`macro@config`].
#[proc_macro_attribute]
pub fn filter(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(filter::expand(arguments.into(), item.into()))
}

/// Makes a reducer, of an `impl Reducer` or of an associative function of two values.
///
/// `#[reducer] fn add(a: i64, b: i64) -> i64` folds the column `value` into a column `value`; `#[reducer(inverse =
/// subtract)]` names the function that takes `b` out again. Above an `impl Reducer for Unit`, `#[reducer(config)]`
/// makes the implementing type, which is then a [`macro@config`], hold what the manifest sets, and `#[reducer(version =
/// 2)]` counts the layouts of its state.
#[proc_macro_attribute]
pub fn reducer(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(reducer::expand(arguments.into(), item.into()))
}

/// Makes `fn f(key: Key, state: Option<State>, rows: Rows<Row>, ctx: &mut KeyContext<Out>) -> Option<State>` a keyed
/// state.
///
/// It is called for each key with rows or expired timers; returning none removes the key's state. It may return a
/// `Result<Option<State>, E>`, and take a fifth parameter `config: &Config`. `#[keyed_state(version = 2, migrate =
/// upgrade)]` counts the layouts of the state and names the `fn upgrade(from_version: u32, state: &[u8]) ->
/// Result<State, String>` that reads the older ones.
#[proc_macro_attribute]
pub fn keyed_state(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(keyed_state::expand(arguments.into(), item.into()))
}

/// Makes `fn f(epoch: Epoch, rows: Rows<Row>, errors: Outlet<Alert>, ...)` a batch handler, called once an epoch.
///
/// An outlet has its parameter's name. The epoch may be left out, `config: &Config` may be added, and the function
/// may return a `Result<(), E>`.
#[proc_macro_attribute]
pub fn batch_handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(batch_handler::expand(arguments.into(), item.into()))
}

/// Makes a struct a config: what a manifest sets for one use of a function.
///
/// A setting is a `bool`, a number, a `String`, an `Option`, a `Vec`, a set or a map by `String` of settings, or
/// another struct, or an enum of names, with `#[config]` above it. One with `#[serde(default)]` may be left out, as may
/// one that is an `Option`; `#[serde(rename = "name")]` names it as no field can be named. Settings that it does not
/// have are refused.
#[proc_macro_attribute]
pub fn config(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(settings::config(arguments.into(), item.into()))
}

/// Makes a struct or an enum fit to be in a state: derives serde's `Serialize` and `Deserialize`.
#[proc_macro_attribute]
pub fn state(arguments: TokenStream, item: TokenStream) -> TokenStream {
    finish(settings::state(arguments.into(), item.into()))
}

/// Lists the functions of the plugin, `plugin!(tokenize, util::split)`, each called by its own name. Once in a crate.
#[proc_macro]
pub fn plugin(functions: TokenStream) -> TokenStream {
    finish(plugin::expand(functions.into()))
}

fn finish(expanded: Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
