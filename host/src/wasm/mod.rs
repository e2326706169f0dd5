//! Plugins as WebAssembly components, by wasmtime: the only folder that knows it.
//!
//! In reading order: `engine` says how code is compiled and where instances live, `loader` turns bytes into a compiled
//! component, `cache` keeps compiled code, `bindings` is the WIT package as Rust, `describe` reads a plugin's
//! self-description, `plugin` is a loaded one, `instance` a running one, `roles` its calls, `lower` and `lift` the two
//! directions of a batch across the boundary, `keyed_state` those of states and timers per key, `guest` and `wasi` what
//! a running guest can reach.

mod bindings;
mod cache;
mod describe;
mod engine;
mod guest;
mod instance;
mod keyed_state;
mod lift;
mod loader;
mod lower;
mod plugin;
mod roles;
mod wasi;

pub use loader::Loader;

#[cfg(test)]
mod tests;
