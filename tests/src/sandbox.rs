//! A pipeline in a folder of its own, with its input and its output.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Finished, Running, repository, tidemill};

/// A temporary folder with `pipeline.toml` in it.
pub struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    /// A folder with this manifest and nothing else.
    pub fn new(manifest: &str) -> Self {
        let sandbox = Sandbox { folder: TempDir::new().expect("there is a place for temporary files") };
        sandbox.write("pipeline.toml", manifest);
        sandbox
    }

    /// Where a file of this name is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folder it is in.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("the folder can be written to");
        fs::write(path, contents).expect("the folder can be written to");
    }

    /// A call of the binary in the folder.
    pub fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = tidemill(arguments);
        command.current_dir(self.folder.path());
        command
    }

    /// Calls the binary in the folder and waits for it.
    pub fn call<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
        Running::start(&mut self.command(arguments)).finish()
    }

    /// Runs the pipeline to its end. `set` are values of the manifest to be set: `key=value`.
    pub fn run(&self, set: &[&str]) -> Finished {
        self.call(["run", "pipeline.toml"].into_iter().chain(set.iter().flat_map(|set| ["--set", set])))
    }

    /// The rows that a sink of type files has written to this folder as JSON, in order.
    pub fn rows(&self, folder: &str) -> Vec<Value> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let files = entries.map(|entry| entry.expect("the folder can be listed").path());
        let mut parts: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|is| is == "jsonl")).collect();
        parts.sort();
        let texts = parts.iter().map(|part| fs::read_to_string(part).expect("what was written can be read"));
        let row = |line: &str| serde_json::from_str(line).expect("each line is a JSON object");
        texts.flat_map(|text| text.lines().map(row).collect::<Vec<_>>()).collect()
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

/// The component of a plugin crate of these tests, built when it is first asked for.
pub fn plugin(name: &'static str) -> &'static Path {
    static BUILT: [OnceLock<PathBuf>; PLUGINS.len()] = [const { OnceLock::new() }; PLUGINS.len()];
    let place = PLUGINS.iter().position(|known| *known == name).expect("there is a crate of this name");
    BUILT[place].get_or_init(|| {
        let folder = repository().join("tests/plugins").join(name);
        let built = Running::start(tidemill(["build"]).arg(folder)).finish();
        assert_eq!(built.code, Some(0), "{name} does not build: {}", built.stderr());
        PathBuf::from(&built.stdout[0])
    })
}

/// The crates in `tests/plugins`.
const PLUGINS: [&str; 2] = ["behaving", "misbehaving"];
