//! The pipelines of `benches/pipelines`, run as `tidemill run --set ...` runs them, but in this process.

use std::{fs, path::Path, sync::Arc, time::Duration};

use tidemill::{
    manifest,
    model::Epoch,
    ports::{Clock, PluginLoader},
    runtime::{
        Control, Decisions, Environment, Observer, Pipeline, Prepared, Preparer, Progress, RunError, SystemClock, drive,
    },
    sink::MemoryTables,
    state::RedbStore,
    wasm::Loader,
};

use super::{empty_folder, now, root, scratch};

/// A loader with a warm cache of compiled code.
pub(crate) fn loader() -> Loader {
    Loader::new(Some(scratch().join("compiled"))).expect("the engine starts")
}

/// The file of one of the pipelines.
pub(crate) fn file(pipeline: &str) -> std::path::PathBuf {
    root().join("host/benches/pipelines").join(pipeline).with_extension("toml")
}

/// One of the pipelines, with `key=value` settings, ready to start.
pub(crate) fn prepare(loader: &dyn PluginLoader, pipeline: &str, settings: &[String]) -> Prepared {
    let file = file(pipeline);
    let text = fs::read_to_string(&file).expect("the pipeline is in the repository");
    let settings: Vec<_> = settings.iter().map(|setting| setting.parse().expect("key=value")).collect();
    let folder = file.parent().expect("a file is in a folder");
    let manifest = manifest::parse_with(&text, &file.display().to_string(), folder, &settings);
    let manifest = manifest.unwrap_or_else(|faults| panic!("{faults}"));
    let mut report = |line: &str| eprintln!("{line}");
    Preparer { loader, report: &mut report }.prepare(manifest).unwrap_or_else(|error| panic!("{error}"))
}

/// What a pipeline needs of this process.
pub(crate) fn environment(clock: Arc<dyn Clock>, checkpoint: &Path) -> Environment {
    Environment {
        clock,
        control: Arc::new(Control::default()),
        tables: Arc::new(MemoryTables::default()),
        checkpoint: checkpoint.to_owned(),
    }
}

/// Starts a pipeline from where its checkpoint stands.
pub(crate) fn start(environment: Environment, prepared: Prepared) -> Pipeline {
    let store = RedbStore::open(&environment.checkpoint).unwrap_or_else(|error| panic!("{error}"));
    Pipeline::start(environment, Box::new(store), prepared, &Decisions::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// What a run has left.
pub(crate) struct Ran {
    /// From the start to the last commit.
    pub(crate) time: Duration,
    /// The tables of its memory sinks.
    pub(crate) tables: Arc<MemoryTables>,
    /// How many epochs it took.
    pub(crate) epochs: u64,
}

/// Runs a pipeline from an empty checkpoint to its end.
pub(crate) fn run(loader: &dyn PluginLoader, pipeline: &str, settings: &[String]) -> Ran {
    let prepared = prepare(loader, pipeline, settings);
    let checkpoint = empty_folder();
    let environment = environment(Arc::new(SystemClock::start()), checkpoint.path());
    let tables = Arc::clone(&environment.tables);
    let started = now();
    let mut pipeline = start(environment, prepared);
    let epochs = drive(&mut pipeline, &mut Verbose).unwrap_or_else(|error| panic!("{error}"));
    Ran { time: started.elapsed(), tables, epochs }
}

/// Shows each epoch when `TIDEMILL_BENCH_VERBOSE` is set.
pub(crate) struct Verbose;

impl Observer for Verbose {
    fn progress(&mut self, progress: &Progress) {
        if std::env::var_os("TIDEMILL_BENCH_VERBOSE").is_some() {
            eprintln!("{}", serde_json::to_string(progress).expect("a report is plain data"));
        }
    }

    fn swapped(&mut self, _: &Prepared, _: Epoch) {
        unreachable!("nobody asks for a change");
    }

    fn refused(&mut self, _: &RunError, _: Epoch) {
        unreachable!("nobody asks for a change");
    }
}
