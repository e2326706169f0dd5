//! `tidemill build`: a plugin crate becomes a component.

use std::path::PathBuf;

use clap::Args;

use super::{
    failure::{Failure, print_text},
    plugin,
};
use crate::toolchain;

const EXAMPLE: &str = "\
Example:
  tidemill build words";

/// Build a plugin crate
///
/// It is `cargo build --release --target wasm32-wasip2` with good defaults; the target is added if it is missing.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Build {
    /// The folder of the crate
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

impl Build {
    pub(super) fn run(self) -> Result<(), Failure> {
        let path = toolchain::build(&self.dir, &mut plugin::building)?;
        let file = plugin::load(&path)?;
        let functions = file.plugin.description().functions.iter();
        let functions: Vec<String> = functions.map(|f| format!("{} ({})", f.name, f.role.name())).collect();
        print_text(&format!(
            "{}\n  {} bytes, sha256 {}...\n  {}\n",
            file.path.display(),
            file.bytes,
            file.plugin.digest().short(),
            functions.join(", ")
        ))
    }
}
