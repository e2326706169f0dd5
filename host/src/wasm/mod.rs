//! Plugins as WebAssembly components, by wasmtime: the only folder that knows it.
//!
//! In reading order: `loader` turns bytes into a compiled component, `cache` keeps compiled code, `bindings` is the
//! WIT package as Rust, `describe` reads a plugin's self-description, `instance` calls it, `lower` and `lift` are the
//! two directions of a batch across the boundary, `guest` and `wasi` are what a running guest can reach.

mod bindings;
mod cache;
mod describe;
mod guest;
mod instance;
mod lift;
mod loader;
mod lower;
mod plugin;
mod wasi;

pub use loader::Loader;
