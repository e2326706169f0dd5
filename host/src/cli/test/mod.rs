//! `tidemill test`: one function, called with rows from standard input.
//!
//! It runs as a pipeline of one epoch, so rows are read, checked and refused just as they will be in a real one.

mod pipeline;

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use self::pipeline::{Command, Trial};
use super::{
    failure::{Failure, Reason, print},
    plugin::{self, PluginFile},
    screen,
};
use crate::{
    model::nearest,
    plan,
    ports::Function,
    runtime::{Control, Decisions, Environment, Pipeline, Prepared, SystemClock},
    sink::MemoryTables,
    source,
    state::RedbStore,
};

const EXAMPLE: &str = "\
Rows are JSON objects, a line each, with the columns the function reads, written
as for a files source with format = \"json\". A reducer gets all rows as one
group. A keyed-state function gets the columns of its key beside its own. Each row from a batch handler comes with the name of its outlet.

Example:
  echo '{\"value\": \"to be or not\"}' | tidemill test words.wasm tokenize
  tidemill test words keep --config '{\"stop\": [\"to\"]}' < words.jsonl";

/// Call one function with rows from standard input
///
/// Result rows go to standard output, rows that were refused to standard error; if there was any, the exit code is 1.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Test {
    /// The plugin, or the folder of its crate, which is built first
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// The function
    function: String,
    /// The function's config
    #[arg(long, value_name = "JSON", value_parser = json)]
    config: Option<Value>,
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

impl Test {
    pub(super) fn run(self) -> Result<(), Failure> {
        let file = plugin::load(&self.file)?;
        let function = find(&file, &self.function)?;
        let folder = TempDir::with_prefix("tidemill-test-").map_err(|error| working("make a folder", &error))?;
        let trial = Trial::new(folder.path(), function);
        // Checked with nothing to read yet, so that a wrong config is told before anyone has typed a row.
        let command = Command::new(&self.file, &file.plugin.description().name, &self.function, self.config);
        let prepared = prepare(&trial, &command, &file)?;
        copy_input(trial.input())?;
        run(prepared, folder.path())?;
        for (outlet, folder) in trial.outputs() {
            print_rows(&folder, outlet.as_deref())?;
        }
        refused_rows(&trial)
    }
}

/// The function, if it can be called here.
fn find<'a>(file: &'a PluginFile, name: &str) -> Result<&'a Function, Failure> {
    let description = file.plugin.description();
    let Some(function) = description.function(name) else {
        let names: Vec<&str> = description.functions.iter().map(|function| function.name.as_str()).collect();
        let near =
            nearest(name, names.iter().copied()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let has = names.join(", ");
        return Err(Failure::refused(format!(
            "plugin `{}` has no function `{name}`; it has: {has}{near}",
            description.name
        )));
    };
    Ok(function)
}

fn prepare(trial: &Trial<'_>, command: &Command, file: &PluginFile) -> Result<Prepared, Failure> {
    let manifest = trial.manifest(command);
    let schemas: Vec<_> = manifest.sources.iter().map(|spec| source::schema(&spec.connector)).collect();
    let plugins = vec![Arc::clone(&file.plugin)];
    let plan = plan::build(&manifest, &plugins, &schemas, &[])?;
    Ok(Prepared { manifest, digest: file.plugin.digest(), plugins, plan })
}

fn copy_input(path: &Path) -> Result<(), Failure> {
    let copied = File::create(path).and_then(|mut file| io::copy(&mut io::stdin().lock(), &mut file));
    copied.map(drop).map_err(|error| working("copy standard input", &error))
}

fn run(prepared: Prepared, folder: &Path) -> Result<(), Failure> {
    let checkpoint = folder.join("checkpoint");
    let store = RedbStore::open(&checkpoint)?;
    let environment = Environment {
        clock: Arc::new(SystemClock::start()),
        control: Arc::new(Control::default()),
        tables: Arc::new(MemoryTables::default()),
        checkpoint,
    };
    Pipeline::start(environment, Box::new(store), prepared, &Decisions::default())?.run_epoch()?;
    Ok(())
}

/// Prints what the epoch has put into this folder.
fn print_rows(folder: &Path, outlet: Option<&str>) -> Result<(), Failure> {
    for_each_line(folder, &mut |row| match outlet {
        Some(outlet) => print(format!("{{\"outlet\":{},\"row\":{row}}}\n", Value::from(outlet))),
        None => print(format!("{row}\n")),
    })
}

/// The columns of a dead letter that matter here.
#[derive(Deserialize)]
struct Refused {
    error: String,
    row: String,
}

fn refused_rows(trial: &Trial<'_>) -> Result<(), Failure> {
    let mut count = 0_u64;
    for_each_line(&trial.refused(), &mut |line| {
        let refused: Refused =
            serde_json::from_str(line).expect("the sink writes JSON with the columns of a dead letter");
        let error = trial.without_path(&refused.error);
        screen::line(&Reason::Text(format!("{error}; the row: {}", refused.row)).shown());
        count += 1;
        Ok(())
    })?;
    match count {
        0 => Ok(()),
        1 => Err(Failure::failed("1 row was refused")),
        many => Err(Failure::failed(format!("{many} rows were refused"))),
    }
}

/// Every line of the files a sink has written, in order.
fn for_each_line(folder: &Path, take: &mut dyn FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
    let unread = |error| working("read the results", &error);
    let entries = fs::read_dir(folder).map_err(unread)?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    // All of one epoch, so their names differ by the number of the piece alone: 2 is shorter than 10.
    files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    for file in files {
        for line in BufReader::new(File::open(file).map_err(unread)?).lines() {
            take(&line.map_err(unread)?)?;
        }
    }
    Ok(())
}

fn working(what: &str, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot {what} in `{}`: {error}; see to it, or set TMPDIR", std::env::temp_dir().display()))
}
