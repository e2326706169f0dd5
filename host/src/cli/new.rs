//! `tidemill new`: a plugin crate to start from.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::failure::{Failure, print_text};
use crate::{
    ports,
    scaffold::{self, SdkLocation},
};

const EXAMPLE: &str = "\
Example:
  tidemill new words
  tidemill new stop-words --role filter";

/// Make a plugin crate that builds, with a test that passes and a pipeline that runs it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct New {
    /// The name of the crate and of its folder
    name: String,
    /// What its function is
    #[arg(long, value_enum, default_value_t = Role::Transform)]
    role: Role,
    /// The folder of the crate tidemill-sdk; the binary carries one of its own
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Rows in, rows out: map, filter-map, flat-map
    Transform,
    /// Which rows stay
    Filter,
    /// Folds the values of a group
    Reducer,
    /// A state per key, with timers
    KeyedState,
    /// Called with every batch: foreachBatch
    BatchHandler,
}

impl From<Role> for ports::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Transform => ports::Role::Transform,
            Role::Filter => ports::Role::Filter,
            Role::Reducer => ports::Role::Reducer,
            Role::KeyedState => ports::Role::KeyedState,
            Role::BatchHandler => ports::Role::BatchHandler,
        }
    }
}

impl New {
    pub(super) fn run(self) -> Result<(), Failure> {
        let sdk = self.sdk.map_or(SdkLocation::Carried, SdkLocation::Folder);
        let role = ports::Role::from(self.role);
        let files = scaffold::create(Path::new(&self.name), &self.name, role, &sdk)?;
        let mut text = format!("made the plugin `{}`, a {}:\n", self.name, role.name());
        text.extend(files.iter().map(|file| format!("  {}\n", file.display())));
        text.push_str(&format!("\nnext:\n  cd {} && cargo test\n  tidemill run pipeline.toml\n", self.name));
        print_text(&text)
    }
}
