//! Tidemill: stream processing in one binary, with your code as sandboxed WebAssembly components.

pub mod checkpoint;
pub mod cli;
pub mod expr;
pub mod manifest;
pub mod model;
pub mod operator;
pub mod plan;
pub mod ports;
pub mod runtime;
pub mod scaffold;
pub mod sink;
pub mod source;
pub mod state;
pub mod toolchain;
pub mod wasm;
