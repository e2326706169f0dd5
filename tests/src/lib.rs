//! What the end-to-end tests share: the `tidemill` binary, built once, and a process under test.
//!
//! The tests are a package of their own, because they know the binary and not the library: what they protect is what a
//! user sees.

mod binary;
mod process;

pub use binary::{binary, repository, tidemill};
pub use process::{Finished, Running};
