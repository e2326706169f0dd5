//! Everything a plugin can do wrong, a function for each, and what it may do but must gain nothing by.
//!
//! Written against the WIT package itself: the SDK does not let most of this happen, and plugins of other languages do
//! without it too. A function that stumbles over a row does so over the row `bad` alone.

#![allow(unreachable_pub, reason = "what wit-bindgen generates is reachable or not by the target")]

mod bindings;
mod catalog;
mod filters;
mod handlers;
mod keyed_states;
mod reducers;
mod sightseers;
mod transforms;
mod wire;

/// All the functions; each file implements the interface of its role.
struct Misbehaving;

bindings::export!(Misbehaving with_types_in bindings);
