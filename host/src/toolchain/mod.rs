//! Rust's toolchain as an adapter: a plugin's crate in, a component out.
//!
//! It is plain `cargo build --release --target wasm32-wasip2` with good defaults, in a target folder of its own, so
//! that the author's builds and these do not undo each other's work. Only this folder knows cargo and rustup.

mod build;
mod cargo;
mod project;
mod sources;

pub use build::{BuildError, build};
pub use sources::{Fingerprint, fingerprint, sources};

/// The Rust target of plugins: components, with WASI preview 2.
pub const TARGET: &str = "wasm32-wasip2";
