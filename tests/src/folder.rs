//! A folder with a pipeline in it, gone when the test is over.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{Finished, Running, tidemill};

/// A folder to run pipelines in.
pub struct Folder(TempDir);

impl Folder {
    /// A folder with this manifest as `pipeline.toml`.
    pub fn with(manifest: &str) -> Self {
        let folder = Folder(TempDir::with_prefix("tidemill-tests-").expect("there is room for temporary files"));
        folder.write("pipeline.toml", manifest);
        folder
    }

    /// Writes a file, and the folders it lies in.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        let written = fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).and_then(|()| fs::write(&path, text));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Where a file or folder in it is.
    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Starts `tidemill` in this folder.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(tidemill(arguments.iter().copied()).current_dir(&self.0))
    }

    /// Runs `tidemill` in this folder to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).finish()
    }

    /// The lines that a files sink has written to a folder, epoch by epoch.
    pub fn output(&self, folder: &str) -> Vec<String> {
        let folder = self.path(folder);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut parts: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        // Pieces of one epoch are numbered without leading zeros: 2 is shorter than 10, and comes before it.
        let epoch = |path: &Path| path.file_name().map(|name| name.as_encoded_bytes()[..10.min(name.len())].to_vec());
        parts.sort_by_key(|path| (epoch(path), path.as_os_str().len(), path.clone()));
        let read =
            |path: &PathBuf| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        parts.iter().map(read).flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}
