//! Running an example with the binary, and reading what it shows and writes.

use std::{
    fmt::Display,
    fs, iter,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;
use tidemill_tests::{Running, repository, tidemill};

use crate::table::Table;

/// A pipeline of `guest-examples`, run where it stands, with its checkpoint and its outputs in a folder of their own.
pub(crate) struct Example {
    manifest: PathBuf,
    settings: Vec<String>,
    folder: TempDir,
}

impl Example {
    /// The pipeline in this file, its plugins built: the first of them takes longer than any wait for a pipeline.
    pub(crate) fn new(manifest: &str) -> Self {
        let manifest = examples().join(manifest);
        let valid = tidemill(["validate"]).arg(&manifest).output().expect("the binary is there");
        assert!(valid.status.success(), "{}", String::from_utf8_lossy(&valid.stderr));
        Example {
            manifest,
            settings: Vec::new(),
            folder: TempDir::new().expect("there is a place for temporary files"),
        }
    }

    /// Sets a value of the manifest.
    pub(crate) fn set(mut self, key: &str, value: impl Display) -> Self {
        self.settings.push(format!("{key}={value}"));
        self
    }

    /// Sets a path of the manifest to one in the example's own folder.
    pub(crate) fn set_path(self, key: &str, name: &str) -> Self {
        let path = self.path(name);
        self.set(key, path.display())
    }

    /// A path in the example's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs it until it ends by itself: the tables it has shown.
    pub(crate) fn run(&self) -> Vec<Table> {
        self.start().finish()
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Pipeline {
        Pipeline(Running::start(&mut self.command()))
    }

    /// Runs it until it kills itself at this point of an epoch.
    pub(crate) fn crash(&self, point: &str) -> Vec<Table> {
        let mut pipeline = Pipeline(Running::start(self.command().env("TIDEMILL_CRASH_AT", point)));
        let tables = iter::from_fn(|| pipeline.next_table()).collect();
        let finished = pipeline.0.finish();
        assert_eq!(finished.code, None, "{}", finished.stderr());
        tables
    }

    fn command(&self) -> Command {
        let mut command = tidemill(["run"]);
        command.arg(&self.manifest).arg("--checkpoint").arg(self.path("checkpoint"));
        command.args(self.settings.iter().flat_map(|setting| ["--set", setting]));
        command
    }
}

/// A pipeline under way.
pub(crate) struct Pipeline(Running);

impl Pipeline {
    /// The next table it shows; none once it has ended.
    pub(crate) fn next_table(&mut self) -> Option<Table> {
        let line = || self.0.stdout_line().filter(|line| !line.is_empty());
        let lines: Vec<String> = iter::from_fn(line).collect();
        (!lines.is_empty()).then(|| Table::of(&lines))
    }

    /// Presses Ctrl-C: the tables it still shows.
    pub(crate) fn interrupt(self) -> Vec<Table> {
        self.0.interrupt();
        self.finish()
    }

    /// Waits for the end, which must be a good one: the tables it still shows.
    fn finish(mut self) -> Vec<Table> {
        let tables = iter::from_fn(|| self.next_table()).collect();
        let finished = self.0.finish();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr());
        tables
    }
}

/// The rows that a files sink has written as JSON lines, file by file.
pub(crate) fn written(folder: &Path) -> Vec<Vec<Value>> {
    let parts = entries(folder).into_iter().filter(|path| path.extension() == Some("jsonl".as_ref()));
    parts.map(|part| json_lines(&part)).collect()
}

/// What is in a folder, by name.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    paths.sort();
    paths
}

/// The rows of a file of JSON lines.
pub(crate) fn json_lines(file: &Path) -> Vec<Value> {
    text(file).lines().map(|line| serde_json::from_str(line).expect("each line is a JSON object")).collect()
}

/// What is in a file.
pub(crate) fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The folder of the examples.
pub(crate) fn examples() -> PathBuf {
    repository().join("guest-examples")
}

/// The text of one of the books that the examples read.
pub(crate) fn book(name: &str) -> String {
    text(&examples().join("word-count/input").join(name))
}

/// All of them.
pub(crate) fn books() -> [String; 3] {
    ["alice.txt", "moby-dick.txt", "two-cities.txt"].map(book)
}
