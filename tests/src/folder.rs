//! A temporary folder with a pipeline in it, its input and its output.

use std::{
    ffi::OsStr,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Finished, Running, tidemill};

/// A folder to call `tidemill` in. It is gone when the test is over.
pub struct Folder(TempDir);

impl Folder {
    /// A folder with nothing in it.
    pub fn empty() -> Self {
        Folder(TempDir::with_prefix("tidemill-tests-").expect("there is room for temporary files"))
    }

    /// A folder with this manifest as `pipeline.toml`.
    pub fn with(manifest: &str) -> Self {
        let folder = Folder::empty();
        folder.write("pipeline.toml", manifest);
        folder
    }

    /// Where a file or folder in it is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and the folders it lies in.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        let parent = path.parent().expect("it lies in the folder");
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, contents));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// A call of `tidemill` in this folder.
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = tidemill(arguments);
        command.current_dir(&self.0);
        command
    }

    /// Starts `tidemill` in this folder.
    pub fn start(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Running {
        Running::start(&mut self.command(arguments))
    }

    /// Calls `tidemill` in this folder and waits for its end.
    pub fn call(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Finished {
        self.start(arguments).finish()
    }

    /// Runs the pipeline to its end. `set` are values of the manifest to be set: `key=value`.
    pub fn run(&self, set: &[&str]) -> Finished {
        self.call(["run", "pipeline.toml"].into_iter().chain(set.iter().flat_map(|set| ["--set", set])))
    }

    /// The lines that a files sink has written to a folder, epoch by epoch; none when it has not come to write.
    pub fn output(&self, folder: &str) -> Vec<String> {
        let folder = self.path(folder);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
            entries => entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display())),
        };
        let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
        let mut parts: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
        parts.sort_by_key(|part| place(part));
        let text = |part| fs::read_to_string(part).expect("what was written is text");
        parts.iter().map(text).collect::<String>().lines().map(str::to_owned).collect()
    }

    /// The rows that a files sink has written to a folder as JSON.
    pub fn rows(&self, folder: &str) -> Vec<Value> {
        let row = |line: &String| serde_json::from_str(line).expect("each line is a JSON object");
        self.output(folder).iter().map(row).collect()
    }

    /// One column of these rows, as text.
    pub fn column(&self, folder: &str, column: &str) -> Vec<String> {
        let text = |row: Value| match &row[column] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.rows(folder).into_iter().map(text).collect()
    }
}

/// The epoch of a part, and which piece of it this is. Pieces are numbered without leading zeros: sorted as text, 10
/// would come before 2.
fn place(part: &Path) -> (u64, u64) {
    let name = part.file_stem().and_then(OsStr::to_str).expect("a part has a name");
    let place = name.strip_prefix("part-").and_then(|place| {
        let (epoch, piece) = place.split_once('-')?;
        Some((epoch.parse().ok()?, piece.parse().ok()?))
    });
    place.unwrap_or_else(|| panic!("`{}` is not named `part-EPOCH-PIECE`", part.display()))
}
