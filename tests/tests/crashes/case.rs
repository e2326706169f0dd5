//! A case: a folder with a pipeline, what is said of its input, and other files that the pipeline needs.

use std::{
    fs::{self, File},
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;
use tidemill_tests::{Folder, plugin, repository};

use super::{
    input::Input,
    kill::{Point, run},
    output::Output,
};

/// A pipeline and its input.
pub(crate) struct Case {
    pub(crate) name: String,
    pipeline: String,
    input: Input,
    /// Further files, by name.
    files: Vec<(String, String)>,
    /// How many sinks it has.
    pub(crate) sinks: u64,
}

/// What a run that nothing disturbs makes of a case.
pub(crate) struct Reference {
    /// How many epochs it takes.
    pub(crate) epochs: u64,
    /// How long it takes.
    pub(crate) took: Duration,
    /// What comes of all its files but the last.
    output: Output,
    /// What comes of the last one too.
    closed: Output,
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let folder = repository().join("tests/tests/crashes/cases");
    let entries = fs::read_dir(&folder).expect("the cases lie beside the suite");
    let mut cases: Vec<Case> = entries
        .map(|entry| {
            let path = entry.expect("a folder can be listed").path();
            let read = |name: &str| fs::read_to_string(path.join(name)).expect("a case has a pipeline and an input");
            let name = path.file_name().and_then(|name| name.to_str()).expect("a case has a name").to_owned();
            let mut pipeline = read("pipeline.toml");
            if pipeline.contains("PLUGINS/behaving.wasm") {
                let built = plugin("behaving").to_str().expect("a path of the repository is text");
                pipeline = pipeline.replace("PLUGINS/behaving.wasm", built);
            }
            let sinks = pipeline.matches("[sinks.").count() as u64;
            let names = fs::read_dir(&path).expect("a folder can be listed").map(|entry| {
                let name = entry.expect("a folder can be listed").file_name();
                name.into_string().expect("a file has a name that is text")
            });
            let further = names.filter(|name| !name.ends_with(".toml")).map(|name| (name.clone(), read(&name)));
            let (files, input) = (further.collect(), Input::read(&read("input.toml")));
            Case { name, pipeline, input, files, sinks }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

impl Case {
    /// A folder with the pipeline and all of its input but the last file.
    pub(crate) fn folder(&self) -> Folder {
        let folder = Folder::with(&self.pipeline);
        self.files.iter().for_each(|(name, text)| folder.write(name, text));
        for (name, files) in &self.input.files {
            (0..*files).for_each(|file| self.add(&folder, name, file));
        }
        folder
    }

    fn add(&self, folder: &Folder, name: &str, file: u64) {
        let path = format!("{name}/{file:03}.jsonl");
        folder.write(&path, self.input.file(name, file));
        // Files are read in the order of their times; a clock that is set back must not change it.
        let written = File::options().append(true).open(folder.path(&path)).expect("it has just been written");
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + file);
        written.set_modified(modified).expect("the file is ours");
    }

    /// The parts that may be renamed, and what each is called then.
    pub(crate) fn renames(&self) -> impl Iterator<Item = (&str, String)> {
        self.input.rename.iter().map(|name| (name.as_str(), format!("{name}_renamed")))
    }

    /// Puts a pipeline into the folder whose parts have other names.
    pub(crate) fn rename(&self, folder: &Folder) {
        let mut pipeline = String::new();
        // The pipeline itself may be called like one of its parts, and keeps its name.
        for line in self.pipeline.lines() {
            let names_parts = line.starts_with('[') || line.starts_with("inputs");
            let renamed = self.renames().filter(|_| names_parts).fold(line.to_owned(), |line, (name, renamed)| {
                [(".", "]"), ("\"", "\""), ("\"", ".")].into_iter().fold(line, |line, (before, behind)| {
                    line.replace(&format!("{before}{name}{behind}"), &format!("{before}{renamed}{behind}"))
                })
            });
            pipeline += &renamed;
            pipeline.push('\n');
        }
        folder.write("pipeline.toml", pipeline);
    }

    /// Puts a pipeline into the folder whose checkpoint is in another place.
    pub(crate) fn move_checkpoint(&self, folder: &Folder, to: &str) {
        folder.write("pipeline.toml", format!("checkpoint = \"{to}\"\n{}", self.pipeline));
    }

    /// Whether its epochs come to this point at all.
    pub(crate) fn comes_to(&self, point: Point) -> bool {
        self.sinks > 1 || point != Point::BetweenSinkCommits
    }

    /// Runs it undisturbed.
    #[expect(clippy::disallowed_methods, reason = "instants to kill at are chosen from the real time it takes")]
    pub(crate) fn reference(&self) -> Result<Reference, String> {
        let folder = self.folder();
        let started = Instant::now();
        let epochs = report(&folder)?.0.len() as u64;
        let took = started.elapsed();
        let output = self.outcome(&folder)?;
        let closed = self.close(&folder)?;
        // What is never written cannot be wrong.
        for (which, output) in [("all its files", &output), ("the last one", &closed)] {
            if let Some(sink) = output.sinks_without_rows().first() {
                return Err(format!("after {which}, sink folder {sink} of the undisturbed run has no rows"));
            }
        }
        if output.sinks() != self.pipeline.matches(r#"path = "out/"#).count() || closed == output {
            return Err("a sink of the undisturbed run has no folder in `out`, or the last file changes nothing".into());
        }
        Ok(Reference { epochs, took, output, closed })
    }

    /// Compares a run that was killed, and has come to its end, with one that was not.
    pub(crate) fn compare(&self, folder: &Folder, reference: &Reference) -> Result<(), String> {
        reference.output.first_difference(&self.outcome(folder)?).map_or(Ok(()), Err)?;
        let difference = reference.closed.first_difference(&self.close(folder)?);
        difference.map_or(Ok(()), |difference| Err(format!("with one more file, {difference}")))
    }

    /// Reads the last file. Returns what has come of all, and what a console shows of it.
    fn close(&self, folder: &Folder) -> Result<Output, String> {
        self.input.files.iter().for_each(|(name, _)| self.add(folder, name, self.input.last()));
        let (_, shown) = report(folder)?;
        Ok(self.outcome(folder)?.with("what the console shows", shown.join("\n")))
    }

    /// What has come of the files so far: what the sinks hold, and the state. Parts that were renamed have their old
    /// names.
    fn outcome(&self, folder: &Folder) -> Result<Output, String> {
        let state = self.renames().fold(state(folder)?, |state, (name, renamed)| state.replace(&renamed, name));
        Ok(Output::of(folder).with("the state", state))
    }
}

/// What the checkpoint holds, as text, after every value in it was checked.
fn state(folder: &Folder) -> Result<String, String> {
    run(&mut folder.command(["verify", "pipeline.toml"]), None)?;
    let (_, stdout) = run(&mut folder.command(["state", "pipeline.toml", "--format", "json"]), None)?;
    let mut state: Value = serde_json::from_str(&stdout).map_err(|error| format!("{error}: {stdout}"))?;
    // When an epoch ran and where the checkpoint is are their own affair, and rows lie in the order in which they came
    // to be there.
    state["batch_time"].take();
    state["checkpoint"].take();
    for stage in state["stages"].as_array_mut().into_iter().flatten() {
        if let Some(rows) = stage["rows"].as_array_mut() {
            rows.sort_by_key(Value::to_string);
        }
    }
    Ok(format!("{state:#}"))
}

/// Runs what is left. Returns the report of each epoch, and the lines between them: what a console shows.
fn report(folder: &Folder) -> Result<(Vec<Value>, Vec<String>), String> {
    let (_, stdout) = run(&mut folder.command(["run", "pipeline.toml", "--progress", "json"]), None)?;
    let (mut epochs, mut shown) = (Vec::new(), Vec::new());
    for line in stdout.lines() {
        match serde_json::from_str(line) {
            Ok(epoch) => epochs.push(epoch),
            Err(_) => shown.push(line.to_owned()),
        }
    }
    Ok((epochs, shown))
}
