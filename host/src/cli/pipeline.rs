//! What commands about a pipeline share: the manifest, with what the command line sets, and its plugins.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{failure::Failure, plugin};
use crate::{
    manifest::{Diagnostic, Diagnostics, Manifest, Override, parse_with},
    ports::PluginLoader,
    runtime::{PrepareError, Prepared, Preparer},
};

/// A pipeline, named on the command line.
#[derive(Debug, Clone, Args)]
pub(super) struct PipelineArgs {
    /// The pipeline's manifest
    #[arg(value_name = "PIPELINE.toml")]
    pub(super) file: PathBuf,
    /// Set a value of the manifest, as in `--set trigger=once`; can be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<Override>,
}

impl PipelineArgs {
    /// As if the manifest stood alone on the command line.
    pub(super) fn of(file: PathBuf) -> Self {
        PipelineArgs { file, overrides: Vec::new() }
    }

    /// The manifest with what the command line sets.
    pub(super) fn read(&self) -> Result<Manifest, Diagnostics> {
        let name = self.file.display().to_string();
        let text = fs::read_to_string(&self.file).map_err(|error| {
            let mut faults = Diagnostics::new(&name, "");
            faults.push(Diagnostic::error(format!("the manifest cannot be read: {error}")));
            faults
        })?;
        parse_with(&text, &name, self.folder(), &self.overrides)
    }

    /// The folder that paths of the manifest are relative to.
    pub(super) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// The pipeline, checked against its plugins.
    pub(super) fn prepare(&self) -> Result<Prepared, Failure> {
        let manifest = self.read()?;
        Ok(prepare(&plugin::loader()?, manifest)?)
    }
}

/// Builds and loads the plugins of a manifest and checks the pipeline. What takes long is told on standard error.
pub(super) fn prepare(loader: &dyn PluginLoader, manifest: Manifest) -> Result<Prepared, PrepareError> {
    Preparer { loader, report: &mut plugin::building }.prepare(manifest)
}
