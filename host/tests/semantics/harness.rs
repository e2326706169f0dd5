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
    runtime::{Control, Environment, Pipeline, Preparer, Progress},
    sink::MemoryTables,
    state::RedbStore,
    wasm::Loader,
};

use crate::{
    case::{Case, Step, TextFile},
    clock::StillClock,
    store::ForgetfulStore,
};

/// A pipeline under way.
struct Run<'a> {
    case: &'a Case,
    folder: TempDir,
    clock: Arc<StillClock>,
    tables: Arc<MemoryTables>,
    loader: Loader,
    pipeline: Option<Pipeline>,
    /// The manifest that runs.
    manifest: String,
    loses_commits: Arc<AtomicBool>,
    /// How many rows of the table were there before the step.
    seen: usize,
    files: usize,
}

/// Runs a case. The error says what came instead of what.
pub(crate) fn run(case: &Case) -> Result<(), String> {
    let mut run = Run {
        case,
        folder: TempDir::new().expect("a folder"),
        clock: Arc::default(),
        tables: Arc::default(),
        loader: Loader::new(None).expect("the engine starts"),
        pipeline: None,
        manifest: case.pipeline.clone(),
        loses_commits: Arc::default(),
        seen: 0,
        files: 0,
    };
    run.write(&case.files);
    match run.start() {
        Err(error) if case.refused.is_empty() => return Err(error),
        Err(error) => {
            let missing: Vec<_> = case.refused.iter().filter(|part| !error.contains(*part)).collect();
            return if missing.is_empty() { Ok(()) } else { Err(format!("refused without {missing:?}:\n{error}")) };
        }
        Ok(()) if !case.refused.is_empty() => return Err("it was not refused".to_owned()),
        Ok(()) => {}
    }
    for (at, step) in case.steps.iter().enumerate() {
        let difference = run.step(step)?;
        if !difference.is_empty() {
            return Err(format!("step {}:\n{difference}", at + 1));
        }
    }
    Ok(())
}

impl Run<'_> {
    fn start(&mut self) -> Result<(), String> {
        // The checkpoint is one process's at a time.
        self.pipeline = None;
        let base = self.folder.path();
        let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/plugins");
        let text = self.manifest.replace("PLUGINS", &plugins.display().to_string());
        let manifest = manifest::parse(&text, "case", base).map_err(|faults| faults.to_string())?;
        for source in &manifest.sources {
            fs::create_dir_all(base.join(source.name.value.as_str())).expect("a folder for each source");
        }
        let mut report = |line: &str| eprintln!("{line}");
        let mut preparer = Preparer { loader: &self.loader, report: &mut report };
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
        let store = RedbStore::open(&checkpoint).map_err(|error| error.to_string())?;
        let store = ForgetfulStore::new(store, Arc::clone(&self.loses_commits));
        self.pipeline =
            Some(Pipeline::start(environment, Box::new(store), prepared).map_err(|error| error.to_string())?);
        Ok(())
    }

    fn write(&self, files: &[TextFile]) {
        for TextFile { name, text } in files {
            fs::write(self.folder.path().join(name), text.trim_start()).expect("there is room");
        }
    }

    fn step(&mut self, step: &Step) -> Result<String, String> {
        step.now.into_iter().for_each(|now| self.clock.set(now));
        self.write(&step.files);
        self.manifest = step.pipeline.clone().unwrap_or_else(|| self.manifest.clone());
        self.loses_commits.store(step.lose_commit, Ordering::Relaxed);
        if step.restart || step.pipeline.is_some() {
            self.start()?;
        }
        for (source, rows) in &step.rows {
            self.files += 1;
            let file = self.folder.path().join(source).join(format!("{:04}.json", self.files));
            // Whole at once, as a source wants it.
            let hidden = file.with_file_name(".coming");
            fs::write(&hidden, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).expect("there is room");
            fs::rename(hidden, file).expect("a file becomes visible");
        }
        let mut epochs = Vec::new();
        let pipeline = self.pipeline.as_mut().expect("it has started");
        // A pipeline on a clock runs an epoch a tick, and each step is one.
        let ticks = matches!(pipeline.prepared().manifest.trigger, Trigger::Every(_));
        let stopped = loop {
            match pipeline.run_epoch() {
                Ok(Some(progress)) => {
                    epochs.push(progress);
                    if ticks {
                        break None;
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        match (&step.fails, stopped) {
            (None, Some(error)) if !step.lose_commit => return Err(error),
            (Some(expected), Some(error)) if !error.contains(expected) => return Err(error),
            (Some(expected), None) => return Err(format!("it did not stop with {expected:?}")),
            _ => {}
        }
        let mut difference = String::new();
        let mut compare = |what: &str, expected: String, found: String| {
            if expected != found {
                let _ = writeln!(difference, "  {what}: expected {expected}, found {found}");
            }
        };
        if let Some(out) = &step.out {
            let mut expected: Vec<String> =
                out.iter().map(|row| row.iter().map(show).collect::<Vec<_>>().join(", ")).collect();
            expected.sort();
            let mut found = self.new_rows();
            found.sort();
            compare("rows", format!("{expected:?}"), format!("{found:?}"));
        }
        let stages = |of: fn(&tidemill::runtime::StateProgress) -> u64| {
            move |progress: &Progress| progress.state_operators.iter().map(of).sum::<u64>()
        };
        if let Some(watermark) = step.watermark {
            let found =
                epochs.first().and_then(|progress| progress.event_time.as_ref()).map(|time| time.watermark.clone());
            compare("watermark", time(watermark), found.unwrap_or_default());
        }
        if let Some(watermark) = step.next_watermark {
            let found = self.pipeline.as_ref().expect("it has started").watermark();
            compare("watermark afterwards", time(watermark), found.to_string());
        }
        if let Some(dropped) = step.dropped {
            let found: u64 = epochs.iter().map(stages(|stage| stage.num_rows_dropped_by_watermark)).sum();
            compare("rows dropped", dropped.to_string(), found.to_string());
        }
        if let Some(state) = step.state {
            let found: u64 = epochs.last().map_or(0, stages(|stage| stage.num_rows_total));
            compare("keys kept", state.to_string(), found.to_string());
        }
        Ok(difference)
    }

    /// The rows that the step has brought: all of them in mode complete, otherwise those behind the ones seen before.
    fn new_rows(&mut self) -> Vec<String> {
        let Some(table) = self.tables.get(&PartName::from("out")) else { return Vec::new() };
        let snapshot = table.snapshot();
        let rows: Vec<String> = snapshot.rows.iter().flat_map(|batch| self.shown(batch)).collect();
        let sinks = &self.pipeline.as_ref().expect("it has started").prepared().plan.sinks;
        if sinks.iter().any(|sink| sink.name.as_str() == "out" && sink.mode == OutputMode::Complete) {
            return rows;
        }
        let new = rows[self.seen..].to_vec();
        self.seen = rows.len();
        new
    }

    fn shown(&self, batch: &RecordBatch) -> Vec<String> {
        let all: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        let columns = if self.case.columns.is_empty() { &all } else { &self.case.columns };
        let value = |column: &String, row: usize| {
            let values = batch.column_by_name(column).unwrap_or_else(|| panic!("a column {column} in {all:?}"));
            match values.data_type() {
                _ if values.is_null(row) => "null".to_owned(),
                DataType::Timestamp(TimeUnit::Microsecond, _) => {
                    (values.as_primitive::<TimestampMicrosecondType>().value(row) / 1_000_000).to_string()
                }
                _ => array_value_to_string(values, row).expect("a value that can be shown"),
            }
        };
        let row = |row| columns.iter().map(|column| value(column, row)).collect::<Vec<_>>().join(", ");
        (0..batch.num_rows()).map(row).collect()
    }
}

fn show(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn time(seconds: i64) -> String {
    tidemill::model::EventTime::from_micros(seconds * 1_000_000).to_string()
}
