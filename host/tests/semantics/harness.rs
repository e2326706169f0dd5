//! Runs a case step by step.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
    util::display::array_value_to_string,
};
use tempfile::TempDir;
use tidemill::{
    manifest::{self, OutputMode, Trigger},
    model::PartName,
    ports::CheckpointStore,
    runtime::{Control, Decisions, Environment, Pipeline, Preparer, Progress, StateProgress},
    sink::MemoryTables,
    state::RedbStore,
};

use crate::{
    case::{Case, EpochOfCase, Step, TextFile, seconds},
    clock::StillClock,
    plugins::{Plugins, with_built_plugins},
    store::{ForgetfulStore, MemoryStore},
};

/// The rows of each epoch, in the order in which they came.
pub(crate) type Ran = Vec<Vec<String>>;

/// A pipeline under way.
struct Run<'a> {
    case: &'a Case,
    folder: TempDir,
    clock: Arc<StillClock>,
    tables: Arc<MemoryTables>,
    plugins: &'a Plugins,
    pipeline: Option<Pipeline>,
    /// The manifest that runs.
    manifest: String,
    workers: Option<usize>,
    /// The checkpoint, when it is not on disk.
    store: Option<MemoryStore>,
    loses_commits: Arc<AtomicBool>,
    /// How many rows of the table have been looked at.
    seen: usize,
    files: usize,
}

/// An epoch that was committed.
struct Epoch {
    progress: Progress,
    rows: Vec<String>,
}

/// Runs a case with its checkpoint on disk, or else in this store. The error says what came instead of what.
pub(crate) fn run(case: &Case, plugins: &Plugins, store: Option<MemoryStore>) -> Result<Ran, String> {
    let mut run = Run {
        case,
        folder: folder(store.is_none()),
        clock: Arc::default(),
        tables: Arc::default(),
        plugins,
        pipeline: None,
        manifest: case.pipeline.clone(),
        workers: case.workers,
        store,
        loses_commits: Arc::default(),
        seen: 0,
        files: 0,
    };
    run.write(&case.files);
    match run.start() {
        Err(error) if case.refused.is_empty() => return Err(error),
        Err(error) => {
            let missing: Vec<_> = case.refused.iter().filter(|part| !error.contains(*part)).collect();
            return if missing.is_empty() {
                Ok(Ran::new())
            } else {
                Err(format!("refused without {missing:?}:\n{error}"))
            };
        }
        Ok(()) if !case.refused.is_empty() => return Err("it was not refused".to_owned()),
        Ok(()) => {}
    }
    let mut ran = Ran::new();
    for (at, step) in case.steps.iter().enumerate() {
        let in_step = |error| format!("step {}:\n{error}", at + 1);
        let (epochs, difference) = run.step(step).map_err(in_step)?;
        if !difference.is_empty() {
            return Err(in_step(difference));
        }
        ran.extend(epochs.into_iter().map(|epoch| epoch.rows));
    }
    Ok(ran)
}

impl Run<'_> {
    fn start(&mut self) -> Result<(), String> {
        // The checkpoint is one process's at a time.
        self.pipeline = None;
        let base = self.folder.path();
        let text = with_built_plugins(&self.manifest);
        let mut manifest = manifest::parse(&text, "case", base).map_err(|faults| faults.to_string())?;
        manifest.workers = self.workers.or(manifest.workers);
        manifest.limits.state = self.case.resident.unwrap_or(manifest.limits.state);
        for source in &manifest.sources {
            fs::create_dir_all(base.join(source.name.value.as_str())).expect("a folder for each source");
        }
        let mut report = |line: &str| eprintln!("{line}");
        let mut preparer = Preparer { loader: self.plugins, report: &mut report };
        let prepared = preparer.prepare(manifest).map_err(|error| error.to_string())?;
        let checkpoint = base.join("checkpoint");
        self.tables = Arc::new(MemoryTables::default());
        self.seen = 0;
        let environment = Environment {
            clock: Arc::clone(&self.clock) as _,
            control: Arc::new(Control::default()),
            tables: Arc::clone(&self.tables),
            checkpoint: checkpoint.clone(),
        };
        let store: Box<dyn CheckpointStore> = match &self.store {
            Some(store) => Box::new(store.clone()),
            None => Box::new(RedbStore::open(&checkpoint).map_err(|error| error.to_string())?),
        };
        let store = ForgetfulStore::new(store, Arc::clone(&self.loses_commits));
        self.pipeline = Some(
            Pipeline::start(environment, Box::new(store), prepared, &Decisions::default())
                .map_err(|error| error.to_string())?,
        );
        Ok(())
    }

    fn write(&self, files: &[TextFile]) {
        for TextFile { name, text } in files {
            fs::write(self.folder.path().join(name), text.trim_start()).expect("there is room");
        }
    }

    fn step(&mut self, step: &Step) -> Result<(Vec<Epoch>, String), String> {
        step.now.into_iter().for_each(|now| self.clock.set(now));
        self.write(&step.files);
        self.manifest = step.pipeline.clone().unwrap_or_else(|| self.manifest.clone());
        self.workers = step.workers.or(self.workers);
        self.loses_commits.store(step.lose_commit, Ordering::Relaxed);
        if step.restart || step.pipeline.is_some() || step.workers.is_some() {
            match (self.start(), &step.fails) {
                (Err(error), Some(expected)) if error.contains(expected) => return Ok((Vec::new(), String::new())),
                (started, _) => started?,
            }
        }
        step.rows.iter().for_each(|(source, rows)| self.put(source, rows));
        for (source, files) in &step.row_files {
            files.iter().for_each(|rows| self.put(source, rows));
        }
        let (epochs, stopped) = self.run_epochs();
        match (&step.fails, stopped) {
            (None, Some(error)) if !step.lose_commit => return Err(error),
            (Some(expected), Some(error)) if !error.contains(expected) => return Err(error),
            (Some(expected), None) => return Err(format!("it did not stop with {expected:?}")),
            _ => {}
        }
        let difference = self.compare(step, &epochs);
        Ok((epochs, difference))
    }

    /// Puts a file before a source.
    fn put(&mut self, source: &str, rows: &[String]) {
        self.files += 1;
        let file = self.folder.path().join(source).join(format!("{:04}.json", self.files));
        // Whole at once, as a source wants it.
        let hidden = file.with_file_name(".coming");
        fs::write(&hidden, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).expect("there is room");
        fs::rename(hidden, file).expect("a file becomes visible");
    }

    /// Runs everything that can be run, or until it stops with an error.
    fn run_epochs(&mut self) -> (Vec<Epoch>, Option<String>) {
        let mut epochs = Vec::new();
        loop {
            let pipeline = self.pipeline.as_mut().expect("it has started");
            // A pipeline on a clock runs an epoch a tick, and each step is one.
            let ticks = matches!(pipeline.prepared().manifest.trigger, Trigger::Every(_));
            match pipeline.run_epoch() {
                Ok(Some(progress)) => {
                    let rows = self.new_rows();
                    epochs.push(Epoch { progress, rows });
                    if ticks {
                        return (epochs, None);
                    }
                }
                Ok(None) => return (epochs, None),
                Err(error) => return (epochs, Some(error.to_string())),
            }
        }
    }

    fn compare(&mut self, step: &Step, epochs: &[Epoch]) -> String {
        let mut difference = String::new();
        let mut compare = |what: &str, expected: String, found: String| {
            if expected != found {
                let _ = writeln!(difference, "  {what}: expected {expected}, found {found}");
            }
        };
        if let Some(out) = &step.out {
            // An epoch that has stopped may have left rows too.
            let last = self.new_rows();
            let found = match self.is_complete() {
                true => last,
                false => epochs.iter().flat_map(|epoch| epoch.rows.clone()).chain(last).collect(),
            };
            compare("rows", format!("{:?}", expected_rows(out)), format!("{:?}", sorted(found)));
        }
        if let Some(watermark) = step.watermark {
            let found = epochs.first().and_then(|epoch| watermark_of(&epoch.progress));
            compare("watermark", time(watermark), found.unwrap_or_default());
        }
        if let Some(watermark) = step.next_watermark {
            let found = self.pipeline.as_ref().expect("it has started").watermark();
            compare("watermark afterwards", time(watermark), found.to_string());
        }
        if let Some(dropped) = step.dropped {
            let found: u64 = epochs.iter().flat_map(|epoch| dropped_by(&epoch.progress)).sum();
            compare("rows dropped", dropped.to_string(), found.to_string());
        }
        if let Some(state) = step.state {
            let found: u64 = epochs.last().map_or(0, |epoch| kept_by(&epoch.progress).iter().sum());
            compare("keys kept", state.to_string(), found.to_string());
        }
        let Some(expected) = &step.epochs else { return difference };
        compare("epochs", expected.len().to_string(), epochs.len().to_string());
        for (at, (expected, Epoch { progress, rows })) in expected.iter().zip(epochs).enumerate() {
            let mut compare =
                |what: &str, expected, found| compare(&format!("epoch {}, {what}", at + 1), expected, found);
            let EpochOfCase { out, watermark, dropped, state } = expected;
            compare("rows", format!("{:?}", expected_rows(out)), format!("{:?}", sorted(rows.clone())));
            if let Some(watermark) = watermark {
                compare("watermark", time(*watermark), watermark_of(progress).unwrap_or_default());
            }
            if let Some(dropped) = dropped {
                compare("rows dropped", format!("{dropped:?}"), format!("{:?}", dropped_by(progress)));
            }
            if let Some(state) = state {
                compare("keys kept", format!("{state:?}"), format!("{:?}", kept_by(progress)));
            }
        }
        difference
    }

    fn is_complete(&self) -> bool {
        let sinks = &self.pipeline.as_ref().expect("it has started").prepared().plan.sinks;
        sinks.iter().any(|sink| sink.name.as_str() == "out" && sink.mode == OutputMode::Complete)
    }

    /// The rows that have not been looked at: all of them in mode complete.
    fn new_rows(&mut self) -> Vec<String> {
        let Some(table) = self.tables.get(&PartName::from("out")) else { return Vec::new() };
        let snapshot = table.snapshot();
        let mut seen = if self.is_complete() { 0 } else { self.seen };
        self.seen = snapshot.rows.iter().map(RecordBatch::num_rows).sum();
        let mut rows = Vec::new();
        for batch in &snapshot.rows {
            let skipped = seen.min(batch.num_rows());
            seen -= skipped;
            rows.extend(self.shown(&batch.slice(skipped, batch.num_rows() - skipped)));
        }
        rows
    }

    fn shown(&self, batch: &RecordBatch) -> Vec<String> {
        let all: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        let columns = if self.case.columns.is_empty() { &all } else { &self.case.columns };
        let value = |column: &String, row: usize| {
            let values = batch.column_by_name(column).unwrap_or_else(|| panic!("a column {column} in {all:?}"));
            match values.data_type() {
                _ if values.is_null(row) => "null".to_owned(),
                DataType::Timestamp(TimeUnit::Microsecond, _) => {
                    seconds(values.as_primitive::<TimestampMicrosecondType>().value(row))
                }
                _ => array_value_to_string(values, row).expect("a value that can be shown"),
            }
        };
        let row = |row| columns.iter().map(|column| value(column, row)).collect::<Vec<_>>().join(", ");
        (0..batch.num_rows()).map(row).collect()
    }
}

/// A folder for a run; in memory, if it may be, where the system has a place for that.
fn folder(on_disk: bool) -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if !on_disk && memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    folder.expect("there is room for a folder")
}

fn expected_rows(rows: &[Vec<toml::Value>]) -> Vec<String> {
    sorted(rows.iter().map(|row| row.iter().map(show).collect::<Vec<_>>().join(", ")).collect())
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

fn dropped_by(progress: &Progress) -> Vec<u64> {
    progress.state_operators.iter().map(|stage: &StateProgress| stage.num_rows_dropped_by_watermark).collect()
}

fn kept_by(progress: &Progress) -> Vec<u64> {
    progress.state_operators.iter().map(|stage: &StateProgress| stage.num_rows_total).collect()
}

fn watermark_of(progress: &Progress) -> Option<String> {
    progress.event_time.as_ref().map(|time| time.watermark.clone())
}

fn show(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn time(seconds: f64) -> String {
    tidemill::model::EventTime::from_micros((seconds * 1_000_000.0).round() as i64).to_string()
}
