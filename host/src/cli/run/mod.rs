//! `tidemill run`: a pipeline in the foreground.

mod progress;
mod stop;
mod watch;

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;

use self::progress::{Reporter, Show};
use super::{
    PipelineArgs,
    failure::{Failure, output_closed},
    pipeline::prepare,
    plugin, screen,
};
use crate::{
    manifest::{Diagnostics, Manifest, SinkConnector, SinkSpec, parse_duration},
    runtime::{Control, Environment, Pipeline, RunError, SystemClock, Watch, drive},
    sink::MemoryTables,
    state::RedbStore,
};

const EXAMPLE: &str = "\
Ctrl-C finishes the epoch, commits it and exits with 0; a second one leaves at
once, with 130. Either way the next start goes on where the checkpoint stands.

Example:
  tidemill run wordcount.toml
  tidemill run wordcount.toml --set trigger=once --checkpoint /tmp/try
  tidemill run wordcount.toml --watch
  tidemill run wordcount.toml --timeout 30s --progress json | jq .batchId";

/// Run a pipeline in the foreground
///
/// Builds and loads its plugins, checks that everything fits, and runs it from where its checkpoint stands until its trigger
/// says it is enough or it is stopped.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Run {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Keep the checkpoint here; otherwise where the manifest says, or in .tidemill/NAME beside it
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Stop after running so long, as Ctrl-C would
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Report every epoch
    #[arg(long, value_enum, default_value_t = Show::Auto)]
    progress: Show,
    /// Rebuild and swap plugins between two epochs when their files or the manifest change
    #[arg(long)]
    watch: bool,
    /// Run on so many workers; otherwise as the manifest says, or one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
}

impl Run {
    pub(super) fn run(self) -> Result<(), Failure> {
        let manifest = self.read()?;
        let checkpoint = self.checkpoint_of(&manifest);
        // Looked at before the build, so that a change while it goes on is not missed.
        let watched = self.watch.then(|| Watch::start(&self.pipeline.file, &manifest));
        let loader = Arc::new(plugin::loader()?);
        let prepared = prepare(loader.as_ref(), manifest)?;

        let control = Arc::new(Control::default());
        stop::on_signal(&control)?;
        let clock = Arc::new(SystemClock::start());
        let prints = prepared.manifest.sinks.iter().any(is_console);
        let mut reporter = Reporter::new(self.progress.settle(prints), &prepared, clock.clone(), control.clone());
        let store = RedbStore::open(&checkpoint)?;
        let environment =
            Environment { clock, control: control.clone(), tables: Arc::new(MemoryTables::default()), checkpoint };
        let mut pipeline = Pipeline::start(environment, Box::new(store), prepared)?;

        let _timeout = self.timeout.map(|time| stop::after(time, &control));
        let _watch = watched.map(|watched| watch::spawn(watched, self, loader.clone(), control));
        let outcome = drive(&mut pipeline, &mut reporter);
        let reported = reporter.finish();
        let epochs = outcome.map_err(|error| failure(error, &pipeline.prepared().manifest))?;
        if epochs == 0 {
            // Else a second run, which has nothing left to read, would look like one that does not work.
            screen::line(&format!("nothing new; checkpoint {}", pipeline.checkpoint().display()));
        }
        reported
    }

    fn read(&self) -> Result<Manifest, Diagnostics> {
        let mut manifest = self.pipeline.read()?;
        manifest.workers = self.workers.map(usize::from).or(manifest.workers);
        Ok(manifest)
    }

    fn checkpoint_of(&self, manifest: &Manifest) -> PathBuf {
        let beside = || self.pipeline.folder().join(".tidemill").join(&manifest.name);
        self.checkpoint.clone().or_else(|| manifest.checkpoint.clone()).unwrap_or_else(beside)
    }
}

fn is_console(sink: &SinkSpec) -> bool {
    matches!(sink.connector, SinkConnector::Console(_))
}

/// A console sink that finds standard output closed is a pipeline's error like any other, but `tidemill run ... | head` has
/// done what it should.
fn failure(error: RunError, manifest: &Manifest) -> Failure {
    match &error {
        RunError::Sink { part, .. }
            if manifest.sinks.iter().any(|sink| &sink.name.value == part && is_console(sink)) && output_closed() =>
        {
            Failure::Closed
        }
        _ => error.into(),
    }
}
