//! What commands about a checkpoint share: which folder it is in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{PipelineArgs, failure::Failure};
use crate::{
    manifest::Manifest,
    state::{Description, Unopened},
};

/// A checkpoint, named on the command line.
#[derive(Debug, Clone, Args)]
pub(super) struct CheckpointArgs {
    /// The folder of a checkpoint or savepoint, or the manifest of the pipeline whose checkpoint it is
    #[arg(value_name = "DIR|PIPELINE.toml")]
    place: PathBuf,
}

/// A checkpoint and whose it is.
pub(super) struct Place {
    pub(super) dir: PathBuf,
    pub(super) pipeline: String,
}

impl CheckpointArgs {
    /// The checkpoint's folder, and the name of its pipeline. Without a manifest that is what the savepoint or the
    /// folder says.
    pub(super) fn find(&self) -> Result<Place, Failure> {
        if self.place.is_file() {
            let args = PipelineArgs::of(self.place.clone());
            let manifest = args.read()?;
            return Ok(Place { dir: place_of(&manifest, args.folder()), pipeline: manifest.name });
        }
        let dir = self.place.clone();
        let pipeline = match Description::read(&dir) {
            Ok(Some(description)) => description.pipeline,
            // What is wrong with it is told when it is opened.
            Ok(None) | Err(_) => folder_name(&dir),
        };
        Ok(Place { dir, pipeline })
    }
}

/// Where a pipeline's checkpoint is, when the command line does not say.
pub(super) fn place_of(manifest: &Manifest, folder: &Path) -> PathBuf {
    manifest.checkpoint.clone().unwrap_or_else(|| folder.join(".tidemill").join(&manifest.name))
}

fn folder_name(dir: &Path) -> String {
    let whole = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    whole.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

impl From<Unopened> for Failure {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::InUse(error) | Unopened::Refused(error) => Failure::refused(error.to_string()),
            Unopened::Damaged(error) => Failure::failed(error.to_string()),
        }
    }
}
