//! What the end-to-end tests share: the `tidemill` binary, built once, a process under test, and a pipeline in
//! a folder of its own.
//!
//! The tests are a package of their own, because they know the binary and not the library: what they protect is what a
//! user sees.

mod binary;
mod folder;
mod plugin;
mod process;

pub use binary::{binary, cargo, repository, tidemill};
pub use folder::Folder;
pub use plugin::plugin;
pub use process::{Finished, Running};
