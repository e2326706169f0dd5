//! Tidemill: stream processing in one binary, with your code as sandboxed WebAssembly components.
//!
//! A tour, from the inside out. An import points inward only, and adapters never import each other.
//!
//! 1. Pure: [`model`] has the words, [`ports`] what is needed of the world, [`manifest`] what a user writes,
//!    [`checkpoint`] the exactly-once protocol, [`window`] and [`watermark`] what event time means, [`expr`] SQL
//!    expressions, [`plan`] the checked pipeline, [`operator`] what is done with rows.
//! 2. Adapters: [`source`], [`sink`], [`table`], [`state`] (redb), [`wasm`] (plugins), [`toolchain`] (building them),
//!    [`scaffold`] (new ones).
//! 3. [`runtime`]: where they meet, the epoch loop.
//! 4. [`cli`]: the edge.

#![deny(unsafe_code)]

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
pub mod table;
pub mod toolchain;
pub mod wasm;
pub mod watermark;
pub mod window;
